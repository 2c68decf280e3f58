"""Placement of point labels so that they cover neither points nor one another."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["label_places"]

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
    found = {}
    for number in named:
        boxes = {place: _name_box(where[number], side) for place, side in _PLACES.items()}
        # Ties go to the first position, since a dictionary keeps its order.
        best = min(boxes, key=lambda place: _badness(boxes[place], marks, taken))
        taken.append(boxes[best])
        found[number] = best
    return found


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
