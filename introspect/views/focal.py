"""Base class and helpers of the neuron and steps views, which show one query token and head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from introspect.calls import checked_call, checked_result
from introspect.errors import SelectionError
from introspect.page import Section
from introspect.records import AttentionRecord, Head, HeadLike, TokenLike, as_token
from introspect.text import decimal, quantity, shortened, visible
from introspect.views.base import LONGEST_TOKEN, View, plotly_text
from introspect.views.given import (
    Choice,
    first_token,
    head_number,
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

    def state(self) -> dict[str, Any]:
        """Return what the page shows first."""
        return {"layer": self.layer, "head": self.head, "token": self.token}


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
                    "positive, orange negative. Choose a token on the left."
                ),
                state={**self.state(), "scale": themed(DIVERGING), "rowHeight": 26},
                record=self.record,
                parts=NEURON_PARTS,
            ),
        )


@checked_call
def neuron_view(
    record: AttentionRecord,
    *,
    layer: int | None = None,
    head: int | HeadLike | None = None,
    token: TokenLike | None = None,
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

    Raises:
        SelectionError: the record does not have a part, or the layer, head or token.
        MentionError: the word is not in the text, or several times.
    """
    record = shown_record(record, view="neuron_view")
    record = with_masked_scores(record, NEURON_PARTS)
    layer, head, token = checked_focus(record, layer, head, token)
    return NeuronView(record=record, layer=layer, head=head, token=token)


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
                ),
                state={**self.state(), "scale": themed(DIVERGING), "rowHeight": _STEPS_ROW},
                record=self.record,
                parts=STEPS_PARTS,
            ),
        )


@checked_call
def steps_view(
    record: AttentionRecord,
    *,
    layer: int | None = None,
    head: int | HeadLike | None = None,
    token: TokenLike | None = None,
) -> StepsView:
    """Build a view of the three steps of attention for one token: match, weigh, sum.

    Args:
        record: the attention with the parts ``scores``, ``values`` and ``head_outputs``.
        layer: the layer to show first, in the model's own numbering.
        head: the head to show first: its number in ``layer``, or ``"L3H1"``.
        token: the query token to show first: its index or its word, ``"it#2"`` for the second one;
            by default, the last word.

    Raises:
        SelectionError: the record does not have a part, or the layer, head or token.
        MentionError: the word is not in the text, or several times.
    """
    record = shown_record(record, view="steps_view")
    record = with_masked_scores(record, STEPS_PARTS)
    layer, head, token = checked_focus(record, layer, head, token)
    return StepsView(record=record, layer=layer, head=head, token=token)
