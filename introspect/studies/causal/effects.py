"""The effect of each head on a model's answers, beside that of the others of the same layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pandas as pd

from introspect.calls import checked_call
from introspect.data import Cases
from introspect.errors import SelectionError
from introspect.hooks import AttentionLayout
from introspect.interventions import NEEDS_REFERENCE, Ablation, Ablations, heads_by_layer
from introspect.models import Model
from introspect.progress import ProgressLike, following
from introspect.records import Head, HeadLike, Kind
from introspect.statistics import FEWEST_GROUPS, effect_intervals, effect_test
from introspect.studies.causal.answers import prepare_answers
from introspect.studies.causal.metrics import Asked, Floats, accuracy_of, kind_of
from introspect.studies.causal.resampling import Resampling, draws_for_each_case
from introspect.studies.causal.runs import Runs, WholeRuns, runs_of
from introspect.studies.causal.verdicts import ability_of, smallest_effect, verdicts_of
from introspect.text import counted, verb

#: The columns of the table of heads, in order.
EFFECT_COLUMNS = (
    "layer", "head", "effect", "ci_low", "ci_high", "control", "difference", "difference_low",
    "difference_high", "p_value", "p_adjusted", "detectable", "verdict", "accuracy",
    "accuracy_without", "n", "num_controls",
)  # fmt: skip
#: The stage of ``measure_effects``, as its progress is told.
ABLATING = "ablating each head"


@dataclass(frozen=True, eq=False)
class CausalEffects:
    """The effects of heads on a model's answers.

    Args:
        heads: one row for each head; see ``causal_effects``.
        cases: one row for each case and head: id, group, layer, head, margin, margin_without (the
            head), effect, and control, the mean effect of the heads that it is compared with.
        answers: the cases as they are asked.
        margins: the margins of the unchanged model, ``(num_cases,)``.
        method: the method of ablation.
        kind: the kind of attention.
        notes: what could not be computed, and why.
    """

    heads: pd.DataFrame
    cases: pd.DataFrame
    answers: Asked
    margins: Floats
    method: Ablation
    kind: Kind
    notes: tuple[str, ...] = field(default=())

    @property
    def accuracy(self) -> float:
        """The unchanged model's share of cases with the antecedent ahead; a tie counts half."""
        return accuracy_of(self.margins)

    def by_case(self) -> tuple[Floats, list[Head]]:
        """Return effects as ``(num_cases, num_heads)``, and the heads of the columns."""
        heads = [Head(int(r.layer), int(r.head)) for r in self.heads.itertuples()]
        return self._by_case("effect"), heads

    def controls_by_case(self) -> Floats:
        """Return the mean effects of each head's controls, in the same shape; NaN without any."""
        return self._by_case("control")

    def _by_case(self, column: str) -> Floats:
        values: Floats = self.cases[column].to_numpy().reshape(len(self.heads), -1).T
        return values


@checked_call
def causal_effects(
    model: Model | str,
    cases: Cases,
    heads: Iterable[HeadLike] | HeadLike | None = None,
    *,
    method: Ablation = "zero",
    reference: Iterable[str] | None = None,
    metric: str | None = None,
    controls: int | None = None,
    kind: Kind | None = None,
    batch_size: int = 32,
    seed: int = 0,
    progress: ProgressLike = None,
) -> pd.DataFrame:
    r"""Measure how much a model's answers change when a head is ablated.

    Let :math:`m_c` be the margin by which the model prefers the antecedent of case *c*, in the
    units of the metric, and :math:`m_c^{-h}` the same without head *h*. The effect of the head is

    .. math:: e_h = \frac{1}{n} \sum_c (m_c - m_c^{-h})

    which is above 0 where the head helps to find the antecedent. ``p_value`` tests whether it
    differs from 0, two-sided and by groups of cases (``introspect.statistics.effect_test``), and
    ``p_adjusted`` does so for the whole family of heads. A head ``supports`` the answer, or
    ``opposes`` it, if ``p_adjusted`` is below 0.05 and the effect at least a hundredth of the mean
    size of the margins; else there is ``no evidence``, and ``detectable`` is the effect that would
    have been found in 80% of such studies. There is ``no verdict`` where the model itself is not
    above chance. ``control`` is the mean effect of the other heads of the same layer, and
    ``difference`` the effect minus that; neither is part of the verdict. Intervals are 95%
    intervals, by groups of cases.

    Args:
        model: a model with its LM head (``ix.load(…, lm_head=True)``), or its name; without a
            head the answer is a stated surrogate, and the table's ``attrs`` say so.
        cases: cases with an antecedent and a distractor: a list, the path of a file, or a
            DataFrame.
        heads: the heads to ablate; all by default.
        method: the method of ablation: ``zero``, ``mean``, ``uniform`` or ``resample``.
        reference: texts for ``mean`` and ``resample``; by default those of the cases, of which
            ``resample`` gives each case two of other groups, in turn, and takes the mean.
        metric: the way the answer is read; see ``introspect.studies.causal.METRICS``.
        controls: the number of other heads of a layer that are the control of one, drawn with the
            seed; all by default, and 0 for none.
        kind: for an encoder-decoder, ``encoder``, ``decoder`` or ``cross``.
        batch_size: the number of sequences that are read at once.
        seed: the random seed of the intervals and of the controls and references drawn.
        progress: ``True`` for a bar on a terminal and in a notebook, and lines elsewhere; or a
            function of the stage, the heads measured, and their total.

    Returns:
        A table, with ``metric``, ``metric_words``, ``unit``, ``is_surrogate``, ``method`` and
        ``model`` in its ``attrs``: layer, head, effect, ci_low, ci_high, control, difference,
        difference_low, difference_high, p_value, p_adjusted, detectable, verdict, accuracy (of the
        unchanged model), accuracy_without (the head), n, num_controls.

    Raises:
        InputError: no case can be asked; use ``measure_effects`` to see which, and why.
        SelectionError: a head, method, metric or kind does not exist, ``controls`` is below 0, or
            ``batch_size`` is below 1.

    Source: Vig et al. 2020, https://arxiv.org/abs/2004.12265; Wang et al. 2022,
    https://arxiv.org/abs/2211.00593.

    Example:
        >>> import introspect as ix
        >>> from introspect.data import grammar_cases
        >>> model = ix.load("pronoun", lm_head=True)
        >>> table = ix.causal_effects(model, grammar_cases(20), ["L1H0", "L1H1"])
        >>> table[["layer", "head"]].to_numpy().tolist(), bool(table.effect[0] > 5)
        ([[1, 0], [1, 1]], True)
    """
    answers = prepare_answers(model, cases, metric, batch_size=batch_size)
    return measure_effects(
        answers,
        heads,
        method=method,
        reference=reference,
        controls=controls,
        kind=kind,
        seed=seed,
        progress=progress,
    ).heads


def measure_effects(
    answers: Asked,
    heads: Iterable[HeadLike] | HeadLike | None = None,
    *,
    method: Ablation = "zero",
    reference: Iterable[str] | None = None,
    controls: int | None = None,
    kind: Kind | None = None,
    seed: int = 0,
    progress: ProgressLike = None,
) -> CausalEffects:
    """Measure effects as ``causal_effects`` does, and keep the effect on each case.

    Args:
        answers: of ``prepare_answers`` or ``prepare_next_tokens``.
        heads: as for ``causal_effects``.
        method: as for ``causal_effects``.
        reference: as for ``causal_effects``.
        controls: as for ``causal_effects``.
        kind: as for ``causal_effects``.
        seed: as for ``causal_effects``.
        progress: as for ``causal_effects``.
    """
    if controls is not None and controls < 0:
        raise SelectionError(
            f"Expected `controls` from 0 up, got {controls}. Leave it out for all other heads."
        )
    ablations = ablations_for(answers, method, reference, kind, seed)
    chosen = _pairs(heads_by_layer(ablations.layout, ablations.kind, heads))
    control = {
        head: _controls(head, ablations.layout, ablations.kind, controls, seed) for head in chosen
    }
    measured = dict.fromkeys([*chosen, *(other for each in control.values() for other in each)])
    without: dict[Head, Floats] = {}
    with following(progress) as tell:
        tell(ABLATING, 0, len(measured))
        runs = runs_of(answers, ablations.kind)
        margins_without = _margins_without(answers, ablations, runs, method, reference, seed)
        for head in measured:
            without[head] = margins_without(head)
            tell(ABLATING, len(without), len(measured))
    clean = runs.clean
    heads_table, notes = effects_of(answers, clean, without, chosen, control, seed=seed)
    heads_table.attrs |= {
        "metric": answers.metric.name,
        "metric_words": answers.metric.words,
        "unit": answers.metric.unit,
        "model": answers.model.name,
        "is_surrogate": answers.metric.is_surrogate,
        "method": method,
        "chance": answers.chance,
        "smallest_effect": smallest_effect(clean),
    }
    return CausalEffects(
        heads=heads_table,
        cases=_case_table(answers, clean, without, control),
        answers=answers,
        margins=clean,
        method=method,
        kind=ablations.kind,
        notes=notes,
    )


def _margins_without(
    answers: Asked,
    ablations: Ablations,
    runs: Runs | WholeRuns,
    method: Ablation,
    reference: Iterable[str] | None,
    seed: int,
) -> Callable[[Head], Floats]:
    """Return the function that asks without a head."""
    if reference is None and isinstance(runs, Runs) and draws_for_each_case(answers, method):
        # One layer at a time, since the outputs of all heads of its layers are held.
        of_layer = lru_cache(maxsize=1)(
            lambda layer: Resampling(answers, ablations.kind, [Head(layer, 0)], seed, runs=runs)
        )
        return lambda head: of_layer(head.layer).margins(head)
    return lambda head: runs.margins(ablations.of({head.layer: [head.head]}))


def ablations_for(
    answers: Asked,
    method: Ablation,
    reference: Iterable[str] | None,
    kind: Kind | None,
    seed: int,
) -> Ablations:
    """Build ablations whose reference, if none is given, is the cases' own texts.

    For ``resample``, the reference also has the texts that the model reads, with candidates in the
    pronoun's place: the cases' own texts may all be shorter.
    """
    if reference is None and method in NEEDS_REFERENCE:
        reference = answers.texts
        if method == "resample":
            reference = list(dict.fromkeys([*reference, *answers.read_texts]))
    kind = kind_of(answers, kind)
    return Ablations(answers.model, method, reference=reference, kind=kind, seed=seed)


def effects_of(
    answers: Asked,
    clean: Floats,
    without: dict[Head, Floats],
    heads: Sequence[Head],
    control: dict[Head, list[Head]],
    *,
    seed: int = 0,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Build the table of heads from margins with and without each.

    Args:
        answers: the cases.
        clean: margins of the unchanged model, ``(num_cases,)``.
        without: the same without each head.
        heads: the heads of the table.
        control: the heads that each is compared with.
        seed: the random seed of the intervals.
    """
    groups = answers.groups
    effects = np.stack([clean - without[head] for head in heads], axis=1)
    controls = np.stack([_mean_effect(clean, without, control[head]) for head in heads], axis=1)
    against = np.where(np.isnan(controls), effects, effects - controls)
    notes: list[str] = []
    num_groups = len(set(groups))
    if num_groups < FEWEST_GROUPS:
        notes.append(
            f"no intervals and no p-values: {counted(num_groups, 'group')} of cases "
            f"{verb(num_groups, 'is', 'are')} too few; it takes at least {FEWEST_GROUPS}"
        )
        nothing = np.full(len(heads), np.nan)
        low = high = against_low = against_high = nothing
    else:
        low, high = effect_intervals(effects, groups, seed=seed)
        against_low, against_high = effect_intervals(against, groups, seed=seed)
    test = effect_test(effects, groups, seed=seed)
    has_control = ~np.isnan(controls).all(0)
    if not has_control.all():
        notes.append("the only head of a layer has no other to stand beside it")
    rows = {
        "layer": [head.layer for head in heads],
        "head": [head.head for head in heads],
        "effect": effects.mean(0),
        "ci_low": low,
        "ci_high": high,
        "control": controls.mean(0),
        "difference": np.where(has_control, against.mean(0), np.nan),
        "difference_low": np.where(has_control, against_low, np.nan),
        "difference_high": np.where(has_control, against_high, np.nan),
        "p_value": test.p_value,
        "p_adjusted": test.p_adjusted,
        "detectable": test.detectable,
        "verdict": verdicts_of(
            effects.mean(0),
            test.p_adjusted,
            smallest=smallest_effect(clean),
            is_able=ability_of(answers, clean).is_above_chance,
        ),
        "accuracy": accuracy_of(clean),
        "accuracy_without": [accuracy_of(without[head]) for head in heads],
        "n": len(clean),
        "num_controls": [len(control[head]) for head in heads],
    }
    return pd.DataFrame(rows, columns=list(EFFECT_COLUMNS)), tuple(notes)


def _mean_effect(clean: Floats, without: dict[Head, Floats], heads: Sequence[Head]) -> Floats:
    if not heads:
        return np.full(clean.shape, np.nan)
    mean: Floats = np.mean([clean - without[head] for head in heads], axis=0)
    return mean


def _controls(
    head: Head, layout: AttentionLayout, kind: Kind, most: int | None, seed: int
) -> list[Head]:
    """Return other heads of the same layer, in order."""
    others = [
        Head(head.layer, number)
        for number in range(layout.heads[kind, head.layer].heads)
        if number != head.head
    ]
    if most is None or most >= len(others):
        return others
    random = np.random.default_rng([seed, head.layer, head.head])
    return [others[place] for place in sorted(random.permutation(len(others))[:most])]


def _pairs(heads: dict[int, list[int]]) -> list[Head]:
    return [Head(layer, number) for layer, numbers in heads.items() for number in numbers]


def _case_table(
    answers: Asked,
    clean: Floats,
    without: dict[Head, Floats],
    control: dict[Head, list[Head]],
) -> pd.DataFrame:
    names = answers.names
    groups = [None if group.startswith("\0") else group for group in answers.groups]
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "id": names,
                    "group": groups,
                    "layer": head.layer,
                    "head": head.head,
                    "margin": clean,
                    "margin_without": without[head],
                    "effect": clean - without[head],
                    "control": _mean_effect(clean, without, controls),
                }
            )
            for head, controls in control.items()
        ],
        ignore_index=True,
    )
