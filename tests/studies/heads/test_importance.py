"""Importance by gradient: against differences of losses that are computed another way."""

from __future__ import annotations

import copy
import functools

import numpy as np
import pandas as pd
import pytest
import torch
import transformers as tf

import introspect as ix
from introspect.data import grammar_cases
from introspect.errors import CaptureError, InputError, ModelError, SelectionError, TextError
from introspect.hooks import find_projections
from introspect.hooks.edits.gates import gated, open_gates
from introspect.models import Model
from introspect.models.circuits import repeated
from introspect.studies.heads import importance
from tests import models_zoo as zoo
from tests.tokenizers_zoo import byte_level
from tests.writers_zoo import writer

TEXTS = ["The cat sat on the mat.", "It was happy and she said hello.", "hello hello"]
TARGETS = ["the mat it was", "she said hello hello", "The animal was tired"]


@functools.cache
def masked() -> Model:
    """A tiny BERT with its head."""
    tokenizer = copy.deepcopy(byte_level())
    tokenizer.add_special_tokens({"mask_token": "<mask>"})
    with torch.random.fork_rng():
        torch.manual_seed(5)
        config = tf.BertConfig(**{**zoo._ENCODER, "vocab_size": len(tokenizer)})
        module = tf.BertForMaskedLM(config).eval()
        for part in module.parameters():
            part.data.add_(0.2 * torch.randn(part.shape))
    return Model(module, tokenizer, name="tiny-bert")


def own_loss(model: Model, text: str, target: str) -> float:
    """The stated loss by transformers' own means, or token by token."""
    ids = torch.tensor([model.tokens(text).token_ids])
    if model.name == "tiny-bert":
        found = []
        for place in range(1, ids.shape[1] - 1):
            copy = ids.clone()
            copy[0, place] = model.tokenizer.mask_token_id
            found.append(-model.module(copy).logits[0, place].log_softmax(-1)[ids[0, place]])
        return float(torch.stack(found).mean())
    if model.is_encoder_decoder:
        written = [0, *model.tokenizer(target)["input_ids"][:-1]]  # starts, and is not ended
        logits = model.module(ids, decoder_input_ids=torch.tensor([written])).logits[0]
    else:
        written, logits = ids[0].tolist(), model.module(ids).logits[0]
    chances = logits.log_softmax(-1)
    known = [chances[i, written[i + 1]] for i in range(len(written) - 1)]
    return -float(torch.stack(known).mean())


def test_the_loss_of_a_decoder_is_that_of_transformers():
    model = writer("gpt2")
    ids = torch.tensor([model.tokens(TEXTS[0]).token_ids])
    with torch.no_grad():
        expected = float(model.module(ids, labels=ids).loss)
        assert own_loss(model, TEXTS[0], "") == pytest.approx(expected, rel=1e-6)


def test_a_long_text_is_masked_in_several_runs(monkeypatch):
    expected = ix.head_importance(masked(), TEXTS)
    monkeypatch.setattr(importance, "_AT_ONCE", 3)
    found = ix.head_importance(masked(), TEXTS)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4)
    assert found.attrs["loss"] == "cross-entropy of each token, masked one at a time"


def test_from_five_texts_on_importance_has_an_interval():
    texts = [f"{TEXTS[0]} {'and so on ' * count}" for count in range(6)]
    table = ix.head_importance(writer("gpt2"), texts)
    assert (table["ci_low"] < table["importance"]).all()
    assert (table["importance"] < table["ci_high"]).all()


@pytest.mark.parametrize("name", ["gpt2", "bert", "bart", "bloom"])
def test_importance_is_the_mean_size_of_the_slope_of_the_loss(name):
    model = masked() if name == "bert" else writer(name)
    if name != "bloom":
        model = Model(model.module.double(), model.tokenizer, name=model.name)
    step, close = (1e-5, 1e-4) if name != "bloom" else (1e-2, 2e-2)
    targets = TARGETS if model.is_encoder_decoder else None
    table = ix.head_importance(model, TEXTS, targets=targets).set_index(["kind", "layer", "head"])
    inputs = model.run_plan(TEXTS[0], target=targets and TARGETS[0], whole=True).inputs
    projections = find_projections(model.module, inputs)
    assert len(table) == 4 * len(projections)
    for kind, layer in list(projections)[1:]:
        for head in (0, 3):
            slopes = []
            for text, target in zip(TEXTS, TARGETS, strict=True):
                losses = []
                for sign in (1, -1):
                    gates = open_gates(model.module)
                    gates[kind, layer][head] += sign * step
                    with torch.no_grad(), gated(model.module, gates):
                        losses.append(own_loss(model, text, target))
                slopes.append((losses[0] - losses[1]) / (2 * step))
            found = table.loc[(kind, layer, head)]
            assert found["importance"] == pytest.approx(np.abs(slopes).mean(), rel=close, abs=close)
            assert found["slope"] == pytest.approx(np.mean(slopes), rel=close, abs=close)
            assert np.isnan([found["ci_low"], found["ci_high"]]).all()  # of fewer than five texts
            assert found["n_texts"] == 3
    if name != "bloom":
        model.module.float()


def test_the_model_that_needs_one_head_a_layer_has_two_that_matter():
    model = ix.load("pronoun", lm_head=True)
    cases = {case.text: case for case in grammar_cases(10, "en", 77)}

    def of_the_answer(output, tokens):
        case = cases[tokens.texts[0]]
        chances = output.logits[0, tokens.offsets.index(case.pronoun)].log_softmax(-1)
        return -chances[model.tokenizer.convert_tokens_to_ids(case.extra["answer"])]

    heads = ix.head_importance(model, list(cases), loss=of_the_answer)
    matter = heads.loc[heads["normalized"] > 0.01, ["layer", "head"]]
    assert matter.to_numpy().tolist() == [[0, 0], [1, 0]]
    assert heads.attrs["loss"] == "of_the_answer"


def test_the_previous_token_head_of_induction_matters_most_in_its_layer():
    model = ix.load("induction", lm_head=True)
    heads = ix.head_importance(model, [each.text for each in repeated(8, seed=5)])
    first = heads[heads["layer"] == 0]
    assert first["importance"].idxmax() == 0
    assert np.sqrt((first["normalized"] ** 2).sum()) == pytest.approx(1)


def test_a_head_that_is_ablated_has_no_slope_and_changes_the_others():
    model = ix.load("induction", lm_head=True)
    text = ["a b c d e f g a b c d e f g"]
    before = ix.head_importance(model, text)
    with ix.ablate(model, heads=[(0, 0)]):
        found = ix.head_importance(model, text)
    assert found["importance"][0] == 0 and (found["importance"][1:] > 0).all()
    assert (found["importance"] - before["importance"]).abs().max() > 0.1
    pd.testing.assert_frame_equal(ix.head_importance(model, text), before)


@pytest.mark.parametrize("name", ["llama", "gpt_oss", "gptj", "t5"])
def test_other_models_have_it_too(name):
    model = writer(name)
    targets = TARGETS if model.is_encoder_decoder else None
    heads = ix.head_importance(model, TEXTS, targets=targets)
    assert (heads["importance"] > 0).all() and heads["importance"].notna().all()
    assert set(heads["kind"]) == ({"encoder", "decoder", "cross"} if targets else {"self"})


def test_a_model_without_a_head_needs_a_loss():
    model = zoo.minilm()
    with pytest.raises(ModelError, match="Expected a language-model head in .*give `loss`"):
        ix.head_importance(model, TEXTS)

    def length(output, tokens):
        assert len(tokens) == output.last_hidden_state.shape[1]
        return output.last_hidden_state[0].mean(0).norm()

    heads = ix.head_importance(model, TEXTS[:1], loss=length)
    assert heads.attrs["loss"] == "length" and len(heads) == 72
    assert heads["ci_low"].isna().all() and (heads["importance"] > 0).all()
    assert heads["importance"].to_numpy() == pytest.approx(heads["slope"].abs().to_numpy())


def test_what_cannot_be_is_refused():
    model = writer("gpt2")
    with pytest.raises(InputError, match="at least one text"):
        ix.head_importance(model, [])
    with pytest.raises(InputError, match="3 texts and 1 targets"):
        ix.head_importance(writer("t5"), TEXTS, targets=["a"])
    with pytest.raises(SelectionError, match="target"):
        ix.head_importance(writer("t5"), TEXTS)
    with pytest.raises(SelectionError, match="encoder-decoder"):
        ix.head_importance(model, TEXTS, targets=TARGETS)
    with pytest.raises(TextError, match="Text 1: .*empty"):
        ix.head_importance(model, ["A cat.", " "])
    with pytest.raises(CaptureError, match="Text 0: .*one number"):
        ix.head_importance(model, TEXTS, loss=lambda output, tokens: output.logits)
    plain = Model(masked().module, byte_level())
    with pytest.raises(ModelError, match="mask token"):
        ix.head_importance(plain, TEXTS)


def test_an_encoder_may_have_other_numbers_of_heads_than_its_decoder():
    tokenizer = byte_level()
    torch.manual_seed(3)
    config = tf.BartConfig(
        vocab_size=len(tokenizer), d_model=32, encoder_layers=1, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=4, encoder_ffn_dim=48,
        decoder_ffn_dim=48, max_position_embeddings=128, pad_token_id=1, bos_token_id=0,
        eos_token_id=None, decoder_start_token_id=0, forced_eos_token_id=None,
    )  # fmt: skip
    model = Model(tf.BartForConditionalGeneration(config).double().eval(), tokenizer)
    table = ix.head_importance(model, ["the cat"], targets=["a dog"])
    counts = table.groupby(["kind", "layer"]).size().to_dict()
    assert counts == {
        ("encoder", 0): 2, ("decoder", 0): 4, ("decoder", 1): 4, ("cross", 0): 4, ("cross", 1): 4,
    }  # fmt: skip
    row = table[(table["kind"] == "cross") & (table["layer"] == 1) & (table["head"] == 2)].iloc[0]
    step = 1e-2
    losses = []
    for factor in (1 + step, 1 - step):
        with ix.scale(model, "L1H2", factor, kind="cross"), torch.no_grad():
            losses.append(own_loss(model, "the cat", "a dog"))
    assert row["slope"] == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-3)
    of_layer = table[table["kind"] == "encoder"]
    assert (of_layer["normalized"] ** 2).sum() == pytest.approx(1)


def test_what_cannot_be_differentiated_is_no_importance_of_zero():
    model = writer("gpt2")
    with torch.inference_mode(), pytest.raises(CaptureError, match="torch.inference_mode is on"):
        ix.head_importance(model, ["the cat sat"])
    with torch.inference_mode(), pytest.raises(CaptureError, match="torch.inference_mode is on"):
        model.capture("the cat", include=("gradients",), of=ix.logit_of(model, 40))
    with torch.no_grad():
        assert len(ix.head_importance(model, ["the cat sat"])) == 12
        model.module.transformer.h[0].attn.c_proj.weight[0, 0] = torch.nan
    with pytest.raises(ModelError, match="Text 0: Expected finite gradients"):
        ix.head_importance(model, ["the cat sat"])
