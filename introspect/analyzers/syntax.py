"""Which heads follow which syntactic relation, beside a fixed offset that needs no head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from introspect.alignment import mention_pieces
from introspect.analyzers.sums import addable, ratio
from introspect.cases.conllu import Sentence
from introspect.errors import InputError, MentionError, SelectionError
from introspect.functional.coreference import FLOOR
from introspect.functional.patterns import visible_keys
from introspect.functional.words import merge_pieces
from introspect.records import AttentionRecord

__all__ = ["SYNTAX_COLUMNS", "SYNTAX_DIRECTIONS", "SyntaxAnalyzer"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: From the dependent's row to its syntactic head, and from the syntactic head's row back.
SYNTAX_DIRECTIONS = ("dependent_to_head", "head_to_dependent")

#: The columns of the table, in order.
SYNTAX_COLUMNS = (
    "relation", "layer", "head", "direction", "n", "n_not_observable", "n_missing", "n_unaligned",
    "accuracy", "baseline_offset", "baseline_accuracy",
)  # fmt: skip


@dataclass
class _Relation:
    """What is kept of one relation in one direction; arrays are ``(num_layers, num_heads)``.

    Args:
        credits: summed.
        n: pairs of words that count.
        not_observable: pairs that the mask makes impossible.
        missing: pairs whose row is NaN.
        at_offset: of the pairs that count, how many stand so many words apart.
        unaligned: pairs without tokens of their own for both words.
    """

    credits: Floats
    n: Integers
    not_observable: Integers
    missing: Integers
    at_offset: dict[int, Integers] = field(default_factory=dict)
    unaligned: int = 0

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> _Relation:
        """Nothing seen yet."""
        n, not_observable, missing = (np.zeros(shape, np.int64) for _ in range(3))
        return cls(np.zeros(shape), n, not_observable, missing)

    def add(self, other: _Relation) -> None:
        """Take over what another has."""
        self.credits += other.credits
        self.n += other.n
        self.not_observable += other.not_observable
        self.missing += other.missing
        self.unaligned += other.unaligned
        for offset, count in other.at_offset.items():
            self.at_offset[offset] = self.at_offset.get(offset, 0) + count

    def baseline(self) -> tuple[Integers, Integers]:
        """The offset that is right most often, and how often; of several the nearest one."""
        best, count = np.zeros(self.n.shape, np.int64), np.zeros(self.n.shape, np.int64)
        for offset in sorted(self.at_offset, key=lambda o: (abs(o), o)):
            is_better = self.at_offset[offset] > count
            best = np.where(is_better, offset, best)
            count = np.where(is_better, self.at_offset[offset], count)
        return best, count


@dataclass
class SyntaxAnalyzer:
    """How often a head's strongest attention from a word goes to its syntactic head, and back.

    Words are the treebank's, each as the token pieces that its characters are in: attention to a
    word is the sum over its pieces, attention from it the mean. Words that share a piece are one.
    Special tokens and the word itself are left out. Words tied for the maximum share the credit,
    and where all of them together get less than a floor (1e-6) all that can be seen are tied.

    One pass over all sentences and any merge of parts, in any order, give the same table to the
    last bit (see ``sums.addable``).

    Args:
        subtypes: whether ``nsubj:pass`` is a relation of its own, or counts as ``nsubj``.
    """

    subtypes: bool = True
    _layers: tuple[int, ...] = ()
    _num_heads: int = 0
    _relations: dict[tuple[str, str], _Relation] = field(default_factory=dict)

    def update(self, record: AttentionRecord, sentence: Sentence) -> None:
        """Add the relations of one sentence.

        Args:
            record: attention of the sentence's text over all of itself, at token level.
            sentence: its words, heads and relations.

        Raises:
            MentionError: the record is of another text.
            SelectionError: attention from one text to another, or of some of its tokens only.
            InputError: the record is of another model than those before.
        """
        _check(record, sentence)
        self._fit(record.layers, record.num_heads)
        units, unit_of = _units(record, sentence)
        units = units or [[0]]  # nothing is left of the text: no pair refers to this one
        missing = _missing(record.attentions, units)
        observed = _observed(record.attentions, units)
        # Sums over groups would carry a NaN into rows that have none; it is in `missing`.
        pattern = merge_pieces(record.attentions.nan_to_num(0.0).double(), units, units)
        shares = _shares(pattern, observed)
        for relation, pairs in self._pairs(sentence, unit_of).items():
            back = [(head, dependent) for dependent, head in pairs]
            for direction, looked_at in zip(SYNTAX_DIRECTIONS, (pairs, back), strict=True):
                found = _scored(looked_at, shares, observed, missing)
                self._take(relation, direction, found)

    def merge(self, other: SyntaxAnalyzer) -> None:
        """Take over what another analyzer has collected from other sentences.

        Raises:
            InputError: the two are of different models, or name relations differently.
        """
        if self.subtypes != other.subtypes:
            raise InputError(
                f"Expected analyzers of one kind to merge, got subtypes={self.subtypes} and "
                f"subtypes={other.subtypes}."
            )
        if not other._layers:
            return
        self._fit(other._layers, other._num_heads)
        for (relation, direction), found in other._relations.items():
            self._take(relation, direction, found)

    def compute(self) -> pd.DataFrame:
        """One row for each relation, direction, layer and head.

        Returns:
            The columns ``SYNTAX_COLUMNS``. ``accuracy`` is the mean credit over the ``n`` pairs of
            words that count. Counted apart: ``n_not_observable``, where the mask hides one word
            from the other; ``n_missing``, where the row is NaN; ``n_unaligned``, where a word was
            cut off or both are one word for the model. ``baseline_offset`` is the offset in words
            that is right most often on the same pairs, and ``baseline_accuracy`` how often: it is
            in-sample, as is the accuracy of a head that is chosen from this table.

        Raises:
            InputError: there are no sentences.
        """
        if not self._layers:
            raise InputError("Expected at least one sentence to find relations in, got none.")
        tables = [
            self._table(relation, direction)
            for relation in sorted({name for name, _ in self._relations})
            for direction in SYNTAX_DIRECTIONS
        ]
        if not tables:
            return pd.DataFrame(columns=list(SYNTAX_COLUMNS))
        return pd.concat(tables, ignore_index=True)[list(SYNTAX_COLUMNS)]

    def _table(self, relation: str, direction: str) -> pd.DataFrame:
        found = self._relations[relation, direction]
        offset, count = found.baseline()
        n = found.n.ravel()
        return pd.DataFrame(
            {
                "relation": relation,
                "direction": direction,
                "layer": np.repeat(self._layers, self._num_heads),
                "head": np.tile(np.arange(self._num_heads), len(self._layers)),
                "n": n,
                "n_not_observable": found.not_observable.ravel(),
                "n_missing": found.missing.ravel(),
                "n_unaligned": found.unaligned,
                "accuracy": ratio(found.credits.ravel(), n),
                "baseline_offset": pd.Series(offset.ravel(), dtype="Int64").mask(n == 0),
                "baseline_accuracy": ratio(count.ravel(), n),
            }
        )

    def _pairs(
        self, sentence: Sentence, unit_of: Sequence[int | None]
    ) -> dict[str, list[tuple[int | None, int | None]]]:
        """Dependent and head of each relation, as units."""
        pairs: dict[str, list[tuple[int | None, int | None]]] = {}
        for index, word in enumerate(sentence.words):
            if word.head is not None and word.deprel:
                name = word.deprel if self.subtypes else word.deprel.split(":")[0]
                pairs.setdefault(name, []).append((unit_of[index], unit_of[word.head]))
        return pairs

    def _take(self, relation: str, direction: str, found: _Relation) -> None:
        shape = (len(self._layers), self._num_heads)
        self._relations.setdefault((relation, direction), _Relation.empty(shape)).add(found)

    def _fit(self, layers: tuple[int, ...], num_heads: int) -> None:
        """Remember the first record's layers and heads; after that, expect them."""
        if not self._layers:
            self._layers, self._num_heads = layers, num_heads
        elif (layers, num_heads) != (self._layers, self._num_heads):
            raise InputError(
                f"Expected records of one model, got {len(self._layers)} layers of "
                f"{self._num_heads} heads and {len(layers)} of {num_heads}. "
                "Use one analyzer for each model."
            )


def _check(record: AttentionRecord, sentence: Sentence) -> None:
    if record.kind == "cross" or record.queries != record.keys:
        raise SelectionError(
            "Expected attention of a text over all of itself to find relations, got kind "
            f"{record.kind!r} with {len(record.queries)} queries and {len(record.keys)} keys. "
            "Capture all rows, with kind='encoder' or kind='decoder' of an encoder-decoder."
        )
    if not record.keys.texts or record.keys.texts[0] != sentence.text:
        raise MentionError(
            "Expected a record of the sentence's own text, but its tokens come from another one. "
            "Capture sentence.text, so that character offsets mean the same."
        )


def _units(record: AttentionRecord, sentence: Sentence) -> tuple[list[list[int]], list[int | None]]:
    """What the model can tell apart: the pieces of each word, or of words that share a piece.

    Returns:
        Units in order as token indices, and for each word its unit; ``None`` for one cut off.
    """
    units: list[list[int]] = []
    unit_of: list[int | None] = []
    for pieces in _pieces(record, sentence):
        if not pieces:
            unit_of.append(None)
            continue
        # Words follow one another, so a piece is shared with the last unit or with none.
        if units and units[-1][-1] >= pieces[0]:
            units[-1] = sorted({*units[-1], *pieces})
        else:
            units.append(pieces)
        unit_of.append(len(units) - 1)
    return units, unit_of


def _pieces(record: AttentionRecord, sentence: Sentence) -> Iterator[list[int]]:
    for word in sentence.words:
        try:
            words = mention_pieces(record.keys, word.span, role="word")
        except MentionError:
            yield []
            continue
        yield sorted(index for pieces in words for index in pieces)


def _missing(attentions: torch.Tensor, units: Sequence[Sequence[int]]) -> torch.Tensor:
    """Whether a piece of a unit has no row: ``(num_layers, num_heads, num_units)``."""
    rows = attentions.isnan().any(-1)
    return torch.stack([rows[..., list(unit)].any(-1) for unit in units], dim=-1)


def _observed(attentions: torch.Tensor, units: Sequence[Sequence[int]]) -> torch.Tensor:
    """Whether a unit can see any piece of another: ``(num_layers, num_units, num_units)``."""
    visible = visible_keys(attentions).double()
    others = ~torch.eye(len(units), dtype=torch.bool)
    return (merge_pieces(visible, units, units) > 0) & others


def _shares(pattern: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """The credit of each unit as the answer: 1 for the only maximum, 1/k for k tied.

    Args:
        pattern: ``(num_layers, num_heads, num_units, num_units)``.
        observed: ``(num_layers, num_units, num_units)``: which units compete.

    Returns:
        Like ``pattern``; rows sum to 1 where any unit competes, else they are 0.
    """
    competing = observed[:, None]
    weights = pattern.masked_fill(~competing, 0)
    is_best = weights == weights.amax(-1, keepdim=True)
    is_best |= weights.sum(-1, keepdim=True) < FLOOR
    is_best &= competing
    return is_best / is_best.sum(-1, keepdim=True).clamp(min=1).double()


def _scored(
    pairs: Sequence[tuple[int | None, int | None]],
    shares: torch.Tensor,
    observed: torch.Tensor,
    missing: torch.Tensor,
) -> _Relation:
    """Pairs of one relation in one sentence, each as the unit that looks and the one looked for."""
    found = _Relation.empty((shares.shape[0], shares.shape[1]))
    credits = torch.zeros(shares.shape[:2], dtype=torch.float64)
    for source, target in pairs:
        if source is None or target is None or source == target:
            found.unaligned += 1
            continue
        is_observed = observed[:, source, target, None]
        is_missing = missing[:, :, source]
        counts = is_observed & ~is_missing
        credits += shares[:, :, source, target].masked_fill(~counts, 0)
        number = counts.numpy().astype(np.int64)
        found.n += number
        found.not_observable += (~is_observed & ~is_missing).numpy()
        found.missing += is_missing.numpy()
        offset = target - source
        found.at_offset[offset] = found.at_offset.get(offset, 0) + number
    found.credits = addable(credits.numpy())
    return found
