"""The heatmap view: the attention pattern of one head as a matrix with tokens on two sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from introspect.calls import checked_call, checked_result
from introspect.errors import SelectionError
from introspect.page import Choice, Section
from introspect.records import METHODS, AttentionRecord, Head, HeadLike, TokenSequence
from introspect.text import shortened, visible
from introspect.views.base import View, plotly_text, underlined
from introspect.views.given import (
    BERTVIZ_NAMES,
    BERTVIZ_ONLY,
    RAW,
    Tokens,
    by_method,
    checked_weights,
    head_number,
    is_whole,
    layer_row,
    named_head,
    page_methods,
    scale_of,
    shown_record,
    whole_words,
)
from introspect.views.palette import INK, SEQUENTIAL, themed
from introspect.views.plotly_numbers import cell_hover, weight_bar, writing_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: Ways to combine the heads of a layer: their mean or the largest of their weights.
COMBINED = ("mean", "max")
HeadChoice = int | str

#: Upper ends of the color scale: 1 (a whole row), or the largest weight shown.
SCALES = ("one", "largest")

# Sizes of the static figure, in pixels.
_CELL = 24
_SHORTEST, _LONGEST = 160, 900
_LABEL_ROOM = 110
#: With more tokens per side than this, only every second, third, … label is in the figure.
_MOST_LABELS = 60
_LONGEST_LABEL = 18


@checked_result
@dataclass(frozen=True, eq=False, repr=False)
class HeatmapView(View):
    """Queries × keys, each cell the weight that a query gives a key.

    Args:
        record: the attention.
        layer: the layer shown first, in the model's own numbering.
        head: the head shown first, or ``mean`` or ``max`` of all heads of the layer.
        scale: colors run from 0 to ``one``, or to the ``largest`` weight shown; for unbounded
            numbers, always to the largest.
        weights: ``raw``, or the name of a method of ``introspect.records``; a method that
            combines all heads has one map, whatever the head.
    """

    layer: int
    head: HeadChoice = "mean"
    scale: str = "one"
    weights: str = RAW

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Heatmap view"

    def pattern(self) -> torch.Tensor:
        """Return the pattern shown first, ``(query_len, key_len)``."""
        shown = by_method(self.record, self.weights)
        head = 0 if is_whole(self.weights) else self.head
        return pattern_of(shown, layer_row(self.record, self.layer), head)

    @property
    def choice(self) -> Choice:
        """The layer and the head, if it is one."""
        head = self.head if isinstance(self.head, int) else None
        return Choice(layer=self.layer, head=head, granularity="token")

    @property
    def figure(self) -> Figure:
        """The matrix with its tokens and a color bar, as a plain Plotly figure."""
        import plotly.graph_objects as go

        pattern = self.pattern()
        largest = float(pattern.nan_to_num(0.0).max())
        one = scale_of(self.weights, pattern)
        rows, columns = pattern.shape
        return go.Figure(
            go.Heatmap(
                z=pattern.tolist(),
                zmin=0,
                zmax=one if self.scale == "one" else largest or 1,
                colorscale=SEQUENTIAL,
                colorbar=weight_bar(),
                **cell_hover(pattern, writing_of(self.weights)),
            ),
            go.Layout(
                template="plotly_white",
                title={"text": self._caption(), "x": 0, "xref": "paper"},
                width=_side(columns) + _LABEL_ROOM + 110,
                height=_side(rows) + _LABEL_ROOM + 80,
                margin={"l": _LABEL_ROOM, "r": 110, "t": _LABEL_ROOM + 60, "b": 20},
                font={"color": INK},
                xaxis=axis_of(token_labels(self.record.keys), title="key", is_key=True),
                yaxis=axis_of(token_labels(self.record.queries), title="query", is_key=False),
            ),
        )

    def _caption(self) -> str:
        if is_whole(self.weights):
            return whole_words(self.weights, self.layer)
        words = head_words(self.record, self.layer, self.head)
        return words if self.weights == RAW else f"{words}, {METHODS[self.weights].label}"

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        return (
            Section(
                kind="heatmap",
                title=self.title,
                lead=(
                    "Each row is a token that attends, each column a token attended to; the "
                    "stronger the color, the larger the weight. Point at a cell for its number. "
                    "Drag over the picture to see a part of it larger."
                ),
                state={
                    "layer": self.layer,
                    "head": self.head,
                    "scaleTo": self.scale,
                    "weights": self.weights,
                    "scale": themed(SEQUENTIAL),
                },
                record=self.record,
                parts=("value_norms",),
                methods=(page_methods(self.record, self.weights),),
            ),
        )


@checked_call(aliases=BERTVIZ_NAMES, hints=BERTVIZ_ONLY)
def heatmap_view(
    record: AttentionRecord | Any,
    tokens: Tokens | None = None,
    sentence_b_start: int | None = None,
    *,
    layer: int | None = None,
    head: HeadChoice | HeadLike | None = None,
    scale: Literal["one", "largest"] = "one",
    weights: str = RAW,
) -> HeatmapView:
    """Build the heatmap view of a record.

    The arguments set only what is shown first; the page's controls can change it.

    Args:
        record: the attention; or tensors, as BertViz takes them, with their ``tokens``.
        tokens: the tokens of attention that is no record.
        sentence_b_start: of a pair of texts without a record, the first token of the second one.
        layer: the layer to show first, in the model's own numbering; the first one by default.
        head: the head to show first, or ``mean`` or ``max`` of the layer's heads; their mean by
            default.
        scale: colors run from 0 to ``one``, or to the ``largest`` weight shown.
        weights: ``raw``, or the name of a method, as in ``head_view``.

    Raises:
        SelectionError: a layer, head or choice does not exist, or the record cannot provide the
            weights.

    Example:
        >>> record = AttentionRecord.from_tensors(torch.eye(2).expand(1, 3, 2, 2), ["a", "b"])
        >>> heatmap_view(record, head=2).pattern()
        tensor([[1., 0.],
                [0., 1.]])
    """
    record = shown_record(record, tokens, sentence_b_start, view="heatmap_view")
    layer, choice = chosen_head(record, layer, head)
    layer = record.layers[0] if layer is None else layer
    layer_row(record, layer)
    if scale not in SCALES:
        raise SelectionError(f"Expected `scale` as one of {', '.join(SCALES)}, got {scale!r}.")
    checked_weights(record, weights)
    return HeatmapView(
        record=record,
        layer=layer,
        head=checked_head(record, "mean" if choice is None else choice),
        scale=scale,
        weights=weights,
    )


def chosen_head(
    record: AttentionRecord, layer: int | None, head: HeadChoice | HeadLike | None
) -> tuple[int | None, HeadChoice | None]:
    """Return a layer and a choice of its heads; a name such as ``L3H1`` gives both.

    Raises:
        SelectionError: the record does not have the named head, or it is of another layer.
    """
    if isinstance(head, str) and head[:1] not in ("L", "l"):
        return layer, head
    return named_head(record, layer, head)


def checked_head(record: AttentionRecord, head: HeadChoice) -> HeadChoice:
    """Return ``head`` if it is ``mean``, ``max`` or a head of the record.

    Raises:
        SelectionError: it is none of these.
    """
    if not isinstance(head, str):
        return head_number(record, head)
    if head not in COMBINED:
        raise SelectionError(f"Expected `head` as a number, mean or max, got {head!r}.")
    return head


def pattern_of(record: AttentionRecord, row: int, head: HeadChoice) -> torch.Tensor:
    """Return one head's weights, or the mean or maximum of all heads, ``(query_len, key_len)``.

    Args:
        record: the attention.
        row: the row of the record, counted from 0.
        head: a head, ``mean`` or ``max``. A weight missing in one head is missing in mean and max.
    """
    heads = record.attentions[row]
    if head == "mean":
        return heads.double().mean(0).float()
    return heads.amax(0) if head == "max" else heads[int(head)]


def head_words(record: AttentionRecord, layer: int, head: HeadChoice) -> str:
    """Describe a choice of layer and head in words."""
    if not isinstance(head, str):
        return str(Head(layer, head))
    return f"{'mean' if head == 'mean' else 'largest'} of {record.num_heads} heads of layer {layer}"


def tick_labels(tokens: Sequence[str]) -> list[str]:
    """Return tokens as axis labels: made visible, shortened and escaped for Plotly."""
    return [plotly_text(shortened(visible(token), _LONGEST_LABEL)) for token in tokens]


def token_labels(sequence: TokenSequence) -> list[str]:
    """Return the tokens of a sequence as axis labels, those that the model wrote underlined."""
    return underlined(tick_labels(sequence.tokens), sequence)


def axis_of(labels: Sequence[str], *, title: str, is_key: bool) -> dict[str, Any]:
    """Build a matrix axis with cells at 0, 1, 2, …; of many labels only every second, third, ….

    Args:
        labels: the labels, escaped for Plotly.
        title: the title of the axis.
        is_key: whether the axis is for keys, above the matrix; else for queries, top to bottom.
    """
    step = -(-len(labels) // _MOST_LABELS)
    ends = [-0.5, len(labels) - 0.5]
    return {
        "tickvals": list(range(0, len(labels), step)),
        "ticktext": list(labels[::step]),
        "range": ends if is_key else ends[::-1],
        "title": title,
        "side": "top" if is_key else "left",
        "tickangle": -90 if is_key else 0,
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
    }


def _side(cells: int) -> int:
    """Return the length of a side of so many cells, in pixels."""
    return min(max(cells * _CELL, _SHORTEST), _LONGEST)
