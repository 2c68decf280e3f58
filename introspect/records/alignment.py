"""Align character spans, words, and token pieces by character offsets only.

No string is searched for among tokens: tokens repeat, lose their case, and break words.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace

from introspect.errors import MentionError, SelectionError
from introspect.records.attention import AttentionRecord
from introspect.records.tokens import TokenSequence
from introspect.text import Span, find_mention, segment_words, shortened


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


def resegmented(
    record: AttentionRecord, segment: Callable[[str], Sequence[Span]]
) -> AttentionRecord:
    """Return the same attention with other words: those that ``segment`` finds in the texts.

    Args:
        record: at token level, with the texts that its tokens come from.
        segment: a function from a text to the spans of its words, such as
            ``introspect.text.chinese.chinese_words``.

    Raises:
        SelectionError: the record has no texts, or is at word level already.
    """
    sides = [resegmented_tokens(side, segment) for side in (record.queries, record.keys)]
    return replace(record, queries=sides[0], keys=sides[1])


def resegmented_tokens(
    sequence: TokenSequence, segment: Callable[[str], Sequence[Span]]
) -> TokenSequence:
    """Return the same tokens with other words; see ``resegmented``."""
    if not sequence.texts or not any(start < end for start, end in sequence.offsets):
        raise SelectionError(
            "Expected a record of texts with the characters of each token, got one without. "
            "Capture the text with a model."
        )
    given = [segment(text) for text in sequence.texts]
    ids, words = words_of_texts(sequence.texts, sequence.offsets, sequence.sequence_ids, given)
    return replace(sequence, word_ids=tuple(ids), words=tuple(words))


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


def mention_pieces(
    sequence: TokenSequence, span: Span, *, role: str = "mention", sequence_id: int = 0
) -> list[list[int]]:
    """Return the words of a mention, each as the indices of its token pieces.

    Only pieces that share a character with the span count, so ``animal`` in ``animal's`` is
    the piece *animal* alone.

    Args:
        sequence: the tokens the model saw.
        span: half-open character offsets into the text.
        role: what to call the mention in an error.
        sequence_id: which text of a pair the span is in.

    Raises:
        MentionError: no token covers the span; it was truncated, or the tokenizer dropped it.
    """
    start, end = span
    words: dict[int | None, list[int]] = {}
    for index, (piece_start, piece_end) in enumerate(sequence.offsets):
        is_inside = piece_start < end and start < piece_end and piece_start < piece_end
        if is_inside and sequence.sequence_ids[index] == sequence_id:
            words.setdefault(sequence.word_ids[index], []).append(index)
    if not words:
        text = sequence.texts[sequence_id] if sequence.texts else ""
        raise MentionError(
            f"Expected tokens for the {role} {shortened(text[start:end])!r} at ({start}, {end}), "
            "but the model saw none: it was truncated, or the tokenizer dropped it. "
            "Shorten the text, or choose another model."
        )
    return list(words.values())


def find_tokens(sequence: TokenSequence, phrase: str) -> list[int]:
    """Return the tokens of a phrase in the (first) text, in order; ``it#2`` means the second *it*.

    Raises:
        MentionError: the phrase is not in the text, occurs several times, or was truncated.
    """
    span = find_mention(sequence.texts[0], phrase, role="token")
    return [index for word in mention_pieces(sequence, span, role="token") for index in word]
