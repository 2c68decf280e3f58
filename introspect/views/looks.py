"""What every head gives in one case, unit by unit: the numbers behind the coreference view.

All of them come from ``functional.coreference``; nothing is defined here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from introspect.functional.coreference import Mention, mention_weights, reachable
from introspect.mentions import CorefCase
from introspect.records import AttentionRecord, Head
from introspect.scoring import DIRECTIONS, DirectionScores, score_case
from introspect.views.sentence import Sentence

__all__ = ["Looks", "look"]

_Words = Sequence[Sequence[int]]


@dataclass(frozen=True, eq=False)
class Looks:
    """One direction of one case.

    Args:
        scores: weights on the candidates, and what follows from them.
        measure: what a head is ranked by: ``difference`` (the antecedent less the strongest
            distractor), ``antecedent`` (there is no distractor) or ``candidate`` (the strongest
            candidate: there is no antecedent).
        units: ``(num_units, num_layers, num_heads)``.
        units_reachable: ``(num_units, num_layers)``: whether the mask lets the two meet.
        candidates_reachable: ``(num_candidates, num_layers)``.
        special: ``(num_layers, num_heads)``, what the pronoun gives to tokens that are not in the
            sentence; ``None`` from the candidates, whose rows are several.
        itself: what the pronoun gives to itself; ``None`` likewise.
    """

    scores: DirectionScores
    measure: str
    units: torch.Tensor
    units_reachable: torch.Tensor
    candidates_reachable: torch.Tensor
    special: torch.Tensor | None = None
    itself: torch.Tensor | None = None

    @property
    def values(self) -> torch.Tensor:
        """The measure of every head; NaN where a weight is missing or cannot be observed."""
        scores = self.scores
        values = scores.distractor_weight if self.measure == "candidate" else scores.preference
        hidden = scores.weights.isnan().any(0) | ~scores.observable[:, None]
        return values.masked_fill(hidden, torch.nan)

    def ranked(self) -> list[Head]:
        """Heads by the measure, best first; those without a value are left out."""
        values = self.values.flatten()
        order = values.nan_to_num(-torch.inf).argsort(descending=True, stable=True).tolist()
        num_heads = self.values.shape[1]
        return [
            Head(self.scores.layers[i // num_heads], i % num_heads)
            for i in order
            if not values[i].isnan()
        ]


def look(
    record: AttentionRecord, case: CorefCase, sentence: Sentence, *, mention: Mention = "mean"
) -> dict[str, Looks]:
    """Both directions of a case, by name."""
    forward, backward = score_case(record, case, mention=mention)
    measure = "difference" if case.antecedents else "candidate"
    if not case.distractors:
        measure = "antecedent"
    return {
        DIRECTIONS[0]: _from_pronoun(record, sentence, forward, measure, mention),
        DIRECTIONS[1]: _to_pronoun(record, sentence, backward, measure, mention),
    }


def _from_pronoun(
    record: AttentionRecord,
    sentence: Sentence,
    scores: DirectionScores,
    measure: str,
    mention: Mention,
) -> Looks:
    # Only the pronoun's rows are looked at, so the rest is not carried through the sums.
    rows = record.attentions[:, :, list(sentence.pronoun_tokens), :]
    pronoun = _renumbered(sentence.pronoun)
    units = [[unit.tokens] for unit in sentence.units]
    candidates = [candidate.words for candidate in sentence.candidates]
    left_out = sentence.left_out
    return Looks(
        scores,
        measure,
        units=torch.stack([mention_weights(rows, pronoun, u, mention=mention) for u in units]),
        units_reachable=torch.stack([reachable(rows, pronoun, u) for u in units]),
        candidates_reachable=torch.stack([reachable(rows, pronoun, c) for c in candidates]),
        special=mention_weights(rows, pronoun, [left_out]) if left_out else None,
        itself=mention_weights(rows, pronoun, [sentence.pronoun_tokens]),
    )


def _to_pronoun(
    record: AttentionRecord,
    sentence: Sentence,
    scores: DirectionScores,
    measure: str,
    mention: Mention,
) -> Looks:
    columns = record.attentions[:, :, :, list(sentence.pronoun_tokens)]
    pronoun = _renumbered(sentence.pronoun)
    units = [[unit.tokens] for unit in sentence.units]
    candidates = [candidate.words for candidate in sentence.candidates]
    return Looks(
        scores,
        measure,
        units=torch.stack([mention_weights(columns, u, pronoun, mention=mention) for u in units]),
        units_reachable=torch.stack([reachable(columns, u, pronoun) for u in units]),
        candidates_reachable=torch.stack([reachable(columns, c, pronoun) for c in candidates]),
    )


def _renumbered(words: _Words) -> list[list[int]]:
    """The same words where only their own pieces are left, in order."""
    numbers = iter(range(sum(map(len, words))))
    return [[next(numbers) for _ in word] for word in words]
