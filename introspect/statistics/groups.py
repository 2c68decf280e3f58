"""Cases by group: sums, and folds that divide no group."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from introspect.errors import InputError

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
    # Sorted by name, so that no figure depends on the order of the cases.
    numbers = {group: number for number, group in enumerate(sorted(set(groups), key=_name))}
    return values, np.array([numbers[group] for group in groups], dtype=np.intp)


def _name(group: Hashable) -> tuple[bool, float, str]:
    """Return what groups are sorted by: numbers as numbers, and all else as words."""
    if isinstance(group, Real):
        return False, float(group), ""
    return True, 0.0, str(group)


def checked_labelings(
    labelings: npt.ArrayLike, groups: Sequence[Hashable]
) -> tuple[Matrix, Integers]:
    """Return the same for ``(num_labelings, num_cases, num_heads)``."""
    values = _floats(labelings)
    if values.ndim != 3 or len(values) < 2:
        raise InputError(
            "Expected labelings of shape (at least 2, num_cases, num_heads), got "
            f"{values.shape}. Of two candidates the second labeling is 1 minus the first."
        )
    _, index = checked(values[0], groups)
    return values, index


def group_sums(values: Matrix, index: Integers) -> Matrix:
    """Sum over the cases of each group, ``(num_groups, num_heads)``; NaN counts as 0.

    Example:
        >>> group_sums(np.array([[1.0], [0.5], [np.nan]]), np.array([0, 1, 0])).tolist()
        [[1.0], [0.5]]
        >>> group_sums(np.array([[1.0], [0.5]]), np.array([1, 0])).tolist()
        [[0.5], [1.0]]
    """
    known = np.nan_to_num(values)
    if np.array_equal(index, np.arange(len(index))):  # Every case is a group, in this order.
        return known
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.diff(index[order], prepend=-1))
    return np.asarray(np.add.reduceat(known[order], starts, axis=0))


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
