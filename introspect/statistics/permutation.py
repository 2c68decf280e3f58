"""The permutation test of all heads at once, which shifts the antecedent's label."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from introspect.statistics.groups import (
    FEWEST_GROUPS,
    SAME,
    Floats,
    Integers,
    Matrix,
    checked_labelings,
    group_sums,
    units_of,
)

Shifts = npt.NDArray[np.uint8]

# Groups whose shifts are drawn at once, for all permutations.
_BLOCK = 1024


# Of the p-values that the critical z is of.
LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """Result of the permutation test: p-values of all heads.

    Args:
        p_value: ``(num_heads,)``, each head's own, one-sided: more credit than by chance.
        p_adjusted: ``(num_heads,)``, family-wise: how often the best head does as well.
        num_groups: how many groups had their labels permuted.
        note: why there are no p-values, if there are none (they are NaN then).
        critical: the z from which on ``p_adjusted`` is below 0.05.
    """

    p_value: Floats
    p_adjusted: Floats
    num_groups: int
    note: str = ""
    critical: float = float("nan")


def permutation_test(
    labelings: npt.ArrayLike,
    groups: Sequence[Hashable],
    *,
    permutations: int = 10_000,
    seed: int = 0,
) -> PermutationTest:
    r"""Run the max-statistic permutation test of all heads at once.

    Under the null, no head distinguishes the antecedent from the other candidates, so any
    candidate could be labeled the antecedent: within a group all labels are shifted together. The
    statistic is

    .. math:: z_h = \frac{\sum_g d_{gh}}{\sqrt{\sum_g \overline{d_{gh}^2}}}

    with *d* the group's summed credit minus its mean over labelings, and the mean of its square
    over labelings in the denominator. ``p_adjusted`` compares a head with the largest z of
    all heads, which keeps the family-wise error rate at the level.

    Source: Westfall & Young 1993, "Resampling-Based Multiple Testing", section 2.

    Args:
        labelings: ``(num_labelings, num_cases, num_heads)``: the credit with the
            antecedent's label as it is, and shifted by one candidate, by two, …; with two
            candidates the second is 1 minus the first.
        groups: the group of each case.
        permutations: how many permutations are drawn; with few groups, all are made.
        seed: the random seed of the draws.
    """
    values, index = checked_labelings(labelings, groups)
    sums, per_one = labeling_sums(values, index)
    num_labelings, num_groups, num_heads = sums.shape
    if num_groups < FEWEST_GROUPS:
        nothing = np.full(num_heads, np.nan)
        note = (
            f"no p-values: {num_groups} groups have too few permutations; it takes at "
            f"least {FEWEST_GROUPS}"
        )
        return PermutationTest(nothing, nothing, num_groups, note)
    mean, norm = _null(sums)
    # What cancels within groups leaves rounding, which no permutation is to be compared with.
    largest_credit = per_one * np.nan_to_num(np.abs(values)).max()
    is_known = norm > SAME * largest_credit
    scale = np.divide(1.0, norm, out=np.zeros(num_heads), where=is_known)
    observed = (sums[0].sum(0, dtype=np.float64) - mean) * scale
    random = np.random.default_rng(seed)
    deviations = permuted_totals(sums, permutations, random)
    deviations -= mean
    deviations *= scale
    # The observed labels are one permutation: an exact enumeration already includes it.
    extra = 0 if num_labelings**num_groups <= permutations else 1
    own = (deviations >= observed - SAME).sum(0)
    largest = np.sort(deviations.max(1))
    family = len(largest) - np.searchsorted(largest, observed - SAME)
    total = len(deviations) + extra
    critical = float(np.quantile(largest, 1 - LEVEL))
    return PermutationTest(
        (own + extra) / total, (family + extra) / total, num_groups, critical=critical
    )


def labeling_sums(values: Matrix, index: Integers) -> tuple[Matrix, int]:
    """Sum the credits of each group under each labeling, in units.

    Returns:
        ``(num_labelings, num_groups, num_heads)``, and the units.
    """
    sums = np.stack([group_sums(labeling, index) for labeling in values])
    # A shift changes a sum by at most twice the largest.
    units = units_of(sums, most=2 * sums.shape[1])
    return units.table, units.per_one


def permuted_totals(sums: Matrix, permutations: int, random: np.random.Generator) -> Floats:
    """Sum over groups, with the labels of each group shifted at random.

    Args:
        sums: ``(num_labelings, num_groups, num_heads)``.
        permutations: how many permutations are drawn; if there are no more than that, each is
            used once.
        random: the generator of the draws.

    Returns:
        ``(num_permutations, num_heads)``.
    """
    draw, total = _draw(sums, permutations, random)
    totals = np.tile(sums[0].sum(0, dtype=np.float64), (total, 1))
    for period, members in _of_periods(sums):
        for block in _blocks(members):
            _shift(totals, sums, block, draw(block, period), period)
    return totals


def drawn_shifts(sums: Matrix, permutations: int, random: np.random.Generator) -> Shifts:
    """Draw the shift of each group's labels, ``(num_permutations, num_groups)``.

    The arguments are those of ``permuted_totals``.
    """
    draw, total = _draw(sums, permutations, random)
    shifts = np.zeros((total, sums.shape[1]), dtype=np.uint8)
    for period, members in _of_periods(sums):
        for block in _blocks(members):
            shifts[:, block] = draw(block, period)
    return shifts


def totals_by_part(sums: Matrix, shifts: Shifts, part: Integers) -> Floats:
    """Sum over the groups of each part, with the labels of each group shifted as drawn.

    Args:
        sums: ``(num_labelings, num_groups, num_heads)``.
        shifts: the result of ``drawn_shifts`` for them.
        part: ``(num_groups,)``, the part that each group is summed into.

    Returns:
        ``(num_permutations, num_parts, num_heads)``.
    """
    by_part = []
    for number in range(int(part.max()) + 1):
        own = sums[0][part == number].sum(0, dtype=np.float64)
        totals = np.tile(own, (len(shifts), 1))
        for period, members in _of_periods(sums):
            for block in _blocks(members[part[members] == number]):
                _shift(totals, sums, block, shifts[:, block], period)
        by_part.append(totals)
    return np.stack(by_part, axis=1)


def _draw(
    sums: Matrix, permutations: int, random: np.random.Generator
) -> tuple[Callable[[Integers, int], Shifts], int]:
    """Return a function that draws the shifts of some groups, and the number of permutations."""
    num_labelings, num_groups = sums.shape[:2]
    ways = num_labelings**num_groups
    if ways <= permutations:
        return _every_shift(num_labelings, num_groups), ways
    return _random_shifts(permutations, random), permutations


def _of_periods(sums: Matrix) -> Iterator[tuple[int, Integers]]:
    """Yield each number of shifts after which labels recur, and the groups that have it."""
    periods = _periods(sums)
    for period in range(2, len(sums) + 1):
        yield period, np.flatnonzero(periods == period)


def _shift(totals: Floats, sums: Matrix, block: Integers, shifts: Shifts, period: int) -> None:
    """Add to each total what the shifts of these groups change."""
    for shift in range(1, period):
        change = sums[shift][block] - sums[0][block]
        is_shifted = shifts if period == 2 else shifts == shift
        totals += is_shifted.astype(change.dtype) @ change


def _null(sums: Matrix) -> tuple[Floats, Floats]:
    """Return the mean of each head's total over all permutations, and its scale."""
    mean = np.zeros(sums.shape[2])
    squares = np.zeros(sums.shape[2])
    for block in _blocks(np.arange(sums.shape[1])):
        some = sums[:, block].astype(np.float64)
        middle = some.mean(0)
        mean += middle.sum(0)
        squares += ((some - middle) ** 2).mean(0).sum(0)
    return mean, np.sqrt(squares)


def _periods(sums: Matrix) -> Integers:
    """Return the number of shifts after which a group's labels recur.

    Twelve labelings of two candidates have the period 2. A group that no shift changes has
    the period 1, and need not be drawn.
    """
    num_labelings = len(sums)
    periods = np.full(sums.shape[1], num_labelings, dtype=np.intp)
    for period in range(num_labelings - 1, 0, -1):
        if num_labelings % period == 0:
            repeats = [
                (sums[shift] == sums[shift % period]).all(1)
                for shift in range(period, num_labelings)
            ]
            periods[np.logical_and.reduce(repeats)] = period
    return periods


def _every_shift(num_labelings: int, num_groups: int) -> Callable[[Integers, int], Shifts]:
    """Enumerate all shifts of all groups, as numbers with one digit per group."""
    numbers = np.arange(num_labelings**num_groups)[:, None]
    places = num_labelings ** np.arange(num_groups)

    def draw(block: Integers, period: int) -> Shifts:
        digits = numbers // places[block] % num_labelings
        return (digits % period).astype(np.uint8)

    return draw


def _random_shifts(
    permutations: int, random: np.random.Generator
) -> Callable[[Integers, int], Shifts]:
    """Draw shifts at random; with two labelings, one bit per group."""

    def draw(block: Integers, period: int) -> Shifts:
        shape = (permutations, len(block))
        if period != 2:
            return random.integers(period, size=shape, dtype=np.uint8)
        width = -(-len(block) // 8)
        packed = np.frombuffer(random.bytes(permutations * width), dtype=np.uint8)
        return np.unpackbits(packed.reshape(permutations, width), axis=1, count=len(block))

    return draw


def _blocks(members: Integers) -> Iterator[Integers]:
    for start in range(0, len(members), _BLOCK):
        yield members[start : start + _BLOCK]
