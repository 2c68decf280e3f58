"""One scored case, as the few numbers that every table is built from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from introspect.alignment import mention_pieces
from introspect.functional.baselines import chance, first_mentioned, nearest_preceding
from introspect.functional.coreference import Mention, credit, mention_weights
from introspect.mentions import CorefCase, Span
from introspect.records import AttentionRecord
from introspect.scoring import DirectionScores, score_case
from introspect.text import segment_words
from introspect.weighting import Weights

__all__ = ["ScoredCase", "candidate_distances", "position_credits", "scored"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScoredCase:
    """The scores of one case.

    Arrays are ``(num_directions, num_layers, num_heads)``; credit and margin are NaN where the
    direction cannot be observed.

    Args:
        name: its id.
        group: its group; cases of one group are never split.
        layers: the model's own layer numbers.
        antecedent_weight: the largest weight of an antecedent.
        distractor_weight: the largest weight of a distractor.
        margin: how clearly the antecedent is preferred.
        removed_mass: the mass that renormalization removed from the rows.
        observable: ``(num_directions, num_layers)``.
        labellings: the credit if the antecedents' labels are shifted by no candidate, by one, by
            two, …: ``(num_candidates, num_directions, num_layers, num_heads)``; empty outside
            forced choice.
        antecedents: which candidates are antecedents.
        distances: how many words each candidate is after the pronoun.
        baselines: the credit of answers that need no head.
        raw_credit: the credit by raw weights where norms were scored; otherwise ``None``.
    """

    name: str
    group: str
    layers: tuple[int, ...]
    antecedent_weight: Floats
    distractor_weight: Floats
    margin: Floats
    removed_mass: Floats
    observable: npt.NDArray[np.bool_]
    labellings: Floats
    antecedents: tuple[bool, ...]
    distances: tuple[int, ...]
    baselines: dict[str, float]
    raw_credit: Floats | None = None

    @property
    def is_forced_choice(self) -> bool:
        """Whether the case offers a choice."""
        return bool(len(self.labellings))

    @property
    def credit(self) -> Floats:
        """Credit with the labels as they are; NaN outside forced choice."""
        credit: Floats = np.full(self.margin.shape, np.nan)
        return self.labellings[0] if self.is_forced_choice else credit


def scored(
    case: CorefCase,
    record: AttentionRecord,
    name: str,
    mention: Mention,
    weights: Weights = "raw",
) -> ScoredCase:
    """Score a case with the record of its text.

    Raises:
        MentionError: a mention cannot be found among the tokens.
    """
    directions = score_case(record, case, mention=mention, weights=weights)
    antecedents = tuple(candidate.antecedent for candidate in case.candidates)
    observable = np.stack([d.observable.numpy() for d in directions])
    empty = np.empty((0, *observable.shape, record.num_heads))
    return ScoredCase(
        name=name,
        group=case.group if case.group is not None else name,
        layers=directions[0].layers,
        antecedent_weight=np.stack([d.antecedent_weight.numpy() for d in directions]),
        distractor_weight=np.stack([d.distractor_weight.numpy() for d in directions]),
        margin=_observed(np.stack([d.margin.numpy() for d in directions]), observable),
        removed_mass=np.stack([d.removed_mass.numpy() for d in directions]),
        observable=observable,
        labellings=_labellings(directions, antecedents, observable)
        if case.is_forced_choice
        else empty,
        antecedents=antecedents,
        distances=candidate_distances(case),
        baselines=_baselines(case, record, directions, mention) if case.is_forced_choice else {},
        raw_credit=_raw_credit(case, record, mention, observable) if weights == "norm" else None,
    )


def _raw_credit(
    case: CorefCase, record: AttentionRecord, mention: Mention, observable: npt.NDArray[np.bool_]
) -> Floats:
    """Compute the credit by raw weights, which is reported beside that by norms."""
    directions = score_case(record, case, mention=mention)
    return _observed(np.stack([d.credit.numpy() for d in directions]), observable)


def _observed(values: Floats, observable: npt.NDArray[np.bool_]) -> Floats:
    """Set values to NaN where the mask makes a direction impossible: neither right nor wrong."""
    return np.where(observable[..., None], values, np.nan)


def _labellings(
    directions: tuple[DirectionScores, ...],
    antecedents: tuple[bool, ...],
    observable: npt.NDArray[np.bool_],
) -> Floats:
    count = len(antecedents)
    shifted = [antecedents[-shift:] + antecedents[:-shift] for shift in range(count)]
    credits = [[credit(d.weights, labels).numpy() for d in directions] for labels in shifted]
    return _observed(np.array(credits), observable)


def candidate_distances(case: CorefCase) -> tuple[int, ...]:
    """Count the words from the pronoun's first word to the nearer end of each candidate."""
    words = segment_words(case.text)

    def number(span: Span) -> tuple[int, int]:
        inside = [i for i, (start, end) in enumerate(words) if start < span[1] and span[0] < end]
        return (inside[0], inside[-1]) if inside else (0, 0)

    first, last = number(case.pronoun)
    distances = []
    for candidate in case.candidates:
        start, end = number(candidate.span)
        distances.append(end - first if end < first else max(start - last, 0))
    return tuple(distances)


def _baselines(
    case: CorefCase,
    record: AttentionRecord,
    directions: tuple[DirectionScores, ...],
    mention: Mention,
) -> dict[str, float]:
    """Compute the credit that each baseline gets on one case."""
    antecedents = [candidate.antecedent for candidate in case.candidates]
    over_heads = directions[0].weights.mean(dim=(1, 2))
    by_chance, nearest, first = position_credits(case)
    return {
        "random": by_chance,
        "nearest_preceding": nearest,
        "first_mentioned": first,
        "most_attended": float(credit(_received(case, record, mention), antecedents)),
        "mean_of_heads": float(credit(over_heads, antecedents)),
    }


def position_credits(case: CorefCase) -> tuple[float, float, float]:
    """Return the credits of a random choice, the nearest preceding candidate and the first one."""
    spans = [candidate.span for candidate in case.candidates]
    antecedents = [candidate.antecedent for candidate in case.candidates]
    return (
        chance(antecedents),
        nearest_preceding(case.pronoun, spans, antecedents),
        first_mentioned(spans, antecedents),
    )


def _received(case: CorefCase, record: AttentionRecord, mention: Mention) -> torch.Tensor:
    """Average the attention to each candidate from all positions over layers and heads."""
    everyone = [list(range(len(record.queries)))]
    return torch.stack(
        [
            mention_weights(
                record.attentions, everyone, mention_pieces(record.keys, c.span), mention=mention
            ).mean()
            for c in case.candidates
        ]
    )
