"""Bootstrap intervals of means that resample whole groups of cases."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import poisson

from introspect.statistics.groups import Floats, Integers, checked, group_sums
from introspect.statistics.units import Matrix, units_of

__all__ = ["drawn_counts", "grouped_bootstrap"]

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
