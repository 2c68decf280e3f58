"""Every method of ablation and every kind of attention, on every kind of model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as tf

import introspect as ix
from introspect.models import Model
from introspect.studies.causal import prepare_answers
from introspect.text import CorefCase
from tests import models_zoo as zoo
from tests.tokenizers_zoo import byte_level

TEXT = "The animal didn't cross the street because it was too tired."
_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}


def masked():
    words = zoo.minilm().tokenizer
    config = tf.BertConfig(vocab_size=len(words), intermediate_size=48, **_SIZES)
    return Model(tf.BertForMaskedLM(config).eval(), words, name="bert")


def gpt2():
    config = tf.GPT2Config(vocab_size=len(byte_level()), n_embd=32, n_layer=2, n_head=4)
    return Model(tf.GPT2LMHeadModel(config).eval(), byte_level(), name="gpt2")


def llama():
    config = tf.LlamaConfig(
        vocab_size=len(byte_level()), intermediate_size=48, num_key_value_heads=2, **_SIZES
    )
    return Model(tf.LlamaForCausalLM(config).eval(), byte_level(), name="llama")


def t5():
    words = zoo.minilm().tokenizer
    config = tf.T5Config(
        vocab_size=len(words), d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
        decoder_start_token_id=0,
    )  # fmt: skip
    return Model(tf.T5ForConditionalGeneration(config).eval(), words, name="t5")


def deberta():
    words = zoo.minilm().tokenizer
    config = tf.DebertaV2Config(
        vocab_size=len(words), intermediate_size=48, relative_attention=True,
        pos_att_type=["c2p", "p2c"], **_SIZES,
    )  # fmt: skip
    return Model(tf.DebertaV2ForMaskedLM(config).eval(), words, name="deberta")


MODELS = {
    "minilm": (zoo.minilm, None),
    "bert": (masked, None),
    "gpt2": (gpt2, None),
    "llama": (llama, None),
    "deberta": (deberta, None),
    "t5 encoder": (t5, "encoder"),
    "t5 decoder": (t5, "decoder"),
    "t5 cross": (t5, "cross"),
}


@pytest.fixture(params=MODELS)
def model_and_kind(request):
    make, kind = MODELS[request.param]
    torch.manual_seed(2)
    return make(), kind


@pytest.mark.parametrize("method", ["zero", "mean", "uniform", "resample"])
def test_effects_are_measured(model_and_kind, method):
    model, kind = model_and_kind
    case = CorefCase.from_words(TEXT, pronoun="it", antecedent="animal", distractors=["street"])
    answers = prepare_answers(model, [case])
    options = {}
    if method in ("mean", "resample"):
        ids = torch.tensor([model.tokens(TEXT + " " + TEXT).token_ids])
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if model.is_encoder_decoder:
            inputs["decoder_input_ids"] = ids
        options["reference"] = [inputs]
    clean = answers.margins()
    with ix.ablate(model, "L1H2", method=method, kind=kind, **options):
        without = answers.margins()
    assert np.isfinite(without).all()
    assert (without != clean).all(), "the ablation did nothing"
    np.testing.assert_array_equal(answers.margins(), clean)


def test_the_table_of_every_head(model_and_kind):
    model, kind = model_and_kind
    case = CorefCase.from_words(TEXT, pronoun="it", antecedent="animal", distractors=["street"])
    table = ix.causal_effects(model, [case], ["L1H0", "L1H1"], controls=1, kind=kind)
    assert len(table) == 2
    assert np.isfinite(table[["effect", "control"]].to_numpy()).all()
