"""The held-out choice of a head, scored on cases that it was not chosen on."""

from __future__ import annotations

from dataclasses import dataclass

from introspect.records import Head


@dataclass(frozen=True)
class Choice:
    """The held-out choice of a head, scored on cases that it was not chosen on.

    Args:
        head: the head that most folds chose.
        direction: its direction.
        frequency: the share of folds that chose it.
        accuracy: pooled over all folds, each scored by the head that the others chose.
        ci_low: lower end of its 95% interval, by groups of cases.
        ci_high: upper end.
        n: the number of cases that count.
        n_not_observable: the number of cases that the chosen head cannot observe.
        p_value: how often the whole procedure does as well with permuted labels.
        in_sample_head: the best head on all cases.
        in_sample_direction: its direction.
        in_sample_accuracy: its accuracy on the cases that it was chosen on, which is too high.
        frequencies: every head that a fold of a division chose, with its direction and share, most
            often first.
        num_best: how many heads and directions are tied for the best on all cases.
        detectable: the smallest accuracy of one head that would have been found in 80% of such
            sets; NaN where something was found, or nothing could be.
    """

    head: Head
    direction: str
    frequency: float
    accuracy: float
    ci_low: float
    ci_high: float
    n: int
    n_not_observable: int
    p_value: float
    in_sample_head: Head
    in_sample_direction: str
    in_sample_accuracy: float
    frequencies: tuple[tuple[Head, str, float], ...] = ()
    num_best: int = 1
    detectable: float = float("nan")
