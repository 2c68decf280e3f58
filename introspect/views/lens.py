"""The lens view: LM head readings of every token's hidden state after every layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from introspect.calls import checked_call, checked_result
from introspect.errors import SelectionError
from introspect.page import Section
from introspect.text import counted, percent, shortened, signed, visible
from introspect.views.base import Drawing, plotly_text
from introspect.views.palette import DIVERGING, INK, PAPER, SEQUENTIAL, scale_partners
from introspect.views.pictures import (
    LETTERS,
    Picture,
    Ranking,
    color_bar,
    head_map,
    names_axis,
    paper_layout,
    picture_section,
)

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_COLUMNS = ("layer", "position", "token", "rank", "predicted", "probability")
_CELL = (84, 30)
_LONGEST_LABEL = 11
# The ink of labels by probability: on cells between, black is read best on a light page and on a
# dark one.
_BLACK = "#000000"
_INKS = ((INK, -math.inf, 0.37), (_BLACK, 0.37, 0.57), (PAPER, 0.57, math.inf))


@checked_result
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

        words, chances = self._grid("predicted"), self._grid("probability")
        drawn = [
            go.Heatmap(
                z=[[round(cell[0], 6) for cell in line] for line in chances],
                zmin=0,
                zmax=1,
                colorscale=SEQUENTIAL,
                customdata=[
                    [_cell_name(layer, place) for place in range(len(self.tokens))]
                    for layer in self.layers
                ],
                hovertext=[
                    [self._words(row, place, words, chances) for place in range(len(self.tokens))]
                    for row in range(len(self.layers))
                ],
                hoverinfo="text",
                colorbar=color_bar("probability"),
                xgap=1,
                ygap=1,
            ),
            *(go.Scatter(**self._labels(*ink)) for ink in _INKS),
        ]
        return go.Figure(
            drawn,
            paper_layout(
                self.title,
                width=self._width,
                height=_CELL[1] * len(self.layers) + 190,
                margin={"l": 100, "r": 20, "t": 60, "b": 130},
                xaxis=_names([_short(token) for token in self.tokens], "read at"),
                yaxis=_names([_layer_name(layer) for layer in self.layers], "after"),
            ),
        )

    def _labels(self, ink: str, least: float, most: float) -> dict[str, Any]:
        """Return the trace of the labels in cells whose probability is in a range."""
        words, chances = self._grid("predicted"), self._grid("probability")
        cells = [
            (place, row)
            for row in range(len(self.layers))
            for place in range(len(self.tokens))
            if least <= chances[row][place][0] < most
        ]
        return {
            "mode": "text",
            "x": [place for place, _ in cells],
            "y": [row for _, row in cells],
            "text": [_short(words[row][place][0]) for place, row in cells],
            "textfont": {"color": ink, "size": LETTERS},
            "hoverinfo": "skip",
        }

    @property
    def _width(self) -> int:
        return 130 + _CELL[0] * max(4, len(self.tokens))

    def _words(self, row: int, place: int, words: list[list[Any]], chances: list[list[Any]]) -> str:
        """Return what is said of a cell: the reading in a sentence, then all readings."""
        layer = _layer_name(self.layers[row]) if row else _layer_name(self.layers[1])
        readings = zip(words[row][place], chances[row][place], strict=True)
        first = f"“{shortened(visible(words[row][place][0]), 24)}”"
        token = shortened(visible(self.tokens[place]), 24)
        lines = [
            f"{'After' if row else 'Before'} {layer}, at “{token}” (token {place}): {first}, "
            f"{percent(chances[row][place][0])}",
            *(f"{i}. {shortened(visible(word), 40)}: {percent(chance)}"
              for i, (word, chance) in enumerate(readings, 1)),
        ]  # fmt: skip
        return "<br>".join(map(plotly_text, lines))

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        first = _cell_name(self.layers[-1], self.first)
        return (
            picture_section(
                "lens",
                self.title,
                "What the model’s own LM head reads from the hidden state of each token after each "
                "layer, the last one on top: the token that it predicts, stronger in color "
                "where that is more likely. Point at a cell for its further readings. A state "
                "that reads as a word need not be used as that word.",
                {"lens": Picture(self.figure, first=first, least=self._width)},
                file="lens-view",
                marks="Readings",
                partners={**scale_partners(SEQUENTIAL), _BLACK: _BLACK},
            ),
        )

    def __repr__(self) -> str:
        return f"<LensView: {len(self.layers)} layers of {len(self.tokens)} tokens>"


@checked_call
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
            f"{counted(len(table), 'row')} with "
            f"{', '.join(map(str, table.columns)) or 'no columns'}."
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


def _names(names: list[str], title: str) -> dict[str, Any]:
    return names_axis(names, title=title, range=[-0.5, len(names) - 0.5])


def _cell_name(layer: int, place: int) -> str:
    return f"{'E' if layer < 0 else f'L{layer}'}T{place}"


def _layer_name(layer: int) -> str:
    return "embeddings" if layer < 0 else f"L{layer}"


def _short(token: str) -> str:
    return plotly_text(shortened(visible(token), _LONGEST_LABEL))


_LOGIT_COLUMNS = ("component", "kind", "layer", "head", "contribution")
_ATTRIBUTES = ("logit", "token", "against", "position", "at")
_MOST = 12


@checked_result
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
        other = given["against"]
        against = " − mean of all logits" if other is None else f" − logit of {visible(other)}"
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
        return self._figure(self.kinds[0])

    def _figure(self, kind: str) -> Figure:
        layers, rows = self.grid(kind)
        most = max((abs(value) for row in rows for value in row), default=0) or 1.0
        total = signed(float(self.table.attrs["logit"]))
        return head_map(
            [[round(value, 6) for value in row] for row in rows],
            layers,
            [[f"{signed(value)} logits of {total} in all" for value in row] for row in rows],
            title=self.of,
            limits=(-most, most),
            scale=DIVERGING,
            bar=color_bar("logits"),
        )

    def _ranking(self, kind: str) -> list[tuple[str, float]]:
        """Return the heads of a kind and all parts that are no head, the largest first."""
        parts = self.table[(self.table["kind"] == kind) | self.table["head"].isna()]
        heads_first = parts.loc[parts["head"].isna().sort_values(kind="stable").index]
        pairs = heads_first[["component", "contribution"]].itertuples(index=False, name=None)
        return sorted(pairs, key=lambda pair: -abs(pair[1]))

    def _picture(self, kind: str) -> Picture:
        ranked = self._ranking(kind)
        heads = set(self._heads["component"])
        return Picture(
            self._figure(kind),
            label=kind,
            first=next((name for name, _ in ranked if name in heads), ""),
            ranking=Ranking(
                ("part", "adds"),
                [(name, signed(value)) for name, value in ranked[:_MOST]],
                caption="The parts that add or take most",
                foot=("all parts, the model’s own number", signed(self.table.attrs["logit"])),
            ),
        )

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        return (
            picture_section(
                "logits",
                self.title,
                f"Divided is the {self.of}. Blue heads predict the token, orange ones speak "
                "against it; all parts together are the model’s own number. It is what each "
                "adds by itself, not what later layers make of it: for that, ablate it.",
                {kind: self._picture(kind) for kind in self.kinds},
                file="logit-view",
                control=("kind", "Attention"),
                partners=scale_partners(DIVERGING),
            ),
        )

    def __repr__(self) -> str:
        return f"<LogitView: {self.of}, {len(self.table)} parts>"


@checked_call
def logit_view(table: pd.DataFrame) -> LogitView:
    """Build a map and a list of what each head, bias and feed-forward layer adds to a logit.

    Args:
        table: the unchanged table from ``ix.direct_logit_attribution``.

    Raises:
        SelectionError: the table is a different one.

    Example:
        >>> table = direct_logit_attribution(model, text, token=" it")     # doctest: +SKIP
        >>> logit_view(table).save("logit.html")                          # doctest: +SKIP
    """
    missing = [name for name in _LOGIT_COLUMNS if name not in table]
    missing += [name for name in _ATTRIBUTES if name not in table.attrs]
    if missing or not len(table):
        raise SelectionError(
            "Expected the table of ix.direct_logit_attribution as it came, with its `attrs`, but "
            f"{', '.join(missing) or 'every row'} is missing. Filter a copy, and give the whole."
        )
    return LogitView(table)
