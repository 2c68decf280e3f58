"""Axes, labels and significance for the plots of a causal study."""

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

#: What the x-axis can show.
ACROSS = {
    "accuracy": "how often the pronoun attends most to the antecedent",
    "margin": "attention margin of the antecedent over the best distractor",
}
SIGNIFICANT = 0.05
#: The labels of the quadrants, counterclockwise from the upper right.
QUADRANTS = (
    "looks and matters",
    "matters, does not look here",
    "neither looks nor matters",
    "looks, does not matter",
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
    """Return whether a head has a larger effect than the other heads of its layer."""
    return bool(row.p_adjusted < SIGNIFICANT)


def unit_of(table: pd.DataFrame) -> str:
    """Return the unit of the effects."""
    return str(table.attrs["unit"])


def labels_of(
    table: pd.DataFrame, across: str, ranges: tuple[Sequence[float], Sequence[float]]
) -> dict[int, str]:
    """Return the label position of each significant head, by the index of its row."""
    points = list(zip(table[f"attention_{across}"], table["effect"], strict=True))
    found = [place for place, row in enumerate(table.itertuples()) if is_significant(row)]
    found = [place for place in found if not math.isnan(points[place][0])]
    largest = sorted(found, key=lambda place: -points[place][1])[:_LABELS]
    return label_places(points, largest, ranges)
