"""Base class and helpers of the neuron and steps views, which show one query token and head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from introspect.errors import SelectionError
from introspect.records import AttentionRecord, Head
from introspect.text import visible
from introspect.views.base import View, first_token, head_number, layer_row, plotly_text

__all__ = ["MASKED", "FocalView", "checked_focus", "with_masked_scores"]

#: Scores below this were masked: models add the lowest number of their data type.
MASKED = -1e30


@dataclass(frozen=True, eq=False, repr=False)
class FocalView(View):
    """A view of one query token and one head.

    Args:
        record: the attention with its parts.
        layer: the layer shown first, in the model's own numbering.
        head: the head shown first.
        token: the query token shown first.
    """

    layer: int
    head: int
    token: int

    @property
    def name(self) -> str:
        """The name of the head, such as ``L3H1``."""
        return str(Head(self.layer, self.head))

    @property
    def weights(self) -> torch.Tensor:
        """The token's weight on each key, ``(key_len,)``."""
        row = layer_row(self.record, self.layer)
        return self.record.attentions[row, self.head, self.token]

    def part(self, name: str) -> torch.Tensor:
        """Return a part of the head, ``(length, size)``; heads may share keys and values."""
        part = self.record.parts[name][layer_row(self.record, self.layer)]
        shared = self.record.num_heads // part.shape[0]
        return part[self.head // shared]

    @property
    def labels(self) -> list[str]:
        """The key tokens, escaped for Plotly."""
        return [plotly_text(visible(token)) for token in self.record.keys.tokens]

    def state(self) -> dict[str, Any]:
        """Return what the page shows first."""
        return {"layer": self.layer, "head": self.head, "token": self.token}


def with_masked_scores(record: AttentionRecord, names: Sequence[str]) -> AttentionRecord:
    """Return the record with only the named parts, masked scores set to NaN.

    Raises:
        SelectionError: the record lacks a part.
    """
    missing = [name for name in names if name not in record.parts]
    if missing:
        had = ", ".join(["attentions", *record.parts])
        asked = ", ".join(repr(name) for name in names)
        raise SelectionError(
            f"Expected a record with {', '.join(names)}, got only {had}. Capture it with "
            f"include=({asked},)."
        )
    parts: Mapping[str, torch.Tensor] = {name: record.parts[name] for name in names}
    if "scores" in parts:
        scores = parts["scores"]
        parts = {**parts, "scores": scores.masked_fill(scores < MASKED, torch.nan)}
    return replace(record, parts=parts)


def checked_focus(
    record: AttentionRecord, layer: int | None, head: int | None, token: int | None
) -> tuple[int, int, int]:
    """Return layer, head and query token; by default the first layer and head and the last word.

    Raises:
        SelectionError: the record does not have one of them.
    """
    layer = record.layers[0] if layer is None else layer
    layer_row(record, layer)
    head = head_number(record, 0 if head is None else head)
    if token is None:
        token = first_token(record.queries)
    if not 0 <= token < len(record.queries):
        raise SelectionError(f"Expected `token` in 0–{len(record.queries) - 1}, got {token}.")
    return layer, head, token
