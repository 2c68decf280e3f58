"""Pictures: figures whose only state is the theme, drawn here once for Python and for the page.

A picture is a Plotly figure in the light theme's colors. Its traces name their marks (points, or
cells of a map) in ``customdata`` and describe them in ``hovertext``, one fact a line: the page puts
a button over each mark, which says these words, and recolors the figure for the dark theme.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from introspect.page import Section
from introspect.views.base import plotly_text
from introspect.views.palette import INK, LINE, PAPER, ColorScale, dark_color
from introspect.views.plotly_numbers import NUMBER_TICKS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Grid = Sequence[Sequence[Any]]

#: Adjusted p-values below this are significant.
SIGNIFICANT = 0.05
#: The size of letters in figures.
LETTERS = 13
# Sizes of a cell of a map of heads, in pixels.
_CELL = (50, 30)
_MOST_NAMES = 16
_COLOR = re.compile(r"#[0-9a-f]{6}|rgba\(\d+,\d+,\d+,[\d.]+\)")


@dataclass(frozen=True)
class Ranking:
    """A table below a picture.

    Args:
        columns: the names of the columns.
        rows: the cells as text, row by row.
        caption: its title; empty for none.
        foot: a last row that sums up; empty for none.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    foot: Sequence[str] = ()


@dataclass(frozen=True)
class Picture:
    """A figure with what the page says around it.

    Args:
        figure: the figure.
        label: what it is called where one of several is chosen.
        first: the name of the mark that is described first.
        note: a line above it.
        ranking: a table below it.
        least: the least width, in pixels, at which it can be read; the page scrolls below it.
    """

    figure: Figure
    label: str = ""
    first: str = ""
    note: str = ""
    ranking: Ranking | None = None
    least: int = 0


def picture_section(
    kind: str,
    title: str,
    lead: str,
    pictures: Mapping[str, Picture],
    *,
    file: str,
    marks: str = "Heads",
    control: tuple[str, str] = ("figure", "Figure"),
    first: str | None = None,
    partners: Mapping[str, str] | None = None,
) -> Section:
    """Build the section of a page that shows one picture of several.

    Args:
        kind: the kind of view.
        title: the heading of the section.
        lead: what the view shows.
        pictures: the pictures to choose from, by a short name.
        file: the name of the saved file, without its ending.
        marks: what the marks are together, for a screen reader.
        control: the name of the choice, and its label.
        first: the picture shown first; by default the first.
        partners: colors for a dark page besides ``palette.DARK``, by the light color.
    """
    figures = {name: figure_json(picture.figure) for name, picture in pictures.items()}
    return Section(
        kind=kind,
        title=title,
        lead=lead,
        script="drawn",
        state={
            "file": file,
            "marks": marks,
            "control": {"name": control[0], "label": control[1]},
            "first": first or next(iter(pictures)),
            "colors": recoloring(figures, partners),
            "pictures": [
                {
                    "name": name,
                    "figure": figures[name],
                    "label": picture.label,
                    "first": picture.first,
                    "note": picture.note,
                    "ranking": None if picture.ranking is None else vars(picture.ranking),
                    "least": picture.least,
                }
                for name, picture in pictures.items()
            ],
        },
    )


def figure_json(figure: Figure) -> dict[str, Any]:
    """Return the data and layout of a figure as JSON holds them: NaN is null."""
    parsed: dict[str, Any] = json.loads(figure.to_json(engine="json"))
    return {"data": parsed["data"], "layout": parsed["layout"]}


def recoloring(drawing: Any, partners: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the dark partner of every color in a drawing, by the light one.

    Args:
        drawing: figures as JSON.
        partners: partners besides ``palette.DARK``.

    Raises:
        KeyError: a color has no partner.
    """
    return {color: dark_color(color, partners or {}) for color in sorted(_colors(drawing))}


def _colors(drawing: Any) -> set[str]:
    if isinstance(drawing, str):
        return {drawing} if _COLOR.fullmatch(drawing) else set()
    if isinstance(drawing, dict):
        own = (value for key, value in drawing.items() if key not in _WORDS)
        return set().union(*map(_colors, own))
    return set().union(*map(_colors, drawing)) if isinstance(drawing, list) else set()


# Properties that hold words, which may look like colors.
_WORDS = frozenset({"text", "hovertext", "customdata", "ticktext", "name"})


# --- what figures have in common ------------------------------------------------------------------


def paper_layout(title: str, **layout: Any) -> dict[str, Any]:
    """Return the layout of a figure on the page's paper, with a title above its left edge."""
    heading = {"text": plotly_text(title), "font": {"size": 15}, "x": 0, "xref": "paper"}
    return {
        "template": "none",
        "title": heading | {"y": 0.98, "yanchor": "top"},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "font": {"color": INK, "size": LETTERS},
        "showlegend": False,
    } | layout


def names_axis(names: Sequence[str], **options: Any) -> dict[str, Any]:
    """Return an axis with nothing but names, at 0, 1, …; of very many only some."""
    every = -(-len(names) // _MOST_NAMES) if options.pop("thin", False) else 1
    title = options.pop("title", "")
    return {
        "tickvals": list(range(0, len(names), every)),
        "ticktext": list(names[::every]),
        "tickangle": 0,
        "tickcolor": LINE,
        "showgrid": False,
        "zeroline": False,
        "showline": True,
        "mirror": True,
        "linecolor": LINE,
        "title": {"text": title, "font": {"size": LETTERS}, "standoff": 10},
    } | options


def color_bar(title: str, **options: Any) -> dict[str, Any]:
    """Return the scale of the colors, below a figure on its left."""
    words = {"text": plotly_text(title), "font": {"size": LETTERS}}
    below = {"yref": "container", "y": 0, "yanchor": "bottom", "ypad": 8}
    left = {"x": 0, "xanchor": "left", "xpad": 0, "lenmode": "pixels", "len": 260}
    look = {"orientation": "h", "title": words, "thickness": 12, "outlinewidth": 0, "nticks": 5}
    return below | left | look | NUMBER_TICKS | options


def head_map(
    values: Sequence[Sequence[float | None]],
    layers: Sequence[int],
    words: Sequence[Sequence[str]],
    *,
    title: str,
    limits: tuple[float, float],
    scale: ColorScale,
    bar: Mapping[str, Any],
    framed: Sequence[tuple[int, int]] = (),
) -> Figure:
    """Draw a map of heads: layers from top to bottom, heads from left to right.

    Args:
        values: a number for each layer and head; ``None`` for none.
        layers: the layers' own numbers.
        words: what is said of each head.
        title: the title of the figure.
        limits: the numbers at the ends of the color scale.
        scale: the color scale.
        bar: of ``color_bar``.
        framed: row and head of each head to frame.
    """
    import plotly.graph_objects as go

    heads = len(values[0])
    names = [[f"L{layer}H{head}" for head in range(heads)] for layer in layers]
    width, height = _CELL
    head_names = [f"H{head}" for head in range(heads)]
    # The layout at once: to update one that is there takes eight times as long.
    return go.Figure(
        go.Heatmap(
            z=[list(line) for line in values],
            zmin=limits[0],
            zmax=limits[1],
            colorscale=scale,
            colorbar=dict(bar),
            customdata=names,
            hovertext=[
                [f"{name}: {plotly_text(text)}" for name, text in zip(line, texts, strict=True)]
                for line, texts in zip(names, words, strict=True)
            ],
            hoverinfo="text",
            xgap=2,
            ygap=2,
        ),
        paper_layout(
            title,
            width=100 + width * max(6, heads),
            height=150 + height * len(layers),
            margin={"l": 50, "r": 20, "t": 80, "b": 70},
            xaxis=names_axis(head_names, side="top", range=[-0.5, heads - 0.5], thin=True),
            yaxis=names_axis([f"L{layer}" for layer in layers], range=[len(layers) - 0.5, -0.5]),
            shapes=[_frame(row, head) for row, head in framed],
        ),
    )


def described(
    values: Mapping[str, Grid], words: Callable[[dict[str, Any]], str]
) -> list[list[str]]:
    """Return the words for each head, from its numbers by name."""

    def at(row: int, head: int) -> str:
        return words({name: grid[row][head] for name, grid in values.items()})

    first = next(iter(values.values()))
    return [[at(row, head) for head in range(len(line))] for row, line in enumerate(first)]


def significant(adjusted: Grid) -> list[tuple[int, int]]:
    """Return row and head of every adjusted p-value below 0.05."""
    return [
        (row, head)
        for row, line in enumerate(adjusted)
        for head, p in enumerate(line)
        if p is not None and not math.isnan(p) and p < SIGNIFICANT
    ]


def _frame(row: int, head: int) -> dict[str, Any]:
    ends = {"x0": head - 0.48, "x1": head + 0.48, "y0": row - 0.48, "y1": row + 0.48}
    return {"type": "rect", **ends, "line": {"color": INK, "width": 1.5}}
