"""What the traces of a figure reach on an axis, where its range is not given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from introspect.views.svg.numbers import finite, listed

Trace = Mapping[str, Any]
#: Plotly leaves this share of an axis free at an end where lines, points or bars end.
_FREE = 0.05


def edges(centers: Sequence[float]) -> list[float]:
    """Return the edges of cells around their centers.

    Example:
        >>> edges([0, 1, 3])
        [-0.5, 0.5, 2.0, 4.0]
    """
    if len(centers) < 2:
        return [centers[0] - 0.5, centers[0] + 0.5]
    between = [(a + b) / 2 for a, b in pairwise(centers)]
    return [2 * centers[0] - between[0], *between, 2 * centers[-1] - between[-1]]


def centers_of(trace: Trace, letter: str, categories: Sequence[str]) -> list[float]:
    """Return the middles of a map's columns (``x``) or rows (``y``)."""
    rows = listed(trace["z"])
    count = len(rows[0]) if letter == "x" else len(rows)
    given = listed(trace.get(letter)) or list(range(count))
    return [float(categories.index(v) if isinstance(v, str) else v) for v in given]


def categories_of(traces: Iterable[Trace], letter: str, kind: str | None) -> list[str]:
    """Return the names that are values on an axis, in order; none if its values are numbers."""
    values = [value for trace in traces for value in listed(trace.get(letter))]
    named = [value for value in values if isinstance(value, str)]
    if kind != "category" and not named:
        return []
    return list(dict.fromkeys(map(str, named)))


def reach(traces: Sequence[Trace], letter: str, options: Mapping[str, Any]) -> tuple[float, float]:
    """Return the ends of an axis that shows all of the traces.

    Args:
        traces: those on the axis.
        letter: ``x`` or ``y``.
        options: of the axis: ``rangemode``, ``categories``.
    """
    tight: list[float] = []
    loose: list[float] = []
    for trace in traces:
        exact, padded = _extent(trace, letter, options["categories"])
        tight += exact
        loose += padded
    low, high = min([*tight, *loose], default=0.0), max([*tight, *loose], default=1.0)
    if options.get("rangemode") == "tozero":
        low, high = min(low, 0.0), max(high, 0.0)
        tight.append(0.0)
    if low == high:
        return low - 1.0, high + 1.0
    is_low_free = low not in tight and low in loose
    is_high_free = high not in tight and high in loose
    room = (high - low) / (1 - _FREE * (is_low_free + is_high_free)) * _FREE
    return low - room * is_low_free, high + room * is_high_free


def _extent(
    trace: Trace, letter: str, categories: Sequence[str]
) -> tuple[list[float], list[float]]:
    """Return the numbers at which an axis may end, and those beyond which it goes on a little."""
    if trace["type"] == "heatmap":
        ends = edges(centers_of(trace, letter, categories))
        return [ends[0], ends[-1]], []
    values = list(finite(_placed(trace.get(letter), categories)))
    if trace["type"] == "bar":
        is_length = (trace.get("orientation") == "h") == (letter == "x")
        return ([0.0], values) if is_length else ([v + d for v in values for d in (-0.5, 0.5)], [])
    is_line = "markers" not in trace.get("mode", "") and "text" not in trace.get("mode", "")
    return (values, []) if is_line and letter == "x" else ([], values)


def _placed(values: Any, categories: Sequence[str]) -> list[Any]:
    return [categories.index(v) if isinstance(v, str) else v for v in listed(values)]
