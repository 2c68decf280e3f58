"""The neuron view: how a query and a key yield a weight, dimension by dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from introspect.page import Section
from introspect.records import AttentionRecord
from introspect.text import visible
from introspect.views.base import plotly_text
from introspect.views.focal import FocalView, checked_focus, with_masked_scores
from introspect.views.palette import DIVERGING, INK, themed

__all__ = ["NeuronView", "neuron_view"]

PARTS = ("scores", "queries", "keys")
_ROW = 24


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
    def figure(self) -> Any:
        """Three heatmap strips and the weights, as one Plotly figure."""
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots

        products, weights = self.products(), self.weights
        figure = make_subplots(
            rows=2,
            cols=3,
            shared_yaxes=True,
            column_widths=[0.38, 0.38, 0.24],
            row_heights=[0.08, 0.92],
            vertical_spacing=0.04,
            horizontal_spacing=0.03,
            subplot_titles=["query q", "", "", "keys k", "q × k", "weight"],
        )
        query = self.part("queries")[self.token][None]
        for matrix, row, column in ((query, 1, 1), (self.part("keys"), 2, 1), (products, 2, 2)):
            largest = float(matrix.abs().nan_to_num().max()) or 1.0
            strip = go.Heatmap(
                z=matrix.numpy(), zmin=-largest, zmax=largest, colorscale=DIVERGING, showscale=False
            )
            figure.add_trace(strip, row=row, col=column)
        dots = products.sum(-1)
        bars = go.Bar(
            x=weights.numpy(),
            y=list(range(len(weights))),
            orientation="h",
            text=[f"{w:.2f} (q·k {dot:.1f})" for w, dot in zip(weights, dots, strict=True)],
            marker={"color": "#3172c0"},
        )
        figure.add_trace(bars, row=2, col=3)
        ticks = {"tickvals": list(range(len(weights))), "ticktext": self.labels}
        figure.update_yaxes(autorange="reversed", row=2)
        figure.update_yaxes(**ticks, row=2, col=1)
        figure.update_yaxes(showticklabels=False, row=1)
        word = plotly_text(visible(self.record.queries.tokens[self.token]))
        figure.update_layout(
            template="plotly_white",
            title=f"{self.name}, from “{word}”",
            width=940,
            height=180 + _ROW * len(weights),
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
                parts=PARTS,
            ),
        )


def neuron_view(
    record: AttentionRecord,
    *,
    layer: int | None = None,
    head: int | None = None,
    token: int | None = None,
) -> NeuronView:
    """Build the neuron view of a record captured with its queries, keys and scores.

    Queries and keys are taken after rotary embedding, and a key that several heads share is shown
    for each of them, so the products add up to what the model computed. A page stores them in
    16 bits: about ``4 × num_layers × num_heads × length × head_dim`` bytes before compression.

    Args:
        record: the attention with the parts ``scores``, ``queries`` and ``keys``.
        layer: the layer to show first, in the model's own numbering.
        head: the head to show first.
        token: the query token to show first; by default, the last word.

    Raises:
        SelectionError: the record does not have a part, or the layer, head or token.
    """
    record = with_masked_scores(record, PARTS)
    layer, head, token = checked_focus(record, layer, head, token)
    return NeuronView(record=record, layer=layer, head=head, token=token)
