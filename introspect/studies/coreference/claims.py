"""Statistical claims about heads on a set of scored cases: intervals, p-values, held-out choice."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from introspect.functional import closest_to_offsets
from introspect.statistics import (
    DIVISIONS,
    FEWEST_GROUPS,
    HeldOut,
    accuracy_intervals,
    checked,
    effect_intervals,
    fold_of_groups,
    held_out_selection,
    pair_accuracy,
    permutation_test,
)
from introspect.studies.analyzer import Floats
from introspect.studies.coreference.columns import ScoredCase
from introspect.text import counted, verb

FOLDS = 5
#: How much more a mean over divisions into folds varies than one over as many separate cases.
INFLATION = 1 / DIVISIONS + FOLDS / (FOLDS - 1)
# Labels of 2, 3, 4 and 6 candidates can be shifted evenly by twelfths, and others nearly evenly.
_MOST_LABELINGS = 12


@dataclass(frozen=True)
class Options:
    """The numbers of random draws, and their seed.

    Args:
        resamples: the number of resamples for intervals.
        permutations: the number of permutations for p-values of heads.
        selections: the number of permutations for the p-value of the held-out choice, each of which
            repeats the choice.
        seed: the random seed of all draws.
    """

    resamples: int = 10_000
    permutations: int = 10_000
    selections: int = 1_000
    seed: int = 0


DEFAULT = Options()


@dataclass(frozen=True, eq=False)
class Claims:
    """Statistics of all heads; arrays are ``(num_heads,)``, of directions × layers × heads.

    Args:
        ci_low: lower end of the interval of the accuracy.
        ci_high: upper end.
        p_value: p-value of the head alone.
        p_adjusted: p-value adjusted for the family of heads.
        held_out: the held-out choice; ``None`` with too few groups.
        pairs_right: share of minimal pairs with both cases right.
        num_pairs: number of minimal pairs that each head can observe.
        notes: what could not be computed, and why.
    """

    ci_low: Floats
    ci_high: Floats
    p_value: Floats
    p_adjusted: Floats
    held_out: HeldOut | None
    pairs_right: Floats
    num_pairs: npt.NDArray[np.intp]
    notes: tuple[str, ...] = ()


def make_claims(
    cases: Sequence[ScoredCase], options: Options, pairs: Collection[str] = ()
) -> Claims:
    """Compute intervals, tests and the held-out choice over the cases that offer a choice.

    Args:
        cases: the cases.
        options: the numbers of draws, and the random seed.
        pairs: the groups that are minimal pairs.
    """
    groups = [case.group for case in cases]
    labelings = _shared_labelings(cases)
    pairs_right, num_pairs = _both_right(labelings[0], groups, pairs)
    num_groups = len(set(groups))
    if num_groups < FEWEST_GROUPS:
        nothing = np.full(labelings.shape[2], np.nan)
        note = (
            f"no intervals, p-values or held-out figure: {counted(num_groups, 'group')} of cases "
            f"{verb(num_groups, 'is', 'are')} too few; it takes at least {FEWEST_GROUPS}"
        )
        return Claims(nothing, nothing, nothing, nothing, None, pairs_right, num_pairs, (note,))
    low, high = accuracy_intervals(labelings[0], groups)
    test = permutation_test(labelings, groups, permutations=options.permutations, seed=options.seed)
    held_out = held_out_selection(
        labelings,
        groups,
        folds=FOLDS,
        permutations=options.selections,
        seed=options.seed,
    )
    return Claims(low, high, test.p_value, test.p_adjusted, held_out, pairs_right, num_pairs)


def _both_right(
    credits: Floats, groups: Sequence[str], pairs: Collection[str]
) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Return the share of minimal pairs with both cases right, and how many can be observed."""
    kept = [number for number, group in enumerate(groups) if group in pairs]
    if not kept:
        nothing = np.full(credits.shape[1], np.nan)
        return nothing, np.zeros(credits.shape[1], dtype=np.intp)
    return pair_accuracy(credits[kept], [groups[number] for number in kept])


def accuracy_interval(credits: Sequence[float], groups: Sequence[str]) -> tuple[float, float]:
    """Return the interval of one accuracy; NaN with too few groups."""
    low, high = accuracy_intervals(np.array(credits)[:, None], groups)
    return float(low[0]), float(high[0])


def held_out_interval(credits: Sequence[float], groups: Sequence[str]) -> tuple[float, float]:
    """Return the interval of one accuracy of heads that were chosen on other cases."""
    low, high = accuracy_intervals(np.array(credits)[:, None], groups, inflation=INFLATION)
    return float(low[0]), float(high[0])


def difference_interval(
    differences: Sequence[float], groups: Sequence[str], options: Options
) -> tuple[float, float]:
    """Return the interval of the mean difference of held-out credits; NaN with too few groups."""
    low, high = effect_intervals(
        np.array(differences)[:, None],
        groups,
        resamples=options.resamples,
        inflation=INFLATION,
        seed=options.seed,
    )
    if np.isnan(low[0]):
        return interval_of_the_same(float(np.mean(differences)), len(set(groups)))
    # Credits from 0 to 1 differ by 1 at most.
    return max(-1.0, float(low[0])), min(1.0, float(high[0]))


def interval_of_the_same(difference: float, num_groups: int) -> tuple[float, float]:
    """Return the interval of a mean difference of credits that is the same in all groups.

    A bootstrap has nothing to vary there. At most a share of groups could differ otherwise that
    such a sample leaves open (the exact limit for none of them), each by as much as credits can.
    NaN with too few groups.
    """
    limit = accuracy_interval([0.0] * num_groups, [str(group) for group in range(num_groups)])[1]
    alike = difference * (1 - limit)
    return alike - limit, alike + limit


def fixed_offset(cases: Sequence[ScoredCase], options: Options) -> list[float]:
    """Compute the credit of the best fixed distance, chosen for each fold on the other folds.

    Each credit is the mean over the same divisions into folds as those of the held-out choice. The
    list is empty with too few groups.

    Source: Clark et al. 2019, section 5: the best word at a fixed offset.
    """
    offsets = sorted({distance for case in cases for distance in case.distances})
    credits = closest_to_offsets(
        [case.distances for case in cases], [case.antecedents for case in cases], offsets
    )
    _, index = checked(credits, [case.group for case in cases])
    if index.max() + 1 < FEWEST_GROUPS:
        return []
    found = np.zeros(len(cases))
    for division in range(DIVISIONS):
        fold = fold_of_groups(index, FOLDS, seed=options.seed + division)[index]
        for number in range(FOLDS):
            best = credits[fold != number].mean(0).argmax()
            found[fold == number] += credits[fold == number, best]
    return [float(value) for value in found / DIVISIONS]


def _shared_labelings(cases: Sequence[ScoredCase]) -> Floats:
    """Stack the credits of all cases under the same number of labelings.

    Returns:
        ``(num_labelings, num_cases, num_heads)``, where heads are directions × layers × heads.
    """
    counts = {len(case.labelings) for case in cases}
    shared = math.lcm(*counts)
    shared = shared if shared <= _MOST_LABELINGS else _MOST_LABELINGS
    return np.stack(
        [
            [case.labelings[shift * len(case.labelings) // shared].ravel() for case in cases]
            for shift in range(shared)
        ]
    )
