"""A number on each head that its output is multiplied by, and how a loss changes with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from introspect.errors import CaptureError
from introspect.hooks.arguments import run_arguments
from introspect.hooks.borrowing import borrowed_attention
from introspect.hooks.differentiating.graph import check_can_differentiate
from introspect.hooks.editing.editors import editor_of
from introspect.hooks.editing.edits import Change, Edit, Visible
from introspect.hooks.interface import IMPLEMENTATION
from introspect.hooks.layout import attention_layout

__all__ = ["Place", "gate_gradients", "gated", "open_gates"]

#: Where a gate stands: the kind of attention, and the layer.
Place = tuple[str, int]


def open_gates(module: nn.Module) -> dict[Place, torch.Tensor]:
    """A gate of 1 for every head: the model is as it was.

    Returns:
        ``(num_heads,)`` for each attention, in the type and place of the weights.

    Raises:
        CaptureError: the model's attention cannot be observed.
    """
    weights = next(module.parameters())
    return {
        place: torch.ones(count.heads).to(weights)
        for place, count in attention_layout(module).heads.items()
    }


@contextmanager
def gated(module: nn.Module, gates: Mapping[Place, torch.Tensor]) -> Iterator[None]:
    """While open, the output of each head is multiplied by its gate, in this thread.

    Args:
        module: the model.
        gates: ``(num_heads,)`` for each attention that has some.
    """

    def by(gate: torch.Tensor) -> Change:
        def multiplied(outputs: torch.Tensor, _visible: Visible) -> torch.Tensor:
            return outputs * gate[:, None, None]

        return multiplied

    edits = [Edit(kind, layer, "head_outputs", by(gate)) for (kind, layer), gate in gates.items()]
    with editor_of(module, edits).open():
        yield


def gate_gradients(
    module: nn.Module, inputs: Mapping[str, Any], loss: Callable[[Any], torch.Tensor]
) -> dict[Place, torch.Tensor]:
    r"""How a loss changes with each head's gate, at gates of 1.

    .. math:: \frac{\partial L}{\partial \xi_h}
        = \sum_i \mathrm{Att}_h(x)_i \cdot \frac{\partial L}{\partial \mathrm{Att}_h(x)_i}

    No dropout; the parameters get no gradient, and need none. Interventions that are open count.

    Args:
        module: the model.
        inputs: what its ``forward`` takes.
        loss: from the model's output to one number.

    Returns:
        ``(num_heads,)`` for each attention; 0 where the loss does not depend on it.

    Raises:
        CaptureError: the loss follows from no head, or is not one number; or nothing can be
            differentiated, in ``torch.inference_mode``.
    """
    check_can_differentiate()
    arguments = run_arguments(module, inputs)
    gates = {place: gate.requires_grad_() for place, gate in open_gates(module).items()}
    with torch.enable_grad(), borrowed_attention(module, IMPLEMENTATION), gated(module, gates):
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
