"""The forest plot: heads and baselines on one scale, each with its interval."""

from __future__ import annotations

import math
from typing import Any

from introspect.page import Section
from introspect.studies.coreference import Scores
from introspect.views.palette import ACCENT, INK, MUTED

__all__ = ["forest_figure", "forest_rows", "forest_section"]

_HEADS = 10
_ROW = 26


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
        arrow = "→" if h.direction == "pronoun_to_candidate" else "←"
        row = _row(f"L{h.layer}H{h.head} {arrow}", "head", h.accuracy, h.ci_low, h.ci_high, h.n)
        rows.append(row | ({"raw": float(h.raw_accuracy)} if "raw_accuracy" in known else {}))
    return rows


def forest_section(scores: Scores) -> Section:
    """Build the section of a page that shows the plot."""
    beside = " Beside each head scored by norms stands what it reaches by raw weights."
    return Section(
        kind="forest",
        title="Heads against baselines",
        lead=(
            "The share of cases that are right, with the 95 % interval. The held-out choice is the "
            "figure to quote. The heads below were picked as the best of all on these very cases: "
            "in-sample, and so too high. → looks from the pronoun to the candidates, ← from the "
            "candidates to the pronoun."
            f"{beside if 'raw_accuracy' in scores.heads else ''}"
        ),
        state={"rows": forest_rows(scores)},
    )


def forest_figure(scores: Scores, *, heads: int = _HEADS) -> Any:
    """Draw the plot as a ``plotly.graph_objects.Figure``."""
    import plotly.graph_objects as go

    rows = forest_rows(scores, heads=heads)
    colors = {"held-out": ACCENT, "baseline": MUTED, "head": INK}
    figure = go.Figure(
        go.Scatter(
            x=[row["accuracy"] for row in rows],
            y=list(range(len(rows))),
            mode="markers",
            marker={"color": [colors[row["kind"]] for row in rows], "size": 9},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [(row["high"] or row["accuracy"]) - row["accuracy"] for row in rows],
                "arrayminus": [row["accuracy"] - (row["low"] or row["accuracy"]) for row in rows],
                "color": MUTED,
                "thickness": 1.5,
                "width": 0,
            },
        )
    )
    ticks = {"tickvals": list(range(len(rows))), "ticktext": [row["name"] for row in rows]}
    figure.update_yaxes(autorange="reversed", **ticks)
    figure.update_xaxes(range=[0, 1], tickformat=".0%", title="share of cases that are right")
    figure.update_layout(
        template="plotly_white", width=760, height=110 + _ROW * len(rows), font={"color": INK}
    )
    return figure


def _row(name: str, kind: str, accuracy: float, low: float, high: float, n: int) -> dict[str, Any]:
    def known(value: float) -> float | None:
        return None if math.isnan(value) else float(value)

    ends = {"low": known(low), "high": known(high)}
    return {"name": name, "kind": kind, "accuracy": float(accuracy), **ends, "n": int(n)}
