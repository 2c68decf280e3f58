"""Conversion of tables with one row per head for pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import pandas as pd

__all__ = ["known", "layers_of", "map_of"]


def layers_of(table: pd.DataFrame) -> tuple[list[int], int]:
    """Return the sorted layers of a table and the number of heads (largest head number + 1)."""
    layers = sorted(int(layer) for layer in table["layer"].unique())
    return layers, int(table["head"].max()) + 1


def map_of(
    table: pd.DataFrame, columns: Sequence[str], layers: Sequence[int], num_heads: int
) -> dict[str, list[list[Any]]]:
    """Return each column as layers × heads; ``None`` where the number or head is missing.

    Example:
        >>> table = pd.DataFrame({"layer": [2, 2], "head": [0, 2], "n": [5, 7]})
        >>> map_of(table, ["n"], [2], 3)
        {'n': [[5, None, 7]]}
    """
    places = list(zip(table["layer"], table["head"], strict=True))
    found = {}
    for name in columns:
        values = dict(zip(places, table[name], strict=True))
        found[name] = [
            [known(values.get((layer, head), math.nan)) for head in range(num_heads)]
            for layer in layers
        ]
    return found


def known(value: float) -> float | int | None:
    """Convert a number for JSON, rounded to 8 decimals; ``None`` for NaN."""
    if isinstance(value, Integral):
        return int(value)
    return None if math.isnan(value) else round(float(value), 8)
