"""Words put together: the text they make, and where each is in it."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any, SupportsIndex

from introspect.errors import InputError, MentionError, TextError
from introspect.text.characters import shortened

_SHOWN = 60


def joined_words(
    words: Iterable[str], spaces: bool | Sequence[bool] = True
) -> tuple[str, list[tuple[int, int]]]:
    """Return the text that words make, and the characters of each word in it.

    Args:
        words: the words, in order.
        spaces: whether a space follows each word: a flag for each, or one for all.

    Raises:
        InputError: a word is not a string, or there are not as many flags as words.
        TextError: there is no word, or one is empty.

    Example:
        >>> joined_words(["It", "is", "n't", "."], [True, False, False, False])
        ("It isn't.", [(0, 2), (3, 5), (5, 8), (8, 9)])
    """
    words = _checked_words(words)
    flags = [spaces] * len(words) if isinstance(spaces, bool) else [bool(s) for s in spaces]
    if len(flags) != len(words):
        raise InputError(
            f"Expected a flag of `spaces` for each of {len(words)} words, got {len(flags)}. "
            "Give one for each, or True or False for all."
        )
    pieces, places, end = [], [], 0
    for word, has_space in zip(words, flags, strict=True):
        places.append((end, end + len(word)))
        pieces.append(word + " " * has_space)
        end += len(pieces[-1])
    # The space after the last word is not part of the text.
    return "".join(pieces)[: places[-1][1]], places


def _checked_words(given: Any) -> list[str]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InputError(
            f"Expected a list of words, got {shortened(repr(given), _SHOWN)}. For a text as it "
            'stands use CorefCase.from_words(text, pronoun="it", …).'
        )
    words: list[str] = list(given)
    if not words:
        raise TextError("Expected a list of words, got an empty one.")
    for place, word in enumerate(words):
        if not isinstance(word, str):
            raise InputError(
                f"Expected each word as a string, got {shortened(repr(word), _SHOWN)} as word "
                f"{place}. Give the words themselves, not their numbers."
            )
        if not word:
            raise TextError(f"Expected words that are not empty, but word {place} is.")
    return words


def checked_words_span(span: Any, num_words: int, role: str) -> tuple[int, int]:
    """Return a half-open span of words as two whole numbers.

    Raises:
        MentionError: it is no such span, or not one of ``num_words`` words.
    """
    example = "(8, 9) is the word 8 alone"
    try:
        start, end = (_whole(number) for number in span)
    except (TypeError, ValueError) as error:
        raise MentionError(
            f"Expected the {role} as (first word, word after the last), from 0, where {example}; "
            f"got {shortened(repr(span), _SHOWN)}."
        ) from error
    if 0 <= start == end < num_words:
        raise MentionError(
            f"Expected the {role} as a half-open span of words, where {example}; got "
            f"({start}, {end}), which holds none. If the second number is the last word's, add 1."
        )
    if not 0 <= start < end <= num_words:
        raise MentionError(
            f"Expected the {role} as 0 <= start < end <= {num_words}, the number of words; got "
            f"({start}, {end}). Spans are of words, not of characters."
        )
    return start, end


def _whole(number: SupportsIndex) -> int:
    # In Python, True is an int.
    if isinstance(number, bool):
        raise TypeError("a truth value is no number of a word")
    return operator.index(number)


def span_list(given: Any) -> list[Any]:
    """Return a list of spans; a single span, where a list of one is meant, is one.

    Example:
        >>> span_list([(0, 2), (5, 7)]), span_list((0, 2)), span_list(())
        ([(0, 2), (5, 7)], [(0, 2)], [])
    """
    spans = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    if len(spans) == 2 and all(hasattr(number, "__index__") for number in spans):
        return [tuple(spans)]
    return spans
