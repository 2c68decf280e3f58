"""What is said of a head by its effect: that it supports or opposes the answer, or neither."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from introspect.statistics import FEWEST_GROUPS, accuracy_intervals
from introspect.studies.causal.metrics import Asked, Floats, credit_of

#: What is said of a head: ``no verdict`` where the model is not above chance, or groups are too
#: few; ``depends on the method`` where other ways to ablate it lead to another verdict.
Verdict = Literal["supports", "opposes", "no evidence", "depends on the method", "no verdict"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
#: The level of significance, family-wise over all heads of a study.
LEVEL = 0.05
#: The smallest effect that is one, as a part of the mean size of the margins: less than this moves
#: no answer, however surely it differs from 0.
SMALLEST = 0.01


@dataclass(frozen=True)
class Ability:
    """The share of cases in which the unchanged model prefers the antecedent.

    Args:
        accuracy: the share; a tie counts half.
        low: the lower end of its 95% interval, by groups of cases; NaN with too few.
        high: the upper end.
        n: the number of cases.
        groups: the number of groups that they form.
        chance: the accuracy of a blind choice.
        is_surrogate: whether the model was asked something else instead.
    """

    accuracy: float
    low: float
    high: float
    n: int
    groups: int
    chance: float
    is_surrogate: bool

    @property
    def is_above_chance(self) -> bool:
        """Return whether the whole interval is above the accuracy of a blind choice."""
        return self.low > self.chance


def ability_of(answers: Asked, margins: Floats) -> Ability:
    """Return how often the model's own answer is right, beside a blind choice.

    Args:
        answers: the cases.
        margins: the margins of the unchanged model, ``(num_cases,)``.
    """
    credit, groups = credit_of(margins), answers.groups
    count = len(set(groups))
    low = high = math.nan
    if count >= FEWEST_GROUPS:
        ends = accuracy_intervals(credit[:, None], groups)
        low, high = float(ends[0][0]), float(ends[1][0])
    return Ability(
        accuracy=float(credit.mean()),
        low=low,
        high=high,
        n=len(credit),
        groups=count,
        chance=answers.chance,
        is_surrogate=answers.metric.is_surrogate,
    )


def smallest_effect(margins: Floats) -> float:
    """Return the smallest effect that counts as one, from the margins of the unchanged model."""
    return SMALLEST * float(np.abs(margins).mean())


def verdicts_of(
    effects: Floats, p_adjusted: Floats, *, smallest: float, is_able: bool
) -> list[Verdict]:
    """Return the verdict on each head.

    Args:
        effects: the mean effect of each head, ``(num_heads,)``.
        p_adjusted: two-sided, family-wise; NaN where there are too few groups.
        smallest: the smallest effect that counts as one.
        is_able: whether the model is above chance.

    Example:
        >>> found = np.array([2.0, -1.0, 0.001, 0.5]), np.array([0.01, 0.02, 0.001, 0.3])
        >>> verdicts_of(*found, smallest=0.02, is_able=True)
        ['supports', 'opposes', 'no evidence', 'no evidence']
        >>> verdicts_of(*found, smallest=0.02, is_able=False)[0]
        'no verdict'
    """
    return [
        _verdict(float(effect), float(p), smallest) if is_able else "no verdict"
        for effect, p in zip(effects, p_adjusted, strict=True)
    ]


def _verdict(effect: float, p: float, smallest: float) -> Verdict:
    if math.isnan(p):
        return "no verdict"
    if p >= LEVEL or abs(effect) < smallest:
        return "no evidence"
    return "supports" if effect > 0 else "opposes"


def agreed(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the verdict that all methods agree on, or that it depends on the method.

    Example:
        >>> agreed(["supports", "supports"]), agreed(["supports", "no evidence"])
        ('supports', 'depends on the method')
    """
    return verdicts[0] if len(set(verdicts)) == 1 else "depends on the method"
