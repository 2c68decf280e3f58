"""Batches of cases: of each layer, the attention between mentions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from introspect.data import case_to_json
from introspect.errors import MentionError, SelectionError
from introspect.functional import (
    FLOOR,
    Mention,
    MentionWords,
    assumed_mask,
    checked_mention,
    norm_weights,
    renormalized_rows,
    word_attention,
    words_in_sight,
)
from introspect.models import StaticEmbeddings
from introspect.records import (
    AttentionRecord,
    TokenSequence,
    Weights,
    checked_weights,
    mention_pieces,
    norms_of_values,
    placed_in,
)
from introspect.studies.analyzer import Texts, check_is_self
from introspect.studies.coreference.association import association_credit
from introspect.studies.coreference.columns import (
    CaseColumns,
    candidate_distances,
    position_credits,
)
from introspect.text import CorefCase

Array = npt.NDArray[Any]

Words = list[list[int]]


def mention_words(tokens: TokenSequence, case: CorefCase) -> list[Words]:
    """Return the words of the pronoun, then those of each candidate, as token pieces.

    Raises:
        MentionError: a mention cannot be found among the tokens.
    """
    spans = [case.pronoun, *(candidate.span for candidate in case.candidates)]
    tokens = placed_in(tokens, case.text, spans)
    pronoun = mention_pieces(tokens, case.pronoun, role="pronoun")
    return [pronoun, *(mention_pieces(tokens, c.span, role="candidate") for c in case.candidates)]


def last_place(tokens: TokenSequence) -> int:
    """Return the place of the last token that is not special, as ``[SEP]`` is."""
    return max(place for place, flag in enumerate(tokens.special_tokens_mask) if not flag)


@dataclass
class CaseBatch:
    """One batch of cases while it runs; lists have one entry per layer.

    Of each pattern it reads only the rows of mentions, and the attention that each candidate gets
    from all rows together.

    Args:
        texts: the texts, whose items are cases with ids.
        mention: how the word pairs of two mentions are combined into one number.
        scored: which weights are scored.
        places: the words of each mention of each case.
        words: the words of all mentions.
        lasts: the last position of each text, as a word, where it is scored too.
    """

    texts: Texts
    mention: Mention
    scored: Weights
    places: list[list[list[int]]]
    words: MentionWords
    lasts: list[int] | None = None
    layers: list[int] = field(default_factory=list)
    weights: list[torch.Tensor] = field(default_factory=list)
    raw: list[torch.Tensor] = field(default_factory=list)
    reachable: list[torch.Tensor] = field(default_factory=list)
    removed: list[torch.Tensor] = field(default_factory=list)
    received: torch.Tensor | None = None

    @classmethod
    def of(
        cls,
        texts: Texts,
        mention: Mention = "mean",
        weights: Weights = "raw",
        *,
        last_position: bool = False,
    ) -> CaseBatch:
        """Begin a batch.

        Raises:
            MentionError: a mention cannot be found among the tokens.
        """
        words: list[tuple[tuple[int, ...], ...]] = []
        places: list[list[list[int]]] = []
        lasts: list[int] = []
        for tokens, case in zip(texts.sequences, texts.items, strict=True):
            # A word stands once, however many mentions hold it: candidates may overlap, and the
            # attention between words grows with the square of their number.
            of_text: dict[tuple[int, ...], int] = {}
            places.append([])
            for pieces in mention_words(tokens, case):
                own = [of_text.setdefault(tuple(each), len(of_text)) for each in pieces]
                places[-1].append(own)
            if last_position:
                lasts.append(of_text.setdefault((last_place(tokens),), len(of_text)))
            words.append(tuple(of_text))
        every = MentionWords(tuple(words), texts.length)
        return cls(texts, mention, weights, places, every, lasts if last_position else None)

    @property
    def cases(self) -> tuple[CorefCase, ...]:
        """The cases."""
        return self.texts.items

    def see(
        self,
        layer: int,
        attentions: torch.Tensor,
        value_norms: torch.Tensor | None = None,
        visible: torch.Tensor | None = None,
    ) -> None:
        """Process the patterns of a layer, as ``CoreferenceAnalyzer.see``."""
        masks = self._assumed(attentions)[:, None] if visible is None else visible
        masks = masks.expand(len(attentions), 1, *attentions.shape[2:])
        self._see(layer, self._picked(attentions), value_norms, self._picked(masks)[:, 0])
        self._receive(self._sums(attentions))

    def see_rows(
        self,
        layer: int,
        rows: torch.Tensor,
        received: torch.Tensor,
        visible: torch.Tensor | None = None,
    ) -> None:
        """Process the rows ``words.rows`` of a layer, as ``CoreferenceAnalyzer.see_rows``."""
        masks = self._assumed_of_rows(rows) if visible is None else visible[:, 0]
        self._see(layer, rows, None, masks)
        self._receive(received)

    def _picked(self, patterns: torch.Tensor) -> torch.Tensor:
        """Select the rows of words of patterns, ``(batch, heads, length, length)``."""
        rows = self.words.rows.to(patterns.device)
        index = rows[:, None, :, None].expand(-1, patterns.shape[1], -1, patterns.shape[-1])
        return patterns.gather(2, index)

    def _assumed(self, attentions: torch.Tensor) -> torch.Tensor:
        """Return the mask of each text where it is not known, ``(batch, length, length)``."""
        masks = torch.zeros_like(attentions[:, 0], dtype=torch.bool)
        for mask, pattern, length in zip(masks, attentions, self.texts.lengths, strict=True):
            mask[:length, :length] = assumed_mask(pattern[:, :length, :length])
        return masks

    def _assumed_of_rows(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the masks of rows alone: causal, after a prefix that all see, or none."""
        keys = torch.arange(1, rows.shape[-1] + 1, device=rows.device)
        places = self.words.rows.to(rows.device)[..., None] + 1
        ahead = ((rows != 0).any(1) & (keys > places)).any(1)
        prefix = (ahead * keys).amax(-1)[:, None, None]
        is_token = self.texts.is_token.to(rows.device)[:, None]
        return ((keys <= places) | (keys <= prefix)) & is_token

    def _see(
        self,
        layer: int,
        rows: torch.Tensor,
        value_norms: torch.Tensor | None,
        visible: torch.Tensor,
    ) -> None:
        weights = word_attention(rows, self.words)
        if self.scored == "renormalized":
            # Keys that are dropped from the weights are still visible.
            kept, removed = self._renormalized(rows)
            self.removed.append(removed.cpu())
            weights = word_attention(kept, self.words)
        elif self.scored == "norm":
            assert value_norms is not None, "norms are scored, and none were given"
            self.raw.append(weights.cpu())
            weights = word_attention(norm_weights(rows, value_norms), self.words)
        self.layers.append(layer)
        self.weights.append(weights.cpu())
        visible = visible.expand(len(rows), *visible.shape[1:])
        self.reachable.append(words_in_sight(visible, self.words).cpu())

    def _receive(self, received: torch.Tensor) -> None:
        sums = received.double().sum((1, 2)).cpu()
        self.received = sums if self.received is None else self.received + sums

    def _sums(self, attentions: torch.Tensor) -> torch.Tensor:
        """Sum the attention that every key gets from all rows, ``(batch, 1, 1, length)``."""
        batch, heads, length, _ = attentions.shape
        is_token = self.texts.is_token.to(attentions.device)
        counted = is_token[:, None].expand(batch, heads, length).reshape(batch, 1, -1)
        patterns = attentions.reshape(batch, -1, length)
        sums = counted.to(attentions.dtype) @ patterns
        if sums.isnan().any():
            # Rows of padding may hold NaN, and 0 × NaN is NaN.
            sums = patterns.masked_fill(~counted.mT, 0).sum(1, keepdim=True)
        return sums[:, None]

    def _renormalized(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        special = self.texts.is_token & ~self.texts.is_query
        dropped = special[:, None].to(rows.device)
        places = self.words.rows.to(rows.device)[..., None]
        is_self = places == torch.arange(rows.shape[-1], device=rows.device)
        kept, removed = renormalized_rows(rows, (dropped | is_self)[:, None])
        return kept.masked_fill((1 - removed < FLOOR)[..., None], 0.0), removed

    def columns(self) -> CaseColumns:
        """Return the collected data, case by case."""
        weights = self._between_mentions(self.weights)
        reachable = torch.stack(self.reachable, 1).numpy()  # (batch, layers, words, words)
        num_layers, num_heads = weights.shape[2:]
        count = np.array([len(case.candidates) for case in self.cases], dtype=np.int64)
        lengths = [self._lengths(i) for i in range(len(count))]
        flags = [c.antecedent for case in self.cases for c in case.candidates]
        return CaseColumns(
            names=tuple(str(case.id) for case in self.cases),
            groups=tuple(str(case.group or case.id) for case in self.cases),
            lines=tuple(map(case_to_json, self.cases)),
            layers=tuple(self.layers),
            num_candidates=count,
            weights=weights,
            raw_weights=self._between_mentions(self.raw) if self.raw else weights[:0],
            antecedents=np.array(flags, dtype=np.bool_),
            distances=np.array(
                [d for case in self.cases for d in candidate_distances(case)], dtype=np.int64
            ),
            lengths=np.array([count for words, _ in lengths for count in words], dtype=np.int64),
            received=self._received(num_layers * num_heads),
            observable=np.stack([self._observable(reachable[i], i) for i in range(len(count))]),
            removed=self._removed() if self.removed else weights[:0],
            positions=np.array(
                [
                    (*position_credits(case, *own), self._association(number))
                    for number, (case, own) in enumerate(zip(self.cases, lengths, strict=True))
                ]
            ),
        )

    def _between_mentions(self, seen: Sequence[torch.Tensor]) -> Array:
        """Stack weights as ``(all_candidates, num_directions, num_layers, num_heads)``."""
        weights = torch.stack(list(seen), 1).numpy()  # (batch, layers, heads, words, words)
        # An infinite weight is no more than a missing one, and would win every comparison.
        weights = np.where(np.isinf(weights), np.nan, weights)
        by_case = []
        for i in range(len(self.cases)):
            pairs = [_between(weights[i], *pair, self.mention) for pair in self._pairs(i)]
            by_direction = np.stack(pairs).reshape(self._directions, -1, *weights.shape[1:3])
            by_case.append(by_direction.swapaxes(0, 1))
        return np.concatenate(by_case)

    def _pairs(self, i: int) -> Iterator[tuple[list[int], list[int]]]:
        """Yield the words of each query and key, one direction after another."""
        pronoun, *candidates = self.places[i]
        yield from ((pronoun, candidate) for candidate in candidates)
        yield from ((candidate, pronoun) for candidate in candidates)
        if self.lasts is not None:
            yield from (([self.lasts[i]], candidate) for candidate in candidates)

    @property
    def _directions(self) -> int:
        return 2 if self.lasts is None else 3

    def _observable(self, reachable: Array, i: int) -> Array:
        """Check whether every candidate can be seen, ``(num_directions, num_layers)``."""
        seen = [reachable[:, s][:, :, t].any((1, 2)) for s, t in self._pairs(i)]
        return np.asarray(np.stack(seen).reshape(self._directions, -1, len(self.layers)).all(1))

    def _lengths(self, i: int) -> tuple[list[int], list[int]]:
        """Return how many words, and how many pieces, each candidate of a case has."""
        candidates = self.places[i][1:]
        pieces = [sum(len(self.words.words[i][word]) for word in words) for words in candidates]
        return list(map(len, candidates)), pieces

    def _association(self, i: int) -> float:
        """Return the credit of word association in a case."""
        words = self.words.words[i]
        candidates = [
            [piece for word in mention for piece in words[word]] for mention in self.places[i][1:]
        ]
        tokens, embeddings = self.texts.sequences[i], self.texts.embeddings
        return association_credit(tokens, self.cases[i], candidates, embeddings)

    def _received(self, num_patterns: int) -> Array:
        """Average the attention that each candidate gets over all rows, layers and heads."""
        assert self.received is not None, "no column sums were seen"
        of_keys = self.words.of_keys
        per_word = (of_keys @ self.received[..., None])[..., 0].numpy()
        averages = []
        for i, length in enumerate(self.texts.lengths):
            for words in self.places[i][1:]:
                of_words = per_word[i, words] / (length * num_patterns)
                counted = of_words[-1:] if self.mention == "last" else of_words
                averages.append(_over_words(counted, self.mention))
        return np.array(averages)

    def _removed(self) -> Array:
        """Average the removed mass of the rows: ``(batch, directions, num_layers, num_heads)``."""
        removed = torch.stack(self.removed, 1).double().numpy()  # (batch, layers, heads, rows)
        by_case = []
        for i, places in enumerate(self.places):
            of_rows = self.words.rows[i].tolist()
            queries = [places[0], [word for mention in places[1:] for word in mention]]
            queries += [] if self.lasts is None else [[self.lasts[i]]]
            mentions = [
                {of_rows.index(piece) for word in words for piece in self.words.words[i][word]}
                for words in queries
            ]
            by_case.append(np.stack([removed[i][:, :, sorted(m)].mean(-1) for m in mentions]))
        return np.stack(by_case)


def _between(
    weights: Array, sources: Sequence[int], targets: Sequence[int], mention: Mention
) -> Array:
    """Combine the word pairs of two mentions into one number, ``(num_layers, num_heads)``."""
    if mention == "last":
        sources, targets = sources[-1:], targets[-1:]
    pairs = weights[..., list(sources), :][..., list(targets)]
    return _over_words(pairs.reshape(*pairs.shape[:-2], -1), mention)


def _over_words(pairs: Array, mention: Mention) -> Array:
    if mention == "sum":
        return np.asarray(pairs.sum(-1))
    return np.asarray(pairs.max(-1) if mention == "max" else pairs.mean(-1))


def columns_of_record(
    record: AttentionRecord,
    case: CorefCase,
    mention: Mention = "mean",
    weights: Weights = "raw",
    embeddings: StaticEmbeddings | None = None,
    *,
    last_position: bool = False,
) -> CaseColumns:
    """Return the columns of a case, as a batch of one, from the record of its text.

    Args:
        record: attention of the case's text over itself, at token level.
        case: the case.
        mention: how the word pairs of two mentions are reduced to one number.
        weights: which weights are scored.
        embeddings: the model's input embeddings, for the baseline of word association.
        last_position: also score what the last position attends to.

    Raises:
        MentionError: the record is of another text, or a mention was truncated.
        SelectionError: an unknown ``mention`` or ``weights``, a record without what they need, or
            attention that is not of a text over all of itself.
    """
    _check(record, case, mention, weights)
    texts = Texts((record.keys,), (case,), embeddings)
    batch = CaseBatch.of(texts, mention, weights, last_position=last_position)
    lengths = norms_of_values(record) if weights == "norm" else None
    visible = record.seen()
    for row, layer in enumerate(record.layers):
        beside = None if lengths is None else lengths[row : row + 1]
        one = slice(row, row + 1)
        batch.see(layer, record.attentions[one], beside, visible[one, None])
    return batch.columns()


def _check(record: AttentionRecord, case: CorefCase, mention: str, weights: str) -> None:
    checked_weights(weights)
    checked_mention(mention)
    if record.kind == "cross":
        raise SelectionError(
            "Expected attention of a text over itself to score a case, got cross-attention. "
            "Capture with kind='encoder' or kind='decoder'."
        )
    if record.keys.texts and record.keys.texts[0] != case.text:
        raise MentionError(
            "Expected a record of the case's own text, but its tokens come from another one. "
            "Capture case.text, so that character offsets mean the same."
        )
    check_is_self(record, "coreference")
