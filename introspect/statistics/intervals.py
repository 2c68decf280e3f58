"""Intervals that hold what they promise: of accuracies, and of effects."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import beta, norm, poisson
from scipy.stats import t as student

from introspect.statistics.groups import (
    FEWEST_GROUPS,
    SAME,
    Floats,
    Integers,
    Matrix,
    checked,
    group_sums,
)

#: The share of samples whose interval holds the true value.
LEVEL = 0.95

# The tails of a studentized bootstrap are themselves estimated from the groups, and too short with
# few: they are narrowed by this over the number of groups. benchmarks/coverage.py prints what
# comes of it.
_FEWER = 4

# Of the degrees of freedom of a clustered accuracy: 2 for normal deviations, which these are not;
# this holds in benchmarks/coverage.py.
_FACTOR = 3

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


def accuracy_intervals(
    credits: npt.ArrayLike,
    groups: Sequence[Hashable],
    *,
    level: float = LEVEL,
    inflation: float = 1.0,
) -> tuple[Floats, Floats]:
    r"""Return the ends of intervals of mean credits: Wilson's, with the effective number of cases.

    With :math:`p` the mean credit, :math:`s_g` the credit and :math:`m_g` the number of cases of a
    group,

    .. math:: n_\text{eff} = \min\left(n, \frac{p(1-p)\,n^2}{\sum_g (s_g - p\,m_g)^2}\right)
              \frac{n\,(G-1)}{(n-1)\,G}
              \left(\frac{t_{n-1}}{t_d}\right)^2

    where :math:`t` are quantiles of Student's distribution. How far cases of a group agree is
    known from few groups where few of them differ from the rest, as where nearly all are right. So
    *d* is not :math:`G - 1` but, with :math:`z_g = s_g - p\,m_g`, at most

    .. math:: \frac{3\,(\sum_g z_g^2)^2}{\sum_g z_g^4 - (\sum_g z_g^2)^2 / G}

    and no data count as fewer cases than they would if each group were all right or all wrong,
    :math:`n^2 / \sum_g m_g^2`. Where every case or none is right, the interval is the exact one of
    as many cases as there are groups.

    Source: Wilson 1927; Korn & Graubard 1998, "Confidence intervals for proportions with small
    expected number of positive counts estimated from survey data"; Clopper & Pearson 1934; the
    degrees of freedom after Satterthwaite 1946, with a factor by ``benchmarks/coverage.py``.

    Args:
        credits: ``(num_cases, num_heads)`` from 0 to 1, NaN where not observable.
        groups: the group of each case.
        level: the share of samples whose interval holds the true mean.
        inflation: how many times as large the variance of the mean is as the cases alone show.

    Returns:
        The lower and upper ends, ``(num_heads,)``; NaN with fewer than five groups.

    Example:
        >>> low, high = accuracy_intervals([[1.0]] * 5, range(5))
        >>> round(float(low[0]), 3), float(high[0])
        (0.478, 1.0)
    """
    values, index = checked(credits, groups)
    sums = group_sums(values, index).astype(np.float64)
    sizes = group_sums(~np.isnan(values), index).astype(np.float64)
    return share_intervals(sums, sizes, level=level, inflation=inflation)


def share_intervals(
    sums: Floats, sizes: Floats, *, level: float = LEVEL, inflation: float = 1.0
) -> tuple[Floats, Floats]:
    """Return the same intervals from what each group has: its credit and its number of cases.

    Args:
        sums: ``(num_groups, num_heads)``: the credits.
        sizes: the same shape: the number of cases behind each.
        level: the share of samples whose interval holds the true mean.
        inflation: how many times as large the variance of the mean is as the cases alone show.
    """
    n, num_groups = sizes.sum(0), (sizes > 0).sum(0)
    has_any = num_groups >= FEWEST_GROUPS
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.sum(0) / n
        tail = (1 + level) / 2
        effective = _effective_cases(sums, sizes, mean, tail) / inflation
        low, high = _wilson(mean, effective, norm.ppf(tail))
    exact_low, exact_high = _exact(mean, num_groups / inflation, 1 - tail)
    is_all, is_none = mean >= 1 - SAME, mean <= SAME
    low = np.where(is_all, exact_low, np.where(is_none, 0.0, low))
    high = np.where(is_none, exact_high, np.where(is_all, 1.0, high))
    return np.where(has_any, low, np.nan), np.where(has_any, high, np.nan)


def _effective_cases(sums: Floats, sizes: Floats, mean: Floats, tail: float) -> Floats:
    """Return how many separate cases the groups are worth, ``(num_heads,)``."""
    n, num_groups = sizes.sum(0), (sizes > 0).sum(0)
    squares = (sums - mean * sizes) ** 2
    total = squares.sum(0)
    # All of these factors are 1 where every case is a group.
    by_groups = (num_groups - 1) / num_groups
    whole = (student.ppf(tail, n - 1) / student.ppf(tail, num_groups - 1)) ** 2
    estimate = np.fmin(n, mean * (1 - mean) * n**2 / total) * by_groups * n / (n - 1)
    spread = np.maximum((squares**2).sum(0) - total**2 / num_groups, SAME * total**2)
    degrees = np.fmin(num_groups - 1, _FACTOR * total**2 / spread)
    careful = estimate * (student.ppf(tail, n - 1) / student.ppf(tail, degrees)) ** 2
    fewest = n**2 / (sizes**2).sum(0) * by_groups * whole
    found: Floats = np.fmin(estimate * whole, np.fmax(careful, fewest))
    return found


def _wilson(mean: Floats, n: Floats, deviate: float) -> tuple[Floats, Floats]:
    share = deviate**2 / n
    middle = (mean + share / 2) / (1 + share)
    half = np.sqrt(share * (mean * (1 - mean) + share / 4)) / (1 + share)
    return middle - half, middle + half


def _exact(mean: Floats, n: Floats, tail: float) -> tuple[Floats, Floats]:
    """Return the lower end where all of ``n`` are right, and the upper end where none is."""
    low = np.asarray(beta.ppf(tail, np.maximum(n, 1), 1))
    return low, 1 - low


def effect_intervals(
    effects: npt.ArrayLike,
    groups: Sequence[Hashable],
    *,
    resamples: int = 10_000,
    level: float = LEVEL,
    inflation: float = 1.0,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    r"""Return the ends of studentized bootstrap intervals of mean effects, by whole groups.

    With :math:`\bar x` the mean and :math:`s` its standard error over groups, and
    :math:`t^* = (\bar x^* - \bar x) / s^*` in a resample, the interval is
    :math:`(\bar x - t^*_{1-a} s, \bar x - t^*_{a} s)`. A percentile interval of skewed effects is
    too short on the side of the long tail; this one is not. The tails are
    :math:`a = (1 - 4/G) \cdot 2.5\%`, because they too are estimated from the :math:`G` groups.

    Source: Davison & Hinkley 1997, "Bootstrap Methods and their Application", sections 2.4 and 3.8.

    Args:
        effects: ``(num_cases, num_heads)``, NaN where there is none.
        groups: the group of each case.
        resamples: how many times the groups are drawn, with replacement.
        level: the share of samples whose interval holds the true mean.
        inflation: how many times as large the variance of the mean is as the cases alone show.
        seed: the random seed of the draws.

    Returns:
        The lower and upper ends, ``(num_heads,)``; NaN with fewer than five groups, and where all
        groups are alike.
    """
    values, index = checked(effects, groups)
    sums = group_sums(values, index).astype(np.float64)
    sizes = group_sums(~np.isnan(values), index).astype(np.float64)
    counts, column = _distinct_columns(sizes)
    num_groups = (sizes > 0).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums.sum(0) / sizes.sum(0)
        # Around the mean nothing is lost by subtracting large numbers later.
        centered = sums - mean * sizes
        error = np.sqrt(inflation * _variance(centered, sizes))
    ends = np.full((2, len(mean)), np.nan)
    # Effects that cancel within groups leave rounding: they are alike too.
    largest = np.maximum(np.abs(sums).max(0), np.nan_to_num(np.abs(values)).max(0))
    known = (num_groups >= FEWEST_GROUPS) & (error > SAME * largest)
    if known.any():
        deviates = _deviates(centered[:, known], counts, column[known], resamples, seed)
        tails = (1 - level) / 2 * (1 - _FEWER / num_groups[known])
        quantiles = _quantiles(deviates, tails)
        ends[:, known] = mean[known] - quantiles[::-1] * error[known]
    return ends[0], ends[1]


def _variance(centered: Floats, sizes: Floats) -> Floats:
    """Return the variance of a mean over groups, from sums around it, ``(num_heads,)``."""
    num_groups = (sizes > 0).sum(0)
    correction = num_groups / (num_groups - 1)
    variance: Floats = correction * (centered**2).sum(0) / sizes.sum(0) ** 2
    return variance


def _deviates(
    centered: Floats, counts: Matrix, column: Integers, resamples: int, seed: int
) -> Floats:
    """Return the distance of each resample's mean from the mean, in its own standard errors.

    Args:
        centered: the sum of each group around the mean, ``(num_groups, num_heads)``.
        counts: the distinct columns of the numbers of cases.
        column: which of them each head has.
        resamples: how many.
        seed: the random seed of the draws.

    Returns:
        ``(resamples, num_heads)``.
    """
    num_heads = centered.shape[1]
    scale = np.abs(centered).max(0)
    unit = centered / scale
    sizes = counts[:, column]
    table = np.hstack([unit, unit**2, unit * sizes, counts, counts**2])
    totals = _resampled(table, resamples, np.random.default_rng(seed))
    first, square, mixed = (totals[:, i * num_heads : (i + 1) * num_heads] for i in range(3))
    number, number_square = np.split(totals[:, 3 * num_heads :], 2, axis=1)
    n, n_square = number[:, column], number_square[:, column]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = first / n
        squares = square - 2 * mean * mixed + mean**2 * n_square
        groups = len(centered)
        error = np.sqrt(np.maximum(squares, 0) * groups / (groups - 1)) / n
        return np.asarray(np.where(error > SAME, mean / error, np.nan))


def _quantiles(deviates: Floats, tails: Floats) -> Floats:
    """Return the lower and upper quantile of each column, ``(2, num_heads)``."""
    return np.stack(
        [
            np.nanquantile(one, [tail, 1 - tail])
            for one, tail in zip(deviates.T, tails, strict=True)
        ],
        axis=1,
    )


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
