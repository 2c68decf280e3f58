"""The compare view as a plain Plotly figure of three maps side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from introspect.text import shortened, visible_text
from introspect.views.base import plotly_text
from introspect.views.heatmap import axis_of, tick_labels
from introspect.views.palette import DIVERGING, INK, SEQUENTIAL

__all__ = ["LONGEST_NAME", "maps_beside"]

#: The most characters of a record's name that fit in a title.
LONGEST_NAME = 16

# Sizes in pixels.
_CELL, _SHORTEST, _LONGEST = 22, 180, 620
_LABEL_ROOM, _GAP = 110, 130


def maps_beside(
    patterns: Sequence[torch.Tensor],
    titles: Sequence[str],
    names: Mapping[str, Sequence[Sequence[str]]],
    labels: tuple[str, str],
) -> Any:
    """Build one figure with the maps of A, B and B − A.

    Args:
        patterns: the weights of A, those of B, and the difference, ``(query_len, key_len)`` each.
        titles: the title above each map.
        names: for ``queries`` and ``keys``, the token labels of each map.
        labels: the names of A and B.
    """
    import plotly.graph_objects as go

    rows, columns = patterns[0].shape
    width, height = _side(columns), _side(rows)
    step = width + _GAP
    whole = 2 * step + width
    figure = go.Figure()
    for place, (pattern, title) in enumerate(zip(patterns, titles, strict=True)):
        number = str(place + 1) if place else ""
        figure.add_trace(_map(pattern, place, number, labels))
        domain = [place * step / whole, (place * step + width) / whole]
        keys, queries = (tick_labels(names[side][place]) for side in ("keys", "queries"))
        figure.update_layout(
            {
                f"xaxis{number}": axis_of(keys, title=plotly_text(title), is_key=True)
                | {"domain": domain, "anchor": f"y{number}"},
                f"yaxis{number}": axis_of(queries, title="", is_key=False)
                | {"anchor": f"x{number}"},
            }
        )
    figure.update_layout(
        template="plotly_white",
        width=whole + _LABEL_ROOM + 200,
        height=height + _LABEL_ROOM + 80,
        margin={"l": _LABEL_ROOM, "r": 200, "t": _LABEL_ROOM + 60, "b": 20},
        font={"color": INK},
    )
    return figure


def _map(pattern: torch.Tensor, place: int, number: str, labels: tuple[str, str]) -> Any:
    import plotly.graph_objects as go

    is_difference = place == 2
    return go.Heatmap(
        z=pattern.tolist(),
        zmin=-1 if is_difference else 0,
        zmax=1,
        colorscale=DIVERGING if is_difference else SEQUENTIAL,
        showscale=place > 0,
        colorbar=_colourbar(is_difference, labels),
        hovertemplate="%{z:.4f}<extra></extra>",
        xaxis=f"x{number}",
        yaxis=f"y{number}",
    )


def _side(cells: int) -> int:
    return min(max(cells * _CELL, _SHORTEST), _LONGEST)


def _colourbar(is_difference: bool, labels: tuple[str, str]) -> dict[str, Any]:
    bar: dict[str, Any] = {"thickness": 12, "outlinewidth": 0}
    if is_difference:
        a, b = (plotly_text(shortened(visible_text(label), LONGEST_NAME)) for label in labels)
        return bar | {"title": f"{b} − {a}", "x": 1.1}
    return bar | {"title": "weight", "x": 1.01}
