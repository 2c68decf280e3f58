"""The head view: two columns of tokens, joined by lines; a colour a head, opacity the weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from introspect.errors import SelectionError
from introspect.page import Section
from introspect.records import AttentionRecord, Head
from introspect.text import visible
from introspect.views.base import View, head_number, layer_row, plotly_text
from introspect.views.palette import INK, head_colours, mixed

__all__ = ["HeadView", "head_view", "hidden_head_view"]

#: Lower edges of the classes of weight; all lines of one head and class are one Plotly trace.
EDGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
#: Lines under this weight are not drawn at first; the control says so and goes down to 0.
THRESHOLD = 0.02
ROW_HEIGHT = 26

_SIDES = ("query", "key")
_NAMED_HEADS = 6


@dataclass(frozen=True, eq=False)
class HeadView(View):
    """Lines from each query token to the key tokens that it attends to.

    Args:
        record: the attention.
        layer: the layer shown first, by the model's own number.
        heads: the heads shown first.
        token: the token pinned first, ``{"side": "query", "index": 10}``, or ``None``.
        threshold: lines under this weight are not drawn.
        hidden: not shown until another view opens it.
    """

    layer: int
    heads: tuple[int, ...]
    token: Mapping[str, Any] | None = None
    threshold: float = THRESHOLD
    hidden: bool = False

    @property
    def title(self) -> str:
        """The heading."""
        return "Head view"

    @property
    def figure(self) -> Any:
        """The tokens and lines of the current state, as a plain Plotly figure."""
        import plotly.graph_objects as go

        record = self.record
        rows = max(len(record.queries), len(record.keys))
        figure = go.Figure([go.Scatter(**trace) for trace in self.traces()])
        figure.update_layout(
            template="plotly_white",
            title=self._caption(),
            width=640,
            height=rows * ROW_HEIGHT + 80,
            margin={"l": 10, "r": 10, "t": 60, "b": 10},
            showlegend=False,
            hovermode=False,
            font={"color": INK},
            xaxis={"visible": False, "range": [-0.6, 1.6]},
            yaxis={"visible": False, "range": [rows - 0.5, -0.5]},
        )
        for side, x, anchor in (("query", -0.02, "right"), ("key", 1.02, "left")):
            for index, label in enumerate(self._labels(side)):
                figure.add_annotation(
                    x=x, y=index, text=label, xanchor=anchor, showarrow=False, font={"size": 14}
                )
        return figure

    def _caption(self) -> str:
        if len(self.heads) > _NAMED_HEADS:
            return f"Layer {self.layer}, {len(self.heads)} heads"
        return ", ".join(str(Head(self.layer, head)) for head in self.heads)

    def traces(self) -> list[dict[str, Any]]:
        """One line trace for each head and class of weight, in the order of heads and classes."""
        weights = self.record.attentions[layer_row(self.record, self.layer)]
        colours = head_colours(self.record.num_heads)
        traces = []
        for head in self.heads:
            pairs = self._pairs(weights[head])
            for edge, low, high in zip(EDGES, EDGES, (*EDGES[1:], 2.0), strict=True):
                chosen = [(q, k) for q, k, weight in pairs if low <= weight < high]
                if chosen:
                    traces.append(_line_trace(chosen, colours[head], edge, self._dimming()))
        return traces

    def _dimming(self) -> float:
        """Lines of many heads lie over each other, and would hide the strong ones."""
        return 1.0 if self.token is not None else len(self.heads) ** -0.5

    def sections(self) -> tuple[Section, ...]:
        """The section of the page."""
        return (
            Section(
                kind="head",
                title=self.title,
                lead=(
                    "Each line goes from a token that attends (left) to one that it attends to "
                    "(right): a colour for each head, the stronger the weight. Point at a token "
                    "for its numbers; click to keep them."
                ),
                state={
                    "layer": self.layer,
                    "heads": self.heads,
                    "token": self.token,
                    "threshold": self.threshold,
                    "colours": head_colours(self.record.num_heads),
                    "edges": EDGES,
                    "opacities": [_opacity(edge) for edge in EDGES],
                    "widths": [_width(edge) for edge in EDGES],
                    "rowHeight": ROW_HEIGHT,
                },
                record=self.record,
                hidden=self.hidden,
            ),
        )

    def _pairs(self, weights: torch.Tensor) -> list[tuple[int, int, float]]:
        """Query, key and weight of the lines of one head, row by row; NaN has no line."""
        shown = weights >= self.threshold
        if self.token is not None:
            mask = torch.zeros_like(shown)
            if self.token["side"] == "query":
                mask[self.token["index"]] = True
            else:
                mask[:, self.token["index"]] = True
            shown &= mask
        return [(q, k, float(weights[q, k])) for q, k in shown.nonzero().tolist()]

    def _labels(self, side: str) -> list[str]:
        sequence = self.record.queries if side == "query" else self.record.keys
        labels = [plotly_text(visible(token)) for token in sequence.tokens]
        if self.token is None or self.token["side"] == side:
            return labels
        weights = self._mean_weights()
        if side == "key":
            return [f"{label}  <b>{w:.2f}</b>" for label, w in zip(labels, weights, strict=True)]
        return [f"<b>{w:.2f}</b>  {label}" for label, w in zip(labels, weights, strict=True)]

    def _mean_weights(self) -> list[float]:
        """The pinned token's weights to or from the other side, in the mean over shown heads."""
        assert self.token is not None
        pattern = self.record.attentions[layer_row(self.record, self.layer)]
        mean = pattern[list(self.heads)].double().mean(0)
        index = self.token["index"]
        row = mean[index] if self.token["side"] == "query" else mean[:, index]
        return [float(weight) for weight in row]


def head_view(
    record: AttentionRecord,
    *,
    layer: int | None = None,
    heads: Sequence[int] | None = None,
    token: int | Mapping[str, Any] | None = None,
    threshold: float = THRESHOLD,
) -> HeadView:
    """The head view of a record.

    Args:
        record: the attention.
        layer: the layer to show first, by the model's own number; the first one by default.
        heads: the heads to show first; all by default.
        token: a token to pin: the index of a query token, or ``{"side": "key", "index": 2}``.
        threshold: do not draw lines under this weight at first.

    Raises:
        SelectionError: a layer, head or token that the record does not have.
    """
    layer = record.layers[0] if layer is None else layer
    layer_row(record, layer)
    chosen = range(record.num_heads) if heads is None else heads
    if not 0 <= threshold <= 1:
        raise SelectionError(f"Expected `threshold` from 0 to 1, got {threshold}.")
    return HeadView(
        record=record,
        layer=layer,
        heads=tuple(sorted({head_number(record, head) for head in chosen})),
        token=_checked_token(record, token),
        threshold=threshold,
    )


def hidden_head_view(record: AttentionRecord) -> tuple[Section, ...]:
    """A head view for another view to open; not shown until then."""
    return replace(head_view(record), hidden=True).sections()


def _checked_token(
    record: AttentionRecord, token: int | Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if token is None:
        return None
    given = {"side": "query", "index": token} if isinstance(token, int) else dict(token)
    side, index = given.get("side"), given.get("index")
    if side not in _SIDES:
        raise SelectionError(f"Expected the token's `side` as query or key, got {side!r}.")
    length = len(record.queries if side == "query" else record.keys)
    if not isinstance(index, int) or not 0 <= index < length:
        raise SelectionError(f"Expected the token's `index` in 0–{length - 1}, got {index!r}.")
    return {"side": side, "index": index}


def _line_trace(
    pairs: Sequence[tuple[int, int]], colour: str, edge: float, dimming: float
) -> dict[str, Any]:
    return {
        "mode": "lines",
        "x": [x for _ in pairs for x in (0, 1, None)],
        "y": [y for query, key in pairs for y in (query, key, None)],
        "line": {"color": mixed(colour, round(_opacity(edge) * dimming, 3)), "width": _width(edge)},
        "hoverinfo": "skip",
    }


def _opacity(edge: float) -> float:
    """How opaque the lines of a class are: about the weight, and never invisible."""
    return round(min(1.0, 0.06 + 1.05 * edge), 3)


def _width(edge: float) -> float:
    return round(1.0 + 3.0 * edge, 2)
