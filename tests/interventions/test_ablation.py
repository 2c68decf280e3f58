"""Ablations, scaling and cut edges against what is done by hand to the output projection."""

from __future__ import annotations

import pytest
import torch

import introspect as ix
from introspect.hooks import capture
from tests import models_zoo as zoo
from tests.interventions.helpers import (
    HEADS,
    PLACES,
    PROJECTIONS,
    built,
    hooked,
    inputs_of,
    run,
    same,
)


@pytest.fixture(params=PLACES, ids=lambda place: "-".join(place))
def place(request):
    name, kind = request.param
    model, inputs = built(name), inputs_of(name)
    return model, kind, PROJECTIONS[name][kind](model)[1], inputs


def test_zero_is_a_zeroed_input_of_the_output_projection(place):
    model, kind, projection, inputs = place
    clean, state = run(model, inputs), zoo.State.of(model)
    with ix.ablate(model, [(1, 2)], kind=kind):
        found = run(model, inputs)
    with hooked(projection, lambda heads: heads[..., 2, :].zero_()):
        expected = run(model, inputs)
    same(found, expected)
    assert (expected - clean).abs().max() > 1e-3, "the head does nothing: the test shows nothing"
    assert zoo.State.of(model) == state
    assert torch.equal(run(model, inputs), clean)


def test_a_whole_layer_ablated_is_its_attention_zeroed(place):
    model, kind, projection, inputs = place
    with ix.ablate(model, "L1", kind=kind):
        found = run(model, inputs)
    with hooked(projection, lambda heads: heads.zero_()):
        assert torch.equal(found, run(model, inputs))


def test_scaling_is_a_scaled_input_of_the_output_projection(place):
    model, kind, projection, inputs = place
    with ix.scale(model, (1, 3), -1.5, kind=kind):
        found = run(model, inputs)
    with hooked(projection, lambda heads: heads[..., 3, :].mul_(-1.5)):
        same(found, run(model, inputs))


def test_a_mean_is_over_the_tokens_of_the_reference_without_padding(place):
    model, kind, projection, inputs = place
    given = []
    handle = projection.register_forward_pre_hook(lambda _, args: given.append(args[0]))
    run(model, inputs)
    handle.remove()
    side = "decoder_attention_mask" if kind in ("decoder", "cross") else "attention_mask"
    rows = given[0][inputs[side].bool()]
    mean = rows.view(len(rows), HEADS, -1).mean(0)
    with ix.ablate(model, (1, 0), method="mean", reference=inputs, kind=kind):
        found = run(model, inputs)

    def put(heads):
        heads[..., 0, :] = mean[0]

    with hooked(projection, put):
        same(found, run(model, inputs))


def test_uniform_attends_alike_to_what_the_mask_leaves(place):
    model, kind, projection, inputs = place
    captured = capture(model, inputs, ("attentions", "values"))
    row = captured.layers[kind].index(1)
    weights, values = captured.attentions[kind][row], captured.values[kind][row]
    seen = (weights > 0).float()
    alike = seen / seen.sum(-1, keepdim=True)
    repeated = values.repeat_interleave(HEADS // values.shape[1], dim=1)
    expected_heads = (alike @ repeated).transpose(1, 2)
    with ix.ablate(model, (1, 1), method="uniform", kind=kind):
        found = run(model, inputs)
        again = capture(model, inputs).attentions[kind][row]
    same(again[:, 1], alike[:, 1])

    def put(heads):
        heads[..., 1, :] = expected_heads[:, :, 1]

    with hooked(projection, put):
        same(found, run(model, inputs))


def test_knocked_out_edges_get_nothing_and_the_rest_of_the_row_grows(place):
    model, kind, projection, inputs = place
    captured = capture(model, inputs, ("attentions", "values"))
    row = captured.layers[kind].index(1)
    weights, values = captured.attentions[kind][row], captured.values[kind][row]
    cut = weights.clone()
    sinks = 1 - weights.sum(-1)
    cut[:, 2, 3, 1] = 0
    for item in range(len(cut)):  # the slow way: what is left of the row, and of its sink
        left = cut[item, 2, 3].sum() + sinks[item, 2, 3].clamp(min=0)
        cut[item, 2, 3] /= left
    repeated = values.repeat_interleave(HEADS // values.shape[1], dim=1)
    expected = (cut @ repeated).transpose(1, 2)
    with ix.knock_out(model, [(3, 1)], (1, 2), kind=kind):
        found = run(model, inputs)
    same_rows = [0, 1, 2]

    def put(heads):
        heads[:, 3, 2] = expected[:, 3, 2]
        assert torch.isfinite(heads[:, same_rows]).all()

    with hooked(projection, put):
        same(found, run(model, inputs))


def test_what_changes_nothing_leaves_the_output_as_it_was_to_the_last_bit(place):
    model, kind, _, inputs = place
    clean = run(model, inputs)
    own = capture(model, inputs, ("attentions", "head_outputs", "values"))
    nothing = {
        "scaled by one": ix.scale(model, "L1", 1, kind=kind),
        "no edge": ix.knock_out(model, torch.zeros(1, *_size(own, kind)).bool(), kind=kind),
        "same": ix.intervene(
            model, [ix.Edit(kind, 1, part, lambda x, _: x.clone()) for part in ("attentions",)]
        ),
    }
    for words, intervention in nothing.items():
        with intervention:
            assert torch.equal(run(model, inputs), clean), words
    with ix.patch(model, inputs, kind=kind):
        assert torch.equal(run(model, inputs), clean)


def _size(captured, kind):
    return captured.attentions[kind][1].shape[2:]
