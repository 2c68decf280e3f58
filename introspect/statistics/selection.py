"""Held-out selection: the accuracy of a chosen head on cases that it was not chosen on."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from introspect.statistics.groups import (
    FEWEST_GROUPS,
    SAME,
    Floats,
    Integers,
    Matrix,
    checked,
    checked_labelings,
    fold_of_groups,
    group_sums,
    grouped_bootstrap,
    sizes_of,
)
from introspect.statistics.permutation import labeling_sums, permuted_totals

# A head observable in less than half of the cases that another is does not compete with it.
_OBSERVABLE_ENOUGH = 0.5


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Accuracy of a chosen head on cases that it was not chosen on.

    Args:
        accuracy: mean credit of each fold's chosen head on that fold, pooled over cases.
        ci_low: lower end of its 95% grouped bootstrap interval.
        ci_high: upper end.
        n: cases that count.
        n_not_observable: cases in which the mask hides what the chosen head would attend to.
        chosen: the head chosen for each fold.
        in_sample: the head chosen on all cases, and its accuracy on them: biased upward.
        p_value: how often the whole procedure does as well on permuted labels; NaN with too few
            groups.
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
        """Share of folds in which each head was chosen, most frequent first."""
        heads, counts = np.unique(self.chosen, return_counts=True)
        order = np.lexsort((heads, -counts))
        return {int(heads[i]): float(counts[i] / len(self.chosen)) for i in order}


def held_out_selection(
    labelings: npt.ArrayLike,
    groups: Sequence[Hashable],
    *,
    folds: int = 5,
    permutations: int = 1_000,
    resamples: int = 10_000,
    seed: int = 0,
) -> HeldOut:
    """Choose the best head on all folds but one, and score it on that one.

    The best of many heads on the cases that it was chosen on is above chance by choice alone. Here
    each case is scored by a head that was chosen without it. The p-value repeats the whole
    procedure, selection included, on permuted labels.

    Args:
        labelings: ``(num_labelings, num_cases, num_heads)``, as for ``permutation_test``.
        groups: the group of each case.
        folds: how many parts the groups are divided into.
        permutations: how many permutations are drawn for the p-value.
        resamples: the number of resamples for the interval.
        seed: the random seed of folds, draws, and resamples.

    Raises:
        InputError: fewer groups than folds.
    """
    values, index = checked_labelings(labelings, groups)
    part = fold_of_groups(index, folds, seed=seed)
    sums, per_one = labeling_sums(values, index)
    counts = _by_fold(group_sums(~np.isnan(values[0]), index), part, folds)
    fold_sums = _by_fold(sums[0], part, folds) / per_one
    chosen = _choice(fold_sums[None], counts)[0]
    held_out = values[0][np.arange(len(index)), chosen[part[index]]].astype(np.float64)
    low, high = grouped_bootstrap(held_out[:, None], groups, resamples=resamples, seed=seed)
    n = counts.sum(0)
    with np.errstate(invalid="ignore"):
        accuracies = fold_sums.sum(0) / n
    best = int(_best(accuracies[None], n)[0])
    # Computed from sums in units: the mean of shares in single precision would differ.
    total, of = fold_sums[range(folds), chosen].sum(), int(counts[range(folds), chosen].sum())
    accuracy = float(total / of) if of else float("nan")
    p_value = float("nan")
    if len(part) >= FEWEST_GROUPS and of:
        random = np.random.default_rng(seed + 1)
        totals = permuted_totals(sums, permutations, random, part) / per_one
        p_value = _share_as_good(totals, counts, accuracy)
    return HeldOut(
        accuracy=accuracy,
        ci_low=float(low[0]),
        ci_high=float(high[0]),
        n=of,
        n_not_observable=len(index) - of,
        chosen=tuple(int(head) for head in chosen),
        in_sample=(best, float(accuracies[best])),
        p_value=p_value,
        credits=held_out,
    )


def _by_fold(table: Matrix, part: Integers, folds: int) -> Floats:
    """Sum over the groups of each fold, ``(num_folds, num_heads)``."""
    return np.stack([table[part == fold].sum(0, dtype=np.float64) for fold in range(folds)])


def _share_as_good(fold_sums: Floats, counts: Floats, accuracy: float) -> float:
    """Return how often selection and held-out score do as well on permuted labels.

    Args:
        fold_sums: ``(num_permutations, num_folds, num_heads)``.
        counts: ``(num_folds, num_heads)``.
        accuracy: the accuracy with the observed labels.
    """
    chosen = _choice(fold_sums, counts)
    held_out = np.take_along_axis(fold_sums, chosen[:, :, None], axis=2)[:, :, 0].sum(1)
    n = np.take_along_axis(counts, chosen.T, axis=1).sum(0)
    as_good = int((held_out / n >= accuracy - SAME).sum())
    return (as_good + 1) / (len(fold_sums) + 1)


def _choice(fold_sums: Floats, counts: Floats) -> Integers:
    """Return the head chosen for each fold, by accuracy on the others: ``(some, num_folds)``.

    Args:
        fold_sums: ``(some, num_folds, num_heads)``, credits within each fold.
        counts: ``(num_folds, num_heads)``, observable cases within each fold.
    """
    n = counts.sum(0) - counts
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracies = (fold_sums.sum(1, keepdims=True) - fold_sums) / n
    return np.stack([_best(accuracies[:, f], n[f]) for f in range(len(counts))], axis=1)


def _best(accuracies: Floats, n: npt.NDArray[np.number]) -> Integers:
    """Return the first of the best heads that are observable often enough: ``(some,)``."""
    competes = n >= max(_OBSERVABLE_ENOUGH * n.max(), 1)
    return np.asarray(np.where(competes, accuracies, -np.inf).argmax(-1))


def pair_accuracy(credits: npt.ArrayLike, groups: Sequence[Hashable]) -> tuple[Floats, Integers]:
    """Return the share of minimal pairs with both cases right, for each head.

    A minimal pair is a group of two cases. Coin flips get both right in 25% of pairs, and a
    head that cannot tell the two apart gets both right in 0%, whatever its accuracy.

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
