"""Models in training: no dropout, no graph, flags as they were."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from introspect.hooks import capture
from tests import models_zoo as zoo
from tests.hooks.safety.helpers import assert_same_capture


def with_dropout(name: str) -> nn.Module:
    config = zoo.ALL[name]()
    for option in ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout"):
        if hasattr(config, option):
            setattr(config, option, 0.5)
    return zoo.build(name, config=config)


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_a_model_in_training_is_captured_without_dropout(name):
    model, inputs = with_dropout(name), zoo.batch(name)
    expected = capture(model, inputs)
    assert_same_capture(capture(model.train(), inputs), expected)


def test_dropout_would_have_changed_the_attention():
    model, inputs = with_dropout("bert").train(), zoo.batch("bert")
    model.set_attn_implementation("eager")
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        first = model(**inputs, output_attentions=True).attentions[0]
    assert (first == 0).float().mean() > 0.3


def test_every_part_keeps_its_own_training_flag():
    model = with_dropout("bert").train()
    model.encoder.layer[0].eval()
    before = zoo.State.of(model)
    capture(model, zoo.batch("bert"))
    assert zoo.State.of(model) == before
    assert model.training
    assert not model.encoder.layer[0].training


def test_a_capture_keeps_no_graph_and_leaves_gradients_on():
    model = zoo.build("bert")
    captured = capture(model, zoo.batch("bert"))
    assert not captured.attentions["self"][0].requires_grad
    assert torch.is_grad_enabled()
    assert all(part.requires_grad and part.grad is None for part in model.parameters())
