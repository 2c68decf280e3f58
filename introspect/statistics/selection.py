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
    sizes_of,
)
from introspect.statistics.intervals import accuracy_intervals
from introspect.statistics.permutation import (
    Shifts,
    drawn_shifts,
    labeling_sums,
    totals_by_part,
)
from introspect.statistics.power import POWER

#: How many times the groups are divided into folds.
DIVISIONS = 30
#: Below this a p-value counts as evidence.
SIGNIFICANT = 0.05
# So many sets are simulated, and the accuracy is searched in steps of this size.
_POWER_RUNS = 1_000
_POWER_STEP = 0.002

# A head observable in less than half of the cases that another is does not compete with it.
_OBSERVABLE_ENOUGH = 0.5


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Accuracy of a chosen head on cases that it was not chosen on.

    Args:
        accuracy: mean credit of each fold's chosen head on that fold, pooled over the cases; the
            mean over all divisions into folds.
        ci_low: lower end of its 95% interval.
        ci_high: upper end.
        n: cases that count.
        n_not_observable: cases in which the mask hides what the chosen heads would attend to.
        chosen: the head chosen for each fold of each division.
        in_sample: the first of the heads that are best on all cases, and its accuracy on them:
            biased upward.
        num_best: how many heads are tied for that.
        p_value: how often the whole procedure does as well on permuted labels; NaN with too few
            groups.
        detectable: the smallest accuracy of one head that would have been found, with a p-value
            below 0.05, in 80% of such sets; NaN where something was found, or nothing could be.
        credits: ``(num_cases,)``, held out, each the mean over divisions.
    """

    accuracy: float
    ci_low: float
    ci_high: float
    n: int
    n_not_observable: int
    chosen: tuple[int, ...]
    in_sample: tuple[int, float]
    num_best: int
    p_value: float
    detectable: float
    credits: Floats

    def frequency(self) -> dict[int, float]:
        """Share of choices that fell on each head, most frequent first."""
        heads, counts = np.unique(self.chosen, return_counts=True)
        order = np.lexsort((heads, -counts))
        return {int(heads[i]): float(counts[i] / len(self.chosen)) for i in order}


def held_out_selection(
    labelings: npt.ArrayLike,
    groups: Sequence[Hashable],
    *,
    folds: int = 5,
    divisions: int = DIVISIONS,
    permutations: int = 1_000,
    seed: int = 0,
) -> HeldOut:
    r"""Choose the best head on all folds but one, and score it on that one.

    The best of many heads on the cases that it was chosen on is above chance by choice alone. Here
    each case is scored by a head that was chosen without it. The groups, sorted by name, are
    divided into folds many times, and the figure is the mean: no single division decides. The
    p-value repeats the whole procedure, selection included, on permuted labels.

    The folds share most of the cases that they choose on, so their figures vary together: the
    variance of the mean over *D* divisions into *K* folds is
    :math:`\frac{1}{D} + \frac{K}{K-1}` times that of as many separate cases.

    Source: Nadeau & Bengio 2003, "Inference for the Generalization Error"; Bouckaert & Frank 2004,
    "Evaluating the Replicability of Significance Tests for Comparing Learning Algorithms".

    Args:
        labelings: ``(num_labelings, num_cases, num_heads)``, as for ``permutation_test``.
        groups: the group of each case.
        folds: how many parts the groups are divided into.
        divisions: how many times they are divided.
        permutations: how many permutations are drawn for the p-value.
        seed: the random seed of folds and draws.

    Raises:
        InputError: fewer groups than folds.
    """
    values, index = checked_labelings(labelings, groups)
    sums, per_one = labeling_sums(values, index)
    observable = group_sums(~np.isnan(values[0]), index)
    each = divided_choices(
        sums[0] / per_one, observable, index, folds=folds, divisions=divisions, seed=seed
    )
    credits = _mean_credits(values[0], [one.chosen[one.part[index]] for one in each])
    low, high = accuracy_intervals(
        credits[:, None], groups, inflation=1 / divisions + folds / (folds - 1)
    )
    n = int((~np.isnan(credits)).sum())
    # Computed from sums in units: the mean of shares in single precision would differ.
    accuracy = float(np.mean([one.accuracy for one in each])) if n else float("nan")
    p_value = detectable = float("nan")
    if len(observable) >= FEWEST_GROUPS and n:
        shifts = drawn_shifts(sums, permutations, np.random.default_rng(seed + 1))
        null = _Null.of(sums, per_one, shifts, each)
        p_value = null.share_as_good(accuracy)
        if p_value >= SIGNIFICANT:
            detectable = null.detectable(np.bincount(index), each, seed=seed + 2)
    best, best_accuracy, num_best = _in_sample(sums[0] / per_one, observable)
    return HeldOut(
        accuracy=accuracy,
        ci_low=float(low[0]),
        ci_high=float(high[0]),
        n=n,
        n_not_observable=len(index) - n,
        chosen=tuple(int(head) for one in each for head in one.chosen),
        in_sample=(best, best_accuracy),
        num_best=num_best,
        p_value=p_value,
        detectable=detectable,
        credits=credits,
    )


@dataclass(frozen=True, eq=False)
class Division:
    """One division of the groups into folds, with the head that is best on all folds but one.

    Args:
        part: ``(num_groups,)``, the fold of each group.
        counts: ``(num_folds, num_heads)``, observable cases within each fold.
        chosen: ``(num_folds,)``, the head chosen for each fold on the others.
        accuracy: the mean credit of the chosen heads; NaN where they can observe no case.
    """

    part: Integers
    counts: Floats
    chosen: Integers
    accuracy: float


def divided_choices(
    sums: Matrix,
    observable: Matrix,
    index: Integers,
    *,
    folds: int,
    divisions: int = DIVISIONS,
    seed: int = 0,
) -> list[Division]:
    """Divide the groups into folds many times, and choose a head for each on the others.

    Args:
        sums: ``(num_groups, num_heads)``: the credits of each group.
        observable: the same shape: the number of cases behind each.
        index: the number of the group of each case.
        folds: how many parts the groups are divided into.
        divisions: how many times.
        seed: the random seed of the folds.
    """
    return [
        _divided(sums, observable, fold_of_groups(index, folds, seed=seed + number))
        for number in range(divisions)
    ]


def _divided(sums: Matrix, observable: Matrix, part: Integers) -> Division:
    counts = _by_fold(observable, part)
    fold_sums = _by_fold(sums, part)[None]
    chosen = _choice(fold_sums, counts)
    return Division(part, counts, chosen[0], float(_accuracies(fold_sums, counts, chosen)[0]))


def _by_fold(table: Matrix, part: Integers) -> Floats:
    """Sum over the groups of each fold, ``(num_folds, num_heads)``."""
    folds = range(int(part.max()) + 1)
    return np.stack([table[part == fold].sum(0, dtype=np.float64) for fold in folds])


def _mean_credits(credits: Matrix, chosen: Sequence[Integers]) -> Floats:
    """Return the mean credit of each case over the divisions in which it can be observed.

    Args:
        credits: ``(num_cases, num_heads)``.
        chosen: for each division the head that scores each case, ``(num_cases,)``.
    """
    cases = np.arange(len(credits))
    each = np.stack([credits[cases, heads] for heads in chosen]).astype(np.float64)
    known = ~np.isnan(each)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(known, each, 0).sum(0) / known.sum(0)
    return mean


def _in_sample(sums: Matrix, observable: Matrix) -> tuple[int, float, int]:
    """Return the first of the best heads on all cases, its accuracy, and how many are as good."""
    n = observable.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracies = sums.sum(0, dtype=np.float64) / n
    best = int(_best(accuracies[None], n)[0])
    tied = (accuracies >= accuracies[best] - SAME) & (n >= _OBSERVABLE_ENOUGH * n.max())
    return best, float(accuracies[best]), int(tied.sum())


@dataclass(frozen=True, eq=False)
class _Null:
    """The whole procedure on permuted labels, for each division of some permutations.

    Args:
        accuracies: ``(num_permutations,)``, held out, the means over divisions.
        training: ``(num_divisions, some, num_folds)``, the accuracy of each fold's chosen head on
            the other folds, for the first permutations.
        held_out: the same shape, its credit on the fold itself.
    """

    accuracies: Floats
    training: Floats
    held_out: Floats

    @classmethod
    def of(cls, sums: Matrix, per_one: int, shifts: Shifts, divisions: Sequence[Division]) -> _Null:
        """Repeat selection and held-out score on permuted labels.

        Args:
            sums: the credits of each group under each labeling, in units.
            per_one: how many units make 1.
            shifts: the permutations, the same for every division.
            divisions: the divisions into folds.
        """
        total = np.zeros(len(shifts))
        training, held_out = [], []
        for one in divisions:
            fold_sums = totals_by_part(sums, shifts, one.part) / per_one
            chosen = _choice(fold_sums, one.counts)
            total += _accuracies(fold_sums, one.counts, chosen)
            some = slice(_POWER_RUNS)
            within = _of_chosen(fold_sums[some], chosen[some])
            every = _of_chosen(
                np.broadcast_to(fold_sums.sum(1, keepdims=True), fold_sums.shape)[some],
                chosen[some],
            )
            n = np.take_along_axis(one.counts.sum(0) - one.counts, chosen[some].T, axis=1).T
            with np.errstate(invalid="ignore", divide="ignore"):
                training.append((every - within) / n)
            held_out.append(within)
        return cls(total / len(divisions), np.stack(training), np.stack(held_out))

    def share_as_good(self, accuracy: float) -> float:
        """Return how often the procedure does as well on permuted labels."""
        as_good = int((self.accuracies >= accuracy - SAME).sum())
        return (as_good + 1) / (len(self.accuracies) + 1)

    def detectable(self, sizes: Integers, divisions: Sequence[Division], *, seed: int) -> float:
        """Return the accuracy at which one more head is found in 80% of simulated sets.

        In each set one head is right in cases drawn with some probability, and the others are those
        of a permutation. It is found if the procedure does better than in 95% of permutations.

        Args:
            sizes: how many cases each group has.
            divisions: the divisions into folds.
            seed: the random seed of the sets.
        """
        critical = np.quantile(self.accuracies, 1 - SIGNIFICANT, method="higher")
        group = np.repeat(np.arange(len(sizes)), sizes)
        luck = np.random.default_rng(seed).random((self.training.shape[1], len(group)))

        def power(accuracy: float) -> float:
            is_right = (luck < accuracy).astype(np.float64)
            by_group = np.add.reduceat(is_right, np.cumsum(sizes) - sizes, axis=1)
            found = np.zeros(len(luck))
            for number, one in enumerate(divisions):
                found += self._with_planted(number, by_group, sizes, one.part)
            return float((found / len(divisions) > critical + SAME).mean())

        low, high = 0.5, 1.0
        if power(high) < POWER:
            return float("nan")
        while high - low > _POWER_STEP:
            middle = (low + high) / 2
            low, high = (low, middle) if power(middle) >= POWER else (middle, high)
        return high

    def _with_planted(
        self, number: int, by_group: Floats, sizes: Integers, part: Integers
    ) -> Floats:
        """Return the held-out accuracy of each simulated set in one division, ``(some,)``."""
        folds = np.eye(int(part.max()) + 1)[part]
        own, n = by_group @ folds, sizes @ folds
        training = (own.sum(1, keepdims=True) - own) / (n.sum() - n)
        # Of heads that are tied the first is chosen, which is either in half of all cases.
        share = (np.sign(training - self.training[number]) + 1) / 2
        held_out: Floats = (share * own + (1 - share) * self.held_out[number]).sum(1) / n.sum()
        return held_out


def _accuracies(fold_sums: Floats, counts: Floats, chosen: Integers) -> Floats:
    """Return the mean credit of the chosen heads over all folds, ``(some,)``.

    Args:
        fold_sums: ``(some, num_folds, num_heads)``, credits within each fold.
        counts: ``(num_folds, num_heads)``, observable cases within each fold.
        chosen: ``(some, num_folds)``, the head chosen for each fold.
    """
    held_out = _of_chosen(fold_sums, chosen).sum(1)
    n = np.take_along_axis(counts, chosen.T, axis=1).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(held_out / n)


def _of_chosen(fold_sums: Floats, chosen: Integers) -> Floats:
    """Return the numbers of the head chosen for each fold, ``(some, num_folds)``."""
    return np.asarray(np.take_along_axis(fold_sums, chosen[:, :, None], axis=2)[:, :, 0])


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
