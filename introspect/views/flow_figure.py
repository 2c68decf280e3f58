"""The static figure of the flow view: nodes as dots, edges as lines as wide as what they carry."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from introspect.records import AttentionRecord
from introspect.text import shortened, visible, whole
from introspect.views.base import plotly_text
from introspect.views.heatmap import token_labels
from introspect.views.palette import ACCENT, EDGE, INK, MUTED

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: For each time (before the first layer, and after each) a word and its probability for each token.
Readings = Sequence[Sequence[tuple[str, float]]]

# Sizes in pixels.
_ROW, _COLUMN, _READ_COLUMN, _LABEL_ROOM, _SHORTEST = 26, 92, 120, 150, 480
_LEAST_WIDTH, _MOST_WIDTH, _LEAST_DOT, _MOST_DOT = 0.7, 9.0, 3.0, 13.0
_MOST_ROOM = 4_600
# Lines are drawn in groups of about one width each, which keeps a picture of thousands small.
_WIDTHS = 12
_LONGEST_READING = 14
#: Of more tokens, those that no drawn path touches are put together.
MOST_ROWS = 40


def flow_figure(
    record: AttentionRecord,
    edges: pd.DataFrame,
    *,
    title: str,
    ends: Collection[int],
    readings: Readings = (),
) -> Figure:
    """Build the figure of some edges.

    Args:
        record: the attention they are of.
        edges: ``layer``, ``query``, ``key`` and ``amount``, from 0 to 1.
        title: what is drawn, in words, escaped for Plotly.
        ends: the tokens after the last layer that are followed.
        readings: what is read at each node, if anything.
    """
    import plotly.graph_objects as go

    touched = {*edges["query"], *edges["key"], *ends}
    rows, names = _rows(record, touched)
    # Of many layers each has less room, so that the picture can be printed.
    column = min(_READ_COLUMN if readings else _COLUMN, _MOST_ROOM // record.num_layers)
    figure = go.Figure([*_lines(record, edges, rows), _dots(record, edges, ends, rows)])
    if readings:
        figure.add_trace(_words(record, edges, ends, rows, readings))
    last = max(rows.values())
    figure.update_layout(
        template="plotly_white",
        title={"text": title, "x": 0, "xref": "paper"},
        width=_LABEL_ROOM + 60 + max(record.num_layers * column, _SHORTEST),
        height=130 + max((last + 1) * _ROW, 80),
        margin={"l": _LABEL_ROOM, "r": 60, "t": 100, "b": 30},
        font={"color": INK},
        showlegend=False,
        xaxis=_axis(
            range(record.num_layers + 1),
            ["input", *(f"L{layer}" for layer in record.layers)],
            [-0.25, record.num_layers + 0.25],
            side="top",
        ),
        yaxis=_axis(list(names), list(names.values()), [last + 0.6, -0.6], side="left"),
    )
    return figure


def _axis(
    places: Iterable[float], names: Sequence[str], ends: Sequence[float], *, side: str
) -> dict[str, Any]:
    return {
        "tickvals": list(places),
        "ticktext": list(names),
        "range": list(ends),
        "side": side,
        "tickangle": 0,
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
    }


def _rows(
    record: AttentionRecord, touched: Collection[int]
) -> tuple[dict[int, int], dict[int, str]]:
    """Return the row of each token, and the name of each row; of a long text some share one."""
    labels = token_labels(record.keys)
    if len(labels) <= MOST_ROWS:
        return {token: token for token in range(len(labels))}, dict(enumerate(labels))
    rows: dict[int, int] = {}
    names: dict[int, str] = {}
    folded = 0
    for token, label in enumerate(labels):
        if token in touched:
            folded = 0
            rows[token] = len(names)
            names[rows[token]] = label
            continue
        folded += 1
        rows[token] = len(names) - 1 if folded > 1 else len(names)
        names[rows[token]] = f"… {whole(folded)} {'token' if folded == 1 else 'tokens'} …"
    return rows, names


def _lines(record: AttentionRecord, edges: pd.DataFrame, rows: dict[int, int]) -> list[Any]:
    """Return the edges as lines, the widest last; a token's own state is gray."""
    import plotly.graph_objects as go

    columns = {layer: number for number, layer in enumerate(record.layers)}
    groups: dict[tuple[int, bool], tuple[list[float | None], list[float | None]]] = {}
    for layer, query, key, amount in edges[["layer", "query", "key", "amount"]].itertuples(
        index=False
    ):
        group = groups.setdefault((round(_WIDTHS * math.sqrt(amount)), query == key), ([], []))
        group[0].extend((columns[layer], columns[layer] + 1, None))
        group[1].extend((rows[key], rows[query], None))
    return [
        go.Scatter(
            x=x,
            y=y,
            mode="lines",
            line={
                "width": _LEAST_WIDTH + (_MOST_WIDTH - _LEAST_WIDTH) * step / _WIDTHS,
                "color": EDGE if is_own else ACCENT,
            },
            opacity=1.0,
            hoverinfo="skip",
        )
        for (step, is_own), (x, y) in sorted(groups.items())
    ]


def _nodes(
    record: AttentionRecord, edges: pd.DataFrame, ends: Collection[int]
) -> dict[tuple[int, int], float]:
    """Return what reaches each drawn node, by its column and token."""
    columns = {layer: number for number, layer in enumerate(record.layers)}
    amounts = dict.fromkeys(((record.num_layers, token) for token in ends), 1.0)
    for layer, key, amount in edges[["layer", "key", "amount"]].itertuples(index=False):
        node = (columns[layer], key)
        amounts[node] = min(amounts.get(node, 0.0) + amount, 1.0)
    return amounts


def _dots(
    record: AttentionRecord, edges: pd.DataFrame, ends: Collection[int], rows: dict[int, int]
) -> Any:
    import plotly.graph_objects as go

    nodes = _nodes(record, edges, ends)
    labels = [plotly_text(shortened(visible(token))) for token in record.keys.tokens]
    times = ["input", *(f"after layer {layer}" for layer in record.layers)]
    return go.Scatter(
        x=[column for column, _ in nodes],
        y=[rows[token] for _, token in nodes],
        mode="markers",
        marker={
            "size": [
                _LEAST_DOT + (_MOST_DOT - _LEAST_DOT) * math.sqrt(amount)
                for amount in nodes.values()
            ],
            "color": INK,
        },
        hovertext=[
            f"{labels[token]}, {times[column]}: {amount:.3f}"
            for (column, token), amount in nodes.items()
        ],
        hoverinfo="text",
    )


def _words(
    record: AttentionRecord,
    edges: pd.DataFrame,
    ends: Collection[int],
    rows: dict[int, int],
    readings: Readings,
) -> Any:
    import plotly.graph_objects as go

    nodes = _nodes(record, edges, ends)
    return go.Scatter(
        x=[column for column, _ in nodes],
        y=[rows[token] - 0.36 for _, token in nodes],
        mode="text",
        text=[
            plotly_text(shortened(readings[column][token][0], _LONGEST_READING))
            for column, token in nodes
        ],
        textfont={"size": 11, "color": MUTED},
        hoverinfo="skip",
    )
