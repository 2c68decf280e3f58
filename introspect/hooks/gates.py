"""A number on each head that its output is multiplied by, and how a loss changes with it.

The gates stand before the output projection, which is found and proved in a run of the model (see
``projection``); so they work in every model that has one, whichever way its attention is computed,
and the model runs as it was loaded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from introspect.errors import CaptureError
from introspect.hooks.borrowing import borrowed_attention
from introspect.hooks.capturing import run_arguments
from introspect.hooks.interface import IMPLEMENTATION
from introspect.hooks.projection import Projection

__all__ = ["Place", "gate_gradients", "gated", "open_gates"]

#: Where a gate stands: the kind of attention, and the layer.
Place = tuple[str, int]


def open_gates(projections: Mapping[Place, Projection]) -> dict[Place, torch.Tensor]:
    """A gate of 1 for every head: the model is as it was.

    Args:
        projections: of ``find_projections``.

    Returns:
        ``(num_heads,)`` for each layer, in the type and place of its weights.
    """
    return {
        place: torch.ones(found.num_heads).to(found.layer.weight)
        for place, found in projections.items()
    }


@contextmanager
def gated(
    projections: Mapping[Place, Projection], gates: Mapping[Place, torch.Tensor]
) -> Iterator[None]:
    """While open, the output of each head is multiplied by its gate, in this thread.

    Args:
        projections: of ``find_projections``.
        gates: ``(num_heads,)`` for each layer of ``projections``.
    """
    layers: dict[nn.Module, list[Place]] = {}
    for place, found in projections.items():
        layers.setdefault(found.layer, []).append(place)
    thread = threading.get_ident()

    def hook(places: Sequence[Place]) -> Callable[..., Any]:
        calls = 0

        def multiply(_: nn.Module, given: tuple[torch.Tensor, ...]) -> Any:
            nonlocal calls
            if threading.get_ident() != thread:
                return None
            # A module that several layers share (ALBERT) is called once for each, in order.
            gate = gates[places[calls % len(places)]]
            calls += 1
            by_head = given[0].reshape(*given[0].shape[:-1], len(gate), -1)
            return ((by_head * gate[:, None]).reshape(given[0].shape), *given[1:])

        return multiply

    handles = [
        layer.register_forward_pre_hook(hook(sorted(places))) for layer, places in layers.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def gate_gradients(
    module: nn.Module,
    inputs: Mapping[str, Any],
    projections: Mapping[Place, Projection],
    loss: Callable[[Any], torch.Tensor],
) -> dict[Place, torch.Tensor]:
    r"""How a loss changes with each head's gate, at gates of 1.

    .. math:: \frac{\partial L}{\partial \xi_h}
        = \sum_i \mathrm{Att}_h(x)_i \cdot \frac{\partial L}{\partial \mathrm{Att}_h(x)_i}

    No dropout; the parameters get no gradient, and need none. Interventions that are open count.

    Args:
        module: the model.
        inputs: what its ``forward`` takes.
        projections: of ``find_projections``.
        loss: from the model's output to one number.

    Returns:
        ``(num_heads,)`` for each layer; 0 where the loss does not depend on it.

    Raises:
        CaptureError: the loss follows from no head, or is not one number.
    """
    arguments = run_arguments(module, inputs)
    gates = {place: gate.requires_grad_() for place, gate in open_gates(projections).items()}
    with torch.enable_grad(), borrowed_attention(module, IMPLEMENTATION), gated(projections, gates):
        value = loss(module(**arguments))
        if value.numel() != 1 or not value.requires_grad:
            raise CaptureError(
                "Expected a loss that is one number and follows from the model's output, got shape "
                f"{tuple(value.shape)}{'' if value.requires_grad else ' without a gradient'}. "
                "Compute it from the output, without detaching it."
            )
        found = torch.autograd.grad(value.sum(), list(gates.values()), allow_unused=True)
    return {
        place: torch.zeros_like(gate).detach() if gradient is None else gradient
        for (place, gate), gradient in zip(gates.items(), found, strict=True)
    }
