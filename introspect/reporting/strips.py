"""The strip of a page's heads, small and still, for the list that a folder's pages are in."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from introspect.page import template
from introspect.text import decimal, shortened, visible_text

_MOST = 256
_LONGEST = 120
#: Colors between none and the full one; more are not told apart in so small a square.
_STEPS = 12
# Of the picture, in pixels.
_LARGEST_CELL, _SMALLEST_CELL, _ROOM = 8, 2, 112

Values = list[list[float | None]]


@dataclass(frozen=True)
class _Strip:
    """The numbers of a strip, checked.

    Args:
        label: what they are.
        layers: the layers' own numbers.
        values: by layer and head; ``None`` where there is none.
        ends: the value of the full color below the middle, of none, and of the full one above.
        digits: how many decimals it is written with.
    """

    label: str
    layers: Sequence[int]
    values: Values
    ends: tuple[float, float, float]
    digits: int


def strip_of(summary: object) -> Markup:
    """Draw the strip that a page's summary holds; empty where it holds none that can be drawn."""
    strip = _checked(summary)
    return Markup() if strip is None else _drawn(strip)


def _checked(summary: object) -> _Strip | None:
    """Return a strip whose every part is what it should be: anybody may have written the page."""
    if not isinstance(summary, Mapping):
        return None
    values: Any = summary.get("values")
    layers: Any = summary.get("layers")
    label = summary.get("label")
    ends = [summary.get(name) for name in ("low", "middle", "high")]
    if not (isinstance(label, str) and _is_map(values) and all(map(_is_number, ends))):
        return None
    low, middle, high = map(float, ends)  # type: ignore[arg-type]
    is_named = isinstance(layers, list) and all(type(layer) is int for layer in layers)
    if not (is_named and len(layers) == len(values) and low <= middle <= high):
        return None
    digits = 3 if summary.get("digits") == 3 else 2
    label = shortened(visible_text(label), _LONGEST)
    return _Strip(label, layers, values, (low, middle, high), digits)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def _is_map(values: Any) -> bool:
    """Return whether something is lines of numbers, all as long, and not too many."""
    if not (isinstance(values, list) and 0 < len(values) <= _MOST):
        return False
    if not all(isinstance(line, list) and 0 < len(line) <= _MOST for line in values):
        return False
    is_even = len(set(map(len, values))) == 1
    return is_even and all(one is None or _is_number(one) for line in values for one in line)


def _drawn(strip: _Strip) -> Markup:
    layers, heads = len(strip.values), len(strip.values[0])
    cell = min(max(_ROOM // max(layers, heads), _SMALLEST_CELL), _LARGEST_CELL)
    paths: dict[int, list[str]] = defaultdict(list)
    for row, line in enumerate(strip.values):
        for head, value in enumerate(line):
            if step := _step(value, strip.ends):
                paths[step].append(f"M{head} {row}h1v1h-1z")
    colors = [
        ("above" if step > 0 else "below", round(100 * abs(step) / _STEPS), "".join(path))
        for step, path in sorted(paths.items())
    ]
    macros = template("introspect.reporting", "prose.html").module
    return Markup(macros.strip(strip.label, _most(strip), heads, layers, cell, colors))


def _step(value: float | None, ends: tuple[float, float, float]) -> int:
    """Return how strong the color is, from −12 to 12, on the square-root scale of the page."""
    low, middle, high = ends
    if value is None:
        return 0
    end = low if value < middle else high
    if end == middle:
        return 0
    share = min(abs(value - middle) / abs(end - middle), 1.0)
    return round(math.copysign(_STEPS * math.sqrt(share), value - middle))


def _most(strip: _Strip) -> str:
    """Return the head with the largest number, and that."""
    known = [
        (value, -row, -head)
        for row, line in enumerate(strip.values)
        for head, value in enumerate(line)
        if value is not None
    ]
    if not known:
        return "no numbers"
    value, row, head = max(known)
    return f"L{strip.layers[-row]}H{-head} {decimal(value, strip.digits)}"
