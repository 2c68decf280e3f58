"""How the numbers of a causal study lie on axes, and what stands out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from introspect.views.causal_labels import label_places

__all__ = [
    "ACROSS",
    "QUADRANTS",
    "SIGNIFICANT",
    "across_range",
    "effect_range",
    "is_significant",
    "labels_of",
    "middle_of",
    "unit_of",
]

#: What can be across.
ACROSS = {
    "accuracy": "how often the pronoun attends most to the antecedent",
    "margin": "attention margin of the antecedent over the best distractor",
}
SIGNIFICANT = 0.05
#: What the corners say, from the upper right against the clock.
QUADRANTS = (
    "looks and matters",
    "matters, does not look here",
    "neither looks nor matters",
    "looks, does not matter",
)
_LABELS = 15
# How much room an axis leaves beyond the numbers, and at least to each side of where it divides.
_BEYOND = 0.08
_LEAST_SIDE = 0.16
_LEAST_ACROSS = 0.1


def middle_of(table: pd.DataFrame, across: str) -> float:
    """Where heads that look are divided from those that do not."""
    return float(table.attrs["chance"]) if across == "accuracy" else 0.0


def across_range(values: Sequence[float] | pd.Series, middle: float) -> list[float]:
    """From the least to the most, with room to both sides of the middle."""
    there = [float(value) for value in values if not math.isnan(value)] or [middle]
    side = max(_LEAST_ACROSS, *(_LEAST_SIDE * abs(value - middle) for value in there))
    low, high = min(*there, middle - side), max(*there, middle + side)
    room = _BEYOND * (high - low)
    return [low - room, high + room]


def effect_range(table: pd.DataFrame) -> list[float]:
    """Over effects, intervals and controls, with room above and below zero."""
    columns = table[["effect", "ci_low", "ci_high", "control"]].to_numpy(dtype=float).ravel()
    there = [value for value in columns if not math.isnan(value)]
    side = max(abs(value) for value in there) or 1.0
    low, high = min(*there, -_LEAST_SIDE * side), max(*there, _LEAST_SIDE * side)
    room = _BEYOND * (high - low)
    return [low - room, high + room]


def is_significant(row: Any) -> bool:
    """Whether a head does more than the others of its layer."""
    return bool(row.p_adjusted < SIGNIFICANT)


def unit_of(table: pd.DataFrame) -> str:
    """What effects are counted in."""
    return str(table.attrs["unit"])


def labels_of(
    table: pd.DataFrame, across: str, ranges: tuple[Sequence[float], Sequence[float]]
) -> dict[int, str]:
    """Where the name of each head stands that stands out, by the number of its row."""
    points = list(zip(table[f"attention_{across}"], table["effect"], strict=True))
    found = [place for place, row in enumerate(table.itertuples()) if is_significant(row)]
    found = [place for place in found if not math.isnan(points[place][0])]
    largest = sorted(found, key=lambda place: -points[place][1])[:_LABELS]
    return label_places(points, largest, ranges)
