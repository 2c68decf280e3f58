"""The few heads that together carry most of what attention does for an answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from introspect.errors import SelectionError
from introspect.interventions import Ablation, Ablations, HeadsByLayer, heads_by_layer
from introspect.progress import ProgressLike, Stages, following
from introspect.records import Head, HeadLike, Kind
from introspect.studies.causal.effects import ablations_for
from introspect.studies.causal.metrics import Asked, accuracy_of
from introspect.text import percent, quantity

#: The stage of ``smallest_set``, as its progress is told.
SEARCHING = "searching for the smallest set of heads, which may end early"
_COLUMNS = (
    "step", "layer", "head", "effect", "share", "accuracy_without", "effect_of_random",
    "accuracy_with_only",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class SmallestSet:
    """Heads, in the order in which they were added.

    Args:
        steps: one row for each head: the effect of ablating it with those before it, its share of
            the whole effect, the accuracy without them, the mean effect of random sets with as
            many heads in each layer, and the accuracy where *only* they are left.
        total: the effect of ablating all heads.
        reached: whether they carry the requested share.
        words: the finding, in a sentence.
    """

    steps: pd.DataFrame
    total: float
    reached: bool
    words: str

    @property
    def heads(self) -> list[Head]:
        """The heads."""
        return [Head(int(row.layer), int(row.head)) for row in self.steps.itertuples()]


def smallest_set(
    answers: Asked,
    heads: Iterable[HeadLike] | HeadLike | None = None,
    *,
    share: float = 0.8,
    most: int = 8,
    method: Ablation = "zero",
    reference: Iterable[str] | None = None,
    kind: Kind | None = None,
    random_sets: int = 10,
    seed: int = 0,
    progress: ProgressLike = None,
) -> SmallestSet:
    r"""Search greedily for the heads that carry most, adding the one whose ablation costs most.

    Let :math:`e_S` be the effect of ablating a set of heads together. The search begins with none,
    adds the head that makes :math:`e_S` largest, and ends when
    :math:`e_S \ge 0.8 \cdot e_{\text{all}}`. It is greedy: a smaller set may exist. Redundant heads
    show an effect only together, which is why they are ablated together.

    Args:
        answers: of ``prepare_answers`` or ``prepare_next_tokens``.
        heads: the heads to choose among; all by default.
        share: the share of the effect of all heads to reach.
        most: the largest number of heads; the search ends there, reached or not.
        method: the method of ablation, as in ``causal_effects``.
        reference: the reference texts of the method.
        kind: for an encoder-decoder, ``encoder``, ``decoder`` or ``cross``.
        random_sets: the number of random sets that each step is compared with.
        seed: the random seed of what is drawn.
        progress: ``True`` for a bar on a terminal and in a notebook, and lines elsewhere; or a
            function of the stage, the runs made, and the most that there can be: the search ends
            as soon as the share is reached.

    Raises:
        SelectionError: the share is not between 0 and 1, ``most`` is below 1, or a head does not
            exist.

    Source: the greedy search of Vig et al. 2020, https://arxiv.org/abs/2004.12265, section 4.
    """
    if not 0 < share <= 1:
        raise SelectionError(f"Expected `share` above 0 and at most 1, got {share}.")
    if most < 1:
        raise SelectionError(f"Expected `most` of at least 1, got {most}.")
    ablations = ablations_for(answers, method, reference, kind, seed)
    everything = heads_by_layer(ablations.layout, ablations.kind, None)
    pool = heads_by_layer(ablations.layout, ablations.kind, heads)
    remaining = [Head(layer, number) for layer in pool for number in pool[layer]]
    random = np.random.default_rng(seed)
    chosen: list[Head] = []
    rows = []
    with following(progress) as tell:
        search = _Search(answers, ablations, tell, _most_runs(len(remaining), most, random_sets))
        total, _ = search.effect(everything)
        while remaining and len(chosen) < most and total > 0:
            tried = {head: search.effect(_by_layer([*chosen, head])) for head in remaining}
            best = max(tried, key=lambda head: tried[head][0])
            remaining.remove(best)
            chosen.append(best)
            lost, accuracy = tried[best]
            drawn = [_drawn_like(chosen, ablations, random) for _ in range(random_sets)]
            left = _without(everything, chosen)
            rows.append(
                {
                    "step": len(chosen),
                    "layer": best.layer,
                    "head": best.head,
                    "effect": lost,
                    "share": lost / total,
                    "accuracy_without": accuracy,
                    "effect_of_random": float(np.mean([search.effect(each)[0] for each in drawn]))
                    if drawn
                    else np.nan,
                    "accuracy_with_only": search.effect(left)[1] if left else search.accuracy,
                }
            )
            if lost >= share * total:
                break
    steps = pd.DataFrame(rows, columns=list(_COLUMNS))
    reached = bool(len(steps)) and bool(steps["share"].iloc[-1] >= share)
    return SmallestSet(steps, total, reached, _words(chosen, steps, total, share, reached=reached))


class _Search:
    """Runs of the model without some of its heads, counted and told."""

    def __init__(self, answers: Asked, ablations: Ablations, tell: Stages, at_most: int) -> None:
        self._answers, self._ablations = answers, ablations
        self._tell, self._count, self._at_most = tell, 0, at_most
        tell(SEARCHING, 0, at_most)
        self._clean = answers.margins()

    @property
    def accuracy(self) -> float:
        """The accuracy of the unchanged model."""
        return accuracy_of(self._clean)

    def effect(self, heads: HeadsByLayer) -> tuple[float, float]:
        """Return the mean effect of ablating heads together, and the accuracy without them."""
        with self._ablations.of(heads):
            margins = self._answers.margins()
        self._count += 1
        self._tell(SEARCHING, self._count, self._at_most)
        return float((self._clean - margins).mean()), accuracy_of(margins)


def _most_runs(heads: int, most: int, random_sets: int) -> int:
    """Compute how often the model is asked if the search continues to its last head.

    It is asked once without any head; then, for each head that is added, with each of the others,
    with the random sets, and with only those that were added.
    """
    steps = min(most, heads)
    return 1 + sum(heads - step + random_sets + 1 for step in range(steps))


def _by_layer(heads: Iterable[Head]) -> HeadsByLayer:
    found: HeadsByLayer = {}
    for layer, number in sorted(heads):
        found.setdefault(layer, []).append(number)
    return found


def _without(everything: HeadsByLayer, heads: Iterable[Head]) -> HeadsByLayer:
    gone = set(heads)
    left = {
        layer: [number for number in numbers if Head(layer, number) not in gone]
        for layer, numbers in everything.items()
    }
    return {layer: numbers for layer, numbers in left.items() if numbers}


def _drawn_like(
    heads: Iterable[Head], ablations: Ablations, random: np.random.Generator
) -> HeadsByLayer:
    """Draw as many heads in each layer, from all heads of the layer."""
    drawn = {}
    for layer, numbers in _by_layer(heads).items():
        count = ablations.layout.heads[ablations.kind, layer].heads
        drawn[layer] = sorted(random.permutation(count)[: len(numbers)].tolist())
    return drawn


def _words(
    heads: list[Head], steps: pd.DataFrame, total: float, share: float, *, reached: bool
) -> str:
    if not heads:
        return (
            f"Ablating all heads does not lower the margin (effect {quantity(total)}): there is "
            "nothing for a set of heads to carry."
        )
    names = ", ".join(map(str, heads))
    carried = steps["share"].iloc[-1]
    if reached:
        carry = "alone carries" if len(heads) == 1 else "together carry"
        return (
            f"{names} {carry} {percent(carried)} of the effect of ablating all heads "
            f"({quantity(total)}), found by adding one at a time."
        )
    carry = "carries" if len(heads) == 1 else "carry"
    return (
        f"No {len(heads)} heads found by adding one at a time carry {percent(share, 0)} of the "
        f"effect of ablating all heads ({quantity(total)}): {names} {carry} {percent(carried)}."
    )
