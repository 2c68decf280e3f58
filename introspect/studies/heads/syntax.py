"""Heads that follow syntactic relations, compared with a fixed-offset baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from introspect.data import Sentence
from introspect.errors import InputError, MentionError
from introspect.functional import FLOOR, even_attention, merge_pieces, visible_keys
from introspect.records import AttentionRecord, TokenSequence, mention_pieces, without_characters
from introspect.studies.analyzer import (
    Floats,
    Integers,
    LayerByLayer,
    State,
    Texts,
    addable,
    check_is_self,
    check_one_model,
    ratio,
)
from introspect.studies.heads.relation_tests import relation_figures, relations_table
from introspect.studies.heads.sentence_blocks import BlockSums, SentenceBlocks

#: From the dependent's row to its syntactic head; from the syntactic head's row back; and, as Clark
#: et al. 2019 ask, from all rows to the dependent: whether the syntactic head attends to it most.
SYNTAX_DIRECTIONS = ("dependent_to_head", "head_to_dependent", "head_to_dependent_column")


@dataclass
class Relation:
    """Totals of one relation in one direction; arrays are ``(num_layers, num_heads)``.

    Args:
        credits: summed credits.
        n: the number of pairs of words that count.
        not_observable: the number of pairs that the mask makes impossible.
        missing: the number of pairs whose row is NaN.
        even: ``(num_layers,)``, summed credits of even attention.
        even_n: the same shape: the number of its pairs.
        at_offset: the number of counted pairs at each offset in words.
        unaligned: the number of pairs without separate tokens for both words.
    """

    credits: Floats
    n: Integers
    not_observable: Integers
    missing: Integers
    even: Floats
    even_n: Integers
    at_offset: dict[int, Integers] = field(default_factory=dict)
    unaligned: int = 0

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> Relation:
        """Build empty totals."""
        n, not_observable, missing = (np.zeros(shape, np.int64) for _ in range(3))
        even, even_n = np.zeros(shape[0]), np.zeros(shape[0], np.int64)
        return cls(np.zeros(shape), n, not_observable, missing, even, even_n)

    def add(self, other: Relation) -> None:
        """Add the totals of another."""
        self.credits += other.credits
        self.n += other.n
        self.not_observable += other.not_observable
        self.missing += other.missing
        self.even += other.even
        self.even_n += other.even_n
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
        text: the text.
        units: the token indices of each word, or of words that share a piece.
        sources: the unit whose row or column is read, for every pair in every direction.
        targets: the unit that should have the most of it, for every pair.
        by_column: 1 where the column is read, 0 where the row is.
        pairs: the indices of the pairs of each relation and direction.
        unaligned: for each, the number of pairs without separate units.
    """

    text: str
    units: list[list[int]]
    sources: Integers
    targets: Integers
    by_column: Integers
    pairs: dict[tuple[str, str], list[int]]
    unaligned: dict[tuple[str, str], int]


class Found(NamedTuple):
    """Results of all pairs of one text in one layer, ``(num_heads + 1, num_pairs)`` each.

    The last row is that of even attention over all that the mask allows.

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
    if not tokens.texts:
        raise without_characters("to find the words of a sentence")
    if tokens.texts[0] != item.text:
        raise MentionError(
            "Expected a record of the sentence's own text, but its tokens come from another one. "
            "Capture sentence.text, so that character offsets mean the same."
        )
    return item


def seek(tokens: TokenSequence, sentence: Sentence, subtypes: bool) -> Sought:
    """Find the dependent and head of each relation, as units, in every direction."""
    units, unit_of = _units(tokens, sentence)
    found: list[tuple[int, int, int]] = []
    pairs: dict[tuple[str, str], list[int]] = {}
    unaligned: dict[tuple[str, str], int] = {}
    for index, word in enumerate(sentence.words):
        if word.head is None or not word.deprel:
            continue
        name = word.deprel if subtypes else word.deprel.split(":")[0]
        dependent, head = unit_of[index], unit_of[word.head]
        ways = ((dependent, head, 0), (head, dependent, 0), (dependent, head, 1))
        for direction, (source, target, way) in zip(SYNTAX_DIRECTIONS, ways, strict=True):
            key = (name, direction)
            if source is None or target is None or source == target:
                unaligned[key] = unaligned.get(key, 0) + 1
            else:
                pairs.setdefault(key, []).append(len(found))
                found.append((source, target, way))
    sources, targets, by_column = np.array(found, dtype=np.int64).reshape(-1, 3).T
    # If nothing is left of the text, use a placeholder unit that no pair refers to.
    return Sought(sentence.text, units or [[0]], sources, targets, by_column, pairs, unaligned)


def _units(tokens: TokenSequence, sentence: Sentence) -> tuple[list[list[int]], list[int | None]]:
    """Split the sentence into units: the pieces of each word, or of words that share a piece.

    Returns:
        Units in order as token indices, and the unit of each word; ``None`` for a truncated word.
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


def score_layer(attentions: torch.Tensor, sought: Sought) -> Found:
    """Score all pairs of a text in one layer, ``(num_heads, length, length)``."""
    units, at = sought.units, (sought.by_column, sought.sources)
    visible = visible_keys(attentions)
    rows = torch.cat([attentions.double(), even_attention(attentions)[None]])
    observed = _both_ways(_observed(visible, units))
    # A row is missing by itself; a column, where a row that competes in it is.
    absent = _missing(rows, units)
    missing = torch.stack([absent, (absent[:, None, :] & observed[1]).any(-1)], 1)[:, *at]
    # Sums over groups would spread NaN into rows without any; `missing` already records it.
    pattern = _both_ways(merge_pieces(rows.nan_to_num(0.0), units, units))
    shares = _shares(pattern, observed)[:, *at, sought.targets]
    not_observable = ~observed[*at, sought.targets] & ~missing
    credits = shares.masked_fill(not_observable | missing, 0)
    return Found(credits.numpy(), not_observable.numpy(), missing.numpy())


def _both_ways(pattern: torch.Tensor) -> torch.Tensor:
    """Stack rows and columns: ``(..., 2, length, length)``."""
    return torch.stack([pattern, pattern.mT], dim=-3)


def summed(found: Found, sought: Sought, chosen: list[int]) -> Relation:
    """Sum the chosen pairs of a text; ``found`` holds all its pairs, layers first."""
    credits = addable(found.credits[..., chosen].sum(-1))
    not_observable, missing = found.not_observable[..., chosen], found.missing[..., chosen]
    counts = (~not_observable & ~missing).astype(np.int64)
    offsets = (sought.targets - sought.sources)[chosen]
    return Relation(
        credits[:, :-1],
        counts.sum(-1)[:, :-1],
        not_observable.sum(-1)[:, :-1],
        missing.sum(-1)[:, :-1],
        credits[:, -1],
        counts.sum(-1)[:, -1],
        {int(o): counts[:, :-1, offsets == o].sum(-1) for o in np.unique(offsets)},
    )


def _block_sums(relation: Relation) -> BlockSums:
    """Return what the tests need of one sentence; an offset is right for all heads of a layer."""
    offsets = {offset: count.max(-1) for offset, count in relation.at_offset.items()}
    return BlockSums(relation.credits, relation.n, relation.even, relation.even_n, offsets)


def _missing(attentions: torch.Tensor, units: Sequence[Sequence[int]]) -> torch.Tensor:
    """Check whether a piece of a unit has a missing row: ``(num_heads, num_units)``."""
    rows = attentions.isnan().any(-1)
    return torch.stack([rows[..., list(unit)].any(-1) for unit in units], dim=-1)


def _observed(visible: torch.Tensor, units: Sequence[Sequence[int]]) -> torch.Tensor:
    """Check whether a unit can see any piece of another: ``(num_units, num_units)``."""
    others = ~torch.eye(len(units), dtype=torch.bool)
    return (merge_pieces(visible.double(), units, units) > 0) & others


def _shares(pattern: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """Compute the credit of each unit as the answer: 1 for the only maximum, 1/k for k tied.

    Args:
        pattern: ``(num_heads, 2, num_units, num_units)``.
        observed: ``(2, num_units, num_units)``: which units compete.

    Returns:
        Shaped like ``pattern``; rows sum to 1 where any unit competes, and are 0 elsewhere.
    """
    weights = pattern.masked_fill(~observed, 0)
    is_best = weights == weights.amax(-1, keepdim=True)
    is_best |= weights.sum(-1, keepdim=True) < FLOOR
    is_best &= observed
    return is_best / is_best.sum(-1, keepdim=True).clamp(min=1).double()


#: The columns of the table, in order.
SYNTAX_COLUMNS = (
    "relation", "layer", "head", "direction", "n", "n_not_observable", "n_missing", "n_unaligned",
    "accuracy", "ci_low", "ci_high", "even_accuracy", "baseline_offset", "baseline_accuracy",
    "p_value", "p_adjusted", "detectable",
)  # fmt: skip


# The fields of ``Relation`` that are counted for each layer and head.
_COUNTS = ("n", "not_observable", "missing")


@dataclass
class SyntaxAnalyzer(LayerByLayer[list[Found]]):
    """How often a head's strongest attention from a word goes to its syntactic head, and back.

    Three questions are asked of a head: to which word the dependent attends most
    (``dependent_to_head``), to which word the syntactic head attends most (``head_to_dependent``),
    and which word attends most to the dependent (``head_to_dependent_column``, the way of Clark et
    al. 2019).

    Words are the treebank's, each consisting of the token pieces that contain its characters:
    attention to a word is the sum over its pieces, attention from it the mean. Words that share a
    piece are merged. Special tokens and the word itself are left out. Words tied for the maximum
    share the credit, and if all words together get less than a floor (1e-6), all visible words are
    tied.

    This is a batch analyzer: each text comes with its ``Sentence``. One pass over all sentences,
    any division into batches and any merge of parts, in any order, give the same table to the last
    bit (see ``sums.addable``).

    Args:
        subtypes: whether ``nsubj:pass`` is a separate relation or counts as ``nsubj``.
    """

    subtypes: bool = True
    _layers: tuple[int, ...] = ()
    _num_heads: int = 0
    _relations: dict[tuple[str, str], Relation] = field(default_factory=dict)
    _blocks: SentenceBlocks = field(default_factory=SentenceBlocks)

    def __post_init__(self) -> None:
        self._sought: list[Sought] = []

    def update(self, record: AttentionRecord, sentence: Sentence) -> None:
        """Add the relations of one sentence.

        Args:
            record: attention of the sentence's text over all of itself, at token level.
            sentence: its words, heads and relations.

        Raises:
            MentionError: the record is of another text.
            SelectionError: the attention is from one text to another, or covers only some tokens.
            InputError: the record is of a different model than earlier ones.
        """
        check_is_self(record, "relations")
        self._take(record, sentence)

    def begin(self, texts: Texts) -> None:
        """Start a batch, and discard any unfinished one.

        Raises:
            InputError: a text comes without its sentence.
            MentionError: a text is not that of its sentence.
        """
        self._drop()
        self._sought = [
            seek(tokens, checked_sentence(item, tokens), self.subtypes)
            for tokens, item in zip(texts.sequences, texts.items, strict=True)
        ]
        super().begin(texts)

    def _reduce(self, texts: Texts, attentions: torch.Tensor) -> list[Found]:
        places = zip(attentions, texts.lengths, self._sought, strict=True)
        return [
            score_layer(pattern[:, :length, :length].contiguous().float().cpu(), sought)
            for pattern, length, sought in places
        ]

    def _add(self, texts: Texts, reduced: Mapping[int, list[Found]]) -> None:
        by_text = list(zip(*reduced.values(), strict=True))
        self._fit(tuple(reduced), by_text[0][0].credits.shape[0] - 1)
        for sought, layers in zip(self._sought, by_text, strict=True):
            found = Found(*(np.stack(values) for values in zip(*layers, strict=True)))
            sums = {key: summed(found, sought, chosen) for key, chosen in sought.pairs.items()}
            self._blocks.add_sentence(
                sought.text, {key: _block_sums(relation) for key, relation in sums.items()}
            )
            for (relation, direction), of_text in sums.items():
                self._count(relation, direction, of_text)
            for (relation, direction), number in sought.unaligned.items():
                self._of(relation, direction).unaligned += number

    def merge(self, other: SyntaxAnalyzer) -> None:
        """Take over what another analyzer has collected from other sentences.

        Raises:
            InputError: the two are of different models, or differ in ``subtypes``.
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
            self._count(relation, direction, found)
        self._blocks.merge(other._blocks)

    def compute(self) -> pd.DataFrame:
        """Return a table with one row for each relation, direction, layer and head.

        Returns:
            The columns ``SYNTAX_COLUMNS``. ``accuracy`` is the mean credit over the ``n`` pairs of
            words that count, with its 95% interval by sentence. Counted separately:
            ``n_not_observable``, where the mask hides one word from the other; ``n_missing``, where
            a row is NaN; ``n_unaligned``, where a word was truncated or both are one word for the
            model. ``even_accuracy`` is what even attention over the visible tokens gets;
            ``baseline_offset`` is the offset in words that is most often right on the same pairs,
            and ``baseline_accuracy`` its accuracy: it is in-sample, as is the accuracy of a head
            chosen from this table. The p-values test whether the head beats both, by sentence;
            ``p_adjusted`` compares with the best of all heads, directions and relations.
            ``detectable`` is the accuracy that would have been found in 80% of such sets. They, and
            intervals, are NaN where fewer than five sentences have the relation.

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
        table = pd.concat(tables, ignore_index=True)
        if self._blocks.blocks:
            figures = relation_figures(self._blocks, SYNTAX_DIRECTIONS)
            figures["layer"] = np.array(self._layers)[figures["layer"]]
            keys = ["relation", "direction", "layer", "head"]
            table = table.merge(figures, how="left", on=keys)
        return table.reindex(columns=list(SYNTAX_COLUMNS))

    def relations(self, table: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return a table with one row for each relation: the head chosen for it, held out.

        Args:
            table: what ``compute`` returned, so that it is not computed again.

        Returns:
            The columns ``RELATION_COLUMNS``. ``accuracy`` is that of the head and direction that
            are best on four fifths of the sentences, on the other fifth, in the mean over 30
            divisions, with its 95% interval by sentence; ``offset_accuracy`` is that of the offset
            chosen likewise and ``even_accuracy`` that of even attention, on the same pairs.
            ``layer``, ``head`` and ``direction`` are chosen most often, in ``chosen_share`` of all
            choices; ``p_adjusted`` is theirs, and ``is_followed`` whether it is at most 0.05.
            Figures are missing where fewer than five sentences have the relation.

        Raises:
            InputError: there are no sentences.
        """
        table = self.compute() if table is None else table
        return relations_table(self._blocks, SYNTAX_DIRECTIONS, self._layers, table)

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

    def state(self) -> State:
        """Return all collected data and ``subtypes`` as arrays."""
        keys = sorted(self._relations)
        found = [self._relations[key] for key in keys]
        at_offset = [
            (number, offset, relation.at_offset[offset])
            for number, relation in enumerate(found)
            for offset in sorted(relation.at_offset)
        ]
        shape = (len(found), len(self._layers), self._num_heads)
        counts = {
            name: np.array([getattr(relation, name) for relation in found], np.int64).reshape(shape)
            for name in _COUNTS
        }
        even = np.array([relation.even for relation in found], np.float64)
        even_n = np.array([relation.even_n for relation in found], np.int64)
        return counts | {
            "even": even.reshape(shape[:2]),
            "even_n": even_n.reshape(shape[:2]),
            "subtypes": np.array(self.subtypes),
            "layers": np.array(self._layers, dtype=np.int64),
            "num_heads": np.array(self._num_heads),
            "relations": np.array([relation for relation, _ in keys], dtype=np.str_),
            "directions": np.array([direction for _, direction in keys], dtype=np.str_),
            "credits": np.array([relation.credits for relation in found]).reshape(shape),
            "unaligned": np.array([relation.unaligned for relation in found], dtype=np.int64),
            "offset_relations": np.array([number for number, *_ in at_offset], dtype=np.int64),
            "offsets": np.array([offset for _, offset, _ in at_offset], dtype=np.int64),
            "offset_counts": np.array([n for *_, n in at_offset], dtype=np.int64).reshape(
                (len(at_offset), *shape[1:])
            ),
            **self._blocks.state(shape[1:]),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Restore the analyzer that had this state."""
        found = [
            Relation(
                credits=np.array(state["credits"][i], dtype=np.float64),
                n=np.array(state["n"][i], dtype=np.int64),
                not_observable=np.array(state["not_observable"][i], dtype=np.int64),
                missing=np.array(state["missing"][i], dtype=np.int64),
                even=np.array(state["even"][i], dtype=np.float64),
                even_n=np.array(state["even_n"][i], dtype=np.int64),
                unaligned=int(unaligned),
            )
            for i, unaligned in enumerate(state["unaligned"])
        ]
        offsets = (state[name] for name in ("offset_relations", "offsets", "offset_counts"))
        for number, offset, counts in zip(*offsets, strict=True):
            found[number].at_offset[int(offset)] = np.array(counts, dtype=np.int64)
        keys = zip(state["relations"].tolist(), state["directions"].tolist(), strict=True)
        return cls(
            subtypes=bool(state["subtypes"]),
            _layers=tuple(state["layers"].tolist()),
            _num_heads=int(state["num_heads"]),
            _relations=dict(zip(keys, found, strict=True)),
            _blocks=SentenceBlocks.from_state(state),
        )

    def _of(self, relation: str, direction: str) -> Relation:
        shape = (len(self._layers), self._num_heads)
        return self._relations.setdefault((relation, direction), Relation.empty(shape))

    def _count(self, relation: str, direction: str, found: Relation) -> None:
        self._of(relation, direction).add(found)

    def _fit(self, layers: tuple[int, ...], num_heads: int) -> None:
        """Store the layers and heads of the first record, and require them of later ones."""
        if not self._layers:
            self._layers, self._num_heads = layers, num_heads
        check_one_model((self._layers, self._num_heads), (layers, num_heads))
