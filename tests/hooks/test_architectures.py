"""A capture equals what the model itself computes, one architecture after the other.

The oracle is the model itself: built a second time, eager from the start, with the same weights,
and asked for its attention by ``output_attentions=True``. None of our code takes part in that run.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from introspect.hooks import Captured, capture
from tests import models_zoo as zoo
from tests.closeness import assert_close

CASES = [
    *[(name, "right") for name in zoo.ENCODERS],
    *[(name, side) for name in zoo.DECODERS for side in ("right", "left")],
    *[(name, "right") for name in zoo.ENCODER_DECODERS],
]
KINDS = [
    (name, padding, kind)
    for name, padding in CASES
    for kind in (("encoder", "decoder", "cross") if name in zoo.ENCODER_DECODERS else ("self",))
]
HAVE_SDPA = [case for case in CASES if case[0] not in ("gemma2", "gpt_oss")]
SLIDING = ("mistral", "gemma2", "gemma3", "gpt_oss")


@dataclass(frozen=True, eq=False)
class Run:
    """One capture beside what the model gives without us."""

    model: nn.Module
    inputs: dict[str, torch.Tensor]
    captured: Captured
    eager: Any
    plain: Any
    before: zoo.State
    after: zoo.State

    @property
    def is_text(self) -> torch.Tensor:
        """Where the last hidden states belong to a text and not to padding."""
        return self.inputs.get("decoder_attention_mask", self.inputs["attention_mask"]).bool()


@functools.cache
def run(name: str, padding: str) -> Run:
    model, inputs = zoo.build(name), zoo.batch(name, padding)
    before = zoo.State.of(model)
    captured = capture(model, inputs)
    after = zoo.State.of(model)
    with torch.no_grad():
        plain = model(**inputs, use_cache=False)
        eager = zoo.eager_twin(model)(
            **inputs, use_cache=False, output_attentions=True, output_hidden_states=True
        )
    return Run(model, inputs, captured, eager, plain, before, after)


@pytest.mark.parametrize(("name", "padding", "kind"), KINDS)
def test_attention_equals_the_models_own_eager_attention(name, padding, kind):
    result = run(name, padding)
    own = result.eager[zoo.OUTPUT_NAMES[kind]]
    captured = result.captured.attentions[kind]
    assert len(captured) == len(own)
    for mine, its in zip(captured, own, strict=True):
        assert mine.dtype == torch.float32
        assert_close(mine, its)


@pytest.mark.parametrize(("name", "padding", "kind"), KINDS)
def test_the_attention_compared_is_worth_comparing(name, padding, kind):
    # Even patterns, or patterns all alike, would be equal whatever was mixed up on the way.
    layers = run(name, padding).captured.attentions[kind]
    layer = layers[-1]
    assert layer.amax(-1).mean() > 1.3 * (layer > 0).float().mean() * layer.mean()
    assert not torch.allclose(layers[0], layers[1], atol=1e-2)
    assert not torch.allclose(layer[:, 0], layer[:, 1], atol=1e-2)
    assert not torch.allclose(layer[0], layer[2], atol=1e-2)


@pytest.mark.parametrize(("name", "padding"), CASES)
def test_output_of_the_capture_equals_an_eager_run(name, padding):
    result = run(name, padding)
    torch.testing.assert_close(
        result.captured.output.last_hidden_state,
        result.eager.last_hidden_state,
        atol=1e-6,
        rtol=0,
    )


@pytest.mark.parametrize(("name", "padding"), CASES)
def test_output_of_the_capture_is_near_the_plain_run(name, padding):
    result = run(name, padding)
    torch.testing.assert_close(
        result.captured.output.last_hidden_state[result.is_text],
        result.plain.last_hidden_state[result.is_text],
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize(("name", "padding"), CASES)
def test_hidden_states_of_every_layer_equal_an_eager_run(name, padding):
    result = run(name, padding)
    output = capture(result.model, {**result.inputs, "output_hidden_states": True}).output
    names = [key for key in result.eager if key.endswith("hidden_states")]
    assert names
    for key in names:
        for mine, its in zip(output[key], result.eager[key], strict=True):
            assert_close(mine, its)


@pytest.mark.parametrize(("name", "padding"), HAVE_SDPA)
def test_the_model_was_loaded_with_sdpa_and_the_certificate_says_so(name, padding):
    result = run(name, padding)
    assert result.model.config._attn_implementation == "sdpa"
    assert result.captured.certificate.attn_implementation == "sdpa"


@pytest.mark.parametrize(("name", "padding"), CASES)
def test_the_model_is_put_back(name, padding):
    result = run(name, padding)
    assert result.after == result.before


@pytest.mark.parametrize("name", zoo.ALL)
def test_a_model_loaded_eager_is_captured_and_stays_eager(name):
    model, inputs = zoo.build(name, "eager"), zoo.batch(name)
    captured = capture(model, inputs)
    assert model.config._attn_implementation == "eager"
    for kind, layers in captured.attentions.items():
        for mine, its in zip(layers, run(name, "right").captured.attentions[kind], strict=True):
            torch.testing.assert_close(mine, its, atol=0, rtol=0)


@pytest.mark.parametrize("name", [*zoo.ENCODERS, *zoo.DECODERS])
def test_layers_are_numbered_from_zero_in_order(name):
    assert run(name, "right").captured.layers == {"self": [0, 1, 2]}


@pytest.mark.parametrize(("name", "encoder", "decoder"), [("t5", 2, 3), ("bart", 3, 2)])
def test_an_encoder_and_a_decoder_of_different_depth_are_numbered_apart(name, encoder, decoder):
    assert run(name, "right").captured.layers == {
        "encoder": list(range(encoder)),
        "decoder": list(range(decoder)),
        "cross": list(range(decoder)),
    }


@pytest.mark.parametrize("name", zoo.ENCODER_DECODERS)
def test_shapes_of_the_three_kinds(name):
    captured = run(name, "right").captured.attentions
    shapes = {kind: tuple(layers[0].shape) for kind, layers in captured.items()}
    assert shapes == {"encoder": (3, 4, 9, 9), "decoder": (3, 4, 6, 6), "cross": (3, 4, 6, 9)}


@pytest.mark.parametrize("name", zoo.ENCODER_DECODERS)
def test_an_encoder_alone_gives_the_same_patterns(name):
    result = run(name, "right")
    inputs = {key: result.inputs[key] for key in ("input_ids", "attention_mask")}
    alone = capture(result.model.get_encoder(), inputs)
    assert list(alone.attentions) == ["encoder"]
    for mine, whole in zip(
        alone.attentions["encoder"], result.captured.attentions["encoder"], strict=True
    ):
        assert_close(mine, whole)


def test_albert_runs_one_shared_module_and_still_numbers_every_layer():
    model = run("albert", "right").model
    shared = [part for part in model.modules() if type(part).__name__ == "AlbertAttention"]
    assert len(shared) == 1
    assert run("albert", "right").captured.layers == {"self": [0, 1, 2]}


def test_a_shared_module_that_bears_a_number_is_still_counted_by_its_calls():
    model = zoo.build("albert")
    shared = next(part for part in model.modules() if type(part).__name__ == "AlbertAttention")
    shared.layer_idx = 0
    assert capture(model, zoo.batch("albert")).layers == {"self": [0, 1, 2]}


def test_a_bert_decoder_with_cross_attention_has_two_kinds():
    config = zoo.ENCODERS["bert"]()
    config.is_decoder, config.add_cross_attention = True, True
    model = zoo.build("bert", config=config)
    ids = torch.tensor([[5, 6, 7]])
    states = torch.randn(1, 4, 32, generator=torch.Generator().manual_seed(1))
    captured = capture(model, {"input_ids": ids, "encoder_hidden_states": states})
    assert {kind: tuple(a[0].shape[2:]) for kind, a in captured.attentions.items()} == {
        "self": (3, 3),
        "cross": (3, 4),
    }
    assert captured.layers == {"self": [0, 1, 2], "cross": [0, 1, 2]}


@pytest.mark.parametrize("name", SLIDING)
def test_a_sliding_window_hides_what_is_further_back(name):
    result = run(name, "right")
    first = result.captured.attentions["self"][0][0]  # a text without padding
    behind = torch.arange(zoo.LENGTH)[:, None] - torch.arange(zoo.LENGTH)[None, :]
    assert (first[:, behind >= 3] == 0).all()
    assert (first[:, (behind >= 0) & (behind < 3)] > 0).all()


@pytest.mark.parametrize("name", ["gemma2", "gemma3", "gpt_oss"])
def test_a_full_layer_between_sliding_ones_sees_everything_before_it(name):
    full = run(name, "right").captured.attentions["self"][1][0]
    assert (full[:, -1, :] > 0).all()


def test_the_part_of_a_row_that_goes_to_a_sink_is_left_out_not_spread():
    result = run("gpt_oss", "right")
    sums = result.captured.attentions["self"][1][0].sum(-1)
    assert (sums < 0.999).all()
    assert result.captured.certificate.max_row_sum_error > 0.001


@pytest.mark.parametrize("name", [n for n in zoo.ALL if n != "gpt_oss"])
def test_rows_sum_to_one_and_the_certificate_says_so(name):
    result = run(name, "right")
    for layers in result.captured.attentions.values():
        for layer in layers:
            torch.testing.assert_close(layer.sum(-1), torch.ones(layer.shape[:3]))
    assert result.captured.certificate.max_row_sum_error < 1e-6


@pytest.mark.parametrize("name", [*zoo.ENCODERS, *zoo.ENCODER_DECODERS])
def test_padding_gets_nothing(name):
    result = run(name, "right")
    kind = "encoder" if name in zoo.ENCODER_DECODERS else "self"
    is_padding = ~result.inputs["attention_mask"].bool()
    for layer in result.captured.attentions[kind]:
        assert (layer.transpose(1, 3)[is_padding] == 0).all()


@pytest.mark.parametrize("name", ["bert", "llama", "gpt2"])
def test_padding_does_not_change_a_text(name):
    result = run(name, "right")
    length = int(result.inputs["attention_mask"][1].sum())
    alone = capture(result.model, {"input_ids": result.inputs["input_ids"][1:2, :length]})
    for mine, batched in zip(
        alone.attentions["self"], result.captured.attentions["self"], strict=True
    ):
        assert_close(mine[0], batched[1, :, :length, :length])
