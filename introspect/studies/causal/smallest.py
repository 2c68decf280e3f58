"""A few heads that carry the answer: found on some cases, and measured on others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from introspect.errors import InputError, SelectionError
from introspect.hooks import Change, Edit, Visible
from introspect.interventions import Ablations, HeadsByLayer, Intervention, heads_by_layer
from introspect.progress import ProgressLike, Stages, following
from introspect.records import Head, HeadLike
from introspect.statistics import FEWEST_GROUPS, fold_of_groups
from introspect.studies.causal.answers import Answers
from introspect.studies.causal.effects import CausalEffects, ablations_for
from introspect.studies.causal.metrics import Floats
from introspect.studies.causal.verdicts import smallest_effect
from introspect.text import counted, listed, quantity

#: The stage of ``smallest_set``, as its progress is told.
SEARCHING = "searching for the smallest set of heads, which may end early"
STEP_COLUMNS = ("step", "layer", "head", "effect", "faithfulness")
_FOLDS = 2
# Each random set is measured on this many cases, so that all of them cost a few runs.
_CASES_PER_SET = 1
_RESAMPLES = 2_000


@dataclass(frozen=True, eq=False)
class SmallestSet:
    """Heads that carry the answer together, measured on cases that they were not found on.

    With :math:`m` the mean margin where only some heads are left, faithfulness is
    :math:`(m(set) - m(none)) / (m(all) - m(none))`; incompleteness is the same where all heads are
    left but those of the set, and near 0 if nothing outside it carries the answer.

    Args:
        steps: one row for each head, in the order in which they were added: its effect alone, and
            the faithfulness of those up to it, both on the cases that they were found on.
        total: the mean m(all) − m(none) on the other cases.
        total_low: the lower end of its 95% interval, by groups.
        total_high: the upper end.
        faithfulness: of the set on the other cases.
        low: the lower end of its 95% interval.
        high: the upper end.
        incompleteness: on the same cases.
        incompleteness_low: the lower end of its 95% interval.
        incompleteness_high: the upper end.
        needless: heads of the set without which it is no less faithful.
        random: the mean faithfulness of random sets of as many heads.
        as_faithful: the share of the random sets that are at least as faithful, each measured on
            the same cases as the set.
        num_random: how many random sets there are.
        n: the number of the other cases.
        reached: whether the set was as faithful as wanted on the cases that it was found on.
        wanted: the faithfulness that was wanted.
    """

    steps: pd.DataFrame
    total: float
    total_low: float
    total_high: float
    faithfulness: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    incompleteness: float = float("nan")
    incompleteness_low: float = float("nan")
    incompleteness_high: float = float("nan")
    needless: tuple[Head, ...] = ()
    random: float = float("nan")
    as_faithful: float = float("nan")
    num_random: int = 0
    n: int = 0
    reached: bool = False
    wanted: float = 0.8

    @property
    def heads(self) -> list[Head]:
        """The heads."""
        return [Head(int(row.layer), int(row.head)) for row in self.steps.itertuples()]

    @property
    def words(self) -> str:
        """The finding, in a sentence."""
        if self.steps.empty:
            if self.total_low > 0:
                return "No head has an effect by which a set of heads could be begun."
            return (
                "With all heads ablated the margin is not shown to be lower "
                f"({quantity(self.total)}): there is nothing for a set of heads to carry."
            )
        names = listed(self.heads)
        if not self.reached:
            return (
                f"No set of up to {counted(len(self.heads), 'head')} reaches a faithfulness of "
                f"{quantity(self.wanted)}: {names}, alone in the model, keep "
                f"{quantity(self.faithfulness)} on {counted(self.n, 'other case')}."
            )
        keep = "keeps" if len(self.heads) == 1 else "keep"
        return (
            f"{names}, with all other heads ablated, {keep} a faithfulness of "
            f"{quantity(self.faithfulness)} on {counted(self.n, 'other case')}; random sets of as "
            f"many heads keep {quantity(self.random)}."
        )


def smallest_set(
    effects: CausalEffects,
    heads: Iterable[HeadLike] | HeadLike | None = None,
    *,
    standing_in: Sequence[Head] = (),
    share: float = 0.8,
    most: int = 6,
    random_sets: int = 200,
    seed: int = 0,
    progress: ProgressLike = None,
) -> SmallestSet:
    """Search for a few heads that carry the answer, and measure them on other cases.

    Heads are added by their own effect on one half of the groups, the largest first, until those
    added, with all other heads ablated, are as faithful as wanted. All other figures are of the
    other half. Another set may do as well.

    Args:
        effects: the effects of single heads, of cases of coreference.
        heads: the heads to choose among; all that were measured by default.
        standing_in: heads that another stands in for, so that they have no effect of their own to
            be found by: they are added last.
        share: the faithfulness to reach.
        most: the largest number of heads; the search ends there, reached or not.
        random_sets: the number of random sets that it is compared with.
        seed: the random seed of the halves and of the random sets.
        progress: ``True`` for a bar on a terminal and in a notebook, and lines elsewhere; or a
            function of the stage, the runs made, and the most that there can be: the search ends
            as soon as the share is reached.

    Raises:
        SelectionError: the share is not between 0 and 1, ``most`` is below 1, or a head does not
            exist.
        InputError: there are too few groups of cases to measure the set on others.

    Source: faithfulness, completeness and minimality of Wang et al. 2022,
    https://arxiv.org/abs/2211.00593, section 4.
    """
    if not 0 < share <= 1:
        raise SelectionError(f"Expected `share` above 0 and at most 1, got {share}.")
    if most < 1:
        raise SelectionError(f"Expected `most` of at least 1, got {most}.")
    answers = effects.answers
    if not isinstance(answers, Answers):
        raise SelectionError("Expected effects on cases of coreference.")
    groups = sorted(set(answers.groups))
    if len(groups) < 2 * FEWEST_GROUPS:
        raise InputError(
            f"Expected at least {2 * FEWEST_GROUPS} groups of cases, to find a set on one half and "
            f"measure it on the other, got {len(groups)}."
        )
    ablations = ablations_for(answers, effects.method, None, effects.kind, seed)
    chosen = heads_by_layer(ablations.layout, ablations.kind, heads)
    values, measured = effects.by_case()
    pool = [each for each in measured if each.head in chosen.get(each.layer, ())]
    numbers = {group: number for number, group in enumerate(groups)}
    index = np.array([numbers[group] for group in answers.groups])
    half = fold_of_groups(index, _FOLDS, seed=seed)[index]
    found, other = (np.flatnonzero(half == number) for number in range(_FOLDS))
    with following(progress) as tell:
        search = _Search(answers, effects, ablations, tell, 2 * most + 5)
        smallest = smallest_effect(effects.margins)
        order = _by_effect(values[found], measured, pool, smallest)
        means = dict(zip(measured, values[found].mean(0).tolist(), strict=True))
        known = {head for head, _ in order}
        order += [(head, means[head]) for head in standing_in if head in pool and head not in known]
        steps, reached = search.added(found, order, share, most)
        return search.measured(other, steps, share, reached=reached, sets=random_sets, seed=seed)


def _by_effect(
    values: Floats, measured: Sequence[Head], pool: Sequence[Head], smallest: float
) -> list[tuple[Head, float]]:
    """Return the heads whose effect is one, the largest first, with that effect."""
    means = dict(zip(measured, values.mean(0).tolist(), strict=True))
    ordered = sorted(pool, key=lambda head: -means[head])
    return [(head, means[head]) for head in ordered if means[head] >= smallest]


class _Search:
    """Runs of some cases with only some heads left, counted and told."""

    def __init__(
        self,
        answers: Answers,
        effects: CausalEffects,
        ablations: Ablations,
        tell: Stages,
        at_most: int,
    ) -> None:
        self._answers, self._effects, self._ablations = answers, effects, ablations
        self._everything = heads_by_layer(ablations.layout, ablations.kind, None)
        self._tell, self._count, self._at_most = tell, 0, at_most
        tell(SEARCHING, 0, at_most)

    def added(
        self, cases: np.ndarray, order: Sequence[tuple[Head, float]], share: float, most: int
    ) -> tuple[pd.DataFrame, bool]:
        """Add heads in this order until they are as faithful as wanted."""
        answers = self._answers.subset(cases.tolist())
        clean = self._effects.margins[cases]
        none = self._kept(answers, [])
        total = float((clean - none).mean())
        rows: list[tuple[int, int, int, float, float]] = []
        kept: list[Head] = []
        for head, effect in order[:most] if total > 0 else ():
            kept.append(head)
            faithfulness = float((self._kept(answers, kept) - none).mean()) / total
            rows.append((len(kept), head.layer, head.head, effect, faithfulness))
            if faithfulness >= share:
                break
        steps = pd.DataFrame(rows, columns=list(STEP_COLUMNS))
        return steps, bool(rows) and rows[-1][-1] >= share

    def measured(
        self,
        cases: np.ndarray,
        steps: pd.DataFrame,
        share: float,
        *,
        reached: bool,
        sets: int,
        seed: int,
    ) -> SmallestSet:
        """Measure a set on other cases."""
        answers = self._answers.subset(cases.tolist())
        groups = answers.groups
        clean = self._effects.margins[cases]
        none = self._kept(answers, [])
        total = clean - none
        mean, low, high = _ratio(total, np.ones_like(total), groups, seed)
        nothing = steps.iloc[:0]
        if steps.empty or not low > 0:
            return SmallestSet(nothing, mean, low, high, n=len(cases), wanted=share)
        heads = [Head(int(row.layer), int(row.head)) for row in steps.itertuples()]
        kept = self._kept(answers, heads) - none
        rest = self._left(answers, heads) - none
        needless = []
        for head in heads if len(heads) > 1 else ():
            without = self._kept(answers, [one for one in heads if one != head]) - none
            # The whole interval of what the head adds is not above 0.
            if not _ratio(kept - without, total, groups, seed)[1] > 0:
                needless.append(head)
        random, as_faithful = self._random(cases, heads, kept, none, clean, sets, seed)
        return SmallestSet(
            steps, mean, low, high, *_ratio(kept, total, groups, seed),
            *_ratio(rest, total, groups, seed), needless=tuple(needless), random=random,
            as_faithful=as_faithful, num_random=sets, n=len(cases), reached=reached, wanted=share,
        )  # fmt: skip

    def _kept(self, answers: Answers, heads: Sequence[Head]) -> Floats:
        """Return the margins with only some heads left."""
        return self._without(answers, _outside(self._everything, heads))

    def _left(self, answers: Answers, heads: Sequence[Head]) -> Floats:
        """Return the margins with all heads left but some."""
        by_layer: HeadsByLayer = {}
        for head in sorted(heads):
            by_layer.setdefault(head.layer, []).append(head.head)
        return self._without(answers, by_layer)

    def _without(self, answers: Answers, heads: HeadsByLayer) -> Floats:
        if heads:
            with self._ablations.of(heads):
                margins = answers.margins()
        else:
            margins = answers.margins()
        self._told()
        return margins

    def _told(self) -> None:
        self._count += 1
        self._tell(SEARCHING, self._count, max(self._at_most, self._count))

    def _random(
        self,
        cases: np.ndarray,
        heads: Sequence[Head],
        kept: Floats,
        none: Floats,
        clean: Floats,
        sets: int,
        seed: int,
    ) -> tuple[float, float]:
        """Measure random sets, each on a case of its own; many are run at once."""
        if not sets:
            return float("nan"), float("nan")
        random = np.random.default_rng([seed, 1])
        every = [Head(layer, head) for layer, n in self._everything.items() for head in n]
        drawn = [
            [every[place] for place in random.choice(len(every), len(heads), replace=False)]
            for _ in range(sets)
        ]
        places = np.arange(sets * _CASES_PER_SET) % len(cases)
        margins = self._by_item(cases[places], drawn)
        self._told()
        left = margins - none[places]
        whole = float((clean - none).mean())
        # The same case with the set itself.
        return float(left.mean()) / whole, float((left >= kept[places]).mean())

    def _by_item(self, cases: np.ndarray, kept: Sequence[Sequence[Head]]) -> Floats:
        """Return the margins of cases, each with its own heads left."""
        answers = self._answers.subset(cases.tolist(), batch_size=128)
        reading = answers.reading()
        for batch in answers.batches:
            sets = [kept[case] for case in batch.cases]
            edits = list(self._edits(sets))
            with Intervention(answers.model, edits, "all but some heads ablated"):
                reading.add(batch, answers.run(batch))
        return answers.margins(reading.scores())

    def _edits(self, kept: Sequence[Sequence[Head]]) -> Iterator[Edit]:
        """Yield the ablation of all heads of each layer, but those that each item keeps."""
        for edit in self._ablations.of(self._everything).edits:
            count = len(self._everything[edit.layer])
            keeps = torch.zeros(len(kept), count, 1, 1, dtype=torch.bool)
            for item, heads in enumerate(kept):
                for head in heads:
                    if head.layer == edit.layer:
                        keeps[item, head.head] = True
            yield Edit(edit.kind, edit.layer, edit.part, _but(edit, keeps), edit.by_position)


def _but(edit: Edit, keeps: torch.Tensor) -> Change:
    def changed(tensor: torch.Tensor, visible: Visible) -> torch.Tensor:
        return torch.where(keeps.to(tensor.device), tensor, edit.change(tensor, visible))

    return changed


def _outside(everything: HeadsByLayer, heads: Iterable[Head]) -> HeadsByLayer:
    kept = set(heads)
    left = {
        layer: [number for number in numbers if Head(layer, number) not in kept]
        for layer, numbers in everything.items()
    }
    return {layer: numbers for layer, numbers in left.items() if numbers}


def _ratio(
    part: Floats, whole: Floats, groups: Sequence[str], seed: int
) -> tuple[float, float, float]:
    """Return the ratio of two means, and its 95% interval by resampled groups."""
    names = sorted(set(groups))
    numbers = {name: number for number, name in enumerate(names)}
    index = np.array([numbers[group] for group in groups])
    sums = np.stack(
        [np.bincount(index, weights=each, minlength=len(names)) for each in (part, whole)], axis=1
    )
    estimate = float(part.mean() / whole.mean())
    if len(names) < FEWEST_GROUPS:
        return estimate, float("nan"), float("nan")
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), _RESAMPLES) @ sums
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = drawn[:, 0] / drawn[:, 1]
    low, high = np.nanquantile(ratios, [0.025, 0.975])
    return estimate, float(low), float(high)
