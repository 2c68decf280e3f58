"""States in half precision, and with huge numbers: the nearest form is taken, not the first."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import transformers as tf

import introspect as ix
from introspect.models import Model
from introspect.studies.lens.logits import readout_of
from introspect.studies.lens.states import added_by, run_noted
from tests.studies.lens.test_lens import TEXT
from tests.tokenizers_zoo import byte_level
from tests.writers_zoo import writer

HALVES = [torch.float16, torch.bfloat16]


def in_type(model: Model, kind: torch.dtype) -> Model:
    return Model(copy.deepcopy(model.module).to(kind), model.tokenizer)


def fresh_llama() -> Model:
    """As it is before training: its states are small, so that much is near to nothing."""
    tokenizer = byte_level()
    config = tf.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=96,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Model(tf.LlamaForCausalLM(config).eval(), tokenizer)


MODELS = {"fresh": fresh_llama, "gpt_oss": lambda: writer("gpt_oss")}


@pytest.mark.parametrize("kind", HALVES)
@pytest.mark.parametrize("name", MODELS)
def test_a_root_mean_square_norm_is_none_that_takes_the_mean_off(name, kind):
    run = run_noted(in_type(MODELS[name](), kind), TEXT)
    for position in range(len(run.tokens)):
        assert not readout_of(run, position).is_centered, position


@pytest.mark.parametrize("kind", HALVES)
@pytest.mark.parametrize("name", MODELS)
def test_components_in_half_are_those_in_single(name, kind):
    model = MODELS[name]()
    single, half = (
        ix.direct_logit_attribution(each, TEXT, token=40, position=3).set_index("component")
        for each in (model, in_type(model, kind))
    )
    assert list(half.index) == list(single.index)
    assert "L1 feed-forward" in half.index
    scale = single["contribution"].abs().max()
    off = (half["contribution"] - single["contribution"]).abs().max()
    assert off < 3 * torch.finfo(kind).eps * scale


@pytest.mark.parametrize("huge", [100.0, 30_000.0])
def test_a_huge_number_in_a_state_hides_no_feed_forward(huge):
    """As in trained models, whose first tokens have a few numbers above a thousand."""
    model = writer("llama")
    module = copy.deepcopy(model.module)
    with torch.no_grad():
        module.model.embed_tokens.weight[:, 0] = huge
    run = run_noted(Model(module, model.tokenizer), TEXT)
    for number, layer in enumerate(module.model.layers):
        given = next(one.given for one in run.states if one.module is layer.mlp)
        found = added_by(run, number).feed_forward
        assert found is not None
        with torch.no_grad():
            torch.testing.assert_close(found.float(), layer.mlp(given)[0])


def test_a_layer_without_a_feed_forward_still_has_none():
    model = writer("llama")
    module = copy.deepcopy(model.module)
    with torch.no_grad():
        module.model.layers[1].mlp.down_proj.weight.zero_()
    run = run_noted(Model(module, model.tokenizer), TEXT)
    assert added_by(run, 1).feed_forward is None or not added_by(run, 1).feed_forward.any()


def test_a_token_may_be_named_by_a_number_of_numpy():
    model = writer("gpt2")
    found, given = (
        ix.direct_logit_attribution(model, TEXT, token=token, position=position)
        for token, position in ((np.int64(40), np.int64(2)), (40, 2))
    )
    assert found["contribution"].tolist() == given["contribution"].tolist()
    assert ix.logit_of(model, np.int64(40)) == ix.logit_of(model, 40)
