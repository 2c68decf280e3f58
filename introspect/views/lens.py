"""The lens view: LM head readings of every token's hidden state after every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from introspect.errors import SelectionError
from introspect.page import Section
from introspect.text import visible
from introspect.views.base import Drawing, plotly_text
from introspect.views.palette import DIVERGING, INK, SEQUENTIAL, themed

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["LensView", "LogitView", "lens_view", "logit_view"]

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
    def figure(self) -> Figure:
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
                    "layer, the last one on top: the token that it gives most, stronger in color "
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


_COLUMNS_LOGITS = ("component", "kind", "layer", "head", "contribution")
_ATTRIBUTES = ("logit", "token", "against", "position", "at")
_CELL_LOGITS = (50, 34)


@dataclass(frozen=True, eq=False, repr=False)
class LogitView(Drawing):
    """Contributions to a logit: heads as a map, the rest as a list.

    Args:
        table: the table from ``direct_logit_attribution``.
    """

    table: pd.DataFrame

    @property
    def title(self) -> str:
        """The title of the view."""
        return "What each part adds to the logit"

    @property
    def heading(self) -> str:
        """The logit that is decomposed."""
        return self.of

    @property
    def made_by(self) -> tuple[str | None, str | None]:
        """The model and its revision."""
        return self.table.attrs.get("model"), self.table.attrs.get("revision")

    @property
    def of(self) -> str:
        """The logit that is decomposed, in words."""
        given = self.table.attrs
        against = "" if given["against"] is None else f" − logit of {visible(given['against'])}"
        return (
            f"logit of {visible(given['token'])}{against}, at {visible(given['at'])} (token "
            f"{given['position']})"
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of attention of the heads."""
        return tuple(dict.fromkeys(self._heads["kind"]))

    @property
    def _heads(self) -> pd.DataFrame:
        return self.table[self.table["head"].notna()]

    def grid(self, kind: str) -> tuple[list[int], list[list[float]]]:
        """Return the layers and the contributions of their heads."""
        heads = self._heads[self._heads["kind"] == kind]
        layers = [int(layer) for layer in heads["layer"].unique()]
        rows = [heads.loc[heads["layer"] == layer, "contribution"].tolist() for layer in layers]
        return layers, rows

    @property
    def figure(self) -> Figure:
        """The heads of the first kind; blue favors the token, orange the other."""
        import plotly.graph_objects as go

        layers, rows = self.grid(self.kinds[0])
        most = max((abs(value) for row in rows for value in row), default=0) or 1.0
        width, height = _CELL_LOGITS
        figure = go.Figure(
            go.Heatmap(
                z=rows,
                zmin=-most,
                zmax=most,
                colorscale=DIVERGING,
                colorbar={"title": {"text": "logits"}},
                xgap=2,
                ygap=2,
            )
        )
        figure.update_layout(
            template="plotly_white",
            title={"text": plotly_text(self.of), "x": 0, "xref": "paper"},
            width=width * len(rows[0]) + 240,
            height=height * len(layers) + 150,
            font={"color": INK},
            xaxis={
                "tickvals": list(range(len(rows[0]))),
                "ticktext": [f"H{head}" for head in range(len(rows[0]))],
            },
            yaxis={
                "autorange": "reversed",
                "tickvals": list(range(len(layers))),
                "ticktext": [f"L{layer}" for layer in layers],
            },
        )
        return figure

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        rest = self.table[self.table["head"].isna()]
        maps = {}
        for kind in self.kinds:
            layers, rows = self.grid(kind)
            values = [[round(value, 6) for value in row] for row in rows]
            maps[kind] = {"layers": layers, "values": values}
        return (
            Section(
                kind="logits",
                title=self.title,
                lead=(
                    f"Divided is the {self.of}. Blue heads say the token, orange ones speak "
                    "against it; all parts together are the model’s own number. It is what each "
                    "says by itself, not what later layers make of it: for that, switch it off."
                ),
                state={
                    "of": self.of,
                    "logit": round(float(self.table.attrs["logit"]), 6),
                    "maps": maps,
                    "rest": [
                        [name, round(value, 6)]
                        for name, value in zip(
                            rest["component"], rest["contribution"].tolist(), strict=True
                        )
                    ],
                    "scale": themed(DIVERGING),
                },
            ),
        )

    def __repr__(self) -> str:
        return f"<LogitView: {self.of}, {len(self.table)} parts>"


def logit_view(table: pd.DataFrame) -> LogitView:
    """Build a map and a list of what each head, bias and feed-forward layer adds to a logit.

    Args:
        table: the unchanged table from ``ix.direct_logit_attribution``.

    Raises:
        SelectionError: the table is a different one.

    Example:
        >>> found = direct_logit_attribution(model, text, token=" it")     # doctest: +SKIP
        >>> logit_view(found).save("logit.html")                          # doctest: +SKIP
    """
    missing = [name for name in _COLUMNS_LOGITS if name not in table]
    missing += [name for name in _ATTRIBUTES if name not in table.attrs]
    if missing or not len(table):
        raise SelectionError(
            "Expected the table of ix.direct_logit_attribution as it came, with its `attrs`, but "
            f"{', '.join(missing) or 'every row'} is missing. Filter a copy, and give the whole."
        )
    return LogitView(table)
