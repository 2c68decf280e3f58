"""Coreference scores of every head over a set of cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from introspect.alignment import resegmented
from introspect.analyzers.claims import Claims, Options, fixed_offset, interval, make_claims
from introspect.analyzers.scored import ScoredCase, scored
from introspect.errors import InputError, naming
from introspect.functional.coreference import Mention
from introspect.mentions import CorefCase, Span
from introspect.models import Model, load_text
from introspect.records import AttentionRecord, Head
from introspect.scoring import DIRECTIONS
from introspect.weighting import Weights, parts_for

__all__ = [
    "CASE_COLUMNS",
    "Choice",
    "CoreferenceAnalyzer",
    "Options",
    "Scores",
    "against_table",
    "case_table",
    "score",
    "scores_of",
]

DEFAULT = Options()

#: The columns of the tables, in order.
HEAD_COLUMNS = (
    "layer", "head", "direction", "n", "n_not_observable", "accuracy", "ci_low", "ci_high",
    "margin", "p_value", "p_adjusted",
)  # fmt: skip
CASE_COLUMNS = (
    "id", "group", "layer", "head", "direction", "antecedent_weight", "distractor_weight",
    "credit", "removed_mass",
)  # fmt: skip
BASELINE_COLUMNS = ("baseline", "n", "accuracy", "ci_low", "ci_high")


@dataclass(frozen=True)
class Choice:
    """The held-out choice of a head: what it is worth on cases that it was not chosen on.

    Args:
        head: the head that most folds chose.
        direction: its direction.
        frequency: the share of folds that chose it, and
        frequencies: every head that a fold chose, with its direction and share, most often first.
        accuracy: pooled over all folds, each scored by the head that the others chose.
        ci_low: lower end of its 95 % interval, by groups of cases.
        ci_high: upper end.
        n: cases that count.
        n_not_observable: cases at which the chosen head cannot look.
        p_value: how often the whole procedure does as well on relabelled cases.
        in_sample_head: the best head on all cases, and
        in_sample_direction: its direction, and
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
            fewer than five. Where norms were scored, ``raw_accuracy`` is that of raw weights on
            the same cases.
        case_table: one row for each case, layer, head and direction; or the file that it is in.
        baselines: accuracy on the same cases of answers that need no head.
        outside_forced_choice: ids of cases with no antecedent, or with nothing else, among the
            candidates; they have rows in ``cases`` and count nowhere else.
        choice: the held-out choice; ``None`` where there are too few groups.
        twins: for each head the share of pairs of twins with both right; empty without twins.
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
        """One row for each case, layer, head and direction."""
        is_file = isinstance(self.case_table, Path)
        return pd.read_parquet(self.case_table) if is_file else self.case_table


@dataclass
class CoreferenceAnalyzer:
    """Collects scores case by case.

    Args:
        mention: how the word pairs of two mentions become one number.
        weights: ``raw``, ``renormalised`` or ``norm``.
    """

    mention: Mention = "mean"
    weights: Weights = "raw"
    _cases: dict[str, ScoredCase] = field(default_factory=dict)

    @property
    def scored(self) -> tuple[ScoredCase, ...]:
        """The cases so far, in the order in which they came."""
        return tuple(self._cases.values())

    def update(self, batch: Iterable[tuple[CorefCase, AttentionRecord]]) -> None:
        """Score some cases with the records of their texts.

        Raises:
            InputError: two cases have the same id, or the records are of different models.
            MentionError: a mention cannot be found among the tokens.
        """
        for case, record in batch:
            name = case.id if case.id is not None else f"case-{len(self._cases) + 1}"
            if name in self._cases:
                raise InputError(f"Expected a different id for each case, got {name!r} twice.")
            self._add(scored(case, record, name, self.mention, self.weights))

    def _add(self, case: ScoredCase) -> None:
        first = next(iter(self._cases.values()), case)
        if (first.layers, first.margin.shape) != (case.layers, case.margin.shape):
            raise InputError(
                f"Expected records of one model, got {first.margin.shape[1:]} layers and heads for "
                f"{first.name!r} and {case.margin.shape[1:]} for {case.name!r}."
            )
        self._cases[case.name] = case

    def merge(self, other: CoreferenceAnalyzer) -> None:
        """Take over what another analyzer has collected from other cases.

        Raises:
            InputError: a case is in both, or the two score mentions differently.
        """
        if both := self._cases.keys() & other._cases.keys():
            raise InputError(f"Expected different cases to merge, got {sorted(both)[0]!r} twice.")
        ours, theirs = (self.mention, self.weights), (other.mention, other.weights)
        if ours != theirs:
            raise InputError(f"Expected one way to score mentions, got {ours} and {theirs}.")
        for case in other._cases.values():
            self._add(case)

    def compute(self, options: Options = DEFAULT) -> Scores:
        """The tables of all cases so far.

        Args:
            options: how much is drawn for intervals and p-values, and from which seed.

        Raises:
            InputError: there are none.
        """
        if not self._cases:
            raise InputError("Expected at least one case to score, got none.")
        cases = list(self._cases.values())
        return scores_of(cases, case_table(cases), options)


def scores_of(
    cases: Sequence[ScoredCase], table: pd.DataFrame | Path, options: Options = DEFAULT
) -> Scores:
    """The tables of scored cases.

    Args:
        cases: at least one.
        table: what ``case_table`` made of them, or the file that it was written to.
        options: how much is drawn for intervals and p-values, and from which seed.
    """
    counted = [case for case in cases if case.is_forced_choice]
    outside = tuple(case.name for case in cases if not case.is_forced_choice)
    if not counted:
        return Scores(
            heads=pd.DataFrame(columns=list(HEAD_COLUMNS)),
            case_table=table,
            baselines=pd.DataFrame(columns=list(BASELINE_COLUMNS)),
            outside_forced_choice=outside,
        )
    claims = make_claims(counted, options)
    baselines = _baseline_credits(counted, options)
    held_out = _held_out_table(counted, claims)
    return Scores(
        heads=_head_table(counted, claims),
        case_table=table,
        baselines=_baseline_table(baselines, [case.group for case in counted], options),
        outside_forced_choice=outside,
        choice=_choice(counted[0], claims),
        twins=_twin_table(counted[0], claims),
        held_out=held_out,
        against=against_table(held_out, baselines, options),
        notes=claims.notes,
    )


def score(
    model: Model | str,
    cases: Sequence[CorefCase],
    *,
    mention: Mention = "mean",
    weights: Weights = "raw",
    segment: Callable[[str], Sequence[Span]] | None = None,
    truncation: bool = False,
    options: Options = DEFAULT,
) -> Scores:
    """Score every attention head of a model on coreference cases.

    Args:
        model: a model, or the name of one.
        cases: the cases.
        mention: how the word pairs of two mentions become one number.
        weights: ``raw``, ``renormalised`` without special tokens and the row's own position, or
            ``norm``: each weight times the length of what it brings; the table of heads then has
            the accuracy by raw weights beside it, ``raw_accuracy``.
        segment: from a text to the spans of its words, for scripts without spaces; such as
            ``introspect.segmentation.chinese_words``.
        truncation: cut texts that are too long; a case whose mentions are cut off is an error.
        options: how much is drawn for intervals and p-values, and from which seed.

    Raises:
        IntrospectError: a case cannot be scored; the message names it.
    """
    loaded = load_text(model)
    include = ("attentions", *parts_for(weights))
    analyzer = CoreferenceAnalyzer(mention=mention, weights=weights)
    for number, case in enumerate([cases] if isinstance(cases, CorefCase) else cases, start=1):
        with naming(f"Case {case.id or number}"):
            record = loaded.capture(case.text, truncation=truncation, include=include)
            analyzer.update([(case, resegmented(record, segment) if segment else record)])
    return analyzer.compute(options)


def _places(case: ScoredCase) -> pd.DataFrame:
    """Layer, head and direction of each number of a case, in their order."""
    directions, layers, heads = case.margin.shape
    return pd.DataFrame(
        {
            "layer": np.tile(np.repeat(case.layers, heads), directions),
            "head": np.tile(np.arange(heads), directions * layers),
            "direction": np.repeat(DIRECTIONS, layers * heads),
        }
    )


def case_table(cases: Sequence[ScoredCase]) -> pd.DataFrame:
    """One row for each case, layer, head and direction."""
    places = _places(cases[0])
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
    table = _places(cases[0]).assign(
        n=n,
        n_not_observable=len(cases) - n,
        accuracy=_means(credits),
        ci_low=claims.ci_low,
        ci_high=claims.ci_high,
        margin=_means(margins),
        p_value=claims.p_value,
        p_adjusted=claims.p_adjusted,
    )
    beside = _raw_accuracy(cases)
    return table[list(HEAD_COLUMNS)].assign(**beside)


def _raw_accuracy(cases: Sequence[ScoredCase]) -> dict[str, Any]:
    """A column beside the accuracy by norms; none where raw weights were scored themselves."""
    credits = [case.raw_credit for case in cases if case.raw_credit is not None]
    if len(credits) < len(cases):
        return {}
    return {"raw_accuracy": _means(np.stack([credit.ravel() for credit in credits]))}


def _means(values: Any) -> Any:
    """Means of the columns over what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    counts = known.sum(0)
    sums = np.where(known, values, 0.0).sum(0)
    return np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)


def _baseline_credits(cases: Sequence[ScoredCase], options: Options) -> dict[str, list[float]]:
    credits = {name: [case.baselines[name] for case in cases] for name in cases[0].baselines}
    if by_offset := fixed_offset(cases, options):
        credits["fixed_offset"] = by_offset
    return credits


def _baseline_table(
    credits: Mapping[str, Sequence[float]], groups: Sequence[str], options: Options
) -> pd.DataFrame:
    rows = [
        (name, len(values), float(np.mean(values)), *interval(values, groups, options))
        for name, values in credits.items()
    ]
    return pd.DataFrame(rows, columns=list(BASELINE_COLUMNS))


def _held_out_table(cases: Sequence[ScoredCase], claims: Claims) -> pd.DataFrame:
    if claims.held_out is None:
        return pd.DataFrame(columns=["id", "group", "credit"])
    return pd.DataFrame(
        {
            "id": [case.name for case in cases],
            "group": [case.group for case in cases],
            "credit": claims.held_out.credits,
        }
    )


def against_table(
    held_out: pd.DataFrame, baselines: Mapping[str, Sequence[float]], options: Options = DEFAULT
) -> pd.DataFrame:
    """Held-out accuracy minus a baseline's, over the cases that the chosen head can observe.

    The interval is of the mean difference case by case, by groups: narrower than two intervals
    laid side by side, since both answer the same cases.

    Args:
        held_out: the table of ``Scores``.
        baselines: the credit of each baseline, in the order of that table.
        options: how much is drawn.

    Returns:
        ``baseline, n, difference, ci_low, ci_high``.
    """
    seen = held_out["credit"].notna().to_numpy(dtype=bool)
    groups = held_out["group"][seen].tolist()
    rows = []
    for name, credits in baselines.items() if seen.any() else ():
        difference = (held_out["credit"].to_numpy(dtype=float) - np.asarray(credits))[seen]
        ends = interval(list(difference), groups, options)
        rows.append((name, int(seen.sum()), float(difference.mean()), *ends))
    return pd.DataFrame(rows, columns=["baseline", "n", "difference", "ci_low", "ci_high"])


def _choice(case: ScoredCase, claims: Claims) -> Choice | None:
    found = claims.held_out
    if found is None:
        return None
    places = _places(case)

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
    )


def _twin_table(case: ScoredCase, claims: Claims) -> pd.DataFrame:
    table = _places(case).assign(n_pairs=claims.num_twins, both_right=claims.twins_right)
    return table if claims.num_twins.any() else table.iloc[:0]
