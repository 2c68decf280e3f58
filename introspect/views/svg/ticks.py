"""Ticks: where they stand on an axis of numbers, and how their numbers are written."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

_SHARE = re.compile(r"\.(\d)%")
_FIXED = re.compile(r"(\+?)(,?)\.(\d)f")
# A number of this many digits, or of so many zeros after the point, has a power of ten.
_MOST_DIGITS = 3


def step_for(span: float, most: float) -> float:
    """Return the distance of ticks: the next 2, 5 or 10 times a power of ten, as in Plotly.

    Args:
        span: of the numbers on the axis.
        most: the number of ticks that it has room for.

    Example:
        >>> step_for(1.0, 5), step_for(37.0, 6)
        (0.5, 10.0)
    """
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    return next((power * times for times in (2, 5) if rough / power < times), 10 * power)


def places(ends: Sequence[float], step: float, first: float = 0.0) -> list[float]:
    """Return the multiples of a step, counted from ``first``, between the ends of an axis.

    Example:
        >>> places([1.1, -0.2], 0.5)
        [0.0, 0.5, 1.0]
    """
    low, high = min(ends), max(ends)
    slack = 1e-6 * step
    start = math.ceil((low - first - slack) / step)
    stop = math.floor((high - first + slack) / step)
    return [round(first + count * step, 12) for count in range(start, stop + 1)]


def words(value: float, step: float, ends: Sequence[float], options: Mapping[str, Any]) -> str:
    """Write the number of a tick as Plotly does, with a true minus.

    Args:
        value: the number.
        step: the distance of ticks.
        ends: of the axis, whose largest number decides on a power of ten.
        options: of the axis: ``tickformat``, ``separatethousands``.

    Example:
        >>> words(-0.5, 0.5, [-1, 1], {}), words(20000, 10000, [0, 50000], {})
        ('−0.5', '2×10<sup>4</sup>')
    """
    form = options.get("tickformat") or ""
    if share := _SHARE.fullmatch(form):
        return _minus(f"{100 * value:.{share[1]}f}%")
    if fixed := _FIXED.fullmatch(form):
        return _minus(f"{value:{fixed[1]}{fixed[2]}.{fixed[3]}f}")
    power = _power(ends)
    if not power or not value:
        return _written(value, step, options)
    times = _written(value / 10**power, step / 10**power, options)
    return f"{times}×10<sup>{_minus(str(power))}</sup>"


def _power(ends: Sequence[float]) -> int:
    largest = max(map(abs, ends))
    power = math.floor(math.log10(largest) + 0.01) if largest else 0
    return power if abs(power) > _MOST_DIGITS else 0


def _written(value: float, step: float, options: Mapping[str, Any]) -> str:
    decimals = max(0, 2 - math.floor(math.log10(step) + 0.01))
    comma = "," if options.get("separatethousands") else ""
    written = f"{value:{comma}.{min(decimals, 12)}f}"
    shorter = written.rstrip("0").rstrip(".") if "." in written else written
    return _minus("0" if shorter in ("-0", "") else shorter)


def _minus(written: str) -> str:
    return written.replace("-", "−")
