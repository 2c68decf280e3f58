"""Accuracy on minimal pairs: both cases of a pair must be right."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from introspect.statistics.groups import SAME, Floats, Integers, checked, sizes_of

__all__ = ["twin_accuracy"]


def twin_accuracy(credits: npt.ArrayLike, groups: Sequence[Hashable]) -> tuple[Floats, Integers]:
    """Return the share of minimal pairs with both cases right, for each head.

    A minimal pair is a group of two cases. Coin flips get both right in 25 % of pairs, and a
    head that cannot tell the two apart gets both right in 0 %, whatever its accuracy.

    Args:
        credits: ``(num_cases, num_heads)``.
        groups: the group of each case.

    Returns:
        The shares, NaN without any pair, and how many pairs each head can observe.
    """
    values, index = checked(credits, groups)
    order = np.argsort(index, kind="stable")
    of_pairs = order[sizes_of(index)[index[order]] == 2]
    pairs = values[of_pairs].reshape(-1, 2, values.shape[1])
    observable = ~np.isnan(pairs).any(1)
    both = (pairs > 1 - SAME).all(1) & observable
    n = observable.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return both.sum(0) / n, n
