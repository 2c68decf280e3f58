"""Score one case: from a record and character spans to numbers for every head and direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from introspect.errors import MentionError, SelectionError
from introspect.functional import (
    MENTION_OPTIONS,
    Mention,
    credit,
    margin,
    mention_weights,
    reachable,
)
from introspect.records import (
    AttentionRecord,
    Head,
    TokenSequence,
    Weights,
    checked_weights,
    mention_pieces,
    weighted,
)
from introspect.text import CorefCase

__all__ = ["DIRECTIONS", "DirectionScores", "score_case"]

#: From the pronoun's row to the candidates, and from the candidates' rows to the pronoun.
DIRECTIONS = ("pronoun_to_candidate", "candidate_to_pronoun")


@dataclass(frozen=True, eq=False)
class DirectionScores:
    """Scores of every head in one case, in one direction.

    Tensors are float64, ``(num_layers, num_heads)``.

    Args:
        direction: ``pronoun_to_candidate`` or ``candidate_to_pronoun``.
        layers: the model's own number of each row.
        weights: ``(num_candidates, num_layers, num_heads)``, in the order of the candidates.
        antecedent_weight: the largest over antecedents; NaN where there is none.
        distractor_weight: the largest over distractors; NaN where there is none.
        credit: 1 for the antecedent, 0 for a distractor, shares for ties; NaN outside forced
            choice.
        margin: from -0.5 to 0.5; NaN where it is not defined.
        preference: how much more weight the antecedent gets than the best distractor, from -1 to 1
            unless norms are scored. If only one of the two exists, its weight.
        observable: ``(num_layers,)``: whether the mask leaves every candidate visible.
        removed_mass: the mean mass that renormalizing removed from the rows read; else 0.
    """

    direction: str
    layers: tuple[int, ...]
    weights: torch.Tensor
    antecedent_weight: torch.Tensor
    distractor_weight: torch.Tensor
    credit: torch.Tensor
    margin: torch.Tensor
    preference: torch.Tensor
    observable: torch.Tensor
    removed_mass: torch.Tensor

    @property
    def is_observable(self) -> bool:
        """Whether any layer can attend in this direction."""
        return bool(self.observable.any())

    def ranked(self) -> list[Head]:
        """Return the heads of the observable layers by ``preference``, best first."""
        preference = self.preference.nan_to_num(-torch.inf)
        order = preference.flatten().argsort(descending=True, stable=True).tolist()
        num_heads = preference.shape[1]
        return [
            Head(self.layers[i // num_heads], i % num_heads)
            for i in order
            if self.observable[i // num_heads]
        ]

    def strongest(self) -> list[tuple[Head, float]]:
        """Return the heads of the observable layers by the antecedent's weight, largest first."""
        weights = self.antecedent_weight.nan_to_num(0.0)
        named = [(head, float(weights[self.row(head), head.head])) for head in self.ranked()]
        return sorted(named, key=lambda item: -item[1])

    def row(self, head: Head) -> int:
        """Return the row of the tensors that holds the head's layer."""
        return self.layers.index(head.layer)


def score_case(
    record: AttentionRecord,
    case: CorefCase,
    *,
    mention: Mention = "mean",
    weights: Weights = "raw",
) -> tuple[DirectionScores, DirectionScores]:
    """Compute weights, credit, and margin of every head, in both directions.

    Args:
        record: attention of the case's text over itself, at token level.
        case: the pronoun and its candidates.
        mention: how the word pairs of two mentions are reduced to one number.
        weights: ``raw``; ``renormalized``: special tokens and the row's own position dropped, and
            the rest of a row rescaled to sum to 1 (a row with nothing left gives 0); or ``norm``:
            each weight times the norm of what it contributes, for a record with ``value_norms``.

    Raises:
        MentionError: the record is of another text, or a mention was truncated.
        SelectionError: an unknown ``mention`` or ``weights``, a record without what they need, or
            attention from one text to another.
    """
    checked_weights(weights)
    if mention not in MENTION_OPTIONS:
        raise SelectionError(
            f"Expected `mention` as one of {', '.join(MENTION_OPTIONS)}, got {mention!r}."
        )
    if record.kind == "cross":
        raise SelectionError(
            "Expected attention of a text over itself to score a case, got cross-attention. "
            "Capture with kind='encoder' or kind='decoder'."
        )
    _check_text(record.keys, case)
    candidates = [(c.span, "candidate") for c in case.candidates]
    pronoun = mention_pieces(record.queries, case.pronoun, role="pronoun")
    targets = [mention_pieces(record.keys, span, role=role) for span, role in candidates]
    forward = [(pronoun, target) for target in targets]
    backward = [(target, pronoun) for target in targets]
    pattern, removed = weighted(record, weights)
    return (
        _scores(DIRECTIONS[0], record, case, forward, mention, pattern, removed),
        _scores(DIRECTIONS[1], record, case, backward, mention, pattern, removed),
    )


Words = Sequence[Sequence[int]]


def _scores(
    direction: str,
    record: AttentionRecord,
    case: CorefCase,
    pairs: Sequence[tuple[Words, Words]],
    mention: Mention,
    pattern: torch.Tensor,
    removed: torch.Tensor,
) -> DirectionScores:
    sources = sorted({i for source, _ in pairs for word in source for i in word})
    weights = torch.stack([mention_weights(pattern, s, t, mention=mention) for s, t in pairs])
    antecedents = [candidate.antecedent for candidate in case.candidates]
    gold = torch.tensor(antecedents)
    undefined = torch.full_like(weights[0], torch.nan)
    best_gold = weights[gold].amax(0) if gold.any() else None
    best_rival = weights[~gold].amax(0) if not gold.all() else None
    if best_gold is not None and best_rival is not None:
        preference = best_gold - best_rival
    else:
        preference = weights.amax(0)
    return DirectionScores(
        direction=direction,
        layers=record.layers,
        weights=weights,
        antecedent_weight=undefined if best_gold is None else best_gold,
        distractor_weight=undefined if best_rival is None else best_rival,
        credit=credit(weights, antecedents) if case.is_forced_choice else undefined,
        margin=margin(weights, antecedents) if case.is_forced_choice else undefined,
        preference=preference,
        observable=torch.stack([reachable(record.attentions, s, t) for s, t in pairs]).all(0),
        removed_mass=removed[:, :, sources].double().mean(-1),
    )


def _check_text(sequence: TokenSequence, case: CorefCase) -> None:
    if not sequence.texts or sequence.texts[0] != case.text:
        raise MentionError(
            "Expected a record of the case's own text, but its tokens come from another one. "
            "Capture case.text, so that character offsets mean the same."
        )
