"""The steps view: match, weigh and sum, with the numbers of one token and one head."""

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

__all__ = ["StepsView", "steps_view"]

PARTS = ("scores", "values", "head_outputs")
_ROW = 26


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
    def figure(self) -> Any:
        """The three steps side by side, with the sum below the third."""
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots

        contributions, weights = self.contributions(), self.weights
        number = len(weights)
        figure = make_subplots(
            rows=2,
            cols=3,
            row_heights=[0.9, 0.1],
            vertical_spacing=0.06,
            horizontal_spacing=0.04,
            subplot_titles=["1 match: score", "2 weigh: softmax", "3 sum: weight × value", "", "",
                            "what the head gives on"],
        )  # fmt: skip
        rows = list(range(number))
        for column, values, colour in ((1, self.scores, "#5b6470"), (2, weights, "#3172c0")):
            bars = go.Bar(
                x=values.numpy(),
                y=rows,
                orientation="h",
                text=[f"{float(v):.2f}" for v in values],
                marker={"color": colour},
            )
            figure.add_trace(bars, row=1, col=column)
        output = self.part("head_outputs")[self.token][None]
        largest = float(torch.cat([contributions, output]).abs().nan_to_num().max()) or 1.0
        for row, matrix in ((1, contributions), (2, output)):
            strip = go.Heatmap(
                z=matrix.numpy(), zmin=-largest, zmax=largest, colorscale=DIVERGING, showscale=False
            )
            figure.add_trace(strip, row=row, col=3)
        figure.update_yaxes(autorange="reversed", showticklabels=False, row=1)
        figure.update_yaxes(tickvals=rows, ticktext=self.labels, showticklabels=True, row=1, col=1)
        figure.update_yaxes(showticklabels=False, row=2)
        word = plotly_text(visible(self.record.queries.tokens[self.token]))
        figure.update_layout(
            template="plotly_white",
            title=f"{self.name}, while it reads “{word}”",
            width=960,
            height=220 + _ROW * number,
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
                    "added up to what the head gives on. Choose a token on the left."
                ),
                state={**self.state(), "scale": themed(DIVERGING), "rowHeight": _ROW},
                record=self.record,
                parts=PARTS,
            ),
        )


def steps_view(
    record: AttentionRecord,
    *,
    layer: int | None = None,
    head: int | None = None,
    token: int | None = None,
) -> StepsView:
    """Build a view of the three steps of attention for one token: match, weigh, sum.

    Args:
        record: the attention with the parts ``scores``, ``values`` and ``head_outputs``.
        layer: the layer to show first, in the model's own numbering.
        head: the head to show first.
        token: the query token to show first; by default, the last word.

    Raises:
        SelectionError: the record does not have a part, or the layer, head or token.
    """
    record = with_masked_scores(record, PARTS)
    layer, head, token = checked_focus(record, layer, head, token)
    return StepsView(record=record, layer=layer, head=head, token=token)
