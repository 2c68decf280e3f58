"""Align character spans, words, and token pieces by character offsets only.

No string is searched for among tokens: tokens repeat, lose their case, and break words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from introspect.errors import MentionError, SelectionError
from introspect.records.attention import AttentionRecord
from introspect.records.tokens import (
    TokenLike,
    TokenSequence,
    as_token,
    labeled,
    place_of,
    with_text,
    words_of_texts,
)
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
            "Capture the text with a model whose tokenizer says them."
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
        MentionError: no token covers the span; it was truncated, or the tokenizer dropped it; or
            the characters of tokens are not known.
    """
    start, end = span
    if not sequence.texts:
        raise without_characters(f"to find the {role} at ({start}, {end})")
    words: dict[int | None, list[int]] = {}
    for index, (piece_start, piece_end) in enumerate(sequence.offsets):
        is_inside = piece_start < end and start < piece_end and piece_start < piece_end
        if is_inside and sequence.sequence_ids[index] == sequence_id:
            words.setdefault(sequence.word_ids[index], []).append(index)
    if not words:
        text = sequence.texts[sequence_id]
        raise MentionError(
            f"Expected tokens for the {role} {shortened(text[start:end])!r} at ({start}, {end}), "
            "but the model saw none: it was truncated, or the tokenizer dropped it. "
            "Shorten the text, or choose another model."
        )
    return list(words.values())


def placed_in(sequence: TokenSequence, text: str, spans: Iterable[Span]) -> TokenSequence:
    """Return tokens with their places in a text, in which spans are to be found.

    Where their characters are not known, their words are: a text that is made of these, with a
    space between two, is one in which each token stands for its whole word.

    Args:
        sequence: the tokens that the model saw of the text.
        text: the text.
        spans: the spans to be found, which have to be whole words there.

    Raises:
        MentionError: the text is not made of the words, or a span is a part of one.
    """
    if sequence.texts:
        return sequence
    written = with_text(sequence)
    edges = {edge for span in written.offsets for edge in span}
    if written.texts[0] != text or not edges.issuperset(edge for span in spans for edge in span):
        raise without_characters("to find a mention")
    return written


def without_characters(purpose: str) -> MentionError:
    """Return the error of tokens whose characters are needed, but not known."""
    return MentionError(
        f"Expected the characters of each token, {purpose}, but they are not known: these tokens "
        "have no text, or their tokenizer does not say where in it they are. Make the case of "
        "their words: CorefCase.from_tokens(tokens.words, …), of model.tokens(text) or record.keys."
    )


#: A word or phrase: a token, the span of its characters in the (first) text, or several of these.
MentionLike = TokenLike | Span | Sequence[TokenLike | Span]


def named_words(
    sequence: TokenSequence, mention: MentionLike, *, name: str = "mention"
) -> list[list[int]]:
    """Return the words that are named, each as the indices of its token pieces.

    Args:
        sequence: the tokens.
        mention: a word or phrase of the text, ``it#2`` for the second *it*; the label of a special
            token; the index of a token, which stands for itself alone; the span of its characters,
            a pair of numbers; or a list of these, for a mention in several places.
        name: what an error calls it.

    Raises:
        SelectionError: an index is out of range, or nothing is named.
        MentionError: a word is not there, or is there several times and not numbered.

    Example:
        >>> named_words(TokenSequence(("the", "cat", "saw", "it")), "the cat")
        [[0], [1]]
    """
    if isinstance(mention, str):
        return _words_called(sequence, mention, name)
    if not isinstance(mention, Sequence):
        return [[as_token(sequence, mention, name=name)]]
    if isinstance(mention, tuple) and len(mention) == 2 and not any(map(_is_many, mention)):
        return mention_pieces(with_text(sequence), _checked_span(sequence, mention, name))
    words = [word for part in mention for word in named_words(sequence, part, name=name)]
    if not words:
        raise SelectionError(f"Expected at least one word as `{name}`, got none. Name one.")
    return list({tuple(word): word for word in words}.values())


def _is_many(part: object) -> bool:
    return isinstance(part, str | Sequence)


def _words_called(sequence: TokenSequence, word: str, name: str) -> list[list[int]]:
    if (label := labeled(sequence, word)) is not None:
        return [[label]]
    text, span = place_of(sequence, word, name)
    return mention_pieces(with_text(sequence), span, role=name, sequence_id=text)


def _checked_span(sequence: TokenSequence, span: Sequence[Any], name: str) -> Span:
    start, end = map(int, span)
    length = len(with_text(sequence).texts[0])
    if not 0 <= start < end <= length:
        raise MentionError(
            f"Expected the span of `{name}` as 0 <= start < end <= {length}, got ({start}, {end}). "
            "Spans are half-open character offsets into the text; two tokens are a list."
        )
    return start, end


def find_tokens(sequence: TokenSequence, phrase: str) -> list[int]:
    """Return the tokens of a phrase in the (first) text, in order; ``it#2`` means the second *it*.

    Raises:
        MentionError: the phrase is not in the text, occurs several times, or was truncated.
    """
    sequence = with_text(sequence)
    span = find_mention(sequence.texts[0], phrase, role="token")
    return [index for word in mention_pieces(sequence, span, role="token") for index in word]
