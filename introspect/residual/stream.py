"""A layer as a sum: its input, what each head adds, the biases, and the feed-forward.

Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from introspect.errors import CaptureError
from introspect.hooks.tolerance import same_output
from introspect.residual.running import Run, State

__all__ = ["Added", "added_by", "ends_in_norm"]

# An output belongs to the heads unless it is this many times nearer to the rest than to their sum.
_NEARER = 4.0


@dataclass(frozen=True, eq=False)
class Added:
    """The terms that one layer adds to the state, in float64.

    Args:
        layer: its number.
        heads: by kind of attention, ``(num_heads, length, size)``.
        biases: by kind, the output projection's bias, ``(size,)``; absent where it has none.
        feed_forward: ``(length, size)``; ``None`` where the layer has none.
    """

    layer: int
    heads: Mapping[str, torch.Tensor]
    biases: Mapping[str, torch.Tensor]
    feed_forward: torch.Tensor | None


def added_by(run: Run, number: int) -> Added:
    """Return what a layer adds, verified to be the difference between its output and its input.

    Args:
        run: the run.
        number: the number of the layer.

    Raises:
        CaptureError: the layer's output is not the sum.
    """
    layer = run.layers[number]
    assert layer.given is not None, "layers are chained by what they are given"
    heads: dict[str, torch.Tensor] = {}
    biases: dict[str, torch.Tensor] = {}
    total = layer.given[0].double()
    for kind in run.kinds:
        if (kind, number) not in run.projections:
            continue
        projection = run.projections[kind, number]
        place = run.captured.layers[kind].index(number)
        outputs = run.captured.head_outputs[kind][place][0].double()
        heads[kind] = outputs @ projection.by_head.double()
        total = total + heads[kind].sum(0)
        if projection.layer.bias is not None:
            biases[kind] = projection.layer.bias.detach().double()
            total = total + biases[kind]
    rest = layer.result[0].double() - total
    attended = [each.sum(0) + biases.get(kind, 0.0) for kind, each in heads.items()]
    return Added(number, heads, biases, _feed_forward(run, number, rest, attended))


def ends_in_norm(run: Run) -> bool:
    """Return whether a layer's output is a norm's: the sum is normalized, as in BERT."""
    return any(
        torch.equal(state.result, layer.result)
        for layer in run.layers
        for state in run.states
        if state.module in set(layer.module.modules())
        and _is_norm(state.module)
        and state.result.shape == layer.result.shape
    )


def _is_norm(module: nn.Module) -> bool:
    """Return whether a module has weights, all of them one-dimensional."""
    own = list(module.parameters())
    return bool(own) and all(each.ndim == 1 for each in own)


def _feed_forward(
    run: Run, number: int, rest: torch.Tensor, attended: list[torch.Tensor]
) -> torch.Tensor | None:
    """Find the module output in the layer that is the rest of the sum, and not the heads'.

    Return ``None`` where the rest is rounding: where no module's output is nearer to it than 0. The
    nearest is taken, not the first that is near enough: a state with a few huge numbers makes the
    tolerance wide, above all in half precision.
    """
    layer = run.layers[number]
    inside = set(layer.module.modules()) - {layer.module}
    found, nearest = None, _distance(rest, torch.zeros_like(rest))
    for state in run.states:
        if state.module not in inside or state.result.shape != layer.result.shape:
            continue
        result = state.result[0].double()
        distance = _distance(result, rest)
        is_of_heads = any(_distance(result, each) <= _NEARER * distance for each in attended)
        if distance < nearest and not is_of_heads:
            found, nearest = result, distance
    if nearest <= _tolerance(layer):
        return found
    why = (
        "a norm or a factor stands between what they give and the state"
        if not ends_in_norm(run)
        else "it normalises the sum (as BERT does), and so has no residual stream in that sense"
    )
    raise CaptureError(
        f"Expected layer {number} of {run.model.name} to give the state that it was given, and "
        f"what its heads and its feed-forward add, but it gives something else: {why}. Take a "
        "model with the norm before each part (GPT-2, Llama, T5); ix.logit_lens may still do."
    )


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


def _tolerance(layer: State) -> float:
    """Return how far two states of a layer may be apart: the rounding of the layer's output."""
    return same_output(layer.result.dtype) * float(layer.result.abs().max().clamp(min=1))
