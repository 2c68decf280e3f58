"""The forest plot: heads and baselines on one scale, each with its interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from introspect.page import Section
from introspect.studies.coreference import EVERY_DIRECTION, LAST_POSITION, Scores
from introspect.text import counted, percent, percent_interval
from introspect.views.base import plotly_text
from introspect.views.palette import ACCENT, INK, LINE, MUTED
from introspect.views.pictures import (
    LETTERS,
    Picture,
    names_axis,
    paper_layout,
    picture_section,
)
from introspect.views.plotly_numbers import SHARE_TICKS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_HEADS = 10
_ROW = 28
_ARROWS = dict(zip(EVERY_DIRECTION, ("→", "←", "⇥"), strict=True))
_COLORS = {"held-out": ACCENT, "baseline": MUTED, "head": INK}


def forest_rows(scores: Scores, *, heads: int = _HEADS) -> list[dict[str, Any]]:
    """Return the plot's rows, top to bottom: the held-out choice, baselines, the best heads.

    Returns:
        Rows of ``name, kind ("held-out", "baseline" or "head"), accuracy, low, high, n``; the
        ends of the interval are ``None`` where there is none. Heads that were scored by norms
        also have ``raw``, their accuracy by raw weights.
    """
    rows = []
    if choice := scores.choice:
        rows.append(
            _row("held-out choice", "held-out", choice.accuracy, choice.ci_low, choice.ci_high,
                 choice.n)
        )  # fmt: skip
    baselines = scores.baselines.sort_values("accuracy", ascending=False, kind="stable")
    for b in baselines.itertuples():
        name = str(b.baseline).replace("_", " ")
        rows.append(_row(name, "baseline", b.accuracy, b.ci_low, b.ci_high, b.n))
    known = scores.heads.dropna(subset=["accuracy"])
    best = known.sort_values("accuracy", ascending=False, kind="stable").head(heads)
    for h in best.itertuples():
        row = _row(
            f"L{h.layer}H{h.head} {_ARROWS[h.direction]}",
            "head",
            h.accuracy,
            h.ci_low,
            h.ci_high,
            h.n,
        )
        rows.append(row | ({"raw": float(h.raw_accuracy)} if "raw_accuracy" in known else {}))
    return rows


def forest_section(scores: Scores) -> Section:
    """Build the section of a page that shows the plot."""
    last = ", ⇥ from the last position of the text to the candidates"
    beside = " Beside each head scored by norms stands what it reaches by raw weights."
    return picture_section(
        "forest",
        "Heads against baselines",
        "The share of cases that are right, with the 95% interval. The held-out choice is the "
        "figure to quote. The heads below were picked as the best of all on these very cases: "
        "in-sample, and so too high. → attends from the pronoun to the candidates, ← from the "
        "candidates to the pronoun"
        f"{last if LAST_POSITION in set(scores.heads['direction']) else ''}."
        f"{beside if 'raw_accuracy' in scores.heads else ''}",
        {"forest": Picture(forest_figure(scores), least=560)},
        file="forest",
        marks="Accuracies",
    )


def forest_figure(scores: Scores, *, heads: int = _HEADS) -> Figure:
    """Draw the plot: a point with its interval for each row, and the numbers beside it."""
    import plotly.graph_objects as go

    rows = forest_rows(scores, heads=heads)
    colors = [_COLORS[row["kind"]] for row in rows]
    has_raw = any("raw" in row for row in rows)
    names = [plotly_text(row["name"]) for row in rows]
    return go.Figure(
        [*map(_bar, rows, range(len(rows)), colors), _points(rows, colors)],
        paper_layout(
            "Heads against baselines",
            width=820,
            height=110 + _ROW * len(rows),
            margin={"l": 160, "r": 280 if has_raw else 210, "t": 60, "b": 50},
            annotations=[_beside(row, place, colors[place]) for place, row in enumerate(rows)],
            xaxis={
                "range": [0, 1],
                "dtick": 0.25,
                **SHARE_TICKS,
                "title": {"text": "share of cases that are right", "font": {"size": LETTERS}},
                "gridcolor": LINE,
                "zeroline": False,
            },
            yaxis=names_axis(
                [f"<b>{name}</b>" if row["kind"] == "held-out" else name
                 for name, row in zip(names, rows, strict=True)],
                range=[len(rows) - 0.5, -0.5], showline=False, mirror=False,
            ),
        ),
    )  # fmt: skip


def _bar(row: dict[str, Any], place: int, color: str) -> Any:
    import plotly.graph_objects as go

    ends = [row["accuracy"] if row[end] is None else row[end] for end in ("low", "high")]
    width = 3 if row["kind"] == "held-out" else 1.5
    return go.Scatter(
        mode="lines", x=ends, y=[place] * 2, line={"color": color, "width": width}, hoverinfo="skip"
    )


def _beside(row: dict[str, Any], place: int, color: str) -> dict[str, Any]:
    """Return the numbers of a row, to the right of the plot."""
    return {
        "text": _numbers(row),
        "x": 1.04,
        "y": place,
        "xref": "paper",
        "xanchor": "left",
        "showarrow": False,
        "font": {"color": color},
    }


def _points(rows: list[dict[str, Any]], colors: list[str]) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        mode="markers",
        cliponaxis=False,
        x=[row["accuracy"] for row in rows],
        y=list(range(len(rows))),
        marker={
            "color": colors,
            "size": 9,
            "symbol": ["circle-open" if row["kind"] == "baseline" else "circle" for row in rows],
        },
        customdata=[row["name"] for row in rows],
        hovertext=[
            plotly_text(f"{row['name']}: {_numbers(row)}, {counted(row['n'], 'case')}")
            for row in rows
        ],
        hoverinfo="text",
    )


def _numbers(row: dict[str, Any]) -> str:
    beside = f", raw {percent(row['raw'])}" if "raw" in row else ""
    return f"{percent_interval(row['accuracy'], row['low'], row['high'])}{beside}"


def _row(name: str, kind: str, accuracy: float, low: float, high: float, n: int) -> dict[str, Any]:
    def known(value: float) -> float | None:
        return None if math.isnan(value) else float(value)

    ends = {"low": known(low), "high": known(high)}
    return {"name": name, "kind": kind, "accuracy": float(accuracy), **ends, "n": int(n)}
