"""Cases by group: sums, and folds that divide no group."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from introspect.errors import InputError
from introspect.statistics.units import Matrix

__all__ = [
    "FEWEST_GROUPS",
    "SAME",
    "Floats",
    "Integers",
    "checked",
    "checked_labellings",
    "fold_of_groups",
    "group_sums",
    "sizes_of",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]

#: With fewer groups no permutation test can reach 0.05: five have only 2⁵ labelings.
FEWEST_GROUPS = 5
#: Sums in another order differ in the last digits; values equal up to this count as equal.
SAME = 1e-9


def checked(credits: npt.ArrayLike, groups: Sequence[Hashable]) -> tuple[Matrix, Integers]:
    """Return the credits as an array of floats, and the number of each case's group.

    Raises:
        InputError: the shapes do not fit.
    """
    values = _floats(credits)
    if values.ndim != 2 or len(values) != len(groups) or not len(values):
        raise InputError(
            f"Expected credits of shape (num_cases, num_heads) and a group for each case, got "
            f"{values.shape} and {len(groups)} groups."
        )
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(group, len(numbers)) for group in groups]
    return values, np.array(index, dtype=np.intp)


def checked_labellings(
    labellings: npt.ArrayLike, groups: Sequence[Hashable]
) -> tuple[Matrix, Integers]:
    """Return the same for ``(num_labellings, num_cases, num_heads)``."""
    values = _floats(labellings)
    if values.ndim != 3 or len(values) < 2:
        raise InputError(
            "Expected labellings of shape (at least 2, num_cases, num_heads), got "
            f"{values.shape}. Of two candidates the second labelling is 1 minus the first."
        )
    _, index = checked(values[0], groups)
    return values, index


def group_sums(values: Matrix, index: Integers) -> Matrix:
    """Sum over the cases of each group, ``(num_groups, num_heads)``; NaN counts as 0.

    Example:
        >>> group_sums(np.array([[1.0], [0.5], [np.nan]]), np.array([0, 1, 0])).tolist()
        [[1.0], [0.5]]
    """
    known = np.nan_to_num(values)
    if len(index) == int(index.max()) + 1:  # Every case is a group, in the order of its number.
        return known
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.diff(index[order], prepend=-1))
    sums: Matrix = np.add.reduceat(known[order], starts, axis=0)
    return sums


def fold_of_groups(index: Integers, folds: int, *, seed: int = 0) -> Integers:
    """Return the fold of each group; folds have about the same number of cases.

    Args:
        index: ``(num_cases,)``, the number of each case's group.
        folds: how many.
        seed: the random seed of the order in which groups of one size are dealt out.

    Raises:
        InputError: fewer groups than folds.
    """
    sizes = sizes_of(index)
    if len(sizes) < folds:
        raise InputError(
            f"Expected at least {folds} groups to divide into {folds} folds, got {len(sizes)}. "
            "Give more cases: nothing can be held out from so few."
        )
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    by_size = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    fold = np.empty(len(sizes), dtype=np.intp)
    filled = [0] * folds
    for group, size in zip(by_size.tolist(), sizes[by_size].tolist(), strict=True):
        least = filled.index(min(filled))
        fold[group] = least
        filled[least] += size
    return fold


def sizes_of(index: Integers) -> Integers:
    """Return how many cases each group has."""
    return np.bincount(index)


def _floats(values: npt.ArrayLike) -> npt.NDArray[np.floating[Any]]:
    given = np.asarray(values)
    # Single precision is kept: a large set takes half the memory.
    return given if given.dtype in (np.float32, np.float64) else given.astype(np.float64)
