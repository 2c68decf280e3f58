"""Segment texts that are written without spaces, with an existing library."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import Any

from introspect.errors import MissingExtraError
from introspect.text.characters import is_unspaced, segment_words

Span = tuple[int, int]


def chinese_words(text: str) -> list[Span]:
    """Return the spans of the words of a text, Chinese by jieba, others by the rule for all texts.

    Without jieba every character is a separate word, and a mention of two characters is scored as
    two words: the mean of what they get, not the sum.

    Args:
        text: the text.

    Raises:
        MissingExtraError: jieba is not installed.

    Example:
        >>> chinese_words("狐狸过河")  # doctest: +SKIP
        [(0, 2), (2, 4)]
    """
    spans = segment_words(text)
    words: list[Span] = []
    for is_run, group in groupby(_runs(text, spans), key=lambda item: item[0]):
        members = [span for _, span in group]
        words += _divided(text, members) if is_run is not None else members
    return words


def _runs(text: str, spans: list[Span]) -> Iterator[tuple[int | None, Span]]:
    """Yield each word with the number of the unbroken run of characters it is in, if any."""
    number, last = 0, -1
    for start, end in spans:
        if not is_unspaced(text[start]):
            yield None, (start, end)
            continue
        number += start != last
        last = end
        yield number, (start, end)


def _divided(text: str, characters: list[Span]) -> list[Span]:
    start, end = characters[0][0], characters[-1][1]
    words = _jieba().tokenize(text[start:end])
    # jieba divides what it does not know by code points, also a letter from its mark.
    ends = sorted({start + last for _, _, last in words} & {last for _, last in characters})
    return list(zip([start, *ends], ends, strict=False))


@cache
def _jieba() -> Any:
    try:
        with warnings.catch_warnings():
            # jieba still imports setuptools for its own files.
            warnings.simplefilter("ignore")
            import jieba
    except ImportError as error:
        raise MissingExtraError("jieba", "chinese", "dividing Chinese into words") from error
    jieba.setLogLevel(logging.ERROR)
    return jieba
