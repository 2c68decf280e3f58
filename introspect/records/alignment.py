"""Align character spans, words, and token pieces by character offsets only.

No string is searched for among tokens: tokens repeat, lose their case, and break words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from introspect.errors import MentionError, SelectionError
from introspect.records.attention import AttentionRecord
from introspect.records.tokens import TokenSequence, words_of_texts
from introspect.text import Span, find_mention, shortened


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
