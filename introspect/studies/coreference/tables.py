"""Tables built from scored cases, each with its columns in a fixed order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from introspect.deprecated import renamed_attribute
from introspect.records import Head
from introspect.statistics import Claim
from introspect.studies.analyzer import known_means
from introspect.studies.coreference.choice import Choice
from introspect.studies.coreference.choice_claims import choice_claims
from introspect.studies.coreference.claims import (
    DEFAULT,
    Claims,
    Options,
    accuracy_interval,
    difference_interval,
    fixed_offset,
    make_claims,
)
from introspect.studies.coreference.columns import ScoredCase
from introspect.text import counted, verb


@dataclass(frozen=True, eq=False)
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
        minimal_pairs: for each head, the share of pairs with both cases right; empty without any.
        held_out: one row for each forced-choice case: its id, group, the credit of the head that
            was chosen without it, whether the antecedent is shorter, as long or longer than the
            distractor, and the credit of each baseline; empty where there is no choice.
        by_length: the held-out accuracy by whether the antecedent has fewer words than the
            distractor, as many, or more; empty where there is no choice.
        against: the held-out accuracy minus that of each baseline on the same cases, with the
            interval of the difference; empty where there is no choice.
        random_weights: the held-out accuracy in the same architecture with random weights, for each
            seed; empty where it was not asked for.
        notes: what could not be computed, and why.
        num_groups: the number of groups of the forced-choice cases.
    """

    heads: pd.DataFrame
    case_table: pd.DataFrame | Path
    baselines: pd.DataFrame
    outside_forced_choice: tuple[str, ...] = ()
    choice: Choice | None = None
    minimal_pairs: pd.DataFrame = field(default_factory=pd.DataFrame)
    held_out: pd.DataFrame = field(default_factory=pd.DataFrame)
    by_length: pd.DataFrame = field(default_factory=pd.DataFrame)
    against: pd.DataFrame = field(default_factory=pd.DataFrame)
    random_weights: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    num_groups: int = 0

    def __repr__(self) -> str:
        heads = len(self.heads[["layer", "head"]].drop_duplicates())
        cases = int(self.baselines["n"].max()) if len(self.baselines) else 0
        shown = f"{counted(heads, 'head')}, {counted(cases, 'case')} of forced choice"
        return f"<{type(self).__name__}: {shown}>"

    twins = renamed_attribute("twins", "minimal_pairs")

    @cached_property
    def cases(self) -> pd.DataFrame:
        """The table with one row for each case, layer, head and direction."""
        is_file = isinstance(self.case_table, Path)
        return pd.read_parquet(self.case_table) if is_file else self.case_table

    @cached_property
    def claims(self) -> tuple[Claim, ...]:
        """Return the claims of the held-out choice, each sentence with the numbers behind it."""
        return choice_claims(self)


#: The columns of the tables, in order.
HEAD_COLUMNS = (
    "layer", "head", "direction", "n", "n_not_observable", "accuracy", "ci_low", "ci_high",
    "margin", "p_value", "p_adjusted",
)  # fmt: skip
CASE_COLUMNS = (
    "id", "group", "layer", "head", "direction", "antecedent_weight", "distractor_weight",
    "credit", "removed_mass",
)  # fmt: skip
LENGTH_COLUMNS = ("antecedent", "n", "accuracy", "ci_low", "ci_high")
_LENGTHS = ("shorter", "as long", "longer")
BASELINE_COLUMNS = ("baseline", "n", "accuracy", "ci_low", "ci_high")


def scores_of(
    cases: Sequence[ScoredCase],
    table: pd.DataFrame | Path,
    options: Options = DEFAULT,
    *,
    pairs: Collection[str] = (),
) -> Scores:
    """Build the tables of scored cases.

    Args:
        cases: the cases, at least one.
        table: the result of ``case_table`` for them, or the file that it was written to.
        options: the numbers of draws for intervals and p-values, and the random seed.
        pairs: the groups that are minimal pairs.
    """
    offered = [case for case in cases if case.is_forced_choice]
    outside = tuple(case.name for case in cases if not case.is_forced_choice)
    if not offered:
        return Scores(
            heads=pd.DataFrame(columns=list(HEAD_COLUMNS)),
            case_table=table,
            baselines=pd.DataFrame(columns=list(BASELINE_COLUMNS)),
            outside_forced_choice=outside,
        )
    claims = make_claims(offered, options, frozenset(pairs))
    baselines = _baseline_credits(offered, options)
    held_out = _held_out_table(offered, claims, baselines)
    return Scores(
        heads=_head_table(offered, claims),
        case_table=table,
        baselines=_baseline_table(baselines, [case.group for case in offered]),
        outside_forced_choice=outside,
        choice=_choice(offered[0], claims),
        minimal_pairs=_pair_table(offered[0], claims),
        held_out=held_out,
        by_length=_length_table(held_out),
        against=against_table(held_out, baselines, options),
        notes=(*_copies(cases), *claims.notes),
        num_groups=len({case.group for case in offered}),
    )


def _copies(cases: Sequence[ScoredCase]) -> tuple[str, ...]:
    """Say how many cases are copies of others."""
    count = sum(case.is_copy for case in cases)
    if not count:
        return ()
    are = verb(count, "is a copy", "are copies")
    return (
        f"{counted(count, 'case')} {are} of another, with the same text and the same spans; copies "
        "share a group",
    )


def _length_table(held_out: pd.DataFrame) -> pd.DataFrame:
    """Divide the held-out accuracy by which of the candidates has fewer words."""
    if held_out.empty:
        return pd.DataFrame(columns=list(LENGTH_COLUMNS))
    credits = held_out["credit"].to_numpy(dtype=float)
    rows = []
    for name in _LENGTHS:
        kept = (held_out["antecedent"] == name).to_numpy() & ~np.isnan(credits)
        if kept.any():
            groups = held_out["group"][kept].tolist()
            ends = accuracy_interval(credits[kept].tolist(), groups)
            rows.append((name, int(kept.sum()), float(credits[kept].mean()), *ends))
    return pd.DataFrame(rows, columns=list(LENGTH_COLUMNS))


def _side(case: ScoredCase) -> int:
    """Return whether the shortest antecedent has fewer words than the shortest distractor."""
    words = {
        gold: min(n for n, own in zip(case.lengths, case.antecedents, strict=True) if own is gold)
        for gold in (True, False)
    }
    return (words[True] > words[False]) - (words[True] < words[False])


def case_table(cases: Sequence[ScoredCase]) -> pd.DataFrame:
    """Build a table with one row for each case, layer, head and direction."""
    places = cases[0].places()
    size, count = len(places), len(cases)

    def column(name: str) -> Any:
        return np.concatenate([getattr(case, name).ravel() for case in cases])

    table = pd.DataFrame(
        {
            "id": np.repeat(np.array([case.name for case in cases], dtype=object), size),
            "group": np.repeat(np.array([case.group for case in cases], dtype=object), size),
            **{name: np.tile(places[name].to_numpy(), count) for name in places},
            "antecedent_weight": column("antecedent_weight"),
            "distractor_weight": column("distractor_weight"),
            "credit": column("credit"),
            "removed_mass": column("removed_mass"),
        }
    )
    return table[list(CASE_COLUMNS)]


def _head_table(cases: Sequence[ScoredCase], claims: Claims) -> pd.DataFrame:
    credits = np.stack([case.credit.ravel() for case in cases])
    margins = np.stack([case.margin.ravel() for case in cases])
    n = (~np.isnan(credits)).sum(0)
    table = (
        cases[0]
        .places()
        .assign(
            n=n,
            n_not_observable=len(cases) - n,
            accuracy=known_means(credits),
            ci_low=claims.ci_low,
            ci_high=claims.ci_high,
            margin=known_means(margins),
            p_value=claims.p_value,
            p_adjusted=claims.p_adjusted,
        )
    )
    beside = _raw_accuracy(cases)
    return table[list(HEAD_COLUMNS)].assign(**beside)


def _raw_accuracy(cases: Sequence[ScoredCase]) -> dict[str, Any]:
    """Return the accuracy by raw weights as a column; none where raw weights were scored."""
    credits = [case.raw_credit for case in cases if case.raw_credit is not None]
    if len(credits) < len(cases):
        return {}
    return {"raw_accuracy": known_means(np.stack([credit.ravel() for credit in credits]))}


def _baseline_credits(cases: Sequence[ScoredCase], options: Options) -> dict[str, list[float]]:
    known = [name for name in cases[0].baselines if all(name in case.baselines for case in cases)]
    credits = {name: [case.baselines[name] for case in cases] for name in known}
    if by_offset := fixed_offset(cases, options):
        credits["fixed_offset"] = by_offset
    return credits


def _baseline_table(credits: Mapping[str, Sequence[float]], groups: Sequence[str]) -> pd.DataFrame:
    rows = [
        (name, len(values), float(np.mean(values)), *accuracy_interval(values, groups))
        for name, values in credits.items()
    ]
    return pd.DataFrame(rows, columns=list(BASELINE_COLUMNS))


def _held_out_table(
    cases: Sequence[ScoredCase], claims: Claims, baselines: Mapping[str, Sequence[float]]
) -> pd.DataFrame:
    if claims.held_out is None:
        return pd.DataFrame(columns=["id", "group", "credit", "antecedent", *baselines])
    return pd.DataFrame(
        {
            "id": [case.name for case in cases],
            "group": [case.group for case in cases],
            "credit": claims.held_out.credits,
            "antecedent": [_LENGTHS[_side(case) + 1] for case in cases],
            **baselines,
        }
    )


def against_table(
    held_out: pd.DataFrame, baselines: Mapping[str, Sequence[float]], options: Options = DEFAULT
) -> pd.DataFrame:
    """Subtract each baseline's accuracy from the held-out one, over cases that can be observed.

    The interval is of the mean paired difference, resampled by groups. It is narrower than a
    comparison of two separate intervals, because both answer the same cases.

    Args:
        held_out: the table of ``Scores``.
        baselines: the credit of each baseline, in the order of that table.
        options: the numbers of draws, and the random seed.

    Returns:
        A table with columns ``baseline, n, difference, ci_low, ci_high``.
    """
    seen = held_out["credit"].notna().to_numpy(dtype=bool)
    groups = held_out["group"][seen].tolist()
    rows = []
    for name, credits in baselines.items() if seen.any() else ():
        difference = (held_out["credit"].to_numpy(dtype=float) - np.asarray(credits))[seen]
        ends = difference_interval(list(difference), groups, options)
        rows.append((name, int(seen.sum()), float(difference.mean()), *ends))
    return pd.DataFrame(rows, columns=["baseline", "n", "difference", "ci_low", "ci_high"])


def _choice(case: ScoredCase, claims: Claims) -> Choice | None:
    found = claims.held_out
    if found is None:
        return None
    places = case.places()

    def place(index: int) -> tuple[Head, str]:
        row = places.iloc[index]
        return Head(int(row["layer"]), int(row["head"])), str(row["direction"])

    frequencies = tuple((*place(index), share) for index, share in found.frequency().items())
    head, direction, frequency = frequencies[0]
    best, best_direction = place(found.in_sample[0])
    return Choice(
        head=head,
        direction=direction,
        frequency=frequency,
        accuracy=found.accuracy,
        ci_low=found.ci_low,
        ci_high=found.ci_high,
        n=found.n,
        n_not_observable=found.n_not_observable,
        p_value=found.p_value,
        in_sample_head=best,
        in_sample_direction=best_direction,
        in_sample_accuracy=found.in_sample[1],
        frequencies=frequencies,
        num_best=found.num_best,
        detectable=found.detectable,
    )


def _pair_table(case: ScoredCase, claims: Claims) -> pd.DataFrame:
    table = case.places().assign(n_pairs=claims.num_pairs, both_right=claims.pairs_right)
    return table if claims.num_pairs.any() else table.iloc[:0]
