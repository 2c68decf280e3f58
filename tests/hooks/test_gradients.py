"""Gradients by attention weights: against autograd, finite differences and their own sums."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import transformers as tf
from transformers.models.bert import modeling_bert

from introspect.errors import CaptureError, MissingExtraError, SelectionError
from introspect.hooks import capture_gradients
from tests import models_zoo as zoo
from tests.models_zoo import LEGACY

KINDS = ("self", "encoder", "decoder", "cross")


def states(output: Any) -> torch.Tensor:
    """A number that rests on every layer, of a model without a head."""
    return output[0][0, 2].square().sum()


def logit(output: Any) -> torch.Tensor:
    return output.logits[0, 4, 7]


def one_text(name: str) -> dict[str, torch.Tensor]:
    return {key: one[:1] for key, one in zoo.batch(name).items()}


def own_gradients(model: torch.nn.Module, inputs: Any, of: Callable) -> dict[str, list]:
    """By autograd through the attention that an eager twin returns itself."""
    twin = zoo.eager_twin(model)
    output = twin(**inputs, output_attentions=True)
    own = {k: output[n] for k, n in zoo.OUTPUT_NAMES.items() if output.get(n)}
    found = {}
    for kind, layers in own.items():
        slopes = torch.autograd.grad(
            of(output), layers, retain_graph=True, allow_unused=kind != "self"
        )
        found[kind] = [
            torch.zeros_like(layer) if slope is None else slope
            for slope, layer in zip(slopes, layers, strict=True)
        ]
    return found


@pytest.mark.parametrize("name", zoo.ALL)
def test_autograd_through_an_eager_twin_agrees(name):
    model, inputs = zoo.build(name), one_text(name)
    found = capture_gradients(model, inputs, states)
    expected = own_gradients(model, inputs, states)
    assert set(found.gradients) == set(expected)
    for kind, layers in expected.items():
        for one, other in zip(found.gradients[kind], layers, strict=True):
            assert one.shape == other.shape
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    last = "decoder" if name in zoo.ENCODER_DECODERS else "self"
    assert found.gradients[last][-1].abs().max() > 1e-3
    assert found.certificate.max_head_output_error <= 1e-5


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("bert", tf.BertForMaskedLM),
        ("gpt2", tf.GPT2LMHeadModel),
        ("llama", tf.LlamaForCausalLM),
        ("t5", tf.T5ForConditionalGeneration),
    ],
)
def test_a_logit_of_a_model_with_a_head(name, head):
    torch.manual_seed(3)
    model, inputs = head(zoo.ALL[name]()).eval(), one_text(name)
    with torch.no_grad():
        for part in model.parameters():
            part.add_(torch.randn(part.shape) * 0.2)
    found = capture_gradients(model, inputs, logit)
    for kind, layers in own_gradients(model, inputs, logit).items():
        for one, other in zip(found.gradients[kind], layers, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)
    with torch.no_grad():
        expected = float(logit(model(**inputs)))
    assert found.certificate.gradient_of_value == pytest.approx(expected, abs=1e-4)
    assert found.certificate.gradient_of == "logit"


@contextmanager
def changed(layer: int, change: Callable[[torch.Tensor], torch.Tensor]):
    """BERT's own eager function, with the weights of one layer changed: no code of ours."""
    original = modeling_bert.eager_attention_forward
    calls = []

    def function(module, query, key, value, mask, **options):
        _, weights = original(module, query, key, value, mask, **options)
        calls.append(module)
        weights = change(weights) if len(calls) - 1 == layer else weights
        return (weights @ value).transpose(1, 2).contiguous(), weights

    modeling_bert.eager_attention_forward = function
    try:
        yield
    finally:
        modeling_bert.eager_attention_forward = original


def result(model: torch.nn.Module, inputs: Any, layer: int, change: Callable) -> torch.Tensor:
    with changed(layer, change):
        return states(model(**inputs))


def eager_bert() -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    model = zoo.eager_twin(zoo.build("bert")).double()
    return model, one_text("bert")


@pytest.mark.parametrize("place", [(0, 1, 3, 5), (1, 0, 2, 0), (2, 3, 2, 7), (2, 3, 4, 7)])
def test_finite_differences_agree(place):
    model, inputs = eager_bert()
    layer, head, query, key = place
    step = 1e-6

    def moved(by: float) -> float:
        def change(weights: torch.Tensor) -> torch.Tensor:
            weights = weights.clone()
            weights[0, head, query, key] += by
            return weights

        with torch.no_grad():
            return float(result(model, inputs, layer, change))

    slope = (moved(step) - moved(-step)) / (2 * step)
    found = capture_gradients(model, inputs, states).gradients["self"][layer]
    assert float(found[0, head, query, key]) == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_a_number_made_before_the_last_layer_does_not_rest_on_it():
    model, inputs = zoo.build("bert"), one_text("bert")
    model.config.output_hidden_states = True
    found = capture_gradients(model, inputs, lambda out: out.hidden_states[2][0].sum().square())
    first, second, third = found.gradients["self"]
    assert first.abs().max() > 0 and second.abs().max() > 0
    assert torch.equal(third, torch.zeros_like(third))


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_frozen_parameters_and_a_callers_no_grad_change_nothing(name):
    model, inputs = zoo.build(name), one_text(name)
    before = zoo.State.of(model)
    expected = capture_gradients(model, inputs, states).gradients["self"]
    model.requires_grad_(False)
    with torch.no_grad():
        found = capture_gradients(model, inputs, states).gradients["self"]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
        assert not one.requires_grad
    assert all(part.grad is None for part in model.parameters())
    assert zoo.State.of(model) == before


def test_chosen_layers_keep_their_numbers():
    model, inputs = zoo.build("bert"), one_text("bert")
    whole = capture_gradients(model, inputs, states)
    some = capture_gradients(model, inputs, states, layers=[1])
    assert some.layers["self"] == [1]
    assert torch.equal(some.gradients["self"][0], whole.gradients["self"][1])
    with pytest.raises(SelectionError, match="Expected `layers` among 0–2"):
        capture_gradients(model, inputs, states, layers=[3])


@pytest.mark.parametrize("name", ["deberta", "deberta-v2", "bloom", "gptj", "mpnet", "roformer"])
def test_models_that_bypass_the_interface(name):
    model, inputs = zoo.build("bert", config=LEGACY[name]()), one_text("bert")
    found = capture_gradients(model, inputs, states)
    expected = own_gradients(model, inputs, states)["self"]
    for one, other in zip(found.gradients["self"], expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert found.certificate.route == "the model's own output, in the graph"
    with pytest.raises(CaptureError, match="computes them itself"):
        capture_gradients(model, inputs, states, ("integrated_gradients",))


@pytest.mark.parametrize("name", ["squeezebert", "xlnet"])
def test_attention_outside_the_graph_is_refused(name):
    model = zoo.build("bert", config=LEGACY[name]())
    with pytest.raises(CaptureError, match="a part of the graph"):
        capture_gradients(model, one_text("bert"), states)


def test_a_module_that_does_more_than_weigh_is_refused(monkeypatch):
    original = modeling_bert.eager_attention_forward

    def more(*args, **options):
        output, weights = original(*args, **options)
        return output + 1, weights

    monkeypatch.setattr(modeling_bert, "eager_attention_forward", more)
    with pytest.raises(CaptureError, match="does more than weigh"):
        capture_gradients(zoo.build("bert"), one_text("bert"), states)


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (lambda out: out[0][0], r"one number as a tensor of one element, got shape \(9, 32\)"),
        (lambda out: 0.5, "one number as a tensor of one element, got 0.5"),
        (lambda out: out[0].sum().detach(), "depends on nothing"),
    ],
)
def test_what_is_no_number_of_the_run_is_refused(of, message):
    with pytest.raises(SelectionError, match=message):
        capture_gradients(zoo.build("bert"), one_text("bert"), of)


# --- integrated gradients ---------------------------------------------------------------------


@pytest.mark.slow
def test_integrated_gradients_are_complete():
    """Their sum over a layer is what taking its attention away changes, by BERT's own function."""
    pytest.importorskip("captum")
    model, inputs = eager_bert()
    found = capture_gradients(model, inputs, states, ("integrated_gradients",), steps=64)
    whole = float(states(model(**inputs)).detach())
    errors = []
    for layer, attribution in enumerate(found.integrated_gradients["self"]):
        without = float(result(model, inputs, layer, torch.zeros_like).detach())
        errors.append(abs(float(attribution.sum()) - (whole - without)))
        assert abs(whole - without) > 0.1
    assert max(errors) <= 1e-4
    assert found.certificate.max_completeness_error == pytest.approx(max(errors), abs=1e-9)


@pytest.mark.slow
def test_an_integral_of_our_own_agrees():
    """The middle of many small steps, of gradients through BERT's own function."""
    pytest.importorskip("captum")
    model, inputs = eager_bert()
    found = capture_gradients(model, inputs, states, ("integrated_gradients",), layers=[1])
    steps, total, own = 200, 0.0, None
    for step in range(steps):
        scaled = []

        def change(weights: torch.Tensor, alpha: float = (step + 0.5) / steps, to: list = scaled):
            to += [weights.detach(), (alpha * weights.detach()).requires_grad_()]
            return to[1]

        value = result(model, inputs, 1, change)
        own, given = scaled
        total = total + torch.autograd.grad(value, given)[0] / steps
    expected = own * total
    torch.testing.assert_close(found.integrated_gradients["self"][0], expected, atol=1e-3, rtol=0)
    assert expected.abs().max() > 0.05


def test_more_points_come_nearer():
    pytest.importorskip("captum")
    model, inputs = zoo.build("llama"), one_text("llama")
    few, many = (
        capture_gradients(
            model, inputs, states, ("integrated_gradients",), layers=[0], steps=steps
        ).certificate.max_completeness_error
        for steps in (2, 64)
    )
    assert many < few / 10


def test_cross_attention_has_integrated_gradients():
    pytest.importorskip("captum")
    model, inputs = zoo.build("t5"), one_text("t5")
    found = capture_gradients(
        model, inputs, states, ("gradients", "integrated_gradients"), layers=[1], steps=4
    )
    for kind in ("encoder", "decoder", "cross"):
        (weights,), (attribution,) = found.attentions[kind], found.integrated_gradients[kind]
        assert weights.shape == attribution.shape
        assert attribution.abs().max() > 0


def test_without_captum_the_error_has_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingExtraError, match=r'pip install "captum>='):
        capture_gradients(
            zoo.build("bert"), one_text("bert"), states, ("integrated_gradients",), steps=1
        )
