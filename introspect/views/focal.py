"""Base class and helpers of the neuron and steps views, which show one query token and head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from introspect.calls import checked_call, checked_result
from introspect.errors import SelectionError
from introspect.page import Choice, Document, Section
from introspect.records import (
    AttentionRecord,
    Head,
    HeadLike,
    TokenLike,
    as_head,
    as_token,
    listed_heads,
)
from introspect.text import decimal, listed, quantity, shortened, visible, whole
from introspect.views.base import LONGEST_TOKEN, View, plotly_text
from introspect.views.given import (
    first_token,
    head_number,
    instrument,
    layer_row,
    named_head,
    shown_record,
)
from introspect.views.palette import DIVERGING, INK, themed
from introspect.views.plotly_numbers import NUMBER_TICKS, cell_hover

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: Scores below this were masked: models add the lowest number of their data type.
MASKED = -1e30

#: About how many bytes of numbers a page holds where no heads are named, before compression.
PAGE_BYTES = 2_200_000


@dataclass(frozen=True, eq=False, repr=False)
class FocalView(View):
    """A view of one query token and one head.

    Args:
        record: the attention with its parts.
        layer: the layer shown first, in the model's own numbering.
        head: the head shown first.
        token: the query token shown first.
        held: the heads whose numbers the page holds; all if ``None``.
    """

    layer: int
    head: int
    token: int
    held: tuple[Head, ...] | None = None

    @property
    def name(self) -> str:
        """The name of the head, such as ``L3H1``."""
        return str(Head(self.layer, self.head))

    @property
    def choice(self) -> Choice:
        """The head and the token."""
        return Choice(self.layer, self.head, self.token, granularity="token")

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
        """The key tokens, shortened and escaped for Plotly."""
        return [_label(token) for token in self.record.keys.tokens]

    @cached_property
    def paged(self) -> AttentionRecord:
        """The record with the numbers of the heads that the page holds, the others missing."""
        return self.record if self.held is None else _only_heads(self.record, self.held)

    def add_instrument(self, document: Document) -> None:
        """Add the text as words to choose from."""
        document.add_instrument(instrument(self.paged, self.choice))

    def state(self) -> dict[str, Any]:
        """Return what the page shows first, and in words which heads the page holds."""
        held = None if self.held is None else held_words(self.held)
        return {"layer": self.layer, "head": self.head, "token": self.token, "held": held}

    def held_note(self) -> str:
        """Return a sentence on which heads the page holds; empty if all."""
        if self.held is None:
            return ""
        total = self.record.num_layers * self.record.num_heads
        return (
            f" This page holds {held_words(self.held)}, {whole(len(self.held))} of "
            f"{whole(total)} heads; give heads= (in a terminal --head) for others."
        )

    def held_places(self) -> tuple[tuple[int, int], ...] | None:
        """Return row and number of each head that the page holds; ``None`` for all."""
        if self.held is None:
            return None
        return tuple((layer_row(self.record, layer), head) for layer, head in self.held)


def _label(token: str) -> str:
    return plotly_text(shortened(visible(token), LONGEST_TOKEN))


def with_masked_scores(record: AttentionRecord, names: Sequence[str]) -> AttentionRecord:
    """Return the record with only the named parts, masked scores set to NaN.

    Raises:
        SelectionError: the record lacks a part.
    """
    missing = [name for name in names if name not in record.parts]
    if missing:
        had = ", ".join(["attentions", *record.parts])
        raise SelectionError(
            f"Expected a record with {', '.join(names)}, got only {had}. Capture it with "
            f"include={tuple(names)}."
        )
    parts: Mapping[str, torch.Tensor] = {name: record.parts[name] for name in names}
    if "scores" in parts:
        scores = parts["scores"]
        parts = {**parts, "scores": scores.masked_fill(scores < MASKED, torch.nan)}
    return replace(record, parts=parts)


def _only_heads(record: AttentionRecord, held: Sequence[Head]) -> AttentionRecord:
    """Return the record with every other head's numbers missing.

    They keep their places, so that heads keep their numbers, and take no room when compressed.
    """
    rows = torch.tensor([layer_row(record, layer) for layer, _ in held])
    heads = torch.tensor([head for _, head in held])

    def kept(values: torch.Tensor) -> torch.Tensor:
        # Keys and values may be shared by several heads.
        own = heads // (record.num_heads // values.shape[1])
        chosen = torch.full_like(values, torch.nan)
        chosen[rows, own] = values[rows, own]
        return chosen

    return replace(
        record,
        attentions=kept(record.attentions),
        parts={name: kept(part) for name, part in record.parts.items()},
        visible=record.seen(),
    )


def held_heads(
    record: AttentionRecord, layer: int, head: int, heads: Iterable[int | HeadLike] | None
) -> tuple[Head, ...] | None:
    """Return the heads that the page of a view of one head holds; ``None`` for all of them.

    Args:
        record: the attention with the parts that the page shows.
        layer: the layer shown first.
        head: the head shown first.
        heads: the heads that were asked for, or ``None``: the one shown first and as many others
            as fit ``PAGE_BYTES``, those of its layer first, then those of the nearest layers.

    Raises:
        SelectionError: the record does not have a head.
    """
    first = Head(layer, head)
    counts = dict.fromkeys(record.layers, record.num_heads)
    if heads is not None:
        named = [_head_of(layer, one, counts) for one in heads]
        for one in named:
            head_number(record, one.head)
        return tuple(sorted({first, *named}))
    each = [record.attentions, *record.parts.values()]
    bytes_of_head = sum(2 * values.numel() // values.shape[0] // values.shape[1] for values in each)
    room = max(1, PAGE_BYTES // max(1, bytes_of_head))
    nearest = sorted(record.layers, key=lambda other: (abs(other - layer), other))
    everything = [Head(other, number) for other in nearest for number in range(record.num_heads)]
    if len(everything) <= room:
        return None
    others = [one for one in everything if one != first]
    return tuple(sorted([first, *others[: room - 1]]))


def _head_of(layer: int, head: int | HeadLike, counts: Mapping[int, int]) -> Head:
    return Head(layer, head) if isinstance(head, int) else as_head(head, counts)


def held_words(held: Sequence[Head]) -> str:
    """Name heads, neighbors of a layer together.

    Example:
        >>> held_words([Head(3, 1), Head(5, 0), Head(5, 1), Head(5, 2)])
        'L3H1 and L5H0–H2'
    """
    runs: list[list[Head]] = []
    for one in held:
        is_next = runs and runs[-1][-1] == Head(one.layer, one.head - 1)
        if is_next:
            runs[-1].append(one)
        else:
            runs.append([one])
    return listed([f"{run[0]}–H{run[-1].head}" if run[1:] else str(run[0]) for run in runs])


def checked_focus(
    record: AttentionRecord,
    layer: int | None,
    head: int | HeadLike | None,
    token: TokenLike | None,
) -> tuple[int, int, int]:
    """Return layer, head and query token; by default the first layer and head and the last word.

    Raises:
        SelectionError: the record does not have one of them.
    """
    layer, number = named_head(record, layer, head)
    layer = record.layers[0] if layer is None else layer
    layer_row(record, layer)
    number = head_number(record, 0 if number is None else number)
    place = first_token(record.queries) if token is None else as_token(record.queries, token)
    return layer, number, place


_Focal = TypeVar("_Focal", bound=FocalView)


def _focused(
    kind: type[_Focal],
    record: AttentionRecord,
    layer: int | None,
    head: int | HeadLike | None,
    token: TokenLike | None,
    heads: Iterable[int | HeadLike] | HeadLike | None,
) -> _Focal:
    """Return a view of the head that is shown first, which is the first of those asked for."""
    named: list[int | HeadLike] | None = None
    if isinstance(heads, str):
        named = [*listed_heads(heads)]
    elif heads is not None:
        named = [heads] if isinstance(heads, Head) else [*heads]
    if named and head is None:
        head = named[0]
    layer, number, place = checked_focus(record, layer, head, token)
    held = held_heads(record, layer, number, named)
    return kind(record=record, layer=layer, head=number, token=place, held=held)


# Room for the title of a strip, in pixels.
_GAP = 34


NEURON_PARTS = ("scores", "queries", "keys")
_NEURON_ROW = 24


@checked_result
@dataclass(frozen=True, eq=False, repr=False)
class NeuronView(FocalView):
    """The query, keys, their product by dimension, the dot product, the score and the weight."""

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Neuron view"

    def products(self) -> torch.Tensor:
        """Compute query × key for each dimension, ``(key_len, head_dim)``."""
        return self.part("queries")[self.token] * self.part("keys")

    @property
    def figure(self) -> Figure:
        """Three heatmap strips and the weights, as one Plotly figure."""
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots

        products, weights = self.products(), self.weights
        high = _NEURON_ROW * (len(weights) + 1) + _GAP
        figure = make_subplots(
            rows=2,
            cols=3,
            shared_yaxes=True,
            column_widths=[0.38, 0.38, 0.24],
            row_heights=[1, len(weights)],
            vertical_spacing=_GAP / high,
            horizontal_spacing=0.03,
            subplot_titles=["query q", "", "", "keys k", "q × k", "weight"],
        )
        query = self.part("queries")[self.token][None]
        for matrix, row, column in ((query, 1, 1), (self.part("keys"), 2, 1), (products, 2, 2)):
            largest = float(matrix.abs().nan_to_num().max()) or 1.0
            strip = go.Heatmap(
                z=matrix.numpy(),
                zmin=-largest,
                zmax=largest,
                colorscale=DIVERGING,
                showscale=False,
                **cell_hover(matrix, quantity),
            )
            figure.add_trace(strip, row=row, col=column)
        dots = products.sum(-1)
        bars = go.Bar(
            x=weights.numpy(),
            y=list(range(len(weights))),
            orientation="h",
            text=[
                f"{decimal(w)} (q·k {decimal(dot)})" for w, dot in zip(weights, dots, strict=True)
            ],
            marker={"color": "#3172c0"},
            hovertemplate="%{text}<extra></extra>",
        )
        figure.add_trace(bars, row=2, col=3)
        figure.update_xaxes(NUMBER_TICKS)
        # Their dimensions are those of the keys below, whose title is in the way.
        figure.update_xaxes(showticklabels=False, row=1)
        ticks = {"tickvals": list(range(len(weights))), "ticktext": self.labels}
        figure.update_yaxes(autorange="reversed", row=2)
        figure.update_yaxes(**ticks, row=2, col=1)
        figure.update_yaxes(showticklabels=False, row=1)
        word = _label(self.record.queries.tokens[self.token])
        figure.update_layout(
            template="plotly_white",
            title=f"{self.name}, from “{word}”",
            width=940,
            height=180 + high,
            showlegend=False,
            font={"color": INK},
        )
        return figure

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        return (
            Section(
                kind="neuron",
                title=self.title,
                lead=(
                    "How one token weighs the others in one head: its query is multiplied with "
                    "each key, dimension by dimension; the products are added up, scaled and "
                    "masked to a score, and the softmax of the scores is the weight. Blue is "
                    "positive, orange negative. Choose a token on the left." + self.held_note()
                ),
                state={**self.state(), "scale": themed(DIVERGING), "rowHeight": 26},
                record=self.paged,
                parts=NEURON_PARTS,
                held=self.held_places(),
            ),
        )


@checked_call
def neuron_view(
    record: AttentionRecord,
    *,
    layer: int | None = None,
    head: int | HeadLike | None = None,
    token: TokenLike | None = None,
    heads: Iterable[int | HeadLike] | HeadLike | None = None,
) -> NeuronView:
    """Build the neuron view of a record captured with its queries, keys and scores.

    Queries and keys are taken after rotary embedding, and a key that several heads share is shown
    for each of them, so the products add up to what the model computed. A page stores them in
    16 bits: about ``4 × num_layers × num_heads × length × head_dim`` bytes before compression.

    Args:
        record: the attention with the parts ``scores``, ``queries`` and ``keys``.
        layer: the layer to show first, in the model's own numbering.
        head: the head to show first: its number in ``layer``, or ``"L3H1"``.
        token: the query token to show first: its index or its word, ``"it#2"`` for the second one;
            by default, the last word.
        heads: the heads that the page holds, as names or as numbers in the layer shown first; by
            default all, or of a large record the one shown first and those beside it that fit. The
            page says which.

    Raises:
        SelectionError: the record does not have a part, or the layer, a head or the token.
        MentionError: the word is not in the text, or several times.
    """
    record = shown_record(record, view="neuron_view")
    record = with_masked_scores(record, NEURON_PARTS)
    return _focused(NeuronView, record, layer, head, token, heads)


STEPS_PARTS = ("scores", "values", "head_outputs")
_STEPS_ROW = 26


@checked_result
@dataclass(frozen=True, eq=False, repr=False)
class StepsView(FocalView):
    """Scores, weights, and weighted values that add up to the head's output."""

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Steps view"

    @property
    def scores(self) -> torch.Tensor:
        """The inputs of the softmax, ``(key_len,)``; NaN where masked."""
        return self.part("scores")[self.token]

    def contributions(self) -> torch.Tensor:
        """Compute weight × value of each key, ``(key_len, value_dim)``; the sum is the output."""
        return self.weights[:, None] * self.part("values")

    @property
    def figure(self) -> Figure:
        """The three steps side by side, with the sum below the third."""
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots

        contributions, weights = self.contributions(), self.weights
        number = len(weights)
        high = _STEPS_ROW * (number + 1) + _GAP
        figure = make_subplots(
            rows=2,
            cols=3,
            row_heights=[number, 1],
            vertical_spacing=_GAP / high,
            horizontal_spacing=0.04,
            subplot_titles=["1 match: score", "2 weigh: softmax", "3 sum: weight × value", "", "",
                            "what the head outputs"],
        )  # fmt: skip
        rows = list(range(number))
        for column, values, color in ((1, self.scores, "#5b6470"), (2, weights, "#3172c0")):
            bars = go.Bar(
                x=values.numpy(),
                y=rows,
                orientation="h",
                text=[decimal(float(v)) for v in values],
                marker={"color": color},
                hovertemplate="%{text}<extra></extra>",
            )
            figure.add_trace(bars, row=1, col=column)
        figure.update_xaxes(NUMBER_TICKS)
        # Their dimensions are those of the output below, whose title is in the way.
        figure.update_xaxes(showticklabels=False, row=1, col=3)
        output = self.part("head_outputs")[self.token][None]
        largest = float(torch.cat([contributions, output]).abs().nan_to_num().max()) or 1.0
        for row, matrix in ((1, contributions), (2, output)):
            strip = go.Heatmap(
                z=matrix.numpy(),
                zmin=-largest,
                zmax=largest,
                colorscale=DIVERGING,
                showscale=False,
                **cell_hover(matrix, quantity),
            )
            figure.add_trace(strip, row=row, col=3)
        figure.update_yaxes(autorange="reversed", showticklabels=False, row=1)
        figure.update_yaxes(tickvals=rows, ticktext=self.labels, showticklabels=True, row=1, col=1)
        figure.update_yaxes(showticklabels=False, row=2)
        word = _label(self.record.queries.tokens[self.token])
        figure.update_layout(
            template="plotly_white",
            title=f"{self.name}, while it reads “{word}”",
            width=960,
            height=180 + high,
            showlegend=False,
            font={"color": INK},
        )
        return figure

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        return (
            Section(
                kind="steps",
                title=self.title,
                lead=(
                    "Attention in three steps. Match: the token’s query is compared with every "
                    "key, which gives a score. Weigh: the softmax turns the scores into weights "
                    "that sum to 1. Sum: every value is multiplied by its weight, and all are "
                    "added up to what the head outputs. Choose a token on the left."
                    + self.held_note()
                ),
                state={**self.state(), "scale": themed(DIVERGING), "rowHeight": _STEPS_ROW},
                record=self.paged,
                parts=STEPS_PARTS,
                held=self.held_places(),
            ),
        )


@checked_call
def steps_view(
    record: AttentionRecord,
    *,
    layer: int | None = None,
    head: int | HeadLike | None = None,
    token: TokenLike | None = None,
    heads: Iterable[int | HeadLike] | HeadLike | None = None,
) -> StepsView:
    """Build a view of the three steps of attention for one token: match, weigh, sum.

    Args:
        record: the attention with the parts ``scores``, ``values`` and ``head_outputs``.
        layer: the layer to show first, in the model's own numbering.
        head: the head to show first: its number in ``layer``, or ``"L3H1"``.
        token: the query token to show first: its index or its word, ``"it#2"`` for the second one;
            by default, the last word.
        heads: the heads that the page holds, as names or as numbers in the layer shown first; by
            default all, or of a large record the one shown first and those beside it that fit. The
            page says which.

    Raises:
        SelectionError: the record does not have a part, or the layer, a head or the token.
        MentionError: the word is not in the text, or several times.
    """
    record = shown_record(record, view="steps_view")
    record = with_masked_scores(record, STEPS_PARTS)
    return _focused(StepsView, record, layer, head, token, heads)
