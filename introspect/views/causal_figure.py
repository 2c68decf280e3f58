"""The causal view as a static figure for a paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from introspect.records import Head
from introspect.text import p_cell, percent, quantity, whole
from introspect.views.base import known, layers_of, plotly_text
from introspect.views.causal_table import FOUND
from introspect.views.palette import EDGE, LINE, MUTED, RIVAL, layer_colors, mixed
from introspect.views.pictures import LETTERS, paper_layout
from introspect.views.plotly_numbers import NUMBER_TICKS, SHARE_TICKS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Sizes in pixels. The area is the smallest plot: labels that fit there fit in a larger one.
_AREA = (520, 330)
_NAME = (50, 15)
_POINT = 8
_GAP = 7

# Plotly's names, best first: directly above and below a point is its interval.
_PLACES = {
    "middle right": (1, 0),
    "middle left": (-1, 0),
    "top right": (1, 1),
    "top left": (-1, 1),
    "bottom right": (1, -1),
    "bottom left": (-1, -1),
    "top center": (0, 1),
    "bottom center": (0, -1),
}
_Box = tuple[float, float, float, float]


def label_places(
    points: Sequence[tuple[float, float]],
    named: Sequence[int],
    ranges: tuple[Sequence[float], Sequence[float]],
) -> dict[int, str]:
    """Place each label in turn where it covers least.

    Args:
        points: the x and y of all points; NaN for none.
        named: the indices of the labeled points, the most important first.
        ranges: the limits of both axes.

    Returns:
        Plotly's text position for the index of each labeled point.

    Example:
        >>> label_places([(0.5, 0.5), (0.58, 0.5)], [0, 1], ([0, 1], [0, 1]))
        {0: 'middle left', 1: 'middle right'}
    """
    where = [_pixels(point, ranges) for point in points]
    marks = [_around(x, y, _POINT, _POINT) for x, y in where if not math.isnan(x + y)]
    taken: list[_Box] = []
    places = {}
    for number in named:
        boxes = {place: _name_box(where[number], side) for place, side in _PLACES.items()}
        # Ties go to the first position, since a dictionary keeps its order.
        best = min(boxes, key=lambda place: _badness(boxes[place], marks, taken))
        taken.append(boxes[best])
        places[number] = best
    return places


def _pixels(
    point: tuple[float, float], ranges: tuple[Sequence[float], Sequence[float]]
) -> tuple[float, float]:
    x, y = (
        (value - low) / (high - low) * size
        for value, (low, high), size in zip(point, ranges, _AREA, strict=True)
    )
    return x, y


def _around(x: float, y: float, width: float, height: float) -> _Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _name_box(point: tuple[float, float], side: tuple[int, int]) -> _Box:
    width, height = _NAME
    x = point[0] + side[0] * (width / 2 + _GAP)
    y = point[1] + side[1] * (height / 2 + (_GAP if side[0] == 0 else 0))
    return _around(x, y, width, height)


def _badness(box: _Box, marks: Sequence[_Box], taken: Sequence[_Box]) -> float:
    """Score a label: overlapping labels weigh most, then lying outside, then covering points."""
    outside = box[0] < 0 or box[1] < 0 or box[2] > _AREA[0] or box[3] > _AREA[1]
    over_names = sum(_meet(box, other) for other in taken)
    return 4 * over_names + 3 * outside + sum(_meet(box, mark) for mark in marks)


def _meet(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


#: What the x-axis can show.
ACROSS = {
    "accuracy": "how often the pronoun attends most to the antecedent",
    "margin": "attention margin of the antecedent over the best distractor",
}
#: The labels of the quadrants, counterclockwise from the upper right.
QUADRANTS = (
    "helps, attends to it",
    "helps, attends elsewhere",
    "hinders, attends elsewhere",
    "hinders, attends to it",
)
_LABELS = 15
# Padding of an axis beyond its numbers, and the least room on each side of its dividing line.
_BEYOND = 0.08
_LEAST_SIDE = 0.16
_LEAST_ACROSS = 0.1


def middle_of(table: pd.DataFrame, across: str) -> float:
    """Return the x that separates heads that attend to the antecedent from those that do not."""
    return float(table.attrs["chance"]) if across == "accuracy" else 0.0


def across_range(values: Sequence[float] | pd.Series, middle: float) -> list[float]:
    """Return the x-range from the least to the greatest value, with room around the middle."""
    there = [float(value) for value in values if not math.isnan(value)] or [middle]
    side = max(_LEAST_ACROSS, *(_LEAST_SIDE * abs(value - middle) for value in there))
    low, high = min(*there, middle - side), max(*there, middle + side)
    room = _BEYOND * (high - low)
    return [low - room, high + room]


def effect_range(table: pd.DataFrame) -> list[float]:
    """Return the y-range of effects, intervals and controls, with room above and below zero."""
    columns = table[["effect", "ci_low", "ci_high", "control"]].to_numpy(dtype=float).ravel()
    there = [value for value in columns if not math.isnan(value)]
    side = max(abs(value) for value in there) or 1.0
    low, high = min(*there, -_LEAST_SIDE * side), max(*there, _LEAST_SIDE * side)
    room = _BEYOND * (high - low)
    return [low - room, high + room]


def is_significant(row: Any) -> bool:
    """Return whether a head was found to have an effect."""
    return row.verdict in FOUND


def unit_of(table: pd.DataFrame) -> str:
    """Return the unit of the effects."""
    return str(table.attrs["unit"])


def labels_of(
    table: pd.DataFrame, across: str, ranges: tuple[Sequence[float], Sequence[float]]
) -> dict[int, str]:
    """Return the label position of each significant head, by the index of its row."""
    points = list(zip(table[f"attention_{across}"], table["effect"], strict=True))
    significant = [
        place
        for place, row in enumerate(table.itertuples())
        if is_significant(row) and not math.isnan(points[place][0])
    ]
    largest = sorted(significant, key=lambda place: -abs(points[place][1]))[:_LABELS]
    return label_places(points, largest, ranges)


# Sizes in pixels.
_SIZE = (900, 600)
_MARGIN = {"l": 80, "r": 30, "t": 90, "b": 100}


def causal_figure(
    table: pd.DataFrame, across: str, titles: tuple[str, str], effect_title: str
) -> Figure:
    """Build a figure with one point per head, its interval and the control of its layer.

    Args:
        table: one row per head.
        across: ``accuracy`` or ``margin``.
        titles: the title and the line below it.
        effect_title: the title of the y-axis.
    """
    import plotly.graph_objects as go

    middle = middle_of(table, across)
    x_range, y_range = across_range(table[f"attention_{across}"], middle), effect_range(table)
    title, line = titles
    divided = f"chance: {percent(middle, 0)}" if across == "accuracy" else "0: no preference"
    figure = go.Figure(
        [
            *_legend_traces(table),
            _control_trace(table, across),
            *_layer_traces(table, across, (x_range, y_range)),
        ],
        paper_layout(
            title,
            width=_SIZE[0],
            height=_SIZE[1],
            margin=_MARGIN,
            showlegend=True,
            legend={
                "title": {"text": "filled: supports or opposes ", "font": {"size": LETTERS}},
                "orientation": "h",
                "yref": "container",
                "y": 0,
                "yanchor": "bottom",
            },
            xaxis=_axis(f"{ACROSS[across]} ({divided})", x_range),
            yaxis=_axis(effect_title, y_range),
            shapes=[_divider("x", middle), _divider("y", 0.0)],
            annotations=_corner_words() + (_stamp() if table.attrs["is_surrogate"] else []),
        ),
    )
    figure.layout.title.text += f"<br><sub>{plotly_text(line)}</sub>"
    if across == "accuracy":
        figure.update_xaxes(SHARE_TICKS)
    return figure


def _layer_traces(
    table: pd.DataFrame, across: str, ranges: tuple[Sequence[float], Sequence[float]]
) -> list[Any]:
    layers, _ = layers_of(table)
    colors = dict(zip(layers, layer_colors(len(layers)), strict=True))
    places = labels_of(table, across, ranges)
    rows = list(enumerate(table.itertuples()))
    return [
        _heads_trace(
            [(row, places.get(i)) for i, row in rows if row.layer == layer],
            table.attrs,
            across,
            colors[layer],
        )
        for layer in layers
    ]


def _heads_trace(
    rows: list[tuple[Any, str | None]], attrs: dict[Any, Any], across: str, color: str
) -> Any:
    """Build the points of one layer's heads; those with a place for it have their name beside."""
    import plotly.graph_objects as go

    names = [str(Head(row.layer, row.head)) for row, _ in rows]
    return go.Scatter(
        name=f"layer {rows[0][0].layer}",
        showlegend=False,
        mode="markers+text",
        x=[known(getattr(row, f"attention_{across}")) for row, _ in rows],
        y=[known(row.effect) for row, _ in rows],
        text=[name if place else "" for name, (_, place) in zip(names, rows, strict=True)],
        textposition=[place or "top center" for _, place in rows],
        textfont={"color": color, "size": LETTERS},
        marker={
            "size": 10,
            "color": color,
            "symbol": ["circle" if is_significant(r) else "circle-open" for r, _ in rows],
            "line": {"width": 1.5},
        },
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [known(row.ci_high - row.effect) for row, _ in rows],
            "arrayminus": [known(row.effect - row.ci_low) for row, _ in rows],
            "color": mixed(color, 0.6),
            "thickness": 1.2,
            "width": 0,
        },
        customdata=names,
        hovertext=[effect_words(row, attrs) for row, _ in rows],
        hoverinfo="text",
    )


def _legend_traces(table: pd.DataFrame) -> list[Any]:
    """Return a filled legend marker for each layer, whether or not its first head is filled."""
    import plotly.graph_objects as go

    layers, _ = layers_of(table)
    return [
        go.Scatter(
            name=f"layer {layer}",
            x=[None],
            y=[None],
            mode="markers",
            marker={"size": 10, "color": color},
        )
        for layer, color in zip(layers, layer_colors(len(layers)), strict=True)
    ]


def _control_trace(table: pd.DataFrame, across: str) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        name="other heads of the same layer",
        mode="markers",
        x=[known(value) for value in table[f"attention_{across}"]],
        y=[known(value) for value in table["control"]],
        marker={
            "symbol": "line-ew-open",
            "size": 14,
            "color": MUTED,
            "line": {"width": 1.5, "color": MUTED},
        },
        hoverinfo="skip",
    )


def effect_words(row: Any, attrs: dict[Any, Any]) -> str:
    """Return what is said of a head: a line with the verdict, then a line for each number."""
    unit, of = attrs["unit"], " (surrogate)" if attrs["is_surrogate"] else ""
    on = " on a surrogate" if of else ""
    lines = [
        f"{Head(row.layer, row.head)}: effect{on} {quantity(row.effect)} {unit}; {verdict(row)}",
        f"Effect{of}: {quantity(row.effect)} {unit}",
        f"95% CI of the effect: {_range(row.ci_low, row.ci_high)}",
        f"Other heads of the same layer: {quantity(row.control)}",
        f"Difference: {quantity(row.difference)}",
        f"95% CI of the difference: {_range(row.difference_low, row.difference_high)}",
        f"Adjusted p: {p_cell(row.p_adjusted)}",
        f"Right with it{of}: {percent(row.accuracy)}",
        f"Right without it{of}: {percent(row.accuracy_without)}",
        f"Cases: {whole(row.n)}",
        f"Attends most to the antecedent: {percent(row.attention_accuracy)}",
        f"Its adjusted p: {p_cell(row.attention_p_adjusted)}",
        f"Antecedent to best distractor, median: {quantity(row.attention_ratio)}",
        f"Attention to the antecedent: {quantity(row.attention_weight)}",
        f"Attention margin: {quantity(row.attention_margin)}",
    ]
    return "<br>".join(map(plotly_text, lines))


def verdict(row: Any) -> str:
    """Return what a head does and what it attends to, as far as the tests tell."""
    if math.isnan(row.p_adjusted):
        return "too few groups of cases for a verdict"
    return verdict_words(row.verdict, attends=bool(row.attends))


def verdict_words(effect: str, *, attends: bool) -> str:
    """Return a verdict on the effect of a head, and on what it attends to, in a few words.

    Example:
        >>> verdict_words("supports", attends=True), verdict_words("no evidence", attends=False)
        ('supports; attends', 'no evidence of an effect, or that it attends')
    """
    if effect == "no verdict":
        return "no verdict: the model is not above chance" + ("; attends" if attends else "")
    if effect == "no evidence":
        if attends:
            return "attends; no evidence of an effect"
        return "no evidence of an effect, or that it attends"
    return f"{effect}; {'attends' if attends else 'no evidence that it attends'}"


def _range(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{quantity(low)} to {quantity(high)}"


def _axis(title: str, ends: Sequence[float]) -> dict[str, Any]:
    return {
        "title": {"text": title, "font": {"size": LETTERS}, "standoff": 10},
        "range": list(ends),
        **NUMBER_TICKS,
        "zeroline": False,
        "gridcolor": LINE,
        "showline": True,
        "mirror": True,
        "linecolor": EDGE,
    }


def _divider(axis: str, at: float) -> dict[str, Any]:
    other = "y" if axis == "x" else "x"
    return {
        "type": "line",
        f"{axis}0": at,
        f"{axis}1": at,
        f"{other}ref": "paper",
        f"{other}0": 0,
        f"{other}1": 1,
        "layer": "below",
        "line": {"color": EDGE, "width": 1.5},
    }


def _words_at(text: str, x: float, y: float, color: str, **options: Any) -> dict[str, Any]:
    return {
        "text": text,
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "showarrow": False,
        "font": {"color": color, "size": 12},
    } | options


def _corner_words() -> list[dict[str, Any]]:
    corners = ((1, 1), (0, 1), (0, 0), (1, 0))
    return [
        _words_at(
            f"<i>{words}</i>",
            x,
            y,
            MUTED,
            xanchor="right" if x else "left",
            yanchor="top" if y else "bottom",
        )
        for words, (x, y) in zip(QUADRANTS, corners, strict=True)
    ]


def _stamp() -> list[dict[str, Any]]:
    words = "<b>surrogate: not the model’s answer</b>"
    return [_words_at(words, 0.5, 1, RIVAL, yanchor="bottom")]
