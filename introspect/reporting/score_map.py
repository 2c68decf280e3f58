"""The map of a set: every head's accuracy, framed where it is above chance."""

from __future__ import annotations

from typing import Any

from introspect.analyzers.coreference import Scores
from introspect.page import Section
from introspect.scoring import DIRECTIONS
from introspect.views.head_tables import layers_of, map_of
from introspect.views.palette import DIVERGING, themed

__all__ = ["score_map_section"]

_COLUMNS = ("accuracy", "ci_low", "ci_high", "p_value", "p_adjusted", "n", "raw_accuracy")


def score_map_section(scores: Scores) -> Section:
    """Build the section of a page that shows the map."""
    heads = scores.heads
    layers, num_heads = layers_of(heads)
    columns = [name for name in _COLUMNS if name in heads]
    return Section(
        kind="score-map",
        title="Every head",
        lead=(
            "The share of cases in which each head prefers the antecedent, less what chance "
            "gives: blue is more, orange less. Framed heads are right more often than the best of "
            "all heads on relabelled cases (adjusted p below 0.05). Point at a head for its "
            "numbers."
        ),
        state={
            "layers": layers,
            "numHeads": num_heads,
            "scale": themed(DIVERGING),
            "chance": _chance(scores),
            "directions": {
                name: map_of(heads[heads["direction"] == name], columns, layers, num_heads)
                for name in DIRECTIONS
            },
            "first": _first(scores),
        },
    )


def _chance(scores: Scores) -> float:
    found = scores.baselines.set_index("baseline")["accuracy"]
    return float(found["random"])


def _first(scores: Scores) -> dict[str, Any]:
    """Return the head that is shown first."""
    if choice := scores.choice:
        return {"layer": choice.head.layer, "head": choice.head.head, "direction": choice.direction}
    return {"layer": int(scores.heads["layer"].iloc[0]), "head": 0, "direction": DIRECTIONS[0]}
