"""The whole study of a set of cases: what heads attend to, beside what they do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from introspect.calls import checked_call, checked_result
from introspect.data import Cases
from introspect.errors import CaptureError, InputError, SelectionError
from introspect.interventions import Ablation
from introspect.models import Model
from introspect.progress import ProgressLike, Stages, following
from introspect.records import Head, HeadLike, Kind
from introspect.statistics import FEWEST_GROUPS, Claim, checked, effect_intervals, fold_of_groups
from introspect.studies.causal.answers import Answers, Rejected, prepare_answers
from introspect.studies.causal.attending import DIRECTION, attending
from introspect.studies.causal.claims import claims_of
from introspect.studies.causal.effects import CausalEffects, measure_effects
from introspect.studies.causal.followed import (
    FOLLOWING,
    Followed,
    follow,
    verdicts_by_method,
)
from introspect.studies.causal.mediation import MEDIATORS, Mediation, Pairs
from introspect.studies.causal.metrics import Floats, load_to_ask
from introspect.studies.causal.smallest import SmallestSet, smallest_set
from introspect.studies.causal.verdicts import Ability, ability_of
from introspect.studies.coreference import Options, Scores, score

_FOLDS = 2


@dataclass(frozen=True)
class ChosenByAttention:
    """The effect of a head chosen by its attention, on cases that it was not chosen on.

    Args:
        heads: the head that each half of the cases chose, in the order of the halves.
        effect: its mean effect on the other half's cases, pooled.
        ci_low, ci_high: of the effect, by groups of cases.
        control: the mean effect of the heads that it is compared with, on the same cases.
        difference: effect minus control.
        difference_low, difference_high: of the difference.
        n: the number of cases.
    """

    heads: tuple[Head, ...]
    effect: float
    ci_low: float
    ci_high: float
    control: float
    difference: float
    difference_low: float
    difference_high: float
    n: int


@checked_result
@dataclass(frozen=True, eq=False)
class CausalStudy:
    """A set of cases, scored by what heads attend to, and asked with and without each head.

    Args:
        effects: the effect of each head.
        scores: the scores of what each head attends to, on the same cases.
        heads: both in one table, one row for each head: the columns of ``effects.heads``, and
            ``attention_accuracy`` (how often the pronoun attends most to the antecedent),
            ``attention_weight`` (how much of its attention the antecedent gets),
            ``attention_margin``, ``attention_p_adjusted`` (that this is more than chance, and than
            any rule of position or length, over all heads), ``attention_rival`` (which of these it
            beats least), ``attention_ratio`` (how many times the weight of the best distractor the
            antecedent gets on the median case) and ``attends``, the verdict of both. Its ``attrs``
            are those of ``effects.heads``.
        ability: how often the unchanged model prefers the antecedent.
        correlation: Spearman's, over heads, of attention accuracy and effect; NaN where one of the
            two is the same for all.
        chosen: the effect of the head chosen by its attention on other cases; ``None`` with too few
            groups.
        followed: the heads with the largest effects, by other methods of ablation, directly, and in
            pairs.
        smallest: a few heads that carry the answer, found on half of the cases and measured on the
            other; ``None`` if that was not requested, or there are too few groups.
        mediation: effects within minimal pairs of the heads that are followed, by their outputs;
            ``None`` without such pairs or heads.
        mediation_by_weights: the same by their attention weights alone.
        rejected: the cases that cannot be asked: their number among those given, and why.
        notes: what could not be computed, and why.
    """

    effects: CausalEffects
    scores: Scores
    heads: pd.DataFrame
    ability: Ability
    correlation: float
    chosen: ChosenByAttention | None
    followed: Followed
    smallest: SmallestSet | None
    mediation: Mediation | None
    mediation_by_weights: Mediation | None = None
    rejected: tuple[Rejected, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Return what is claimed, each sentence with the numbers behind it."""
        return claims_of(self)

    def __repr__(self) -> str:
        cases = len(self.effects.margins)
        return f"<{type(self).__name__}: {len(self.heads)} heads, {cases} cases>"


@checked_call(renamed={"told": "progress", "twins": "minimal_pairs"})
def causal_study(
    model: Model | str,
    cases: Cases,
    heads: Iterable[HeadLike] | HeadLike | None = None,
    *,
    method: Ablation = "zero",
    reference: Iterable[str] | None = None,
    metric: str | None = None,
    share: float | None = 0.8,
    minimal_pairs: bool = True,
    kind: Kind | None = None,
    batch_size: int = 32,
    seed: int = 0,
    progress: ProgressLike = None,
) -> CausalStudy:
    """Ask a model about cases with each head ablated, and compare that with its attention.

    Args:
        model: a model with its LM head (``ix.load(…, lm_head=True)``), or its name; without a
            head the answer is a stated surrogate.
        cases: cases with an antecedent and a distractor: a list, the path of a file, or a
            DataFrame.
        heads: the heads to ablate; all by default.
        method: the method of ablation: ``zero``, ``mean``, ``uniform`` or ``resample``.
        reference: texts for ``mean`` and ``resample``; by default those of the cases.
        metric: the way the answer is read; see ``introspect.studies.causal.METRICS``.
        share: search for a small set of heads that is as faithful as this where it is left alone;
            ``None`` to skip the search.
        minimal_pairs: whether to measure effects within minimal pairs, where there are any.
        kind: for an encoder-decoder, only ``encoder``, whose attention is scored.
        batch_size: the number of sequences that are read at once.
        seed: the random seed of the intervals and of what is drawn.
        progress: ``True`` for a bar on a terminal and in a notebook, and lines elsewhere; or a
            function of the stage, how much of it is done, and its total (``None`` where unknown).

    Raises:
        InputError: no case can be asked.
        SelectionError: a head, method, metric or kind does not exist.
    """
    model = load_to_ask(model, metric)
    if kind not in (None, model.reading_kind):
        raise SelectionError(
            f"Expected kind={model.reading_kind!r}, whose attention is scored, got {kind!r}: cases "
            "are scored in the text that is read. Take ix.causal_effects for other kinds."
        )
    kind = model.reading_kind
    answers = prepare_answers(model, cases, metric, batch_size=batch_size)
    options = {"method": method, "reference": reference, "kind": kind, "seed": seed}
    with following(progress) as tell:
        effects = measure_effects(answers, heads, progress=tell, **options)  # type: ignore[arg-type]
        tell("scoring attention", 0)
        scores = score(model, answers.cases, options=Options(seed=seed))
        attended = attending(scores, answers.cases, answers.groups, seed=seed)
        followed = _followed(effects, attended, seed, tell)
        table = _joined(effects.heads, attended, followed)
        smallest, unsearched = _smallest(effects, heads, followed, share, seed, tell)
        mediated, unpaired = (
            _mediated(answers, followed, kind, batch_size, seed, tell)
            if (minimal_pairs)
            else ([], [])
        )
    chosen = _chosen(effects, scores, seed)
    unchosen = "no head is chosen by its attention: too few groups, or no head can attend"
    by_output, by_weights = [*mediated, None, None][:2]
    return CausalStudy(
        effects=effects,
        scores=scores,
        heads=table,
        ability=ability_of(answers, effects.margins),
        correlation=_correlation(table),
        chosen=chosen,
        followed=followed,
        smallest=smallest,
        mediation=by_output,
        mediation_by_weights=by_weights,
        rejected=answers.rejected,
        notes=(*effects.notes, *([] if chosen else [unchosen]), *unsearched, *unpaired),
    )


def _followed(effects: CausalEffects, attended: pd.DataFrame, seed: int, tell: Stages) -> Followed:
    """Follow up the heads with the largest effects, and those that attend to the antecedent."""
    by_accuracy = attended[attended["attends"]].sort_values(
        "accuracy", ascending=False, kind="stable"
    )
    measured = {(row.layer, row.head) for row in effects.heads.itertuples()}
    attending_heads = [
        Head(int(row.layer), int(row.head))
        for row in by_accuracy.itertuples()
        if (row.layer, row.head) in measured
    ]
    is_able = ability_of(effects.answers, effects.margins).is_above_chance
    runs = 0

    def done() -> None:
        nonlocal runs
        runs += 1
        tell(FOLLOWING, runs)

    tell(FOLLOWING, 0)
    return follow(effects, attending_heads if is_able else (), seed=seed, done=done)


def _smallest(
    effects: CausalEffects,
    heads: Iterable[HeadLike] | HeadLike | None,
    followed: Followed,
    share: float | None,
    seed: int,
    tell: Stages,
) -> tuple[SmallestSet | None, list[str]]:
    """Search for a set of heads, where the model has the ability that it would carry."""
    if share is None:
        return None, []
    if not ability_of(effects.answers, effects.margins).is_above_chance:
        return None, ["no set of heads is searched: the model is not shown to be above chance"]
    pairs = followed.pairs[followed.pairs["relation"] == "stand in for each other"]
    standing_in = [
        head
        for row in pairs.itertuples()
        for head in (Head(row.layer, row.head), Head(row.other_layer, row.other_head))
    ]
    try:
        found = smallest_set(
            effects, heads, standing_in=list(dict.fromkeys(standing_in)), share=share, seed=seed,
            progress=tell,
        )  # fmt: skip
        return found, []
    except InputError as error:
        return None, [f"no set of heads is searched: {error}"]


def _mediated(
    answers: Answers,
    followed: Followed,
    kind: Kind | None,
    batch_size: int,
    seed: int,
    tell: Stages,
) -> tuple[list[Mediation], list[str]]:
    """Measure mediation by the outputs of the heads that are followed, and by their weights."""
    if not followed.heads:
        return [], ["no effects within minimal pairs: no head has an effect to follow"]
    found: list[Mediation] = []
    pairs: Pairs | None = None
    for through in MEDIATORS:
        try:
            pairs = pairs or Pairs(
                answers.model, answers.cases, metric=answers.metric.name, kind=kind,
                batch_size=batch_size,
            )  # fmt: skip
            found.append(pairs.mediation(followed.heads, through=through, seed=seed, progress=tell))
        except (InputError, CaptureError) as error:
            return found, [f"no effects within minimal pairs by {through}: {error}"]
    return found, []


def _joined(effects: pd.DataFrame, attended: pd.DataFrame, followed: Followed) -> pd.DataFrame:
    on = ["layer", "head"]
    names = {name: f"attention_{name}" for name in attended if name not in (*on, "attends")}
    joined = effects.merge(attended.rename(columns=names), on=on, how="left", validate="1:1")
    joined.attrs = effects.attrs
    for head, verdict in verdicts_by_method(followed.methods).items():
        is_head = (joined["layer"] == head.layer) & (joined["head"] == head.head)
        joined.loc[is_head, "verdict"] = verdict
    return joined


def _correlation(table: pd.DataFrame) -> float:
    known = table[["attention_accuracy", "effect"]].dropna()
    if len(known) < 3 or (known.nunique() < 2).any():
        return float("nan")
    return float(spearmanr(known["attention_accuracy"], known["effect"]).statistic)


def _chosen(effects: CausalEffects, scores: Scores, seed: int) -> ChosenByAttention | None:
    """Choose a head by attention on each half of the groups, and measure it on the other half."""
    groups = effects.answers.groups
    if len(set(groups)) < FEWEST_GROUPS:
        return None
    values, heads = effects.by_case()
    controls = effects.controls_by_case()
    credits = _credits(scores, heads, len(groups))
    _, index = checked(values, groups)
    fold = fold_of_groups(index, _FOLDS, seed=seed)[index]
    picked: list[Head] = []
    effect, control = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for number in range(_FOLDS):
        training = credits[fold != number]
        known = ~np.isnan(training).all(0)
        if not known.any():
            return None
        means = np.where(
            known, np.nansum(training, 0) / np.maximum(1, (~np.isnan(training)).sum(0)), -1
        )
        best = int(means.argmax())
        picked.append(heads[best])
        is_held_out = fold == number
        effect[is_held_out] = values[is_held_out, best]
        control[is_held_out] = controls[is_held_out, best]
    against = effect - control
    columns = np.stack([effect, against], axis=1)
    low, high = effect_intervals(columns, groups, seed=seed)
    return ChosenByAttention(
        heads=tuple(picked),
        effect=float(effect.mean()),
        ci_low=float(low[0]),
        ci_high=float(high[0]),
        control=float(np.nanmean(control)) if not np.isnan(control).all() else float("nan"),
        difference=float(np.nanmean(against)) if not np.isnan(against).all() else float("nan"),
        difference_low=float(low[1]),
        difference_high=float(high[1]),
        n=len(effect),
    )


def _credits(scores: Scores, heads: list[Head], num_cases: int) -> Floats:
    """Return the credit from the pronoun to the candidates, ``(num_cases, num_heads)``."""
    scored = scores.cases[scores.cases["direction"] == DIRECTION]
    columns = []
    for head in heads:
        of_head = scored[(scored["layer"] == head.layer) & (scored["head"] == head.head)]
        values = of_head["credit"].to_numpy(dtype=float)
        columns.append(values if len(values) == num_cases else np.full(num_cases, np.nan))
    return np.stack(columns, axis=1)
