"""The tokens of one side of an attention pattern, and their words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from numbers import Integral
from typing import Any

from introspect.calls import checked_class
from introspect.errors import MentionError, RecordError, SelectionError
from introspect.text import Span, find_mention, occurrences, segment_words

#: A token: its index, from 0, or its word; ``"it#2"`` is the second *it* of the text.
TokenLike = int | str


@checked_class
@dataclass(frozen=True)
class TokenSequence:
    """The tokens of one side of an attention pattern, and the text they came from.

    All sequences have one entry per token. ``None`` marks what a special token lacks.

    Args:
        tokens: the tokens as shown. Byte-level vocabularies are shown as the text's characters.
        token_ids: vocabulary ids.
        offsets: half-open character spans in the token's text; ``(0, 0)`` for special tokens.
        word_ids: index into ``words``.
        special_tokens_mask: true for tokens that stand for no part of a text.
        unknown_mask: true where the vocabulary has no entry for what the text says.
        generated_mask: true for tokens that the model wrote itself, after those of its prompt.
        sequence_ids: 0 for the first text, 1 for the second of a pair.
        words: the words of the text or texts, in order.
        texts: the text, or the pair.
    """

    tokens: tuple[str, ...]
    token_ids: tuple[int, ...] = ()
    offsets: tuple[tuple[int, int], ...] = ()
    word_ids: tuple[int | None, ...] = ()
    special_tokens_mask: tuple[bool, ...] = ()
    unknown_mask: tuple[bool, ...] = ()
    generated_mask: tuple[bool, ...] = ()
    sequence_ids: tuple[int | None, ...] = ()
    words: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_labels(self.tokens)
        n = len(self.tokens)
        defaults: dict[str, tuple[Any, ...]] = {
            "token_ids": (-1,) * n,
            "offsets": ((0, 0),) * n,
            "word_ids": tuple(range(n)),
            "special_tokens_mask": (False,) * n,
            "unknown_mask": (False,) * n,
            "generated_mask": (False,) * n,
            "sequence_ids": (0,) * n,
        }
        # A bare list of tokens, as BertViz takes, is a sequence whose words are its tokens.
        if not self.word_ids and not self.words:
            object.__setattr__(self, "words", tuple(self.tokens))
        for name, default in defaults.items():
            given = tuple(getattr(self, name)) or default
            if len(given) != n:
                raise RecordError(
                    f"Expected {name!r} to have one entry for each of the {n} tokens, "
                    f"got {len(given)}. Give all parts of the sequence at the same length."
                )
            object.__setattr__(self, name, given)
        object.__setattr__(self, "tokens", tuple(self.tokens))
        object.__setattr__(self, "offsets", tuple((int(s), int(e)) for s, e in self.offsets))
        for word in self.word_ids:
            if word is not None and not 0 <= word < len(self.words):
                raise RecordError(
                    f"Expected word ids from 0 to {len(self.words) - 1}, got {word}. "
                    "Every word id must name an entry of `words`."
                )

    def __len__(self) -> int:
        return len(self.tokens)

    def at(self, indices: Iterable[int]) -> TokenSequence:
        """Return only the tokens at these indices; their words and texts stay whole."""
        chosen = list(indices)
        return replace(
            self,
            **{
                part.name: tuple(getattr(self, part.name)[i] for i in chosen)
                for part in fields(self)
                if part.name not in ("words", "texts")
            },
        )

    def generated_from(self, first: int) -> TokenSequence:
        """Return the same tokens, marked as generated from an index on."""
        return replace(self, generated_mask=tuple(i >= first for i in range(len(self))))

    def pieces(self) -> list[list[int]]:
        """Return token indices grouped by word, in text order; special tokens are single."""
        groups: list[list[int]] = []
        last: int | None = None
        for index, word in enumerate(self.word_ids):
            if word is not None and word == last:
                groups[-1].append(index)
            else:
                groups.append([index])
            last = word
        return groups

    def at_word_level(self) -> TokenSequence:
        """Return the same sequence with one token for each word."""
        groups = self.pieces()
        firsts = [group[0] for group in groups]
        words = tuple(
            self.tokens[first] if self.word_ids[first] is None else self._word(first)
            for first in firsts
        )
        return TokenSequence(
            tokens=words,
            token_ids=tuple(self.token_ids[g[0]] if len(g) == 1 else -1 for g in groups),
            offsets=tuple((self.offsets[g[0]][0], self.offsets[g[-1]][1]) for g in groups),
            word_ids=tuple(self.word_ids[first] for first in firsts),
            special_tokens_mask=tuple(self.special_tokens_mask[first] for first in firsts),
            unknown_mask=tuple(any(self.unknown_mask[i] for i in g) for g in groups),
            generated_mask=tuple(any(self.generated_mask[i] for i in g) for g in groups),
            sequence_ids=tuple(self.sequence_ids[first] for first in firsts),
            words=self.words,
            texts=self.texts,
        )

    def _word(self, index: int) -> str:
        word = self.word_ids[index]
        assert word is not None
        return self.words[word]


def check_labels(labels: Iterable[Any]) -> None:
    """Raise unless all tokens are text; the message says what to hand over.

    Raises:
        RecordError: one is an id, bytes or nothing.
    """
    for index, label in enumerate(labels):
        if isinstance(label, str):
            continue
        if isinstance(label, bytes):
            advice = "Decode them: [token.decode() for token in tokens]"
        elif label is None:
            advice = "Put a text in its place, such as '?'"
        else:
            advice = "Of ids hand over tokenizer.convert_ids_to_tokens(ids)"
        raise RecordError(
            f"Expected tokens as text, got {label!r:.40} at place {index} of them. {advice}."
        )


def as_token(
    tokens: TokenSequence, token: TokenLike, *, name: str = "token", from_end: bool = False
) -> int:
    """Return the index of a token; of a word in several pieces, the first piece.

    Args:
        tokens: the tokens.
        token: an index from 0; a word or phrase of the text, ``it#2`` for the second *it* (of a
            pair, it is looked for in the first text first); or the label of a token that is no
            part of the text, such as ``[CLS]``.
        name: what an error calls the token.
        from_end: whether a negative index counts from the end.

    Raises:
        SelectionError: the index is out of range.
        MentionError: the word is not there, or is there several times and not numbered.

    Example:
        >>> as_token(TokenSequence(("it", "was", "it")), "it#2")
        2
    """
    if isinstance(token, str):
        return _index_of(tokens, token, name)
    first, count = -len(tokens) if from_end else 0, len(tokens)
    if not isinstance(token, int | Integral) or not first <= token < count:
        span = (
            f"from {first} to {count - 1}, for {count} tokens" if from_end else f"in 0–{count - 1}"
        )
        raise SelectionError(f"Expected `{name}` {span}, got {token!r}.")
    return int(token) % count


def _index_of(tokens: TokenSequence, word: str, name: str) -> int:
    if (label := labeled(tokens, word)) is not None:
        return label
    text, (start, end) = place_of(tokens, word, name)
    written = with_text(tokens)
    places = zip(written.sequence_ids, written.offsets, strict=True)
    for index, (number, (first, last)) in enumerate(places):
        if number == text and max(start, first) < min(end, last):
            return index
    raise MentionError(
        f"Expected tokens for the {name} {word!r}, but the model saw none: it was truncated, or "
        "the tokenizer dropped it. Shorten the text, or choose another model."
    )


def labeled(tokens: TokenSequence, label: str) -> int | None:
    """Return the one token with this label that is no part of a text, such as ``[CLS]``, if any."""
    places = zip(tokens.tokens, tokens.offsets, strict=True)
    found = [i for i, (token, offsets) in enumerate(places) if token == label and not any(offsets)]
    return found[0] if tokens.texts and len(found) == 1 else None


def place_of(tokens: TokenSequence, word: str, name: str) -> tuple[int, Span]:
    """Return which text a word or phrase is in, and its span there.

    Raises:
        MentionError: it is not there, or is there several times and not numbered.
    """
    texts = with_text(tokens).texts
    text = next((number for number, text in enumerate(texts) if occurrences(text, word)), 0)
    return text, find_mention(texts[text], word, role=name)


def with_text(tokens: TokenSequence) -> TokenSequence:
    """Return tokens with a text; those without one are of a text of their words, with spaces.

    A token stands for its whole word there; of a bare list each token is a word.
    """
    if tokens.texts:
        return tokens
    ends = list(accumulate(len(word) + 1 for word in tokens.words))
    spans = [(end - 1 - len(word), end - 1) for word, end in zip(tokens.words, ends, strict=True)]
    return replace(
        tokens,
        texts=(" ".join(tokens.words),),
        offsets=tuple((0, 0) if word is None else spans[word] for word in tokens.word_ids),
        sequence_ids=tuple(None if word is None else 0 for word in tokens.word_ids),
    )


def assign_words(
    text: str, offsets: Sequence[Span], words: Sequence[Span] | None = None
) -> tuple[list[int | None], list[Span]]:
    """Return the word of each token, and the spans of the words.

    Words are those given, or else those of ``segment_words``; a token that spans several of
    them (``).`` in some vocabularies) merges them into one word, because a piece is never divided.

    Args:
        text: the text.
        offsets: the character span of each token in it, in order; empty for special tokens.
        words: the spans of the words, in order, if known.

    Returns:
        For each token an index into the spans, or ``None`` where it touches no word, and the
        spans.

    Example:
        >>> assign_words("didn't go", [(0, 0), (0, 4), (4, 5), (5, 6), (7, 9)])
        ([None, 0, 0, 0, 1], [(0, 6), (7, 9)])
    """
    segments = segment_words(text) if words is None else list(words)
    starts = [start for start, _ in segments]
    touched = [_touched(segments, starts, span) for span in offsets]
    # joined[i]: segment i continues the word of segment i - 1.
    joined = [False] * len(segments)
    for first, last in touched:
        for index in range(first + 1, last):
            joined[index] = True
    word_of: list[int] = []
    spans: list[Span] = []
    for (start, end), is_joined in zip(segments, joined, strict=True):
        if is_joined:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
        word_of.append(len(spans) - 1)
    return [word_of[first] if first < last else None for first, last in touched], spans


def words_of_texts(
    texts: Sequence[str],
    offsets: Sequence[Span],
    sequence_ids: Sequence[int | None],
    given: Sequence[Sequence[Span] | None],
) -> tuple[list[int | None], list[str]]:
    """Return the word of each token, and the words of all texts, one text after the other.

    Args:
        texts: the texts.
        offsets: the character span of each token in its text.
        sequence_ids: the text that each token belongs to.
        given: for each text the spans of its words, if known.
    """
    word_ids: list[int | None] = [None] * len(offsets)
    words: list[str] = []
    for number, text in enumerate(texts):
        members = [i for i, sequence in enumerate(sequence_ids) if sequence == number]
        ids, spans = assign_words(text, [offsets[i] for i in members], given[number])
        for index, word in zip(members, ids, strict=True):
            word_ids[index] = None if word is None else word + len(words)
        words += [text[start:end] for start, end in spans]
    return word_ids, words


def _touched(segments: list[Span], starts: list[int], span: Span) -> tuple[int, int]:
    """Return the half-open range of segments that share a character with ``span``."""
    start, end = span
    if start >= end:
        return 0, 0
    first = max(bisect_right(starts, start) - 1, 0)
    while first < len(segments) and segments[first][1] <= start:
        first += 1
    last = first
    while last < len(segments) and segments[last][0] < end:
        last += 1
    return first, last
