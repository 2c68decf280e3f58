"""Scores of heads on a set of cases: the tables, and the held-out choice of a head."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from introspect.records import Head

__all__ = ["Choice", "Scores"]


@dataclass(frozen=True)
class Choice:
    """The held-out choice of a head, scored on cases that it was not chosen on.

    Args:
        head: the head that most folds chose.
        direction: its direction.
        frequency: the share of folds that chose it.
        frequencies: every head that a fold chose, with its direction and share, most often first.
        accuracy: pooled over all folds, each scored by the head that the others chose.
        ci_low: lower end of its 95 % interval, by groups of cases.
        ci_high: upper end.
        n: the number of cases that count.
        n_not_observable: the number of cases that the chosen head cannot observe.
        p_value: how often the whole procedure does as well with permuted labels.
        in_sample_head: the best head on all cases.
        in_sample_direction: its direction.
        in_sample_accuracy: its accuracy on the cases that it was chosen on, which is too high.
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


@dataclass(frozen=True)
class Scores:
    """Coreference scores as tables.

    Args:
        heads: one row for each layer, head and direction: accuracy is the mean credit over the
            ``n`` forced-choice cases in which the direction can be observed, margin the mean where
            it is defined; the interval and the p-values count groups of cases, and are NaN with
            fewer than five. Where norms were scored, ``raw_accuracy`` is the accuracy of raw
            weights on the same cases.
        case_table: one row for each case, layer, head and direction; or the file that holds it.
        baselines: accuracy on the same cases of answers that need no head.
        outside_forced_choice: ids of cases whose candidates include no antecedent or only
            antecedents; they have rows in ``cases`` and count nowhere else.
        choice: the held-out choice; ``None`` where there are too few groups.
        twins: for each head, the share of minimal pairs with both cases right; empty without any.
        held_out: one row for each forced-choice case: its id, group, and the credit of the head
            that was chosen without it; empty where there is no choice.
        against: the held-out accuracy minus that of each baseline on the same cases, with the
            interval of the difference; empty where there is no choice.
        notes: what could not be computed, and why.
    """

    heads: pd.DataFrame
    case_table: pd.DataFrame | Path
    baselines: pd.DataFrame
    outside_forced_choice: tuple[str, ...] = ()
    choice: Choice | None = None
    twins: pd.DataFrame = field(default_factory=pd.DataFrame)
    held_out: pd.DataFrame = field(default_factory=pd.DataFrame)
    against: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        heads = len(self.heads[["layer", "head"]].drop_duplicates())
        cases = int(self.baselines["n"].max()) if len(self.baselines) else 0
        return f"<{type(self).__name__}: {heads} heads, {cases} cases of forced choice>"

    @cached_property
    def cases(self) -> pd.DataFrame:
        """The table with one row for each case, layer, head and direction."""
        is_file = isinstance(self.case_table, Path)
        return pd.read_parquet(self.case_table) if is_file else self.case_table
