"""Fast sums of credits without rounding errors.

A credit is a share of a tie, so a whole number of halves, thirds, quarters, or sixths. Counted in
such units, sums are whole numbers, which single precision holds exactly up to 2²⁴: a product of
matrices is then both twice as fast and the same to the last bit, in whatever order it is summed and
on however many threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Matrix", "Units", "units_of"]

Matrix = npt.NDArray[np.floating[Any]]

#: Fractions that are tried: shares of ties among up to six candidates are whole numbers of one of
#: these.
_PARTS = (1, 2, 6, 12, 60)
# How far a third in single precision is from a third, in sums of a few of them.
_SAME = 1e-5
_LARGEST_EXACT = 2**24


@dataclass(frozen=True, eq=False)
class Units:
    """A table counted in units.

    Args:
        table: whole numbers in float32 where products are exact, else float64.
        per_one: how many units make 1.
    """

    table: Matrix
    per_one: int


def units_of(table: Matrix, *, most: int) -> Units:
    """Return the table in units in which sums of up to ``most`` rows are exact, if any exist.

    Args:
        table: any numbers; the second-to-last dimension is summed over later.
        most: the largest number of rows summed, each as often as it is drawn.

    Example:
        >>> found = units_of(np.array([[0.5, 1.0], [1 / 3, 0.0]]), most=100)
        >>> found.per_one, found.table.tolist(), found.table.dtype.name
        (6, [[3.0, 6.0], [2.0, 0.0]], 'float32')
        >>> units_of(np.array([[0.1234]]), most=100).table.dtype.name
        'float64'
    """
    largest = float(np.abs(table).max(initial=0))
    for parts in _PARTS:
        if largest * parts * most > _LARGEST_EXACT:
            break
        scaled = table * parts
        whole = np.rint(scaled)
        scaled -= whole
        np.abs(scaled, out=scaled)
        # A value that is no credit, such as a difference of a millionth, must not become 0.
        is_lost = (scaled > 0) & (whole == 0)
        if scaled.max(initial=0) <= _SAME and not is_lost.any():
            return Units(whole.astype(np.float32, copy=False), parts)
    return Units(table.astype(np.float64, copy=False), 1)
