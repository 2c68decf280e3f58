"""Cases by group: sums, and folds that divide no group."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import poisson

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
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(group, len(numbers)) for group in groups]
    return values, np.array(index, dtype=np.intp)


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
    """
    known = np.nan_to_num(values)
    if len(index) == int(index.max()) + 1:  # Every case is a group, in the order of its number.
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


# Blocks of drawn counts hold about this many numbers at a time.
_AT_ONCE = 1 << 24
# One call draws this many.
_DRAWS = 1 << 18
# From this many groups on, most are drawn by Poisson counts, whose sum stays below by this many
# deviations; no count reaches the largest, whose probability is below 10⁻²⁰.
_MANY = 4096
_DEVIATIONS = 6
_LARGEST_COUNT = 22
# Identical groups are drawn together if that leaves at most this many kinds, of this few
# columns: finding them in many columns takes longer than it saves.
_MOST_KINDS = 2_000
_FEW_COLUMNS = 8


def grouped_bootstrap(
    credits: npt.ArrayLike,
    groups: Sequence[Hashable],
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Compute percentile intervals of mean credits, resampling whole groups.

    Source: Davison & Hinkley 1997, "Bootstrap Methods and their Application", section 3.8.

    Args:
        credits: ``(num_cases, num_heads)``, NaN where not observable.
        groups: the group of each case.
        resamples: how many times the groups are drawn, with replacement.
        level: the share of resamples inside the interval.
        seed: the random seed of the draws.

    Returns:
        The lower and upper ends, ``(num_heads,)``; NaN for a head without any observable case.
    """
    values, index = checked(credits, groups)
    sums = group_sums(values, index)
    counts, column = _distinct_columns(group_sums(~np.isnan(values), index))
    num_groups, num_heads = sums.shape
    credit = units_of(sums, most=num_groups)
    number = units_of(counts, most=num_groups)
    table = np.hstack([credit.table, number.table])
    totals = _resampled(table, resamples, np.random.default_rng(seed))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = totals[:, :num_heads] / totals[:, num_heads:][:, column] / credit.per_one
    tail = (1 - level) / 2
    ends = np.full((2, num_heads), np.nan)
    # A resample without any observable case of a head has no mean.
    known = (counts.max(0) > 0)[column]
    ends[:, known] = np.nanquantile(means[:, known], [tail, 1 - tail], axis=0)
    return ends[0], ends[1]


def drawn_counts(
    num_groups: int, resamples: int, random: np.random.Generator
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield how often each group is drawn, ``(some, num_groups)``, in blocks of resamples.

    Every resample draws ``num_groups`` groups with equal probability. With many groups, most draws
    are independent Poisson counts with a mean a little below 1, which conditional on their sum are
    such draws; only the missing ones are then drawn one by one.
    """
    at_once = max(1, min(resamples, _AT_ONCE // num_groups))
    by_call = max(1, _DRAWS // num_groups)
    is_many = num_groups >= _MANY
    law = poisson.pmf(np.arange(_LARGEST_COUNT), 1 - _DEVIATIONS / math.sqrt(num_groups))
    for start in range(0, resamples, at_once):
        part = np.zeros((min(at_once, resamples - start), num_groups), dtype=np.float32)
        for first in range(0, len(part), by_call):
            rows = part[first : first + by_call]
            if is_many:
                rows[:] = _counts_of_law(law, rows.size, random).reshape(rows.shape)
            missing = num_groups - rows.sum(1, dtype=np.int64)
            if (missing < 0).any():  # rare: too many by that many deviations
                rows[missing < 0] = 0
                missing[missing < 0] = num_groups
            drawn = random.integers(num_groups, size=missing.sum())
            drawn += np.repeat(np.arange(len(rows)) * num_groups, missing)
            np.add.at(rows.reshape(-1), drawn, np.float32(1))
        yield part


def _counts_of_law(law: Floats, size: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw numbers from 0 with these probabilities: one byte decides nearly all of them."""
    whole = np.floor(law * 256).astype(np.intp)
    decided = int(whole.sum())
    table = np.repeat(np.arange(len(law), dtype=np.float32), whole)
    given = np.frombuffer(random.bytes(size), dtype=np.uint8)
    counts = table.take(given, mode="clip")
    undecided = np.flatnonzero(given >= decided)
    rest = law * 256 - whole
    counts[undecided] = random.choice(len(law), size=len(undecided), p=rest / rest.sum())
    return counts


def _resampled(table: Matrix, resamples: int, random: np.random.Generator) -> Floats:
    """Return sums of the drawn rows, ``(resamples, num_columns)``."""
    num_groups, num_columns = table.shape
    if num_columns <= _FEW_COLUMNS:
        kinds, sizes = np.unique(table, axis=0, return_counts=True)
        if len(kinds) <= min(_MOST_KINDS, num_groups // 2):
            # Only the count of each kind matters, and it is multinomial.
            drawn = random.multinomial(num_groups, sizes / num_groups, resamples)
            return drawn.astype(np.float64) @ kinds.astype(np.float64)
    totals = np.empty((resamples, num_columns))
    start = 0
    for part in drawn_counts(num_groups, resamples, random):
        totals[start : start + len(part)] = part.astype(table.dtype, copy=False) @ table
        start += len(part)
    return totals


def _distinct_columns(counts: npt.NDArray[np.generic]) -> tuple[Matrix, Integers]:
    """Return the distinct columns, and the index of each column: most heads see the same cases."""
    numbers: dict[bytes, int] = {}
    column = [numbers.setdefault(one.tobytes(), len(numbers)) for one in counts.T]
    firsts = [column.index(number) for number in range(len(numbers))]
    return counts[:, firsts].astype(np.float64), np.array(column, dtype=np.intp)
