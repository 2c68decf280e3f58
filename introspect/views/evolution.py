"""The evolution view: a pattern in the course of training, with a slider."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from introspect.calls import checked_call, checked_result
from introspect.errors import SelectionError
from introspect.page import LARGEST_DENSE, Section
from introspect.records import AttentionRecord, HeadLike
from introspect.text import quantity, whole
from introspect.views.base import View, plotly_text
from introspect.views.given import checked_records, layer_row
from introspect.views.heatmap import (
    HeadChoice,
    axis_of,
    checked_head,
    chosen_head,
    head_words,
    pattern_of,
    token_labels,
)
from introspect.views.palette import INK, SEQUENTIAL, themed
from introspect.views.plotly_numbers import cell_hover, weight_bar

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Sizes of the static figure, in pixels.
_CELL = 44
_LABEL_ROOM = 110
# Below the map where there is no slider.
_FOOT = 20


@checked_result
@dataclass(frozen=True, eq=False, repr=False)
class EvolutionView(View):
    """One attention pattern at several times during training.

    Args:
        record: the attention at the last time.
        records: the attention at each time.
        times: the number of epochs, steps or tokens seen at each time.
        losses: the loss at each time; empty if unknown.
        layer: the layer shown first, in the model's own numbering.
        head: the head shown first, or ``mean`` or ``max`` of the layer's heads.
        place: the index of the time shown first, from 0.
        unit: the unit of the times.
    """

    records: tuple[AttentionRecord, ...]
    times: tuple[int, ...]
    losses: tuple[float, ...]
    layer: int
    head: HeadChoice
    place: int
    unit: str

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Evolution view"

    def pattern(self, place: int | None = None) -> torch.Tensor:
        """Return a time's pattern, ``(query_len, key_len)``; by default, the one shown first."""
        record = self.records[self.place if place is None else place]
        return pattern_of(record, layer_row(record, self.layer), self.head)

    def caption(self, place: int) -> str:
        """Describe a time in words, such as ``epoch 40: loss 0.214``."""
        loss = f": loss {quantity(self.losses[place])}" if self.losses else ""
        return f"{self.unit} {whole(self.times[place])}{loss}"

    @property
    def figure(self) -> Figure:
        """The pattern with a frame for each time, a slider and a play button."""
        import plotly.graph_objects as go

        def traces(place: int) -> list[Any]:
            pattern = self.pattern(place)
            return [
                go.Heatmap(
                    z=pattern.tolist(),
                    zmin=0,
                    zmax=1,
                    colorscale=SEQUENTIAL,
                    colorbar=weight_bar(),
                    **cell_hover(pattern, maps=1 + len(self.records)),
                )
            ]

        places = range(len(self.records))
        rows, columns = self.pattern().shape
        quick = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}}
        play = {"fromcurrent": True, "frame": {"duration": 80, "redraw": True}}
        figure = go.Figure(
            data=traces(self.place),
            frames=[go.Frame(name=str(place), data=traces(place)) for place in places],
        )
        figure.update_layout(
            template="plotly_white",
            title={"text": head_words(self.record, self.layer, self.head), "x": 0, "xref": "paper"},
            width=max(columns * _CELL, 320) + _LABEL_ROOM + 110,
            height=max(rows * _CELL, 160) + _LABEL_ROOM + 200,
            margin={"l": _LABEL_ROOM, "r": 110, "t": _LABEL_ROOM + 60, "b": 120},
            font={"color": INK},
            xaxis=axis_of(token_labels(self.record.keys), title="key", is_key=True),
            yaxis=axis_of(token_labels(self.record.queries), title="query", is_key=False),
            sliders=[
                {
                    "active": self.place,
                    "currentvalue": {"prefix": ""},
                    "steps": [
                        {
                            "label": self.caption(place),
                            "method": "animate",
                            "args": [[str(place)], quick],
                        }
                        for place in places
                    ],
                }
            ],
            updatemenus=[
                {
                    "type": "buttons",
                    "x": 0,
                    "y": -0.5,
                    "xanchor": "left",
                    "buttons": [{"label": "Play", "method": "animate", "args": [None, play]}],
                }
            ],
        )
        return figure

    @property
    def still(self) -> Figure:
        """The pattern of the time shown first, without the slider, its time in the title."""
        figure = self.figure
        title = f"{figure.layout.title.text}, {plotly_text(self.caption(self.place))}"
        room = figure.layout.margin.b - _FOOT
        figure.update_layout(title_text=title, margin_b=_FOOT, height=figure.layout.height - room)
        figure.layout.sliders = figure.layout.updatemenus = None
        figure.frames = ()
        return figure

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        history = torch.stack([record.attentions for record in self.records])
        return (
            Section(
                kind="evolution",
                title=self.title,
                lead=(
                    "How a pattern comes about in training. Each row is a token that attends, each "
                    "column a token attended to. Move the slider, or let it play; point at a cell "
                    "for its number. The sentence and the heads above are of "
                    f"{self.unit} {whole(self.times[-1])}, the last."
                ),
                state={
                    "layer": self.layer,
                    "head": self.head,
                    "place": self.place,
                    "times": list(self.times),
                    "unit": self.unit,
                    "losses": [loss if math.isfinite(loss) else None for loss in self.losses],
                    "scale": themed(SEQUENTIAL),
                },
                record=self.record,
                arrays={"history": history.numpy()},
            ),
        )


@checked_call
def evolution_view(
    records: Sequence[AttentionRecord],
    *,
    losses: Sequence[float] = (),
    times: Sequence[int] | None = None,
    unit: str = "epoch",
    layer: int | None = None,
    head: HeadChoice | HeadLike | None = None,
    place: int = 0,
) -> EvolutionView:
    """Build a view of how attention on one text changes over training epochs or checkpoints.

    Args:
        records: the attention over one text at each time, in order.
        losses: the loss at each time, drawn beside the pattern.
        times: the number of each time; counted from 0 by default.
        unit: the unit of the times.
        layer: the layer to show first, in the model's own numbering; the first one by default.
        head: the head to show first, its number in ``layer`` or ``"L3H1"``; or ``mean`` or
            ``max``; head 0 by default.
        place: the index of the time to show first, from 0.

    Raises:
        SelectionError: there are no records, their texts or models differ, there is not one loss
            and one number for each, a page cannot hold so many weights, or a layer, head or place
            does not exist.

    Example:
        >>> made = [AttentionRecord.from_tensors(torch.full((1, 1, 2, 2), 0.5), ["a", "b"])] * 3
        >>> evolution_view(made, losses=[1.0, 0.5, 0.25]).caption(2)
        'epoch 2: loss 0.250'
    """
    chosen = checked_records(records, view="evolution_view")
    if not chosen:
        raise SelectionError("Expected at least one record, got none. Give one for each time.")
    first = chosen[0]
    for number, record in enumerate(chosen):
        if not _is_like(record, first):
            raise SelectionError(
                "Expected records of one text, with the same layers and heads, but record "
                f"{number} differs from record 0. Capture the same text each time."
            )
    numbers = tuple(range(len(chosen))) if times is None else tuple(times)
    for name, given in (("times", numbers), ("losses", tuple(losses))):
        if len(given) != len(chosen) and (given or name == "times"):
            raise SelectionError(
                f"Expected one of `{name}` for each of the {len(chosen)} records, got {len(given)}."
            )
    if (size := len(chosen) * first.attentions.numel()) > LARGEST_DENSE:
        raise SelectionError(
            f"Expected at most {whole(LARGEST_DENSE)} weights, which a page holds, got "
            f"{whole(size)}. Give fewer times, or fewer layers with record.only."
        )
    if not 0 <= place < len(chosen):
        raise SelectionError(f"Expected `place` in 0–{len(chosen) - 1}, got {place}.")
    layer, choice = chosen_head(first, layer, head)
    layer = first.layers[0] if layer is None else layer
    layer_row(first, layer)
    return EvolutionView(
        record=chosen[-1],
        records=chosen,
        times=numbers,
        losses=tuple(losses),
        layer=layer,
        head=checked_head(first, 0 if choice is None else choice),
        place=place,
        unit=unit,
    )


def _is_like(record: AttentionRecord, other: AttentionRecord) -> bool:
    return (
        record.attentions.shape == other.attentions.shape
        and record.layers == other.layers
        and record.queries.tokens == other.queries.tokens
        and record.keys.tokens == other.keys.tokens
    )
