"""Scoring coreference cases in batches, keeping only the attention between mentions per layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from introspect.data import case_to_json
from introspect.functional import (
    FLOOR,
    Mention,
    MentionWords,
    norm_weights,
    renormalized_rows,
    word_attention,
)
from introspect.records import TokenSequence, Weights, mention_pieces
from introspect.studies.coreference.columns import (
    CaseColumns,
    candidate_distances,
    position_credits,
)
from introspect.studies.heads import Texts
from introspect.text import CorefCase

__all__ = ["CaseBatches", "mention_words"]

Array = npt.NDArray[Any]

Words = list[list[int]]


def mention_words(tokens: TokenSequence, case: CorefCase) -> list[Words]:
    """Return the words of the pronoun, then those of each candidate, as token pieces.

    Raises:
        MentionError: a mention cannot be found among the tokens.
    """
    pronoun = mention_pieces(tokens, case.pronoun, role="pronoun")
    return [pronoun, *(mention_pieces(tokens, c.span, role="candidate") for c in case.candidates)]


@dataclass
class CaseBatches:
    """An analyzer that turns batches of cases from a running model into columns.

    The numbers are those of ``score_case``. Of each pattern it reads only the rows of mentions, and
    the attention that each candidate gets from all rows together.

    Args:
        mention: how the word pairs of two mentions are combined into one number.
        weights: which weights are scored.
    """

    mention: Mention = "mean"
    weights: Weights = "raw"
    _batch: _Batch | None = field(default=None, repr=False)
    _finished: list[CaseColumns] = field(default_factory=list, repr=False)

    def begin(self, texts: Texts) -> None:
        """Start a batch, whose items are cases with ids, and discard any unfinished one."""
        self._batch = _Batch.of(texts)

    @property
    def rows(self) -> torch.Tensor:
        """The query positions that are read from each text, ``(batch, num_rows)``."""
        return self._open.words.rows

    def see(
        self, layer: int, attentions: torch.Tensor, value_norms: torch.Tensor | None = None
    ) -> None:
        """Process the patterns of a layer, ``(batch, num_heads, length, length)``.

        Args:
            layer: the model's own layer number.
            attentions: the patterns.
            value_norms: for ``norm``, the norm of the vector that each key adds, ``(batch,
                num_heads, length)``.
        """
        batch = self._open
        rows = batch.words.rows.to(attentions.device)
        index = rows[:, None, :, None].expand(-1, attentions.shape[1], -1, attentions.shape[-1])
        self.see_rows(layer, attentions.gather(2, index), value_norms)
        self.see_received(self._received(attentions))

    def see_rows(
        self, layer: int, rows: torch.Tensor, value_norms: torch.Tensor | None = None
    ) -> None:
        """Process the rows ``self.rows`` of a layer, ``(batch, num_heads, num_rows, length)``."""
        batch = self._open
        weights, reachable = word_attention(rows, batch.words)
        if self.weights == "renormalized":
            # Keys that are dropped from the weights are still visible.
            kept, removed = self._renormalized(rows)
            batch.removed.append(removed.cpu())
            weights, _ = word_attention(kept, batch.words)
        elif self.weights == "norm":
            assert value_norms is not None, "norms are scored, and none were given"
            batch.raw.append(weights.cpu())
            weights, _ = word_attention(norm_weights(rows, value_norms), batch.words)
        batch.layers.append(layer)
        batch.weights.append(weights.cpu())
        batch.reachable.append(reachable.cpu())

    def see_received(self, received: torch.Tensor) -> None:
        """Add the attention that every key gets from all rows of a layer, or from some of them.

        Args:
            received: sums over rows, ``(batch, num_heads, 1, length)``.
        """
        found = received.double().sum((1, 2)).cpu()
        batch = self._open
        batch.received = found if batch.received is None else batch.received + found

    def end(self) -> None:
        """Finish the batch and count it."""
        self._finished.append(self._open.columns(self.mention))
        self._batch = None

    def take(self) -> list[CaseColumns]:
        """Return the columns of the batches since the last call, and clear them."""
        found, self._finished = self._finished, []
        return found

    @property
    def _open(self) -> _Batch:
        assert self._batch is not None, "a layer came before its batch"
        return self._batch

    def _received(self, attentions: torch.Tensor) -> torch.Tensor:
        """Sum the attention that every key gets from all rows, ``(batch, 1, 1, length)``."""
        batch, heads, length, _ = attentions.shape
        is_token = self._open.texts.is_token.to(attentions.device)
        counted = is_token[:, None].expand(batch, heads, length).reshape(batch, 1, -1)
        patterns = attentions.reshape(batch, -1, length)
        found = counted.to(attentions.dtype) @ patterns
        if found.isnan().any():
            # Rows of padding may hold NaN, and 0 × NaN is NaN.
            found = patterns.masked_fill(~counted.mT, 0).sum(1, keepdim=True)
        return found[:, None]

    def _renormalized(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        batch = self._open
        special = batch.texts.is_token & ~batch.texts.is_query
        dropped = special[:, None].to(rows.device)
        places = batch.words.rows.to(rows.device)[..., None]
        is_self = places == torch.arange(rows.shape[-1], device=rows.device)
        kept, removed = renormalized_rows(rows, (dropped | is_self)[:, None])
        return kept.masked_fill((1 - removed < FLOOR)[..., None], 0.0), removed


@dataclass
class _Batch:
    """One batch while it runs; lists have one entry per layer."""

    texts: Texts
    cases: list[CorefCase]
    places: list[list[list[int]]]  # the words of each mention of each case
    words: MentionWords
    layers: list[int] = field(default_factory=list)
    weights: list[torch.Tensor] = field(default_factory=list)
    raw: list[torch.Tensor] = field(default_factory=list)
    reachable: list[torch.Tensor] = field(default_factory=list)
    removed: list[torch.Tensor] = field(default_factory=list)
    received: torch.Tensor | None = None

    @classmethod
    def of(cls, texts: Texts) -> _Batch:
        cases = list(texts.items)
        words: list[tuple[tuple[int, ...], ...]] = []
        places: list[list[list[int]]] = []
        for tokens, case in zip(texts.sequences, cases, strict=True):
            found: list[tuple[int, ...]] = []
            places.append([])
            for mention in mention_words(tokens, case):
                places[-1].append(list(range(len(found), len(found) + len(mention))))
                found += map(tuple, mention)
            words.append(tuple(found))
        return cls(texts, cases, places, MentionWords(tuple(words), texts.length))

    def columns(self, mention: Mention) -> CaseColumns:
        """Return the collected data, case by case."""
        weights = self._between_mentions(self.weights, mention)
        reachable = torch.stack(self.reachable, 1).numpy()  # (batch, layers, words, words)
        num_layers, num_heads = weights.shape[2:]
        count = np.array([len(case.candidates) for case in self.cases], dtype=np.int64)
        flags = [c.antecedent for case in self.cases for c in case.candidates]
        return CaseColumns(
            names=tuple(str(case.id) for case in self.cases),
            groups=tuple(str(case.group or case.id) for case in self.cases),
            lines=tuple(map(case_to_json, self.cases)),
            layers=tuple(self.layers),
            num_candidates=count,
            weights=weights,
            raw_weights=self._between_mentions(self.raw, mention) if self.raw else weights[:0],
            antecedents=np.array(flags, dtype=np.bool_),
            distances=np.array(
                [d for case in self.cases for d in candidate_distances(case)], dtype=np.int64
            ),
            received=self._received(mention, num_layers * num_heads),
            observable=np.stack([self._observable(reachable[i], i) for i in range(len(count))]),
            removed=self._removed() if self.removed else weights[:0],
            positions=np.array([position_credits(case) for case in self.cases]),
        )

    def _between_mentions(self, seen: Sequence[torch.Tensor], mention: Mention) -> Array:
        """Stack weights as ``(all_candidates, num_directions, num_layers, num_heads)``."""
        weights = torch.stack(list(seen), 1).numpy()  # (batch, layers, heads, words, words)
        found = []
        for i in range(len(self.cases)):
            pairs = [_between(weights[i], *pair, mention) for pair in self._pairs(i)]
            by_direction = np.stack(pairs).reshape(2, -1, *weights.shape[1:3])
            found.append(by_direction.swapaxes(0, 1))
        return np.concatenate(found)

    def _pairs(self, i: int) -> Iterator[tuple[list[int], list[int]]]:
        """Yield the pronoun's words with those of each candidate, then the reverse pairs."""
        pronoun, *candidates = self.places[i]
        yield from ((pronoun, candidate) for candidate in candidates)
        yield from ((candidate, pronoun) for candidate in candidates)

    def _observable(self, reachable: Array, i: int) -> Array:
        """Check whether every candidate can be seen, ``(num_directions, num_layers)``."""
        seen = [reachable[:, s][:, :, t].any((1, 2)) for s, t in self._pairs(i)]
        return np.asarray(np.stack(seen).reshape(2, -1, len(self.layers)).all(1))

    def _received(self, mention: Mention, num_patterns: int) -> Array:
        """Average the attention that each candidate gets over all rows, layers and heads."""
        assert self.received is not None, "no column sums were seen"
        of_keys = self.words.of_keys
        per_word = (of_keys @ self.received[..., None])[..., 0].numpy()
        found = []
        for i, length in enumerate(self.texts.lengths):
            for words in self.places[i][1:]:
                of_words = per_word[i, words] / (length * num_patterns)
                found.append(_over_words(of_words[-1:] if mention == "last" else of_words, mention))
        return np.array(found)

    def _removed(self) -> Array:
        """Average the removed mass of the rows read: ``(batch, 2, num_layers, num_heads)``."""
        removed = torch.stack(self.removed, 1).double().numpy()  # (batch, layers, heads, rows)
        found = []
        for i, places in enumerate(self.places):
            of_rows = self.words.rows[i].tolist()
            mentions = [
                {of_rows.index(piece) for word in words for piece in self.words.words[i][word]}
                for words in (places[0], [w for mention in places[1:] for w in mention])
            ]
            found.append(np.stack([removed[i][:, :, sorted(m)].mean(-1) for m in mentions]))
        return np.stack(found)


def _between(
    weights: Array, sources: Sequence[int], targets: Sequence[int], mention: Mention
) -> Array:
    """Combine the word pairs of two mentions into one number, ``(num_layers, num_heads)``."""
    if mention == "last":
        sources, targets = sources[-1:], targets[-1:]
    pairs = weights[..., list(sources), :][..., list(targets)]
    return _over_words(pairs.reshape(*pairs.shape[:-2], -1), mention)


def _over_words(pairs: Array, mention: Mention) -> Array:
    found: Array
    if mention == "sum":
        found = pairs.sum(-1)
    else:
        found = pairs.max(-1) if mention == "max" else pairs.mean(-1)
    return found
