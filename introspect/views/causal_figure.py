"""The causal view as a static figure for a paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from introspect.records import Head
from introspect.views.base import plotly_text
from introspect.views.causal_scales import (
    ACROSS,
    QUADRANTS,
    across_range,
    effect_range,
    is_significant,
    labels_of,
    middle_of,
    unit_of,
)
from introspect.views.head_tables import known, layers_of
from introspect.views.palette import INK, MUTED, RIVAL, layer_colours, mixed

__all__ = ["causal_figure"]

# Sizes in pixels.
_SIZE = (860, 560)
_MARGIN = {"l": 80, "r": 30, "t": 90, "b": 70}


def causal_figure(
    table: pd.DataFrame, across: str, titles: tuple[str, str], effect_title: str
) -> Any:
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
    traces = _layer_traces(table, across, (x_range, y_range))
    figure = go.Figure([*_legend_traces(table), _control_trace(table, across), *traces])
    title, line = map(plotly_text, titles)
    divided = f"chance: {middle:.0%}" if across == "accuracy" else "0: no preference"
    figure.update_layout(
        template="plotly_white",
        title={
            "text": f"{title}<br><sub>{line}</sub>",
            "x": 0,
            "xref": "paper",
            "y": 0.965,
            "yanchor": "top",
        },
        width=_SIZE[0],
        height=_SIZE[1],
        margin=_MARGIN,
        font={"color": INK, "size": 13},
        legend={"title": {"text": "filled: adjusted p < 0.05", "font": {"size": 13}}},
        xaxis=_axis(f"{ACROSS[across]} ({divided})", x_range),
        yaxis=_axis(effect_title, y_range),
        shapes=[_divider("x", middle), _divider("y", 0.0)],
        annotations=_corner_words() + (_surrogate_stamp() if table.attrs["is_surrogate"] else []),
    )
    if across == "accuracy":
        figure.update_xaxes(tickformat=".0%")
    return figure


def _layer_traces(
    table: pd.DataFrame,
    across: str,
    ranges: tuple[Sequence[float], Sequence[float]],
) -> list[Any]:
    import plotly.graph_objects as go

    layers, _ = layers_of(table)
    colours = layer_colours(len(layers))
    places = labels_of(table, across, ranges)
    where = list(table[f"attention_{across}"])
    traces = []
    for layer, colour in zip(layers, colours, strict=True):
        rows = [(i, row) for i, row in enumerate(table.itertuples()) if row.layer == layer]
        traces.append(
            go.Scatter(
                name=f"layer {layer}",
                showlegend=False,
                mode="markers+text",
                x=[where[i] for i, _ in rows],
                y=[row.effect for _, row in rows],
                text=[str(Head(row.layer, row.head)) if i in places else "" for i, row in rows],
                textposition=[places.get(i, "top center") for i, _ in rows],
                textfont={"color": colour},
                marker={
                    "size": 10,
                    "color": colour,
                    "symbol": ["circle" if is_significant(r) else "circle-open" for _, r in rows],
                    "line": {"width": 1.5},
                },
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [known(row.ci_high - row.effect) for _, row in rows],
                    "arrayminus": [known(row.effect - row.ci_low) for _, row in rows],
                    "color": mixed(colour, 0.6),
                    "thickness": 1.2,
                    "width": 0,
                },
                hovertext=[_hover(row, table) for _, row in rows],
                hoverinfo="text",
            )
        )
    return traces


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
            marker={"size": 10, "color": colour},
        )
        for layer, colour in zip(layers, layer_colours(len(layers)), strict=True)
    ]


def _control_trace(table: pd.DataFrame, across: str) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        name="other heads of its layer",
        mode="markers",
        x=list(table[f"attention_{across}"]),
        y=list(table["control"]),
        marker={
            "symbol": "line-ew-open",
            "size": 14,
            "color": MUTED,
            "line": {"width": 1.5, "color": MUTED},
        },
        hoverinfo="skip",
    )


def _hover(row: Any, table: pd.DataFrame) -> str:
    unit = unit_of(table)
    effect = _with_range(row.effect, row.ci_low, row.ci_high)
    against = _with_range(row.difference, row.difference_low, row.difference_high)
    lines = [
        f"<b>{Head(row.layer, row.head)}</b>",
        f"effect {effect} {unit}{' (surrogate)' if table.attrs['is_surrogate'] else ''}",
        f"other heads of its layer {_number(row.control)}, difference {against}",
        f"adjusted p {_p(row.p_adjusted)}",
        f"right {row.accuracy:.1%}, without the head {row.accuracy_without:.1%} (n = {row.n})",
        f"attends most to the antecedent in {_percent(row.attention_accuracy)}, gives it "
        f"{_number(row.attention_weight)}, margin {_number(row.attention_margin)}",
    ]
    return "<br>".join(lines)


def _with_range(value: float, low: float, high: float) -> str:
    ends = "" if math.isnan(low) else f" ({_number(low)} to {_number(high)})"
    return f"{_number(value)}{ends}"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1%}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _axis(title: str, ends: Sequence[float]) -> dict[str, Any]:
    return {
        "title": {"text": title, "font": {"size": 13}},
        "range": list(ends),
        "exponentformat": "power",
        "zeroline": False,
        "showline": True,
        "mirror": True,
        "linecolor": MUTED,
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
        "line": {"color": MUTED, "width": 1},
    }


def _corner_words() -> list[dict[str, Any]]:
    corners = ((1, 1), (0, 1), (0, 0), (1, 0))
    return [
        {
            "text": f"<i>{words}</i>",
            "x": x,
            "y": y,
            "xref": "paper",
            "yref": "paper",
            "xanchor": "right" if x else "left",
            "yanchor": "top" if y else "bottom",
            "showarrow": False,
            "font": {"color": MUTED, "size": 12},
        }
        for words, (x, y) in zip(QUADRANTS, corners, strict=True)
    ]


def _surrogate_stamp() -> list[dict[str, Any]]:
    stamp = {
        "text": "<b>surrogate: not the model’s answer</b>",
        "x": 0.5,
        "y": 1,
        "xref": "paper",
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"color": RIVAL, "size": 13},
    }
    return [stamp]
