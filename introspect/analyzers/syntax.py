"""Heads that follow syntactic relations, compared with a fixed-offset baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from introspect.analyzers.batches import LayerByLayer, State, Texts, check_is_self
from introspect.analyzers.relations import (
    SYNTAX_DIRECTIONS,
    Found,
    Relation,
    Sought,
    checked_sentence,
    look,
    seek,
    summed,
)
from introspect.analyzers.sums import ratio
from introspect.cases.conllu import Sentence
from introspect.errors import InputError
from introspect.records import AttentionRecord

__all__ = ["SYNTAX_COLUMNS", "SYNTAX_DIRECTIONS", "SyntaxAnalyzer"]

#: The columns of the table, in order.
SYNTAX_COLUMNS = (
    "relation", "layer", "head", "direction", "n", "n_not_observable", "n_missing", "n_unaligned",
    "accuracy", "baseline_offset", "baseline_accuracy",
)  # fmt: skip


# The fields of ``Relation`` that are counted for each layer and head.
_COUNTS = ("n", "not_observable", "missing")


@dataclass
class SyntaxAnalyzer(LayerByLayer[list[Found]]):
    """How often a head's strongest attention from a word goes to its syntactic head, and back.

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

    def _look(self, texts: Texts, attentions: torch.Tensor) -> list[Found]:
        places = zip(attentions, texts.lengths, self._sought, strict=True)
        return [
            look(pattern[:, :length, :length].contiguous().float().cpu(), sought)
            for pattern, length, sought in places
        ]

    def _add(self, texts: Texts, looks: Mapping[int, list[Found]]) -> None:
        by_text = list(zip(*looks.values(), strict=True))
        self._fit(tuple(looks), by_text[0][0].credits.shape[0])
        for sought, layers in zip(self._sought, by_text, strict=True):
            found = Found(*(np.stack(values) for values in zip(*layers, strict=True)))
            for (relation, direction), chosen in sought.pairs.items():
                self._count(relation, direction, summed(found, sought, chosen))
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

    def compute(self) -> pd.DataFrame:
        """Return a table with one row for each relation, direction, layer and head.

        Returns:
            The columns ``SYNTAX_COLUMNS``. ``accuracy`` is the mean credit over the ``n`` pairs of
            words that count. Counted separately: ``n_not_observable``, where the mask hides one
            word from the other; ``n_missing``, where the row is NaN; ``n_unaligned``, where a word
            was cut off or both are one word for the model. ``baseline_offset`` is the offset in
            words that is most often right on the same pairs, and ``baseline_accuracy`` its
            accuracy: it is in-sample, as is the accuracy of a head chosen from this table.

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
        return counts | {
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
        }

    @classmethod
    def from_state(cls, state: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Restore the analyzer that had this state."""
        found = [
            Relation(
                credits=np.array(state["credits"][i], dtype=np.float64),
                n=np.array(state["n"][i], dtype=np.int64),
                not_observable=np.array(state["not_observable"][i], dtype=np.int64),
                missing=np.array(state["missing"][i], dtype=np.int64),
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
        elif (layers, num_heads) != (self._layers, self._num_heads):
            raise InputError(
                f"Expected records of one model, got {len(self._layers)} layers of "
                f"{self._num_heads} heads and {len(layers)} of {num_heads}. "
                "Use one analyzer for each model."
            )
