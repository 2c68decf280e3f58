"""What can be claimed of heads: intervals, family-wide tests, and held-out choice.

Everything counts *groups* (twins, schemas, pages, translations): no group is ever divided by a
fold, a resample or a relabelling. Arrays are ``(num_cases, num_heads)``, where "heads" stands for
every combination that is tried (layer, head and direction), and NaN marks what a mask makes
impossible to observe. All numbers follow from the seed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from introspect.errors import InputError

__all__ = [
    "FEWEST_GROUPS",
    "HeldOut",
    "PermutationTest",
    "fold_of_groups",
    "grouped_bootstrap",
    "held_out_selection",
    "permutation_test",
    "twin_accuracy",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]

#: With fewer groups no relabelling test can reach 0.05: there are only 2⁵ ways to relabel five.
FEWEST_GROUPS = 5
# A head that is observable in less than half of the cases that another is does not compete with it.
_OBSERVABLE_ENOUGH = 0.5
_CHUNK = 500
# Sums in another order differ in the last digits; what is equal up to that counts as equal.
_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """p-values of all heads.

    Args:
        p_value: ``(num_heads,)``, each head's own, one-sided: more credit than by chance.
        p_adjusted: ``(num_heads,)``, of the family: how often the best head of all does as well.
        num_groups: how many groups were relabelled.
        note: why there are no p-values, if there are none (they are NaN then).
    """

    p_value: Floats
    p_adjusted: Floats
    num_groups: int
    note: str = ""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What a choice of head is worth on cases that it was not chosen on.

    Args:
        accuracy: mean credit of each fold's chosen head on that fold, pooled over cases.
        ci_low: lower end of its 95 % grouped bootstrap interval.
        ci_high: upper end.
        n: cases that count.
        n_not_observable: cases that the chosen head cannot look at.
        chosen: the head chosen for each fold.
        in_sample: the head chosen on all cases, and its accuracy on them: too high.
        p_value: how often the whole procedure does as well on relabelled groups; NaN with too few.
        credits: ``(num_cases,)``, held out.
    """

    accuracy: float
    ci_low: float
    ci_high: float
    n: int
    n_not_observable: int
    chosen: tuple[int, ...]
    in_sample: tuple[int, float]
    p_value: float
    credits: Floats

    def frequency(self) -> dict[int, float]:
        """The share of folds in which each head was chosen, most often first."""
        heads, counts = np.unique(self.chosen, return_counts=True)
        order = np.lexsort((heads, -counts))
        return {int(heads[i]): float(counts[i] / len(self.chosen)) for i in order}


def grouped_bootstrap(
    credits: Floats,
    groups: Sequence[Hashable],
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Percentile intervals of mean credits, with groups resampled as wholes.

    Source: Davison & Hinkley 1997, "Bootstrap Methods and their Application", section 3.8.

    Args:
        credits: ``(num_cases, num_heads)``, NaN where not observable.
        groups: the group of each case.
        resamples: how many times the groups are drawn, with replacement.
        level: the share of resamples within the interval.
        seed: of the draws.

    Returns:
        Lower and upper ends, ``(num_heads,)``; NaN for a head without any observable case.
    """
    values, index = _checked(credits, groups)
    sums, counts = _group_sums(values, index)
    random = np.random.default_rng(seed)
    num_groups = len(sums)
    means = np.empty((resamples, values.shape[1]))
    for part in _chunks(resamples):
        drawn = random.multinomial(num_groups, np.full(num_groups, 1 / num_groups), len(part))
        drawn = drawn.astype(np.float64)
        with np.errstate(invalid="ignore"):
            means[part.start : part.stop] = (drawn @ sums) / (drawn @ counts)
    tail = (1 - level) / 2
    ends = np.full((2, values.shape[1]), np.nan)
    # A resample without any observable case of a head has no mean.
    known = counts.any(0)
    ends[:, known] = np.nanquantile(means[:, known], [tail, 1 - tail], axis=0)
    return ends[0], ends[1]


def permutation_test(
    labellings: Floats,
    groups: Sequence[Hashable],
    *,
    permutations: int = 10_000,
    seed: int = 0,
) -> PermutationTest:
    r"""Max-statistic relabelling test of all heads at once.

    Under the null, no head tells the antecedent from the other candidates, so that any candidate
    could be called the antecedent: within a group all labels are shifted together. The statistic is

    .. math:: z_h = \frac{\sum_g d_{gh}}{\sqrt{\sum_g \overline{d_{gh}^2}}}

    with *d* the group's summed credit minus its mean over labellings, and the mean of its square
    over labellings below. ``p_adjusted`` compares a head with the largest z of all heads, which
    keeps the chance of any false claim in the family at the level.

    Source: Westfall & Young 1993, "Resampling-Based Multiple Testing", section 2.

    Args:
        labellings: ``(num_labellings, num_cases, num_heads)``: the credit if the antecedent's label
            is where it is, and if it is shifted by one candidate, by two, …; of two candidates the
            second is 1 minus the first.
        groups: the group of each case.
        permutations: how many relabellings are drawn; with few groups all of them are made.
        seed: of the draws.
    """
    values, index = _checked_labellings(labellings, groups)
    deviations = _deviations(values, index)
    num_labellings, num_groups, num_heads = deviations.shape
    if num_groups < FEWEST_GROUPS:
        nothing = np.full(num_heads, np.nan)
        note = (
            f"no p-values: {num_groups} groups can be relabelled in too few ways; it takes at "
            f"least {FEWEST_GROUPS}"
        )
        return PermutationTest(nothing, nothing, num_groups, note)
    norms = np.sqrt((deviations**2).mean(0).sum(0))
    scale = np.divide(1.0, norms, out=np.zeros(num_heads), where=norms > 0)
    observed = deviations[0].sum(0) * scale
    own = np.zeros(num_heads)
    family = np.zeros(num_heads)
    total = 0
    for drawn in _relabellings(num_labellings, num_groups, permutations, seed):
        shifted = sum(
            (drawn == r).astype(np.float64) @ deviations[r] for r in range(num_labellings)
        )
        found = shifted * scale
        own += (found >= observed - _SAME).sum(0)
        largest = np.sort(found.max(1))
        family += len(largest) - np.searchsorted(largest, observed - _SAME)
        total += len(drawn)
    is_exact = num_labellings**num_groups <= permutations
    # The labels as they are, are one relabelling: an exact enumeration has made it already.
    extra = 0 if is_exact else 1
    return PermutationTest(
        (own + extra) / (total + extra), (family + extra) / (total + extra), num_groups
    )


def held_out_selection(
    labellings: Floats,
    groups: Sequence[Hashable],
    *,
    folds: int = 5,
    permutations: int = 1_000,
    resamples: int = 10_000,
    seed: int = 0,
) -> HeldOut:
    """Choose the best head on all folds but one, and score it on that one.

    The best of many heads on the cases that it was chosen on is above chance by choice alone. Here
    each case is scored by a head that was chosen without it. The p-value repeats all of it, choice
    included, on relabelled groups.

    Args:
        labellings: ``(num_labellings, num_cases, num_heads)``, as for ``permutation_test``.
        groups: the group of each case.
        folds: how many parts the groups are divided into.
        permutations: how many relabellings are drawn for the p-value.
        resamples: for the interval.
        seed: of folds, draws and resamples.

    Raises:
        InputError: fewer groups than folds.
    """
    values, index = _checked_labellings(labellings, groups)
    part = fold_of_groups(index, folds, seed=seed)
    sums, counts = _fold_tables(values[0], index, part, folds)
    chosen = _choice(sums[None], counts)[0]
    held_out = values[0][np.arange(len(index)), chosen[part[index]]]
    observable = ~np.isnan(held_out)
    low, high = grouped_bootstrap(held_out[:, None], groups, resamples=resamples, seed=seed)
    totals, n = values[0], (~np.isnan(values[0])).sum(0)
    with np.errstate(invalid="ignore"):
        accuracies = np.nansum(totals, 0) / n
    best = int(_best(accuracies[None], n)[0])
    accuracy = float(held_out[observable].mean()) if observable.any() else float("nan")
    return HeldOut(
        accuracy=accuracy,
        ci_low=float(low[0]),
        ci_high=float(high[0]),
        n=int(observable.sum()),
        n_not_observable=int((~observable).sum()),
        chosen=tuple(int(head) for head in chosen),
        in_sample=(best, float(accuracies[best])),
        p_value=_selection_p(values, index, part, counts, accuracy, permutations, seed),
        credits=held_out,
    )


def twin_accuracy(credits: Floats, groups: Sequence[Hashable]) -> tuple[Floats, Integers]:
    """The share of pairs of twins with both right, for each head.

    Twins are the two cases of a group of two. Coin flips get both right in 25 % of pairs, and a
    head that cannot tell the twins apart in 0 %, whatever its accuracy.

    Args:
        credits: ``(num_cases, num_heads)``.
        groups: the group of each case.

    Returns:
        The shares, NaN without any pair, and how many pairs each head can observe.
    """
    values, index = _checked(credits, groups)
    sizes = np.bincount(index)
    order = np.argsort(index, kind="stable")
    pairs = values[[i for i in order if sizes[index[i]] == 2]].reshape(-1, 2, values.shape[1])
    observable = ~np.isnan(pairs).any(1)
    both = (pairs > 1 - _SAME).all(1) & observable
    n = observable.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return both.sum(0) / n, n


def fold_of_groups(index: Integers, folds: int, *, seed: int = 0) -> Integers:
    """The fold of each group; folds have about the same number of cases.

    Args:
        index: ``(num_cases,)``, the number of each case's group.
        folds: how many.
        seed: of the order in which groups of one size are dealt out.

    Raises:
        InputError: fewer groups than folds.
    """
    sizes = np.bincount(index)
    if len(sizes) < folds:
        raise InputError(
            f"Expected at least {folds} groups to divide into {folds} folds, got {len(sizes)}. "
            "Give more cases: nothing can be held out from so few."
        )
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    by_size = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    fold = np.empty(len(sizes), dtype=np.intp)
    filled = np.zeros(folds)
    for group in by_size:
        fold[group] = np.argmin(filled)
        filled[fold[group]] += sizes[group]
    return fold


def _checked(credits: Floats, groups: Sequence[Hashable]) -> tuple[Floats, Integers]:
    values = np.asarray(credits, dtype=np.float64)
    if values.ndim != 2 or len(values) != len(groups) or not len(values):
        raise InputError(
            f"Expected credits of shape (num_cases, num_heads) and a group for each case, got "
            f"{values.shape} and {len(groups)} groups."
        )
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(group, len(numbers)) for group in groups]
    return values, np.array(index, dtype=np.intp)


def _checked_labellings(labellings: Floats, groups: Sequence[Hashable]) -> tuple[Floats, Integers]:
    values = np.asarray(labellings, dtype=np.float64)
    if values.ndim != 3 or len(values) < 2:
        raise InputError(
            "Expected labellings of shape (at least 2, num_cases, num_heads), got "
            f"{values.shape}. Of two candidates the second labelling is 1 minus the first."
        )
    _, index = _checked(values[0], groups)
    return values, index


def _group_sums(values: Floats, index: Integers) -> tuple[Floats, Floats]:
    """Summed credits and numbers of observable cases, ``(num_groups, num_heads)``."""
    shape = (int(index.max()) + 1, values.shape[-1])
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, index, np.nan_to_num(values))
    np.add.at(counts, index, ~np.isnan(values))
    return sums, counts


def _deviations(values: Floats, index: Integers) -> Floats:
    """Each group's summed credit under each labelling, minus its mean over labellings."""
    sums = np.stack([_group_sums(labelling, index)[0] for labelling in values])
    deviations: Floats = sums - sums.mean(0)
    return deviations


def _relabellings(
    num_labellings: int, num_groups: int, permutations: int, seed: int
) -> Iterator[Integers]:
    """Shifts of each group's labels, ``(some, num_groups)``, in parts; all there are if few."""
    total = num_labellings**num_groups
    if total <= permutations:
        places = num_labellings ** np.arange(num_groups)
        for part in _chunks(total):
            yield np.array(part)[:, None] // places % num_labellings
        return
    random = np.random.default_rng(seed)
    for part in _chunks(permutations):
        yield random.integers(num_labellings, size=(len(part), num_groups))


def _chunks(total: int) -> Iterator[range]:
    for start in range(0, total, _CHUNK):
        yield range(start, min(start + _CHUNK, total))


def _fold_tables(
    values: Floats, index: Integers, part: Integers, folds: int
) -> tuple[Floats, Floats]:
    """Summed credits and numbers of observable cases by fold, ``(num_folds, num_heads)`` each."""
    sums, counts = _group_sums(values, index)
    inside = (part[None] == np.arange(folds)[:, None]).astype(np.float64)
    return inside @ sums, inside @ counts


def _choice(fold_sums: Floats, counts: Floats) -> Integers:
    """The head chosen for each fold, by accuracy on the others: ``(some, num_folds)``.

    Args:
        fold_sums: ``(some, num_folds, num_heads)``, credits within each fold.
        counts: ``(num_folds, num_heads)``, observable cases within each fold.
    """
    n = counts.sum(0) - counts
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracies = (fold_sums.sum(1, keepdims=True) - fold_sums) / n
    return np.stack([_best(accuracies[:, f], n[f]) for f in range(len(counts))], axis=1)


def _best(accuracies: Floats, n: npt.NDArray[np.number]) -> Integers:
    """The first of the best heads that can be observed often enough: ``(some,)``."""
    competes = n >= max(_OBSERVABLE_ENOUGH * n.max(), 1)
    found: Integers = np.where(competes, accuracies, -np.inf).argmax(-1)
    return found


def _selection_p(
    values: Floats,
    index: Integers,
    part: Integers,
    counts: Floats,
    accuracy: float,
    permutations: int,
    seed: int,
) -> float:
    """How often choice and held-out score do as well on relabelled groups."""
    num_groups = int(index.max()) + 1
    if num_groups < FEWEST_GROUPS or np.isnan(accuracy):
        return float("nan")
    sums = np.stack([_group_sums(labelling, index)[0] for labelling in values])
    members = [np.flatnonzero(part == fold) for fold in range(len(counts))]
    as_good = total = 0
    for drawn in _relabellings(len(values), num_groups, permutations, seed + 1):
        fold_sums = np.stack(
            [
                sum(
                    (drawn[:, own] == r).astype(np.float64) @ sums[r][own]
                    for r in range(len(values))
                )
                for own in members
            ],
            axis=1,
        )
        chosen = _choice(fold_sums, counts)
        held_out = np.take_along_axis(fold_sums, chosen[:, :, None], axis=2)[:, :, 0].sum(1)
        n = np.take_along_axis(counts, chosen.T, axis=1).sum(0)
        as_good += int((held_out / n >= accuracy - _SAME).sum())
        total += len(drawn)
    return (as_good + 1) / (total + 1)
