"""Gates on heads: their gradients against differences, and against the model's own layers."""

from __future__ import annotations

import copy

import pytest
import torch

from introspect.errors import CaptureError
from introspect.hooks import find_projections, gate_gradients
from introspect.hooks.edits.gates import gated, open_gates
from tests import models_zoo as zoo

NAMES = ("bert", "albert", "gpt2", "llama", "t5", "bart", "gpt_oss")
# In double precision small steps show the slope. T5 computes its norms in single precision all the
# same, and the others cannot run in double.
STEPS = dict.fromkeys(("bert", "albert", "gpt2", "bart"), (1e-5, 1e-5)) | {"t5": (1e-4, 4e-2)}


def summed(output) -> torch.Tensor:
    """A loss in which every position and dimension counts differently."""
    states = output[0]
    return (states * torch.linspace(-1, 1, states.numel()).to(states).view_as(states)).sum()


def build(name: str):
    model = zoo.build(name) if name in zoo.ALL else zoo.build(name, config=zoo.LEGACY[name]())
    return model.double() if name in STEPS else model, zoo.batch(name)


@pytest.mark.parametrize("name", [*NAMES, "deberta-v2", "bloom"])
def test_gradients_are_differences_of_the_loss(name):
    model, inputs = build(name)
    projections = find_projections(model, inputs)
    gradients = gate_gradients(model, inputs, summed)
    assert gradients.keys() == projections.keys() and len(gradients) >= 2
    step, close = STEPS.get(name, (1e-2, 1e-2))
    for place, gradient in gradients.items():
        for head in range(4):
            losses = []
            for sign in (1, -1):
                gates = open_gates(model)
                gates[place][head] += sign * step
                with torch.no_grad(), gated(model, gates):
                    losses.append(float(summed(model(**inputs))))
            expected = (losses[0] - losses[1]) / (2 * step)
            assert float(gradient[head]) == pytest.approx(expected, rel=close, abs=close)


def test_a_gradient_is_the_output_of_the_head_times_the_gradient_at_it():
    model, inputs = build("gpt2")
    layer = model.h[1].attn.c_proj
    seen = []

    def keep(_, given):
        given[0].retain_grad()
        seen.append(given[0])

    handle = layer.register_forward_pre_hook(keep)
    summed(model(**inputs)).backward()
    handle.remove()
    product = (seen[0] * seen[0].grad).sum((0, 1))
    found = gate_gradients(model, inputs, summed)["self", 1]
    torch.testing.assert_close(found, product.view(4, 8).sum(-1))


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_a_gate_of_0_is_a_head_without_weights(name):
    model, inputs = build(name)
    gates = open_gates(model)
    gates["self", 1][2] = 0
    with torch.no_grad(), gated(model, gates):
        found = model(**inputs)[0]
    without = copy.deepcopy(model)
    if name == "gpt2":
        without.h[1].attn.c_proj.weight.data[16:24] = 0
    else:
        without.encoder.layer[1].attention.output.dense.weight.data[:, 16:24] = 0
    with torch.no_grad():
        torch.testing.assert_close(found, without(**inputs)[0])
        assert not torch.allclose(found, model(**inputs)[0])


def test_layers_that_share_a_module_have_gates_of_their_own():
    model, inputs = build("albert")
    gates = open_gates(model)
    gates["self", 2][1] = 0
    with torch.no_grad(), gated(model, gates):
        found = model(**inputs)[0]
    calls = []

    def third_call(_, given):
        calls.append(given)
        heads = given[0].clone()
        heads[..., 8:16] *= len(calls) != 3
        return (heads,)

    shared = model.encoder.albert_layer_groups[0].albert_layers[0].attention.dense
    handle = shared.register_forward_pre_hook(third_call)
    with torch.no_grad():
        torch.testing.assert_close(found, model(**inputs)[0])
    handle.remove()
    with torch.no_grad():
        assert len(calls) == 3 and not torch.allclose(found, model(**inputs)[0])


def test_parameters_are_left_alone_and_need_no_gradient():
    model, inputs = build("bert")
    model.requires_grad_(False).train()
    before = zoo.State.of(model)
    once, again = (gate_gradients(model, inputs, summed) for _ in range(2))
    assert all(torch.equal(once[place], again[place]) for place in once)  # no dropout
    assert any(bool(gradient.any()) for gradient in once.values())
    assert all(part.grad is None for part in model.parameters())
    assert zoo.State.of(model) == before


def test_a_layer_that_the_loss_does_not_need_has_gradient_0():
    model, inputs = build("t5")
    gradients = gate_gradients(model, inputs, lambda out: summed([out[-1]]))
    assert gradients["encoder", 0].any()
    assert not gradients["decoder", 0].any() and not gradients["cross", 0].any()


@pytest.mark.parametrize(
    "loss", [lambda out: out[0], lambda out: out[0].detach().sum()], ids=["states", "detached"]
)
def test_what_is_no_loss_is_refused(loss):
    model, inputs = build("bert")
    with pytest.raises(CaptureError, match="one number"):
        gate_gradients(model, inputs, loss)
