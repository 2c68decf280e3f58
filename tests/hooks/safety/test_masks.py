"""No capture lets a causal model attend to the future."""

from __future__ import annotations

import pytest
import torch
from transformers import AttentionMaskInterface

from introspect.hooks import capture, interface
from tests import models_zoo as zoo


def future(layer: torch.Tensor) -> torch.Tensor:
    length = layer.shape[-1]
    return layer[..., torch.ones(length, length).triu(1).bool()]


@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("name", zoo.DECODERS)
def test_a_causal_model_gives_the_future_exactly_nothing(name, with_mask):
    inputs = {"input_ids": torch.arange(4, 4 + zoo.LENGTH)[None]}
    if with_mask:
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    for layer in capture(zoo.build(name), inputs).attentions["self"]:
        assert (future(layer) == 0).all()


@pytest.mark.parametrize("name", zoo.DECODERS)
def test_without_its_entry_in_the_mask_interface_the_future_would_be_seen(name, monkeypatch):
    # Shows that the test above can fail, and why the registration must stay.
    monkeypatch.delitem(AttentionMaskInterface._global_mapping, interface.IMPLEMENTATION)
    inputs = {"input_ids": torch.arange(4, 4 + zoo.LENGTH)[None]}
    layers = capture(zoo.build(name), inputs).attentions["self"]
    assert all((future(layer) > 0).any() for layer in layers)


@pytest.mark.parametrize("name", zoo.ENCODER_DECODERS)
def test_the_decoder_of_an_encoder_decoder_is_causal_and_the_rest_is_not(name):
    captured = capture(zoo.build(name), zoo.batch(name)).attentions
    assert all((future(layer) == 0).all() for layer in captured["decoder"])
    assert all((future(layer[:1]) > 0).all() for layer in captured["encoder"])
    assert all((layer[:1] > 0).all() for layer in captured["cross"])
