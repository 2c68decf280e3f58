"""Bias: whether a head finds the antecedent more often with one kind of pronoun than another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from introspect.errors import InputError, SelectionError
from introspect.statistics import FEWEST_GROUPS, Claim, effect_intervals, permutation_test
from introspect.studies.analyzer import Floats, ratio
from introspect.studies.coreference.claims import DEFAULT, Options, interval_of_the_same
from introspect.studies.coreference.columns import ScoredCase, check_alike
from introspect.studies.coreference.head_claims import bias_claims
from introspect.text import counted, shortened, verb

Integers = npt.NDArray[np.intp]

#: A caution that accompanies every result: Rudinger et al. 2018, section 3.
CAUTION = (
    "A difference may show that a bias is present; the lack of one cannot show that it is absent."
)
#: The label of cases that are reported beside the contrast and never enter the difference.
NEUTRAL = "neutral"

# A note names this many groups and counts the rest.
_NAMED = 5


@dataclass(frozen=True, eq=False)
class Bias:
    """The difference in accuracy between two kinds of cases.

    Args:
        table: one row for each layer, head and direction: accuracy and number of cases of each
            kind, over groups that hold both; ``difference``, the first minus the second, from -1
            to 1, with its interval and two-sided p-values; accuracy and number of neutral cases.
        contrast: the labels of the two kinds.
        num_groups: the number of groups that hold both kinds.
        notes: what could not be computed or was left out, and why.
        caution: what the result cannot show.
    """

    table: pd.DataFrame
    contrast: tuple[str, str]
    num_groups: int
    notes: tuple[str, ...] = ()
    caution: str = CAUTION

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Return the claims of the difference; empty where there are too few groups for a test."""
        return bias_claims(self.table, self.contrast, self.num_groups)


def bias_table(
    scored: Sequence[ScoredCase],
    labels: Sequence[str | None],
    contrast: tuple[str, str] = ("pro", "anti"),
    options: Options = DEFAULT,
) -> Bias:
    r"""Compute the difference in a head's accuracy between two kinds of cases.

    .. math:: \text{difference} = \operatorname*{mean}_{i \in A} c_i
              - \operatorname*{mean}_{i \in B} c_i

    with the credit *c*, over the groups that hold cases of both kinds *A* and *B* in which the head
    can be observed, so that both kinds use the same sentences. The interval is that of
    effects, by groups, of what each case adds to the difference. The p-values permute the two
    labels within groups; they are two-sided, and ``p_adjusted`` compares with the largest value
    over all heads and directions.

    Source: Zhao et al. 2018 (WinoBias) and Rudinger et al. 2018 (Winogender).

    Args:
        scored: the cases, of one model; those outside forced choice are left out.
        labels: the label of each case: one of the contrast, ``neutral``, or ``None``.
        contrast: the two labels that are compared.
        options: the numbers of draws for intervals and p-values, and the random seed.

    Raises:
        InputError: there is not one label for each case, the cases are of several models, or no
            case offers a choice.
        SelectionError: the contrast compares a label with itself or with the neutral one.
    """
    _check(scored, labels, contrast)
    kept = [i for i, case in enumerate(scored) if case.is_forced_choice]
    if not kept:
        raise InputError("Expected at least one case of forced choice, got none.")
    credits = np.stack([scored[i].credit.ravel() for i in kept])
    kinds = np.array([labels[i] or "" for i in kept], dtype=object)
    groups = [scored[i].group for i in kept]
    sides = _Sides.of(credits, kinds, groups, contrast)
    p_value, p_adjusted = _p_values(sides, options)
    low, high = _interval(sides, options)
    neutral = credits[kinds == NEUTRAL]
    table = (
        scored[0]
        .places()
        .assign(
            **_accuracies(sides, contrast),
            difference=sides.difference(),
            ci_low=low,
            ci_high=high,
            p_value=p_value,
            p_adjusted=p_adjusted,
            accuracy_neutral=ratio(np.nansum(neutral, axis=0), (~np.isnan(neutral)).sum(0)),
            n_neutral=(~np.isnan(neutral)).sum(0),
        )
    )
    notes = [
        *_of_cases(len(scored) - len(kept), kinds, contrast),
        *_of_groups(kinds, groups, contrast, sides.num_groups),
    ]
    return Bias(table, contrast, sides.num_groups, tuple(notes))


@dataclass(frozen=True, eq=False)
class _Sides:
    """The cases of the contrast, in the groups that hold both kinds.

    For each head, only groups in which both kinds can be observed count.

    Args:
        credits: ``(num_cases, num_heads)``, NaN where the case does not count for a head.
        is_first: ``(num_cases,)``, whether a case is of the first kind.
        index: ``(num_cases,)``, the number of its group.
        num_groups: the number of groups.
    """

    credits: Floats
    is_first: npt.NDArray[np.bool_]
    index: Integers
    num_groups: int

    @classmethod
    def of(
        cls,
        credits: Floats,
        kinds: npt.NDArray[np.object_],
        groups: Sequence[str],
        contrast: tuple[str, str],
    ) -> _Sides:
        numbers = {name: i for i, name in enumerate(_with_both(kinds, groups, contrast))}
        held = [i for i, group in enumerate(groups) if group in numbers and kinds[i] in contrast]
        index = np.array([numbers[groups[i]] for i in held], dtype=np.intp)
        is_first = np.array([kinds[i] == contrast[0] for i in held], dtype=bool)
        every = cls(credits[held], is_first, index, len(numbers))
        first, second = every.sums()[1]
        both = (first > 0) & (second > 0)
        return replace(every, credits=np.where(both[index], every.credits, np.nan))

    def sums(self) -> tuple[Floats, Floats]:
        """Return summed credits and numbers of cases, ``(2, num_groups, num_heads)`` each."""
        shape = (2, self.num_groups, self.credits.shape[1])
        sums, counts = np.zeros(shape), np.zeros(shape)
        places = (np.where(self.is_first, 0, 1), self.index)
        np.add.at(sums, places, np.nan_to_num(self.credits))
        np.add.at(counts, places, ~np.isnan(self.credits))
        return sums, counts

    def difference(self) -> Floats:
        """Return the mean credit of the first kind minus the second's, ``(num_heads,)``."""
        sums, counts = (values.sum(1) for values in self.sums())
        means = ratio(sums, counts)
        return np.asarray(means[0] - means[1])


def _interval(sides: _Sides, options: Options) -> tuple[Floats, Floats]:
    r"""Compute the interval of the difference, from what each case adds to it.

    With :math:`n_A` of :math:`n` cases of kind *A*, the influence of one of them is
    :math:`(c_i - \bar c_A)\, n / n_A`, and of a case of the other kind the same with a minus. The
    mean of the difference plus influences is the difference, and their sums over groups vary as it
    does.

    Source: Davison & Hinkley 1997, section 2.7.
    """
    num_heads = sides.credits.shape[1]
    if sides.num_groups < FEWEST_GROUPS:
        return np.full(num_heads, np.nan), np.full(num_heads, np.nan)
    sums, counts = (values.sum(1) for values in sides.sums())
    side = np.where(sides.is_first, 0, 1)
    weight = ratio(np.broadcast_to(counts.sum(0), counts.shape), counts)
    sign = np.where(sides.is_first, 1.0, -1.0)[:, None]
    influence = sign * weight[side] * (sides.credits - ratio(sums, counts)[side])
    difference = sides.difference()
    groups = [int(group) for group in sides.index]
    low, high = effect_intervals(
        influence + difference, groups, resamples=options.resamples, seed=options.seed
    )
    held = np.array(
        [len({g for g, c in zip(groups, one, strict=True) if c == c}) for one in sides.credits.T]
    )
    for head in np.flatnonzero(np.isnan(low) & (held >= FEWEST_GROUPS)):
        low[head], high[head] = interval_of_the_same(float(difference[head]), int(held[head]))
    return np.maximum(low, -1.0), np.minimum(high, 1.0)


def _p_values(sides: _Sides, options: Options) -> tuple[Floats, Floats]:
    """Compute the two-sided p-values of each head and of the family.

    If credits are deviations from a head's mean, the sum over the first kind minus the sum over the
    second is proportional to the difference, even where a group has more cases of one kind; and
    swapping the labels of a group flips the sign of its part.
    """
    num_heads = sides.credits.shape[1]
    if sides.num_groups < FEWEST_GROUPS:
        return np.full(num_heads, np.nan), np.full(num_heads, np.nan)
    counts = (~np.isnan(sides.credits)).sum(0)
    deviations = sides.credits - ratio(np.nansum(sides.credits, axis=0), counts)
    signed = np.where(sides.is_first[:, None], deviations, -deviations)
    # Each head appears with both signs, because the larger of the two is its absolute value.
    both = np.concatenate([signed, -signed], axis=1)
    test = permutation_test(
        np.stack([both, -both]),
        [int(group) for group in sides.index],
        permutations=options.permutations,
        seed=options.seed,
    )
    own = np.minimum(2 * test.p_value.reshape(2, num_heads).min(0), 1)
    family = np.maximum(test.p_adjusted.reshape(2, num_heads).min(0), own)
    return np.where(counts > 0, own, np.nan), np.where(counts > 0, family, np.nan)


def _accuracies(sides: _Sides, contrast: tuple[str, str]) -> dict[str, npt.NDArray[Any]]:
    sums, counts = (values.sum(1) for values in sides.sums())
    return {
        f"{name}_{label}": values[side]
        for name, values in (("accuracy", ratio(sums, counts)), ("n", counts.astype(np.int64)))
        for side, label in enumerate(contrast)
    }


def _with_both(
    kinds: npt.NDArray[np.object_], groups: Sequence[str], contrast: tuple[str, str]
) -> list[str]:
    """Return the groups that hold cases of both kinds, in their order."""
    first, second = (
        {group for group, kind in zip(groups, kinds, strict=True) if kind == label}
        for label in contrast
    )
    return [group for group in dict.fromkeys(groups) if group in first and group in second]


def _of_cases(
    num_outside: int, kinds: npt.NDArray[np.object_], contrast: tuple[str, str]
) -> Iterator[str]:
    if num_outside:
        yield f"{num_outside} cases left out: outside forced choice"
    others = sorted(kind for kind in kinds if kind and kind not in (*contrast, NEUTRAL))
    if others:
        yield f"{len(others)} cases left out: labeled {', '.join(dict.fromkeys(others))}"
    if unlabeled := sum(not kind for kind in kinds):
        yield f"{unlabeled} cases left out: without a label"


def _of_groups(
    kinds: npt.NDArray[np.object_],
    groups: Sequence[str],
    contrast: tuple[str, str],
    num_groups: int,
) -> Iterator[str]:
    held = [group for group, kind in zip(groups, kinds, strict=True) if kind in contrast]
    both = set(_with_both(kinds, groups, contrast))
    if single := [shortened(group) for group in dict.fromkeys(held) if group not in both]:
        more = f" and {len(single) - _NAMED} more" if len(single) > _NAMED else ""
        yield (
            f"{counted(len(single), 'group')} left out, which {verb(len(single), 'holds', 'hold')} "
            f"only one of {contrast[0]} and "
            f"{contrast[1]}: {', '.join(single[:_NAMED])}{more}"
        )
    if num_groups < FEWEST_GROUPS:
        yield (
            f"no intervals or p-values: {counted(num_groups, 'group')} with both {contrast[0]} and "
            f"{contrast[1]} {verb(num_groups, 'is', 'are')} too few; it takes at least "
            f"{FEWEST_GROUPS}"
        )


def _check(
    scored: Sequence[ScoredCase], labels: Sequence[str | None], contrast: tuple[str, str]
) -> None:
    if len(scored) != len(labels):
        raise InputError(
            f"Expected a label for each case, got {len(labels)} for {len(scored)} cases. Give None "
            "to a case without one."
        )
    if len(set(contrast)) != 2 or NEUTRAL in contrast or not all(contrast):
        raise SelectionError(
            f"Expected `contrast` as two different labels other than {NEUTRAL!r}, got {contrast}."
        )
    if scored:
        check_alike((case.name, case.margin.shape, case.layers) for case in scored)
