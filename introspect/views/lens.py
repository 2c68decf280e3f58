"""The lens view: LM head readings of every token's hidden state after every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from introspect.errors import SelectionError
from introspect.page import Section
from introspect.text import visible
from introspect.views.base import Drawing, plotly_text
from introspect.views.palette import INK, SEQUENTIAL, themed

__all__ = ["LensView", "lens_view"]

_COLUMNS = ("layer", "position", "token", "rank", "predicted", "probability")
_CELL = (84, 30)
_LONGEST_LABEL = 11


@dataclass(frozen=True, eq=False, repr=False)
class LensView(Drawing):
    """A table of readings, as layers × tokens.

    Args:
        table: the table from ``logit_lens``, in its order.
        layers: the layers in order; -1 for the embeddings.
        tokens: the tokens whose states were read.
        top: the number of readings in each cell.
        first: the token shown first.
    """

    table: pd.DataFrame
    layers: tuple[int, ...]
    tokens: tuple[str, ...]
    top: int
    first: int

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Logit lens"

    @property
    def heading(self) -> str:
        """The tokens whose states were read."""
        return " ".join(self.tokens)

    @property
    def made_by(self) -> tuple[str | None, str | None]:
        """The model and its revision."""
        return self.table.attrs.get("model"), self.table.attrs.get("revision")

    @property
    def notices(self) -> tuple[str, ...]:
        """Notes on the model."""
        note = self.table.attrs.get("note")
        return (note,) if note else ()

    def _grid(self, column: str) -> list[list[list[Any]]]:
        """Return a column as layers × tokens × ranks."""
        values = iter(self.table[column].tolist())
        return [[[next(values) for _ in range(self.top)] for _ in self.tokens] for _ in self.layers]

    @property
    def figure(self) -> Any:
        """The top reading of each cell, with the last layer at the top."""
        import plotly.graph_objects as go

        words = self._grid("predicted")
        chances = self._grid("probability")
        labels = [[_short(cell[0]) for cell in line] for line in words]
        width, height = _CELL
        figure = go.Figure(
            go.Heatmap(
                z=[[cell[0] for cell in line] for line in chances],
                zmin=0,
                zmax=1,
                colorscale=SEQUENTIAL,
                text=labels,
                texttemplate="%{text}",
                colorbar={"title": {"text": "probability"}},
                xgap=1,
                ygap=1,
            )
        )
        figure.update_layout(
            template="plotly_white",
            title={"text": self.title, "x": 0, "xref": "paper"},
            width=max(320, width * len(self.tokens)) + 220,
            height=height * len(self.layers) + 150,
            font={"color": INK},
            xaxis={
                "tickvals": list(range(len(self.tokens))),
                "ticktext": [_short(token) for token in self.tokens],
                "title": "read at",
            },
            yaxis={
                "tickvals": list(range(len(self.layers))),
                "ticktext": [_layer_name(layer) for layer in self.layers],
                "title": "after",
            },
        )
        return figure

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        chances = [
            [[round(value, 6) for value in cell] for cell in line]
            for line in self._grid("probability")
        ]
        return (
            Section(
                kind="lens",
                title=self.title,
                lead=(
                    "What the model’s own head reads from the state of each token after each "
                    "layer, the last one on top: the token that it gives most, stronger in colour "
                    "where that is more likely. Point at a cell for its further readings. A state "
                    "that reads as a word need not be used as that word."
                ),
                state={
                    "layers": [_layer_name(layer) for layer in self.layers],
                    "tokens": [visible(token) for token in self.tokens],
                    "words": [
                        [[visible(word) for word in cell] for cell in line]
                        for line in self._grid("predicted")
                    ],
                    "chances": chances,
                    "first": self.first,
                    "scale": themed(SEQUENTIAL),
                },
            ),
        )

    def __repr__(self) -> str:
        return f"<LensView: {len(self.layers)} layers of {len(self.tokens)} tokens>"


def lens_view(table: pd.DataFrame, *, position: int = -1) -> LensView:
    """Build a table of the readings at every layer and token.

    Args:
        table: the complete table from ``ix.logit_lens``, in its order.
        position: the token to show first; negative positions count from the end.

    Raises:
        SelectionError: the table is a different one or incomplete, or there is no such token.

    Example:
        >>> lens_view(logit_lens(model, text)).save("lens.html")     # doctest: +SKIP
    """
    missing = [name for name in _COLUMNS if name not in table]
    if missing or not len(table):
        raise SelectionError(
            f"Expected the table of ix.logit_lens, with {', '.join(_COLUMNS)}, got one of "
            f"{len(table)} rows with {', '.join(map(str, table.columns)) or 'no columns'}."
        )
    layers = tuple(int(layer) for layer in table["layer"].unique())
    positions = table["position"].unique()
    top = int(table["rank"].max())
    expected = [
        (layer, place, rank)
        for layer in layers
        for place in positions
        for rank in range(1, top + 1)
    ]
    if list(table[["layer", "position", "rank"]].itertuples(index=False, name=None)) != expected:
        raise SelectionError(
            "Expected every layer, token and rank of ix.logit_lens in its order, got a part or "
            "another order. Give the table as it came."
        )
    tokens = table["token"].iloc[: top * len(positions) : top]
    length = len(positions)
    if not -length <= position < length:
        raise SelectionError(
            f"Expected `position` from {-length} to {length - 1}, for {length} tokens, got "
            f"{position}."
        )
    return LensView(table, layers, tuple(tokens), top, position % length)


def _layer_name(layer: int) -> str:
    return "embeddings" if layer < 0 else f"L{layer}"


def _short(token: str) -> str:
    label = visible(token)
    shown = label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
    return plotly_text(shown)
