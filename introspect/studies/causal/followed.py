"""What is asked of the few heads with the largest effects: other methods, directly, in pairs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from introspect.hooks import Edit, Visible
from introspect.interventions import NEEDS_REFERENCE, Ablation, patched
from introspect.records import Head, Kind
from introspect.statistics import FEWEST_GROUPS, effect_intervals, effect_test
from introspect.studies.causal.answers import AnswerReader, Answers
from introspect.studies.causal.effects import CausalEffects, ablations_for
from introspect.studies.causal.metrics import Floats
from introspect.studies.causal.resampling import Resampling, draws_for_each_case
from introspect.studies.causal.runs import Runs
from introspect.studies.causal.verdicts import LEVEL, Verdict, agreed, smallest_effect, verdicts_of

#: The stage of ``follow``, as progress is told.
FOLLOWING = "following up the heads with the largest effects"
#: How many heads are followed up, those with the largest effects.
MOST_HEADS = 3
#: The methods whose verdicts must agree.
COMPARED: tuple[Ablation, ...] = ("zero", "mean", "resample")
METHOD_COLUMNS = (
    "layer", "head", "method", "effect", "ci_low", "ci_high", "p_adjusted", "verdict",
)  # fmt: skip
PAIR_COLUMNS = (
    "layer", "head", "other_layer", "other_head", "effect", "alone", "interaction",
    "interaction_low", "interaction_high", "p_adjusted", "without_other", "other_without",
    "relation",
)  # fmt: skip
DIRECT_COLUMNS = ("layer", "head", "total", "direct", "direct_low", "direct_high")


@dataclass(frozen=True, eq=False)
class Followed:
    """What was found of the heads with the largest effects.

    Args:
        heads: these heads.
        methods: the effect of each under each method: layer, head, method, effect, ci_low, ci_high,
            p_adjusted (over these heads), verdict.
        pairs: of each two of them the effect of ablating both, the sum of both alone, and the
            interaction, which is the effect of both less that sum, with its interval and p_adjusted
            over the pairs; the effect of each where the other is ablated already
            (``without_other``, ``other_without``); and the relation: ``stand in for each other``
            (the interaction is above 0, and each supports the answer without the other), ``do more
            than in sum`` (it is above 0, as of a head and one that undoes what it does), ``work
            together`` (it is below 0, and each supports the answer), ``do less than in sum`` (it
            is below 0, and one of them does not), or ``no evidence``.
        direct: the effect with all other heads held at their own output, beside the total.
    """

    heads: tuple[Head, ...]
    methods: pd.DataFrame
    pairs: pd.DataFrame
    direct: pd.DataFrame


def follow(
    effects: CausalEffects,
    attending: Sequence[Head] = (),
    *,
    seed: int = 0,
    done: Callable[[], None] = lambda: None,
) -> Followed:
    """Follow up the heads with the largest effects, and those that attend to the antecedent.

    Args:
        effects: the effects of all heads, of cases of coreference.
        attending: heads that attend to the antecedent, without an effect of their own: another may
            stand in for them. Each is also paired with the later head whose output changes most
            without it.
        seed: the random seed of intervals and of the texts drawn.
        done: is called after each run over the cases.
    """
    table = effects.heads
    found = table[table["verdict"].isin(["supports", "opposes"])]
    order = found["effect"].abs().sort_values(ascending=False, kind="stable").index
    largest = [Head(int(row.layer), int(row.head)) for row in found.loc[order].itertuples()]
    heads = largest[:MOST_HEADS]
    paired = list(dict.fromkeys([*heads, *attending]))[: MOST_HEADS + 1]
    asked = _Asked(effects, seed, done)
    methods = asked.methods(heads)
    direct, moved = asked.downstream(heads, paired)
    return Followed(
        heads=tuple(heads),
        methods=methods,
        pairs=asked.pairs([*combinations(paired, 2), *_further(moved, paired)]),
        direct=direct,
    )


def _further(moved: dict[Head, Head], known: Sequence[Head]) -> list[tuple[Head, Head]]:
    """Return each head with the later one that changes most without it, if that is a new pair."""
    return [(head, other) for head, other in moved.items() if other not in known]


def relations_of_pairs(
    interactions: Floats,
    is_shown: npt.NDArray[np.bool_],
    helps: npt.NDArray[np.bool_],
    support: npt.NDArray[np.bool_],
) -> list[str]:
    """Return how two heads go together, for each pair.

    A head and one that undoes what it does also lose more together than in sum: without the first
    the other has nothing to undo. So two heads stand in for each other only if each supports the
    answer where the other is ablated. Nor does a head work together with one that does nothing
    for the answer: both must support it.

    Args:
        interactions: the mean effect of both, less the sum of each alone.
        is_shown: whether the interaction is shown to be other than 0.
        helps: whether each of the two supports the answer without the other.
        support: whether each of the two supports the answer with the other there.
    """
    above = ["stand in for each other" if each else "do more than in sum" for each in helps]
    below = ["work together" if each else "do less than in sum" for each in support]
    return [
        (more if change > 0 else less) if shown else "no evidence"
        for more, less, change, shown in zip(above, below, interactions, is_shown, strict=True)
    ]


class _Asked:
    """Runs of the cases with the few heads changed in other ways."""

    def __init__(self, effects: CausalEffects, seed: int, done: Callable[[], None]) -> None:
        assert isinstance(effects.answers, Answers)
        self._answers: Answers = effects.answers
        self._effects, self._seed, self._done = effects, seed, done
        values, heads = effects.by_case()
        self._alone = dict(zip(heads, values.T, strict=True))
        self._ablations = ablations_for(self._answers, effects.method, None, effects.kind, seed)
        self._runs_kept: Runs | None = None
        self._resampling_kept: Resampling | None = None

    @property
    def _runs(self) -> Runs:
        """The runs of all of them, with the outputs of heads that most of them need."""
        if self._runs_kept is None:
            kind = self._effects.kind
            layers = self._ablations.layout.layers(kind)
            self._runs_kept = Runs(self._answers, kind, outputs=layers)
            self._done()
        return self._runs_kept

    @property
    def _resampling(self) -> Resampling:
        """The draws of the study's seed: those of the effects, if these are by resampling."""
        if self._resampling_kept is None:
            layers = self._ablations.layout.layers(self._effects.kind)
            every = [Head(layer, 0) for layer in layers]
            self._resampling_kept = Resampling(
                self._answers, self._effects.kind, every, self._seed, runs=self._runs
            )
        return self._resampling_kept

    @property
    def _draws(self) -> int:
        """The number of runs that an ablation by the study's own method takes."""
        drawn = draws_for_each_case(self._answers, self._effects.method)
        return self._resampling.draws if drawn else 1

    def methods(self, heads: Sequence[Head]) -> pd.DataFrame:
        """Measure each head by each method, with a family of these heads."""
        rows = []
        for method in self._compared() if heads else ():
            values = np.stack(list(self._by_method(method, heads)), axis=1)
            low, high, p = self._tested(values)
            verdicts = verdicts_of(
                values.mean(0), p, smallest=smallest_effect(self._effects.margins), is_able=True
            )
            rows += [
                (head.layer, head.head, method, *numbers)
                for head, *numbers in zip(
                    heads, values.mean(0), low, high, p, verdicts, strict=True
                )
            ]
        return pd.DataFrame(rows, columns=list(METHOD_COLUMNS))

    def _compared(self) -> list[Ablation]:
        """Return the methods, the study's own first.

        An encoder-decoder gets no reference from texts alone: what its decoder reads is missing.
        """
        methods = dict.fromkeys([self._effects.method, *COMPARED])
        if not self._answers.model.is_encoder_decoder:
            return list(methods)
        return [m for m in methods if m == self._effects.method or m not in NEEDS_REFERENCE]

    def _by_method(self, method: Ablation, heads: Sequence[Head]) -> Iterable[Floats]:
        clean = self._effects.margins
        if method == self._effects.method:
            yield from (self._alone[head] for head in heads)
        elif method == "resample":
            for head in heads:
                yield clean - self._resampling.margins(head, done=self._done)
        else:
            ablations = ablations_for(self._answers, method, None, self._effects.kind, self._seed)
            for head in heads:
                yield clean - self._runs.margins(ablations.of({head.layer: [head.head]}))
                self._done()

    def pairs(self, two: Sequence[tuple[Head, Head]]) -> pd.DataFrame:
        """Measure each two heads together, beside the sum of both alone."""
        if not two:
            return pd.DataFrame(columns=list(PAIR_COLUMNS))
        both = np.stack([self._together(pair) for pair in two], axis=1)
        alone = np.stack([self._alone[a] + self._alone[b] for a, b in two], axis=1)
        interaction = both - alone
        low, high, p = self._tested(interaction)
        is_shown = self._is_large(interaction, p)
        first = both - np.stack([self._alone[b] for _, b in two], axis=1)
        second = both - np.stack([self._alone[a] for a, _ in two], axis=1)
        helps = np.logical_and(*np.split(self._helps(np.concatenate([first, second], 1)), 2))
        table = self._effects.heads
        supporting = table[table["verdict"] == "supports"]
        known = {Head(int(row.layer), int(row.head)) for row in supporting.itertuples()}
        support = np.array([known.issuperset(each) for each in two])
        columns = [
            both.mean(0), alone.mean(0), interaction.mean(0), low, high, p, first.mean(0),
            second.mean(0), relations_of_pairs(interaction.mean(0), is_shown, helps, support),
        ]  # fmt: skip
        rows = [(*a, *b, *numbers) for (a, b), *numbers in zip(two, *columns, strict=True)]
        return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))

    def _is_large(self, values: Floats, p_adjusted: Floats) -> npt.NDArray[np.bool_]:
        smallest = smallest_effect(self._effects.margins)
        return np.asarray((p_adjusted < LEVEL) & (np.abs(values.mean(0)) >= smallest))

    def _helps(self, values: Floats) -> npt.NDArray[np.bool_]:
        """Check which effects, as one family, support the answer."""
        *_, p = self._tested(values)
        return np.asarray(self._is_large(values, p) & (values.mean(0) > 0))

    def _together(self, heads: Sequence[Head]) -> Floats:
        if draws_for_each_case(self._answers, self._effects.method):
            return self._effects.margins - self._resampling.margins(*heads, done=self._done)
        by_layer: dict[int, list[int]] = {}
        for head in sorted(heads):
            by_layer.setdefault(head.layer, []).append(head.head)
        margins = self._runs.margins(self._ablations.of(by_layer))
        self._done()
        return self._effects.margins - margins

    def downstream(
        self, heads: Sequence[Head], paired: Sequence[Head]
    ) -> tuple[pd.DataFrame, dict[Head, Head]]:
        """Ask what goes through later heads.

        Args:
            heads: are measured with the outputs of all heads of later layers held as they were.
            paired: are ablated, to see which later head then does something else: one that stands
                in for a head wakes up without it (Wang et al. 2022).

        Returns:
            The table of direct effects, and for each paired head the later head, of those that
            were measured, whose output changes most.
        """
        answers, kind = self._answers, self._effects.kind
        layers = self._ablations.layout.layers(kind)
        draws = range(self._draws if paired else 0)
        readings = {head: [answers.reading() for _ in draws] for head in heads}
        changes = {head: _Changes(kind) for head in paired if head.layer < max(layers)}
        for number, batch in enumerate(answers.batches if paired else ()):
            outputs = self._runs.outputs(number, layers)
            for head, of_draws in readings.items():
                held = [
                    Edit(kind, layer, "head_outputs", _held(outputs[layer]))
                    for layer in layers
                    if layer > head.layer
                ]
                for draw, reading in enumerate(of_draws):
                    reading.add(batch, self._run_without(head, held, number, draw))
            for head, change in changes.items():
                later = {layer: outputs[layer] for layer in layers if layer > head.layer}
                for draw in draws:
                    self._run_without(head, change.edits(later, batch.mask), number, draw)
                self._done()
        measured = set(self._alone)
        moved = {head: change.largest(measured) for head, change in changes.items()}
        return self._direct(readings), {head: to for head, to in moved.items() if to is not None}

    def _run_without(self, head: Head, later: Sequence[Edit], number: int, draw: int) -> Any:
        """Return the output on one batch without a head, and with edits of later layers."""
        if draws_for_each_case(self._answers, self._effects.method):
            ablated = self._resampling.edits([head], self._answers.batches[number], draw)
        else:
            ablated = list(self._ablations.of({head.layer: [head.head]}).edits)
        return self._runs.run(number, [*ablated, *later])

    def _direct(self, readings: Mapping[Head, Sequence[AnswerReader]]) -> pd.DataFrame:
        if not readings:
            return pd.DataFrame(columns=list(DIRECT_COLUMNS))
        answers = self._answers
        values = np.stack(
            [
                self._effects.margins - np.mean([answers.margins(one.scores()) for one in each], 0)
                for each in readings.values()
            ],
            axis=1,
        )
        low, high, _ = self._tested(values)
        return pd.DataFrame(
            [
                (head.layer, head.head, self._alone[head].mean(), mean, least, most)
                for head, mean, least, most in zip(readings, values.mean(0), low, high, strict=True)
            ],
            columns=list(DIRECT_COLUMNS),
        )

    def _tested(self, values: Floats) -> tuple[Floats, Floats, Floats]:
        groups = self._answers.groups
        test = effect_test(values, groups, seed=self._seed)
        if test.num_groups < FEWEST_GROUPS:
            return (np.full(values.shape[1], np.nan),) * 3
        low, high = effect_intervals(values, groups, seed=self._seed)
        return low, high, test.p_adjusted


class _Changes:
    """How much the outputs of later heads change, summed over batches.

    Args:
        kind: the kind of attention.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._sums: dict[int, torch.Tensor] = {}

    def edits(self, outputs: Mapping[int, torch.Tensor], mask: torch.Tensor) -> list[Edit]:
        """Return edits that change nothing, and note how far outputs are from those given.

        Args:
            outputs: of each layer, ``(batch, heads, length, head_size)``.
            mask: true for tokens that are not padding, ``(batch, length)``.
        """

        def noting(layer: int) -> Edit:
            def unchanged(tensor: torch.Tensor, _visible: Visible) -> torch.Tensor:
                self._note(layer, tensor, outputs[layer], mask)
                return tensor

            return Edit(self._kind, layer, "head_outputs", unchanged)

        return [noting(layer) for layer in outputs]

    def _note(
        self, layer: int, changed: torch.Tensor, before: torch.Tensor, mask: torch.Tensor
    ) -> None:
        is_token = mask.to(before.device)[:, None, :, None]
        now, then = (part.double() * is_token for part in (changed.detach(), before))
        sums = torch.stack([((now - then) ** 2).sum((0, 2, 3)), (now**2 + then**2).sum((0, 2, 3))])
        self._sums[layer] = self._sums.get(layer, torch.zeros_like(sums)) + sums

    def largest(self, measured: Collection[Head]) -> Head | None:
        """Return the head that changes most, in units of what it gives; ``None`` if none does."""
        shares = {
            Head(layer, number): float(share)
            for layer, (change, size) in sorted(self._sums.items())
            for number, share in enumerate(change / size.clamp_min(torch.finfo().tiny))
            if Head(layer, number) in measured
        }
        head = max(shares, key=lambda each: shares[each], default=None)
        return head if head is not None and shares[head] > 0 else None


def _held(outputs: torch.Tensor) -> Callable[[torch.Tensor, Visible], torch.Tensor]:
    return patched(outputs, range(outputs.shape[1]))


def verdicts_by_method(methods: pd.DataFrame) -> dict[Head, Verdict]:
    """Return the verdict on each head that all methods agree on, or that it depends on them."""
    return {
        Head(int(layer), int(head)): agreed(list(rows["verdict"]))
        for (layer, head), rows in methods.groupby(["layer", "head"], sort=False)
    }
