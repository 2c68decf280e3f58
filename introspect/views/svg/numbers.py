"""The numbers of a figure, which Plotly keeps as lists or packed in base 64."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def listed(values: Any) -> list[Any]:
    """Return numbers, names or lists of them as they were given, unpacked.

    Example:
        >>> listed({"dtype": "f8", "bdata": "AAAAAAAA8D8AAAAAAAAAQA=="})
        [1.0, 2.0]
    """
    if values is None:
        return []
    if not isinstance(values, Mapping):
        return list(values)
    flat = np.frombuffer(base64.b64decode(values["bdata"]), dtype=np.dtype(values["dtype"]))
    shape = str(values.get("shape", len(flat)))
    unpacked: list[Any] = flat.reshape([int(size) for size in shape.split(",")]).tolist()
    return unpacked


def is_number(value: Any) -> bool:
    """Return whether a value can be drawn: it is there, and no NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def finite(values: Any) -> Iterator[float]:
    """Return the numbers among values."""
    return (float(value) for value in values if is_number(value))


def each(value: Any, count: int) -> list[Any]:
    """Return a property for each point: a list as it is, one value repeated."""
    if isinstance(value, list | Mapping):
        return listed(value)
    return [value] * count


def merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties over their defaults, those inside properties too.

    Example:
        >>> merged({"font": {"size": 12}, "x": 0}, {"font": {"color": "red"}})
        {'font': {'size': 12, 'color': 'red'}, 'x': 0}
    """
    both = dict(defaults)
    for name, value in own.items():
        inner: Any = both.get(name)
        is_inside = isinstance(inner, Mapping) and isinstance(value, Mapping)
        both[name] = merged(inner, value) if is_inside else value
    return both
