"""Sums that do not depend on the order of the additions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["EXACT_UP_TO", "addable", "ratio"]

Floats = npt.NDArray[np.float64]

# A weight of a float32 model is itself only accurate to 2⁻²⁴ near 1.
_GRAIN = 2.0**-24

#: Totals up to this value are exact.
EXACT_UP_TO = _GRAIN * 2**53


def addable(sums: npt.ArrayLike) -> Floats:
    """Round what one text adds to a total to a multiple of 2⁻²⁴ (6e-8).

    float64 adds such numbers without error while a total stays below 2²⁹ (5e8), so one pass, and
    any division of the texts among workers in any order, give the same total to the last bit. The
    rounding changes the sum of a text by at most 3e-8, no more than the rounding of one weight near
    1.

    Example:
        >>> a, b, c = addable([0.1, 0.2, 0.3])
        >>> bool(a + b + c == c + b + a), 0.1 + 0.2 + 0.3 == 0.3 + 0.2 + 0.1
        (True, False)
    """
    grains: Floats = np.rint(np.asarray(sums, dtype=np.float64) / _GRAIN) * _GRAIN
    return grains


def ratio(sums: npt.ArrayLike, counts: npt.ArrayLike) -> Floats:
    """Divide sums by counts; the mean is NaN where nothing was counted.

    Example:
        >>> ratio([1.0, 0.0], [4, 0])
        array([0.25,  nan])
    """
    total, n = np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    means: Floats = np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)
    return means
