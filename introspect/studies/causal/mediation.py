"""Causal mediation: how much of the change within a minimal pair passes through each head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
import torch

from introspect.calls import checked_call
from introspect.data import Cases, as_cases
from introspect.errors import InputError, IntrospectError, ModelError, SelectionError
from introspect.hooks import Edit, attention_layout
from introspect.interventions import checked_kind, heads_by_layer, patched, run_parts
from introspect.models import Model
from introspect.progress import ProgressLike, Stages, following
from introspect.records import Head, HeadLike, Kind
from introspect.statistics import FEWEST_GROUPS, effect_intervals, effect_test
from introspect.studies.causal.answers import (
    Answers,
    Batch,
    Ready,
    answers_of,
    questions_of,
)
from introspect.studies.causal.metrics import (
    Floats,
    default_metric,
    kind_of,
    load_to_ask,
    metric_named,
)
from introspect.studies.causal.runs import Runs
from introspect.studies.causal.verdicts import LEVEL, SMALLEST
from introspect.studies.coreference import MOST_WORDS, words_apart, words_outside
from introspect.text import CorefCase, counted, verb

#: The stage of ``mediation``, as its progress is told.
PATCHING = "patching each head between minimal pairs"
MEDIATION_COLUMNS = (
    "layer", "head", "total", "total_low", "total_high", "indirect", "indirect_low",
    "indirect_high", "p_adjusted", "direct", "direct_low", "direct_high", "share", "n",
)  # fmt: skip
#: What a head passes on: its output, values included, or its attention weights alone.
Mediator = Literal["head_outputs", "attentions"]
MEDIATORS: tuple[Mediator, ...] = get_args(Mediator)


@dataclass(frozen=True, eq=False)
class Mediation:
    """Total, direct and indirect effects.

    Args:
        heads: one row for each head; see ``mediation``.
        left_out: groups that are not a minimal pair, and why.
        notes: what could not be computed.
        through: what each head passes on: ``head_outputs`` or ``attentions``.
    """

    heads: pd.DataFrame
    left_out: Mapping[str, str]
    notes: tuple[str, ...] = ()
    through: Mediator = "head_outputs"

    @property
    def is_shown(self) -> bool:
        """Return whether there is a change to mediate: the interval of the total is above 0."""
        return bool(self.heads["total_low"].iloc[0] > 0)

    @property
    def shown(self) -> pd.DataFrame:
        """Return the rows of the heads that are shown to mediate.

        Where the total is: those with an adjusted p-value below 0.05, an interval above 0, and at
        least 1% of the total. Less is not called an effect, however surely it differs from 0: the
        rounding of a sum may do so in every pair.
        """
        table = self.heads
        is_one = table["indirect"] >= SMALLEST * table["total"]
        is_sure = (table["p_adjusted"] < LEVEL) & (table["indirect_low"] > 0)
        return table[self.is_shown & is_sure & is_one]


@checked_call
def mediation(
    model: Model | str,
    cases: Cases,
    heads: Iterable[HeadLike] | HeadLike | None = None,
    *,
    through: Mediator = "head_outputs",
    metric: str | None = None,
    kind: Kind | None = None,
    batch_size: int = 32,
    seed: int = 0,
    progress: ProgressLike = None,
) -> Mediation:
    r"""Measure total, direct and indirect effects of changing a case into the other of its pair.

    A minimal pair is the two cases of a group with the same candidates whose antecedents differ,
    and at most two words beside them, as in "… because it was too tired" and "… too wide". Let
    :math:`y(x)` be the margin by which the model prefers the antecedent of *x* to that of the other
    case :math:`x'`, and let :math:`y(x; h \to x')` be the same where head *h* outputs what it
    outputs for :math:`x'`. In the
    mean over pairs, each taken both ways,

    .. math::
        \text{total} &= y(x) - y(x') \\
        \text{indirect}_h &= y(x) - y(x; h \to x') \\
        \text{direct}_h &= y(x) - y(x'; h \to x)

    The indirect effect is how much of the change the head brings about by itself; the direct effect
    is what is left of the change when the head does not take part in it. ``share`` is
    indirect / total, and NaN unless the whole interval of the total is above 0. ``p_adjusted`` is
    of the indirect effects, as a family. Effects of several heads do not add up to the total.

    Args:
        model: the model, with its LM head if the metric reads its answer; or its name.
        cases: the cases, the path of a file of them, or a DataFrame; those of a minimal pair
            share a ``group``.
        heads: the heads to patch; all by default.
        through: what a head passes on: ``head_outputs``, its output, which the values are part of;
            or ``attentions``, its attention weights alone, on the values of the case itself.
        metric: the way the answer is read; see ``introspect.studies.causal.METRICS``.
        kind: for an encoder-decoder, ``encoder``, ``decoder`` or ``cross``.
        batch_size: the number of sequences that are read at once.
        seed: the random seed of the intervals.
        progress: ``True`` for a bar on a terminal and in a notebook, and lines elsewhere; or a
            function of the stage, the runs made with a head of the other case, and their total.

    Raises:
        InputError: there is no minimal pair whose cases have the same number of tokens.

    Source: Vig et al. 2020, https://arxiv.org/abs/2004.12265, section 3.
    """
    pairs = Pairs(model, cases, metric=metric, kind=kind, batch_size=batch_size)
    return pairs.mediation(heads, through=through, seed=seed, progress=progress)


class Pairs:
    """Minimal pairs, each read both ways, whose unchanged runs serve every mediator.

    Args:
        model: as for ``mediation``.
        cases: as for ``mediation``.
        metric: as for ``mediation``.
        kind: as for ``mediation``.
        batch_size: as for ``mediation``.

    Raises:
        InputError: there is no minimal pair whose cases have the same number of tokens.
    """

    def __init__(
        self,
        model: Model | str,
        cases: Cases,
        *,
        metric: str | None = None,
        kind: Kind | None = None,
        batch_size: int = 32,
    ) -> None:
        model = load_to_ask(model, metric)
        pairs, self._left_out = _minimal_pairs(as_cases(cases))
        if not pairs:
            raise InputError(_no_minimal_pairs(self._left_out))
        self._first, self._second, self._groups = _aligned(
            model, pairs, self._left_out, metric, batch_size
        )
        self._layout = attention_layout(model.module)
        self._kind = checked_kind(self._layout, kind_of(self._first, kind))
        self._runs: Runs | None = None

    def mediation(
        self,
        heads: Iterable[HeadLike] | HeadLike | None = None,
        *,
        through: Mediator = "head_outputs",
        seed: int = 0,
        progress: ProgressLike = None,
    ) -> Mediation:
        """Measure what ``mediation`` does, by one mediator."""
        if through not in MEDIATORS:
            raise SelectionError(
                f"Expected `through` from {', '.join(MEDIATORS)}, got {through!r}."
            )
        by_layer = heads_by_layer(self._layout, self._kind, heads)
        chosen = [Head(layer, number) for layer in by_layer for number in by_layer[layer]]
        self._runs = self._runs or Runs(self._first, self._kind)
        runs = _Patching(self._first, self._second, self._runs, self._kind, chosen, through)
        with following(progress) as tell:
            runs.run(tell)
        return Mediation(
            *_tables(runs, self._groups, chosen, seed, self._left_out), through=through
        )


def _tables(
    runs: _Patching,
    groups: Sequence[str],
    heads: Sequence[Head],
    seed: int,
    left_out: Mapping[str, str],
) -> tuple[pd.DataFrame, Mapping[str, str], tuple[str, ...]]:
    total, indirect, direct = runs.effects()
    notes: tuple[str, ...] = ()
    if len(set(groups)) < FEWEST_GROUPS:
        pairs = len(set(groups))
        few = f"{counted(pairs, 'minimal pair')} {verb(pairs, 'is', 'are')} too few"
        notes = (f"no intervals: {few}",)
        nothing = np.full(len(heads), np.nan)
        ends = [(nothing, nothing)] * 3
        p_adjusted = nothing
    else:
        ends = [
            effect_intervals(values, groups, seed=seed)
            for values in (indirect, direct, total[:, None])
        ]
        p_adjusted = effect_test(indirect, groups, seed=seed).p_adjusted
    mean = float(total.mean())
    is_shown = bool(ends[2][0][0] > 0)
    table = pd.DataFrame(
        {
            "layer": [head.layer for head in heads],
            "head": [head.head for head in heads],
            "total": mean,
            "total_low": ends[2][0][0],
            "total_high": ends[2][1][0],
            "indirect": indirect.mean(0),
            "indirect_low": ends[0][0],
            "indirect_high": ends[0][1],
            "p_adjusted": p_adjusted,
            "direct": direct.mean(0),
            "direct_low": ends[1][0],
            "direct_high": ends[1][1],
            "share": indirect.mean(0) / mean if is_shown else np.nan,
            "n": len(set(groups)),
        },
        columns=list(MEDIATION_COLUMNS),
    )
    table.attrs |= {
        "metric": runs.metric.name,
        "metric_words": runs.metric.words,
        "is_surrogate": runs.metric.is_surrogate,
    }
    return table, left_out, notes


class _Patching:
    """Runs of each batch of pairs with each head of the other case.

    Each pair stands both ways in both lists, so that a case with a head of the other is also the
    other's other case with a head of it: one run is read for the indirect effect of the one, and
    the direct effect of the other.
    """

    def __init__(
        self,
        first: Answers,
        second: Answers,
        runs: Runs,
        kind: Kind,
        heads: Sequence[Head],
        through: Mediator,
    ) -> None:
        self._first, self._second, self._runs = first, second, runs
        self._through = through
        self._kind = kind
        self._heads = heads
        self._layers = sorted({head.layer for head in heads})
        self.metric = first.metric
        self._of_other = {head: first.reading() for head in heads}

    def run(self, tell: Stages) -> None:
        done, total = 0, len(self._first.batches) * len(self._heads)
        tell(PATCHING, done, total)
        for number, (mine, theirs) in enumerate(
            zip(self._first.batches, self._second.batches, strict=True)
        ):
            others = self._outputs(theirs)
            for head in self._heads:
                self._put(head, others, number, mine)
                done += 1
                tell(PATCHING, done, total)

    def effects(self) -> tuple[Floats, Floats, Floats]:
        """Return total, ``(num_cases,)``; indirect and direct, ``(num_cases, num_heads)``."""
        own = self._runs.clean
        scores = {head: reading.scores() for head, reading in self._of_other.items()}
        total = own - self._preference(self._runs.scores, of_other=True)
        indirect = [own - self._preference(scores[head]) for head in self._heads]
        direct = [own - self._preference(scores[head], of_other=True) for head in self._heads]
        return total, np.stack(indirect, axis=1), np.stack(direct, axis=1)

    def _preference(self, scores: Floats, *, of_other: bool = False) -> Floats:
        """Compute the preference for the case's own antecedent, also where the other was read."""
        other = np.arange(len(scores)) ^ 1
        return self._first.margins(scores[other] if of_other else scores)

    def _outputs(self, batch: Batch) -> dict[int, torch.Tensor]:
        """Return what heads of the other cases pass on."""
        return run_parts(
            self._second.model.module,
            batch.inputs,
            self._through,
            self._kind,
            self._layers,
            run=self._second.asked,
        )

    def _put(
        self, head: Head, outputs: Mapping[int, torch.Tensor], number: int, batch: Batch
    ) -> None:
        change = patched(outputs[head.layer], [head.head])
        edit = Edit(self._kind, head.layer, self._through, change)
        self._of_other[head].add(batch, self._runs.run(number, [edit]))


def _minimal_pairs(
    cases: Iterable[CorefCase],
) -> tuple[list[tuple[CorefCase, CorefCase]], dict[str, str]]:
    """Return minimal pairs (same candidates, other antecedents, few other words), and why not."""
    by_group: dict[str, list[CorefCase]] = {}
    for case in cases:
        if case.group is not None:
            by_group.setdefault(case.group, []).append(case)
    pairs, left_out = [], {}
    for group, members in by_group.items():
        if len(members) != 2:
            left_out[group] = f"it has {len(members)} cases, not 2"
            continue
        ordered = [_by_place(case) for case in members]
        phrases = [[case.phrase(c.span) for c in case.candidates] for case in ordered]
        marks = [[c.antecedent for c in case.candidates] for case in ordered]
        if phrases[0] != phrases[1]:
            left_out[group] = "its cases have other candidates"
        elif marks[0] == marks[1] or not all(case.is_forced_choice for case in ordered):
            left_out[group] = "its cases have the same antecedent"
        elif words_apart(*map(words_outside, ordered)) > MOST_WORDS:
            left_out[group] = f"more than {MOST_WORDS} words differ"
        else:
            pairs.append((ordered[0], ordered[1]))
    return pairs, left_out


def _by_place(case: CorefCase) -> CorefCase:
    return replace(case, candidates=tuple(sorted(case.candidates, key=lambda c: c.span)))


def _aligned(
    model: Model,
    pairs: Sequence[tuple[CorefCase, CorefCase]],
    left_out: dict[str, str],
    metric: str | None,
    batch_size: int,
) -> tuple[Answers, Answers, list[str]]:
    """Return both sides of the pairs whose questions have the same lengths, each pair both ways."""
    chosen = default_metric(model) if metric is None else metric_named(metric)
    first: list[Ready] = []
    second: list[Ready] = []
    for pair in pairs:
        group = str(pair[0].group)
        try:
            one, other = ((case, questions_of(model, chosen, case)) for case in pair)
        except ModelError:
            raise
        except IntrospectError as error:
            left_out[group] = str(error)
            continue
        if _lengths(one) != _lengths(other):
            left_out[group] = "its cases have other numbers of tokens"
            continue
        first += [one, other]
        second += [other, one]
    if not first:
        raise InputError(_no_minimal_pairs(left_out))
    mine, theirs = (
        answers_of(model, chosen, side, batch_size=batch_size) for side in (first, second)
    )
    return mine, theirs, [str(case.group) for case, _ in first]


def _lengths(ready: Ready) -> list[tuple[int | None, int]]:
    """Return each question's candidate and number of tokens, which must be equal within a pair."""
    return [(question.candidate, len(question.encoded.tokens)) for question in ready[1]]


def _no_minimal_pairs(left_out: Mapping[str, str]) -> str:
    why = "; ".join(f"{group}: {reason}" for group, reason in list(left_out.items())[:3])
    return (
        "Expected minimal pairs: two cases of one group with the same candidates, the same number "
        f"of tokens, other antecedents and at most {MOST_WORDS} other words, got none "
        f"({why or 'no case has a group'})."
    )
