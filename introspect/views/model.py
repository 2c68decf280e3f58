"""The model view: every head of every layer as a small map that opens on a click."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from introspect.calls import checked_call, checked_result
from introspect.errors import SelectionError
from introspect.functional import entropy, mass_on, offset_mass
from introspect.page import Section, kept_of
from introspect.records import AttentionRecord, Head, HeadLike, as_head, listed_heads
from introspect.text import counted
from introspect.views.base import View
from introspect.views.given import (
    BERTVIZ_NAMES,
    BERTVIZ_ONLY,
    RAW,
    Choice,
    Tokens,
    by_method,
    checked_weights,
    layer_row,
    page_methods,
    scale_of,
    shown_record,
)
from introspect.views.head import hidden_head_view
from introspect.views.palette import INK, SEQUENTIAL, themed
from introspect.views.plotly_numbers import weight_bar

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: Heads whose adjusted p-value is below this are framed.
SIGNIFICANT = 0.05

#: The most cells per side of a small map; longer texts are max-pooled.
TILE_CELLS = 48
#: Empty cells around each small map.
GAP = 1
# Of a number to sort by; the page writes two.
_DECIMALS = 8


@checked_result
@dataclass(frozen=True, eq=False, repr=False)
class ModelView(View):
    """Layers × heads, where each cell is the attention pattern of one head.

    Args:
        record: the attention.
        table: one row per head; every column but ``layer`` and ``head`` has numbers to sort by.
        framed: the heads to highlight.
        weights: ``raw``, or the name of a method of ``introspect.records``; a method that
            combines all heads has one map for each layer.
    """

    table: pd.DataFrame
    framed: tuple[Head, ...] = ()
    weights: str = RAW

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Model view"

    @property
    def choice(self) -> Choice:
        """The weights, and the numbers that the heads are sorted by."""
        return Choice(weights=self.weights, methods=page_methods(self.record, self.weights))

    @property
    def figure(self) -> Figure:
        """All patterns as one Plotly heatmap."""
        import plotly.graph_objects as go

        tiles, (height, width) = self.tiles()
        shown = by_method(self.record, self.weights)
        layers, heads = shown.num_layers, shown.num_heads
        figure = go.Figure(
            go.Heatmap(
                z=tiles.numpy(),
                zmin=0,
                zmax=scale_of(self.weights, shown.attentions),
                colorscale=SEQUENTIAL,
                colorbar=weight_bar(thickness=12),
                hoverinfo="skip",
            )
        )
        figure.update_layout(
            template="plotly_white",
            width=90 + heads * 70,
            height=70 + layers * 70,
            margin={"l": 50, "r": 10, "t": 40, "b": 10},
            font={"color": INK},
            xaxis={
                "tickvals": [head * width + (width - 1) / 2 for head in range(heads)],
                "ticktext": self._head_names(),
                "side": "top",
                "showgrid": False,
            },
            yaxis={
                "tickvals": [row * height + (height - 1) / 2 for row in range(layers)],
                "ticktext": [f"L{layer}" for layer in self.record.layers],
                "range": [layers * height - 0.5, -0.5],
                "showgrid": False,
            },
        )
        return figure

    def _head_names(self) -> list[str]:
        heads = by_method(self.record, self.weights).num_heads
        if heads < self.record.num_heads:
            return ["all heads"]
        return [f"H{head}" for head in range(heads)]

    def tiles(self) -> tuple[torch.Tensor, tuple[int, int]]:
        """Return all patterns side by side, NaN between them, and one tile's size with its gap."""
        pattern = pooled(by_method(self.record, self.weights).attentions)
        tile = torch.nn.functional.pad(pattern, (GAP, GAP, GAP, GAP), value=torch.nan)
        layers, heads, height, width = tile.shape
        joined = tile.permute(0, 2, 1, 3).reshape(layers * height, heads * width)
        return joined, (height, width)

    def _columns(self) -> list[dict[str, Any]]:
        """Return each numeric column by row and head; ``None`` where a number is missing."""
        index = pd.MultiIndex.from_product([self.record.layers, range(self.record.num_heads)])
        heads = self.table.set_index(["layer", "head"]).select_dtypes("number").reindex(index)
        shape = (self.record.num_layers, self.record.num_heads)
        return [
            {"name": str(name), "values": _finite(column.to_numpy(dtype=float).reshape(shape))}
            for name, column in heads.items()
        ]

    def sections(self, *, with_detail: bool = True) -> tuple[Section, ...]:
        """Return the section of the page and the head view that it opens.

        Args:
            with_detail: include a head view; leave it out if the page already has one.
        """
        is_long = max(self.record.attentions.shape[-2:]) > TILE_CELLS
        # Of a short text the maps are the weights, which the page has already.
        has_all = not is_long and kept_of(tuple(self.record.attentions.shape)) is None
        pooling = (
            f" The text is long: each small map shows at most {TILE_CELLS} × {TILE_CELLS} cells, "
            "each the largest weight of the cells it stands for."
            if is_long
            else ""
        )
        own = Section(
            kind="model",
            title=self.title,
            lead=(
                "Each small map is one head: its rows are the tokens that attend, its columns "
                "those attended to. Click a map to see its head beside them." + pooling
            ),
            state={
                "scale": themed(SEQUENTIAL),
                "gap": GAP,
                "columns": self._columns(),
                "weights": self.weights,
                "cells": TILE_CELLS,
                "framed": [(layer_row(self.record, layer), head) for layer, head in self.framed],
            },
            record=self.record,
            arrays={} if has_all else {"tiles": pooled(self.record.attentions).numpy()},
            parts=("value_norms",),
            methods=(page_methods(self.record, self.weights),),
        )
        return (own, *hidden_head_view(self.record)) if with_detail else (own,)


@checked_call(aliases=BERTVIZ_NAMES, hints=BERTVIZ_ONLY)
def model_view(
    record: AttentionRecord | Any,
    tokens: Tokens | None = None,
    sentence_b_start: int | None = None,
    *,
    table: pd.DataFrame | None = None,
    framed: Iterable[HeadLike] | None = None,
    weights: str = RAW,
) -> ModelView:
    """Build the model view of a record.

    Args:
        record: the attention; or tensors, as BertViz takes them, with their ``tokens``.
        tokens: the tokens of attention that is no record.
        sentence_b_start: of a pair of texts without a record, the first token of the second one.
        table: numbers to sort heads by: columns ``layer`` and ``head``, and any others with
            numbers, such as those of ``ix.score``. By default, the shape of each pattern: entropy,
            and the attention to special tokens, to the token itself and to its neighbors.
        framed: the heads to highlight, such as ``["L3H1"]``; by default, those whose ``p_adjusted``
            in the table is below 0.05.
        weights: ``raw``, or the name of a method, as in ``head_view``. The table does not change.

    Raises:
        SelectionError: the table has no row, or several, for a head; the record does not have a
            head; or it cannot provide the weights.
    """
    record = shown_record(record, tokens, sentence_b_start, view="model_view")
    checked_weights(record, weights)
    shown = pattern_table(record) if table is None else _checked_table(record, table)
    named: list[HeadLike] = [
        (int(row.layer), int(row.head))
        for row in shown.itertuples()
        if getattr(row, "p_adjusted", math.nan) < SIGNIFICANT
    ]
    if framed is not None:
        named = listed_heads(framed)
    counts = dict.fromkeys(record.layers, record.num_heads)
    heads = tuple(as_head(head, counts) for head in named)
    return ModelView(record=record, table=shown, framed=heads, weights=weights)


def pattern_table(record: AttentionRecord) -> pd.DataFrame:
    """Compute the shape of each head's pattern, one row per head.

    Returns:
        Columns ``layer``, ``head``, ``entropy`` (bits, over all tokens), ``to special`` (attention
        of other tokens to special ones), and for self-attention ``to itself``, ``to previous`` and
        ``to next``: the share of a token's attention, averaged over tokens that have such a
        neighbor.
    """
    weights = record.attentions
    own = [not flag for flag in record.queries.special_tokens_mask]
    columns = {
        "entropy": entropy(weights),
        "to special": mass_on(weights, record.keys.special_tokens_mask, own),
    }
    if record.queries == record.keys:
        offsets = {"to itself": 0, "to previous": -1, "to next": 1}
        columns |= {name: offset_mass(weights, offset) for name, offset in offsets.items()}
    index = [(layer, head) for layer in record.layers for head in range(record.num_heads)]
    table = pd.DataFrame(index, columns=["layer", "head"])
    return table.assign(**{name: part.flatten().numpy() for name, part in columns.items()})


def _checked_table(record: AttentionRecord, table: pd.DataFrame) -> pd.DataFrame:
    missing = {"layer", "head"} - set(table.columns)
    if missing:
        raise SelectionError(
            f"Expected a table with the columns layer and head, got {', '.join(table.columns)}."
        )
    wanted = {(layer, head) for layer in record.layers for head in range(record.num_heads)}
    heads = list(zip(table["layer"], table["head"], strict=True))
    if len(heads) != len(set(heads)) or not wanted <= set(heads):
        raise SelectionError(
            f"Expected a table with one row for each of the {counted(len(wanted), 'head')}, got "
            f"{counted(len(heads), 'row')} for {counted(len(set(heads)), 'head')}. "
            "Choose one direction of a table of scores first."
        )
    return table


def _finite(values: npt.NDArray[np.float64]) -> list[list[float | None]]:
    known = values.round(_DECIMALS).astype(object)
    known[~np.isfinite(values)] = None
    numbers: list[list[float | None]] = known.tolist()
    return numbers


def pooled(pattern: torch.Tensor, cells: int = TILE_CELLS) -> torch.Tensor:
    """Pool ``(..., query_len, key_len)`` by the maximum to at most ``cells`` per side.

    Example:
        >>> pooled(torch.tensor([[[[0.1, 0.2], [0.3, 0.4]]]]), cells=1)
        tensor([[[[0.4000]]]])
    """
    factors = [-(-length // cells) for length in pattern.shape[-2:]]
    if factors == [1, 1]:
        return pattern
    return torch.nn.functional.max_pool2d(pattern, kernel_size=factors, ceil_mode=True)
