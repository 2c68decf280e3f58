"""Gates that multiply the output of each head, and the gradient of a loss with respect to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from introspect.changes import Changes, scoped
from introspect.errors import CaptureError
from introspect.hooks.arguments import ran, run_arguments
from introspect.hooks.edits.editors import editor_of
from introspect.hooks.edits.edits import Change, Edit, Visible
from introspect.hooks.gradients.graph import check_can_differentiate
from introspect.hooks.interface import IMPLEMENTATION
from introspect.hooks.layout import attention_layout
from introspect.hooks.loans import borrowed_attention
from introspect.hooks.unwrapping import watched_module

#: The kind of attention and the layer that a gate belongs to.
Place = tuple[str, int]


def open_gates(module: nn.Module) -> dict[Place, torch.Tensor]:
    """Return a gate of 1 for every head over a text, which leaves the model unchanged.

    Returns:
        ``(num_heads,)`` for each attention, with the dtype and device of the weights.

    Raises:
        CaptureError: the model's attention cannot be observed.
    """
    weights = next(module.parameters())
    return {
        place: torch.ones(count.heads).to(weights)
        for place, count in attention_layout(module).heads_of_text.items()
    }


@contextmanager
def gated(module: nn.Module, gates: Mapping[Place, torch.Tensor]) -> Iterator[None]:
    """Multiply the output of each head by its gate while the context is open, in this thread.

    Args:
        module: the model.
        gates: ``(num_heads,)`` for each gated attention.
    """

    def by(gate: torch.Tensor) -> Change:
        def multiplied(outputs: torch.Tensor, _visible: Visible) -> torch.Tensor:
            return outputs * gate[:, None, None]

        return multiplied

    edits = [Edit(kind, layer, "head_outputs", by(gate)) for (kind, layer), gate in gates.items()]
    with Changes() as changes:
        editor_of(module, edits).attach(changes)
        yield


@scoped
def gate_gradients(
    module: nn.Module, inputs: Mapping[str, Any], loss: Callable[[Any], torch.Tensor]
) -> dict[Place, torch.Tensor]:
    r"""Compute the gradient of a loss with respect to each head's gate, at gates of 1.

    .. math:: \frac{\partial L}{\partial \xi_h}
        = \sum_i \mathrm{Att}_h(x)_i \cdot \frac{\partial L}{\partial \mathrm{Att}_h(x)_i}

    Dropout is off; the parameters get no gradient, and need none. Open interventions apply.

    Args:
        module: the model.
        inputs: the arguments of its ``forward``.
        loss: maps the model's output to one number.

    Returns:
        ``(num_heads,)`` for each attention; 0 where the loss does not depend on it.

    Raises:
        CaptureError: the loss depends on no head, or is not one number; or nothing can be
            differentiated, in ``torch.inference_mode``.
    """
    check_can_differentiate()
    module = watched_module(module)
    arguments = run_arguments(module, inputs)
    gates = {place: gate.requires_grad_() for place, gate in open_gates(module).items()}
    with torch.enable_grad(), borrowed_attention(module, IMPLEMENTATION), gated(module, gates):
        value = loss(ran(module, arguments))
        if value.numel() != 1 or not value.requires_grad:
            raise CaptureError(
                "Expected a loss that is one number and follows from the model's output, got shape "
                f"{tuple(value.shape)}{'' if value.requires_grad else ' without a gradient'}. "
                "Compute it from the output, without detaching it."
            )
        gradients = torch.autograd.grad(value.sum(), list(gates.values()), allow_unused=True)
    return {
        place: torch.zeros_like(gate).detach() if gradient is None else gradient
        for (place, gate), gradient in zip(gates.items(), gradients, strict=True)
    }
