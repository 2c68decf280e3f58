"""How many groups heads form: a number that halves of the texts agree on, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from introspect.studies.analyzer import Floats, Integers

#: Groupings of two halves of the texts must agree to at least this adjusted Rand index.
STABLE = 0.75
#: Below this mean silhouette there is no substantial structure (Kaufman & Rousseeuw 1990).
STRUCTURED = 0.25
#: The most groups that are tried.
MOST_GROUPS = 12

#: The ways to divide four quarters of the texts into two halves.
HALVES = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))

Cut = Callable[[Floats, int], Integers]


def numbers_tried(
    distances: Floats, halves: Sequence[tuple[Floats, Floats]], cut: Cut
) -> pd.DataFrame:
    """Return for each number of groups how stable and how separate the groups are.

    Args:
        distances: between every two heads, over all texts.
        halves: the same over either half of the texts, for each division into halves.
        cut: the function from distances and a number to the group of each head.

    Returns:
        Columns ``n``, ``stability`` (the adjusted Rand index of the groupings of two halves, in the
        mean over divisions; NaN without any) and ``silhouette`` (in the mean over heads).
    """
    rows = []
    for n in range(2, min(MOST_GROUPS, len(distances) - 1) + 1):
        agreed = [adjusted_rand(cut(one, n), cut(other, n)) for one, other in halves]
        stability = float(np.mean(agreed)) if agreed else np.nan
        rows.append((n, stability, silhouette(distances, cut(distances, n))))
    return pd.DataFrame(rows, columns=["n", "stability", "silhouette"])


def best_number(tried: pd.DataFrame) -> int:
    """Return the number with the largest silhouette of those that are stable; 1 if there is none.

    Example:
        >>> best_number(pd.DataFrame({"n": [2, 3], "stability": [0.9, 0.2], "silhouette": 0.5}))
        2
        >>> best_number(pd.DataFrame({"n": [2, 3], "stability": [0.1, 0.2], "silhouette": 0.5}))
        1
    """
    found = tried[(tried["stability"] >= STABLE) & (tried["silhouette"] >= STRUCTURED)]
    return 1 if found.empty else int(found.loc[found["silhouette"].idxmax(), "n"])


def adjusted_rand(one: Integers, other: Integers) -> float:
    """Return the adjusted Rand index of two groupings: 1 if they are the same, 0 by chance.

    Source: Hubert & Arabie 1985.

    Example:
        >>> adjusted_rand(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]))
        1.0
    """
    table = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(table, (one, other), 1)

    def pairs(counts: Floats) -> float:
        return float((counts * (counts - 1) / 2).sum())

    both, first, second = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    by_chance = first * second / max(len(one) * (len(one) - 1) / 2, 1)
    most = (first + second) / 2
    return 1.0 if most == by_chance else (both - by_chance) / (most - by_chance)


def silhouette(distances: Floats, groups: Integers) -> float:
    """Return the mean silhouette; a head that is alone in its group has 0.

    Source: Rousseeuw 1987.

    Example:
        >>> far = np.array([[0.0, 0.1, 1, 1], [0.1, 0, 1, 1], [1, 1, 0, 0.1], [1, 1, 0.1, 0]])
        >>> round(silhouette(far, np.array([0, 0, 1, 1])), 2)
        0.9
    """
    members = np.eye(groups.max() + 1)[groups]
    sizes, sums = members.sum(0), distances @ members
    own = sizes[groups]
    within = sums[np.arange(len(groups)), groups] / np.maximum(own - 1, 1)
    between = np.where(members > 0, np.inf, sums / sizes).min(1)
    widest = np.maximum(within, between)
    values = np.divide(between - within, widest, out=np.zeros(len(groups)), where=widest > 0)
    return float(np.where(own > 1, values, 0.0).mean())
