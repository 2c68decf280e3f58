"""The output projection of an attention module, and the values of each head after it.

Its name differs from model to model (``o_proj``, ``c_proj``, BERT's sibling ``output.dense``), but
its input does not: the concatenated outputs of all heads. So it is found by its input in a real
run, and checked against its output: if the weighted and projected values of all heads do not add up
to it, an error is raised and no number is returned.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from introspect.errors import CaptureError
from introspect.functional import value_norms
from introspect.hooks.watchers import same_output
from introspect.records import PARTS_BY_NAME
from introspect.text import quantity

#: The parts from which the norms of values are derived.
BEHIND_NORMS = PARTS_BY_NAME["value_norms"].behind


Linear = nn.Linear | Conv1D


@dataclass(frozen=True, eq=False)
class Projection:
    """The linear layer that takes the outputs of all heads of an attention module.

    Args:
        layer: the layer itself.
        num_heads: the number of heads that its input consists of.
    """

    layer: Linear
    num_heads: int

    @property
    def by_head(self) -> torch.Tensor:
        """``(num_heads, head_dim, hidden_size)``: the part of the weights that each head uses."""
        weight = self.layer.weight.detach()
        rows = weight if isinstance(self.layer, Conv1D) else weight.T
        return rows.reshape(self.num_heads, -1, rows.shape[-1])

    def norms(self, values: torch.Tensor) -> torch.Tensor:
        """Compute the norm of each projected value, for any run of this module or a whole batch.

        Args:
            values: ``(batch, num_key_value_heads, key_len, head_dim)``, as an attention module
                passes them on.

        Returns:
            ``(batch, num_heads, key_len)``.
        """
        return value_norms(values, self.by_head)

    def output(self, attentions: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Compute the sum over heads and keys of the weighted and projected values, plus the bias.

        Args:
            attentions: ``(batch, num_heads, query_len, key_len)``.
            values: ``(batch, num_key_value_heads, key_len, head_dim)``.
        """
        repeated = values.repeat_interleave(self.num_heads // values.shape[1], dim=1)
        heads = attentions.to(values.dtype) @ repeated
        total = torch.einsum("bhqd,hdm->bqm", heads, self.by_head.to(values.dtype))
        bias = self.layer.bias
        return total if bias is None else total + bias.detach()


@dataclass(frozen=True, eq=False)
class SeenLayer:
    """A layer that ran, with its input and its output."""

    layer: nn.Module
    given: torch.Tensor
    result: torch.Tensor


class LinearLog:
    """Records the input and output of each linear layer of a model, in this thread, while open."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._thread = threading.get_ident()
        #: The layers that ran, in order.
        self.seen: list[SeenLayer] = []

    def notes(self, part: nn.Module) -> bool:
        """Return whether a part of the model is one of the layers to record."""
        return isinstance(part, Linear)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Record the layers that run while the context is open."""
        handles = [
            part.register_forward_hook(self._note)
            for part in self._module.modules()
            if self.notes(part)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _note(self, layer: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        # Hooks belong to the module, so runs in other threads call them too.
        if threading.get_ident() == self._thread and args and torch.is_tensor(result):
            self.seen.append(SeenLayer(layer, args[0].detach(), result.detach()))

    def projection_of(self, head_outputs: torch.Tensor) -> tuple[Projection, torch.Tensor] | None:
        """Find the layer that received these head outputs, and its output.

        Args:
            head_outputs: ``(batch, num_heads, query_len, head_dim)``.
        """
        place = self.place_of(head_outputs)
        if place is None:
            return None
        seen = self.seen[place]
        assert isinstance(seen.layer, Linear)
        batch, heads, length, _ = head_outputs.shape
        return Projection(seen.layer, heads), seen.result.reshape(batch, length, -1)

    def place_of(self, head_outputs: torch.Tensor) -> int | None:
        """Return the index, among the layers that ran, of the one that received these outputs."""
        given = head_outputs.transpose(1, 2).flatten(2)
        for place, seen in enumerate(self.seen):
            is_of_size = (
                isinstance(seen.layer, Linear)
                and seen.given.numel() == given.numel()
                and seen.given.shape[-1] == given.shape[-1]
            )
            if is_of_size and torch.equal(seen.given.reshape(given.shape), given):
                return place
        return None


def held_projection(log: LinearLog, parts: Mapping[str, torch.Tensor], model: str) -> Projection:
    """Find the output projection of one layer, and check it against its output.

    Args:
        log: what the linear layers computed in that run.
        parts: ``attentions``, ``values`` and ``head_outputs`` of the layer.
        model: the model's name, for errors.

    Raises:
        CaptureError: no layer received the heads' outputs unchanged, or the heads' contributions
            do not add up to its output.
    """
    held = log.projection_of(parts["head_outputs"])
    if held is None:
        raise _refused(
            model,
            "no linear layer is given the outputs of its heads as they are: what comes between, "
            "such as a gate, would change the norms",
        )
    projection, result = held
    attentions, values = parts["attentions"], parts["values"]
    if values.shape[2] != attentions.shape[-1] or projection.num_heads % values.shape[1]:
        raise _refused(model, "its values are not those of the keys that are attended to")
    expected = projection.output(attentions, values)
    difference = (expected - result).abs().max()
    if not difference <= same_output(result.dtype) * result.abs().max().clamp(min=1):
        raise _refused(
            model,
            f"they add up to something else, {quantity(float(difference))} away: its layer "
            "does more than multiply with its weights",
        )
    return projection


def _refused(model: str, why: str) -> CaptureError:
    return CaptureError(
        f"Expected the values of {model} to add up, weighed and projected, to the output of its "
        f"attention, but {why}. Leave 'value_norms', 'residual_norms' and 'contributions' out of "
        "`include`, and take raw weights."
    )
