"""Relations of one sentence in one layer: the target units, and the credit of heads for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from introspect.alignment import mention_pieces
from introspect.analyzers.sums import addable
from introspect.cases.conllu import Sentence
from introspect.errors import InputError, MentionError
from introspect.functional.coreference import FLOOR
from introspect.functional.patterns import visible_keys
from introspect.functional.words import merge_pieces
from introspect.records import TokenSequence

__all__ = [
    "SYNTAX_DIRECTIONS",
    "Found",
    "Relation",
    "Sought",
    "checked_sentence",
    "look",
    "seek",
    "summed",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: From the dependent's row to its syntactic head, and from the syntactic head's row back.
SYNTAX_DIRECTIONS = ("dependent_to_head", "head_to_dependent")


@dataclass
class Relation:
    """Totals of one relation in one direction; arrays are ``(num_layers, num_heads)``.

    Args:
        credits: summed credits.
        n: the number of pairs of words that count.
        not_observable: the number of pairs that the mask makes impossible.
        missing: the number of pairs whose row is NaN.
        at_offset: the number of counted pairs at each offset in words.
        unaligned: the number of pairs without separate tokens for both words.
    """

    credits: Floats
    n: Integers
    not_observable: Integers
    missing: Integers
    at_offset: dict[int, Integers] = field(default_factory=dict)
    unaligned: int = 0

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> Relation:
        """Build empty totals."""
        n, not_observable, missing = (np.zeros(shape, np.int64) for _ in range(3))
        return cls(np.zeros(shape), n, not_observable, missing)

    def add(self, other: Relation) -> None:
        """Add the totals of another."""
        self.credits += other.credits
        self.n += other.n
        self.not_observable += other.not_observable
        self.missing += other.missing
        self.unaligned += other.unaligned
        for offset, count in other.at_offset.items():
            self.at_offset[offset] = self.at_offset.get(offset, 0) + count

    def baseline(self) -> tuple[Integers, Integers]:
        """Return the offset that is most often right, and how often; the nearest one if tied."""
        best, count = np.zeros(self.n.shape, np.int64), np.zeros(self.n.shape, np.int64)
        for offset in sorted(self.at_offset, key=lambda o: (abs(o), o)):
            is_better = self.at_offset[offset] > count
            best = np.where(is_better, offset, best)
            count = np.where(is_better, self.at_offset[offset], count)
        return best, count


@dataclass(frozen=True, eq=False)
class Sought:
    """The pairs of units to score in one text.

    Args:
        units: the token indices of each word, or of words that share a piece.
        sources: the unit that attends, for every pair in both directions.
        targets: the unit that should be attended to, for every pair.
        pairs: the indices of the pairs of each relation and direction.
        unaligned: for each, the number of pairs without separate units.
    """

    units: list[list[int]]
    sources: Integers
    targets: Integers
    pairs: dict[tuple[str, str], list[int]]
    unaligned: dict[tuple[str, str], int]


class Found(NamedTuple):
    """Results of all pairs of one text in one layer, ``(num_heads, num_pairs)`` each.

    Args:
        credits: 0 where a pair does not count.
        not_observable: whether the mask makes the pair impossible.
        missing: whether the row of the pair is NaN.
    """

    credits: Floats
    not_observable: npt.NDArray[np.bool_]
    missing: npt.NDArray[np.bool_]


def checked_sentence(item: object, tokens: TokenSequence) -> Sentence:
    """Return the sentence that accompanies a text.

    Raises:
        InputError: the text comes without a sentence.
        MentionError: the text is not that of the sentence.
    """
    if not isinstance(item, Sentence):
        raise InputError(
            "Expected a sentence of a treebank with each text to find relations in, got "
            f"{type(item).__name__}. Read a CoNLL-U file, and give its sentences with their texts."
        )
    if not tokens.texts or tokens.texts[0] != item.text:
        raise MentionError(
            "Expected a record of the sentence's own text, but its tokens come from another one. "
            "Capture sentence.text, so that character offsets mean the same."
        )
    return item


def seek(tokens: TokenSequence, sentence: Sentence, subtypes: bool) -> Sought:
    """Find the dependent and head of each relation, as units, in both directions."""
    units, unit_of = _units(tokens, sentence)
    found: list[tuple[int, int]] = []
    pairs: dict[tuple[str, str], list[int]] = {}
    unaligned: dict[tuple[str, str], int] = {}
    for index, word in enumerate(sentence.words):
        if word.head is None or not word.deprel:
            continue
        name = word.deprel if subtypes else word.deprel.split(":")[0]
        dependent, head = unit_of[index], unit_of[word.head]
        ways = ((dependent, head), (head, dependent))
        for direction, (source, target) in zip(SYNTAX_DIRECTIONS, ways, strict=True):
            key = (name, direction)
            if source is None or target is None or source == target:
                unaligned[key] = unaligned.get(key, 0) + 1
            else:
                pairs.setdefault(key, []).append(len(found))
                found.append((source, target))
    sources, targets = np.array(found, dtype=np.int64).reshape(-1, 2).T
    # If nothing is left of the text, use a placeholder unit that no pair refers to.
    return Sought(units or [[0]], sources, targets, pairs, unaligned)


def _units(tokens: TokenSequence, sentence: Sentence) -> tuple[list[list[int]], list[int | None]]:
    """Split the sentence into units: the pieces of each word, or of words that share a piece.

    Returns:
        Units in order as token indices, and the unit of each word; ``None`` for a word cut off.
    """
    units: list[list[int]] = []
    unit_of: list[int | None] = []
    for pieces in _pieces(tokens, sentence):
        if not pieces:
            unit_of.append(None)
            continue
        # Words are in order, so a piece can only be shared with the last unit.
        if units and units[-1][-1] >= pieces[0]:
            units[-1] = sorted({*units[-1], *pieces})
        else:
            units.append(pieces)
        unit_of.append(len(units) - 1)
    return units, unit_of


def _pieces(tokens: TokenSequence, sentence: Sentence) -> Iterator[list[int]]:
    for word in sentence.words:
        try:
            words = mention_pieces(tokens, word.span, role="word")
        except MentionError:
            yield []
            continue
        yield sorted(index for pieces in words for index in pieces)


def look(attentions: torch.Tensor, sought: Sought) -> Found:
    """Score all pairs of a text in one layer, ``(num_heads, length, length)``."""
    units = sought.units
    missing = _missing(attentions, units)[:, sought.sources]
    observed = _observed(attentions, units)
    # Sums over groups would spread NaN into rows without any; `missing` already records it.
    pattern = merge_pieces(attentions.nan_to_num(0.0).double(), units, units)
    shares = _shares(pattern, observed)[:, sought.sources, sought.targets]
    not_observable = ~observed[sought.sources, sought.targets] & ~missing
    credits = shares.masked_fill(not_observable | missing, 0)
    return Found(credits.numpy(), not_observable.numpy(), missing.numpy())


def summed(found: Found, sought: Sought, chosen: list[int]) -> Relation:
    """Sum the chosen pairs of a text; ``found`` holds all its pairs, layers first."""
    not_observable, missing = found.not_observable[..., chosen], found.missing[..., chosen]
    counts = (~not_observable & ~missing).astype(np.int64)
    offsets = (sought.targets - sought.sources)[chosen]
    return Relation(
        addable(found.credits[..., chosen].sum(-1)),
        counts.sum(-1),
        not_observable.sum(-1),
        missing.sum(-1),
        {int(o): counts[..., offsets == o].sum(-1) for o in np.unique(offsets)},
    )


def _missing(attentions: torch.Tensor, units: Sequence[Sequence[int]]) -> torch.Tensor:
    """Check whether a piece of a unit has a missing row: ``(num_heads, num_units)``."""
    rows = attentions.isnan().any(-1)
    return torch.stack([rows[..., list(unit)].any(-1) for unit in units], dim=-1)


def _observed(attentions: torch.Tensor, units: Sequence[Sequence[int]]) -> torch.Tensor:
    """Check whether a unit can see any piece of another: ``(num_units, num_units)``."""
    visible = visible_keys(attentions).double()
    others = ~torch.eye(len(units), dtype=torch.bool)
    return (merge_pieces(visible, units, units) > 0) & others


def _shares(pattern: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """Compute the credit of each unit as the answer: 1 for the only maximum, 1/k for k tied.

    Args:
        pattern: ``(num_heads, num_units, num_units)``.
        observed: ``(num_units, num_units)``: which units compete.

    Returns:
        Shaped like ``pattern``; rows sum to 1 where any unit competes, and are 0 elsewhere.
    """
    weights = pattern.masked_fill(~observed, 0)
    is_best = weights == weights.amax(-1, keepdim=True)
    is_best |= weights.sum(-1, keepdim=True) < FLOOR
    is_best &= observed
    return is_best / is_best.sum(-1, keepdim=True).clamp(min=1).double()
