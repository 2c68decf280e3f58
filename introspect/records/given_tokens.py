"""Tokens that any program made, with what is known of them, or refused in words."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from itertools import groupby
from numbers import Integral
from typing import Any

from introspect.errors import RecordError
from introspect.records.tokens import TokenSequence, check_labels, words_of_texts
from introspect.text import listed


def read_tokens(
    given: Any,
    *,
    special_tokens: Iterable[Any] | None = None,
    word_ids: Iterable[int | None] | None = None,
    offsets: Iterable[tuple[int, int]] | None = None,
    text: str | None = None,
) -> TokenSequence:
    """Return a sequence of tokens with what is known of them.

    Args:
        given: the tokens as text, or a sequence of them.
        special_tokens: the tokens that stand for no part of a text: 1 or 0 for each, or their
            labels, such as ``["[CLS]", "[SEP]"]``; by default those without a word.
        word_ids: the word of each token, as a tokenizer's ``word_ids()``; by default each token
            that is not special is a word.
        offsets: the characters of each token, as a tokenizer's ``offset_mapping``.
        text: the text of the tokens, whose words they are then given; with ``offsets``.

    Raises:
        RecordError: the tokens are no text, or a part is not one for each token.

    Example:
        >>> read_tokens(["[CLS]", "un", "##do"], word_ids=[None, 0, 0]).words
        ('undo',)
    """
    sequence = given if isinstance(given, TokenSequence) else TokenSequence(_labels(given))
    if word_ids is not None:
        sequence = _of_words(sequence, list(word_ids))
    if special_tokens is not None:
        mask = _special(sequence, list(special_tokens))
        words = sequence.word_ids
        if word_ids is None and not isinstance(given, TokenSequence):
            words = tuple(None if is_special else i for i, is_special in enumerate(mask))
        sequence = replace(sequence, special_tokens_mask=mask, word_ids=words)
    if offsets is not None:
        sequence = replace(sequence, offsets=_spans(offsets))
    return sequence if text is None else _in_text(sequence, text, has_words=word_ids is not None)


def _in_text(sequence: TokenSequence, text: str, *, has_words: bool) -> TokenSequence:
    """Return the tokens with their text, after comparing both.

    Raises:
        RecordError: the tokens have no offsets, or those of another text.
    """
    if not isinstance(text, str) or not text.strip():
        raise RecordError(f"Expected `text` as the text of the tokens, got {text!r:.60}.")
    if not any(end for _, end in sequence.offsets):
        raise RecordError(
            "Expected `offsets` beside `text`, the characters of each token: call the tokenizer "
            'with return_offsets_mapping=True and hand over encoding["offset_mapping"].'
        )
    for token, (start, end) in zip(sequence.tokens, sequence.offsets, strict=True):
        if end > len(text) or _differs(_bare(token), text[start:end]):
            raise RecordError(
                f"Expected `offsets` of the tokens in `text`, but the token {token!r} is at "
                f"({start}, {end}), where the text has {text[start:end]!r:.60}. Hand over the "
                "text that was tokenized."
            )
    if has_words:
        return replace(sequence, texts=(text,))
    mask = tuple(start == end for start, end in sequence.offsets)
    sequence_ids = [None if is_special else 0 for is_special in mask]
    word_ids, words = words_of_texts([text], sequence.offsets, sequence_ids, [None])
    return replace(
        sequence,
        texts=(text,),
        word_ids=tuple(word_ids),
        words=tuple(words),
        special_tokens_mask=mask,
        sequence_ids=tuple(sequence_ids),
    )


def _differs(token: str, part: str) -> bool:
    """Return whether a token of letters and digits stands for other characters than these."""
    if not (token.isascii() and token.isalnum() and part.strip()):
        return False  # Marks, and bytes of letters, are written in many ways.
    plain = unicodedata.normalize("NFKD", part.strip().casefold())
    letters = "".join(mark for mark in plain if not unicodedata.combining(mark))
    return letters.isascii() and letters != token.casefold()


def _labels(given: Any) -> tuple[str, ...]:
    """Return tokens as text.

    Raises:
        RecordError: they are something else; the message says what to hand over.
    """
    if isinstance(given, str | bytes):
        raise RecordError(
            f"Expected a list of tokens, got one text, {given!r:.60}. Hand over the tokens that "
            "the model saw: tokenizer.convert_ids_to_tokens(ids)."
        )
    if callable(getattr(given, "word_ids", None)) or hasattr(given, "input_ids"):
        raise RecordError(
            "Expected a list of tokens, got what a tokenizer returned. Hand over its tokens(), and "
            "word_ids=encoding.word_ids() beside them."
        )
    # A set has no order, and the keys of a dictionary are a vocabulary and no text.
    is_list = isinstance(given, Iterable) and not isinstance(given, Set | Mapping)
    if not is_list or getattr(given, "shape", None) == ():
        raise RecordError(
            f"Expected a list of tokens, got {given!r:.60}. Hand over the tokens that the model "
            "saw, special ones too."
        )
    labels = tuple(given)
    check_labels(labels)
    return tuple(map(str, labels))


def _special(sequence: TokenSequence, given: list[Any]) -> tuple[bool, ...]:
    if given and all(isinstance(item, str) for item in given):
        if strangers := sorted(set(given) - set(sequence.tokens)):
            _check_some_known(strangers, given)
        return tuple(token in given for token in sequence.tokens)
    _check_length("special_tokens", given, len(sequence))
    try:
        numbers = [int(item) for item in given]
    except (TypeError, ValueError):
        numbers = [-1]
    if set(numbers) - {0, 1}:
        raise RecordError(
            "Expected `special_tokens` as 1 or 0 for each token, or as labels such as '[CLS]', got "
            f"{given!r:.60}."
        )
    return tuple(map(bool, numbers))


def _check_some_known(strangers: list[str], given: list[str]) -> None:
    # A tokenizer's list of all special tokens has many that a text has not.
    if len(strangers) == len(set(given)):
        raise RecordError(
            "Expected `special_tokens` among the tokens, got "
            f"{listed(map(repr, strangers), most=5)}. Write them as the tokens are written."
        )


def _of_words(sequence: TokenSequence, given: list[Any]) -> TokenSequence:
    """Return the sequence in words: neighbors with the same id are one, those with none special."""
    _check_length("word_ids", given, len(sequence))
    for index, word in enumerate(given):
        if word is not None and not isinstance(word, int | Integral):
            raise RecordError(
                "Expected `word_ids` as whole numbers, or None for special tokens, got "
                f"{word!r} at place {index}."
            )
    ids: list[int | None] = []
    words: list[str] = []
    # The second text of a pair counts its words from 0 again, so that runs count and not ids.
    for word, group in groupby(range(len(given)), key=lambda index: given[index]):
        pieces = list(group)
        ids += [None if word is None else len(words)] * len(pieces)
        if word is not None:
            words.append("".join(_bare(sequence.tokens[index]) for index in pieces))
    mask = tuple(word is None for word in ids)
    return replace(sequence, word_ids=tuple(ids), words=tuple(words), special_tokens_mask=mask)


def _bare(piece: str) -> str:
    """Return a token without the marks by which vocabularies say where a word begins or ends."""
    return piece.removeprefix("##").lstrip("Ġ▁").removesuffix("</w>") or piece


def _spans(offsets: Iterable[Any]) -> tuple[tuple[int, int], ...]:
    spans = []
    for given in offsets:
        try:
            start, end = (int(edge) for edge in given)
        except (TypeError, ValueError):
            start, end = 1, 0
        if not 0 <= start <= end:
            raise RecordError(
                f"Expected `offsets` as pairs (start, end) of characters, got {given!r:.40}."
            )
        spans.append((start, end))
    return tuple(spans)


def _check_length(name: str, given: list[Any], count: int) -> None:
    if len(given) != count:
        raise RecordError(
            f"Expected `{name}` to have one entry for each of the {count} tokens, got {len(given)}."
        )
