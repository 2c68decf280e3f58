"""Which sentences are versions of one schema: they share at least half of their words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import ceil

from introspect.text import segment_words

# Minimal pairs share at least this part of their words, counted from both ends.
_PAIR_SHARE = 0.5
# So many words at one end tell sentences apart well enough.
_LONGEST_END = 6


def are_similar(first: str, second: str) -> bool:
    """Return whether two sentences share half of their words, counted from both ends.

    Example:
        >>> are_similar("It was too wide.", "It was too tired.")
        True
    """
    return _share_half(_words(first), _words(second))


class SimilarTexts:
    """The group of each sentence seen so far; the versions of a schema share one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str | int, ...], list[tuple[list[str], str]]] = {}

    def group_of(self, text: str, name: str) -> str:
        """Return the group of an earlier version of the sentence, or else ``name``."""
        words = _words(text)
        # Of the half that two versions share, one end has half: only such are compared.
        near = (self._known.get(key, ()) for key in _ends(words, _quarter(words)))
        for other, group in chain.from_iterable(near):
            if _share_half(words, other):
                name = group
                break
        for number in range(1, min(len(words), _LONGEST_END) + 1):
            for key in _ends(words, number):
                self._known.setdefault(key, []).append((words, name))
        return name


def _quarter(words: Sequence[str]) -> int:
    return min(ceil(ceil(_PAIR_SHARE * len(words)) / 2), _LONGEST_END)


def _ends(words: Sequence[str], number: int) -> list[tuple[str | int, ...]]:
    return [(0, *words[:number]), (1, *words[-number:])] if number else []


def _words(text: str) -> list[str]:
    return [text[start:end] for start, end in segment_words(text)]


def _share_half(a: Sequence[str], b: Sequence[str]) -> bool:
    """Return whether two sentences share enough of their words, counted from both ends."""
    shorter, longer = sorted((len(a), len(b)))
    needed = ceil(_PAIR_SHARE * longer)
    if needed > shorter or not shorter:
        return shorter == longer
    # Most share one end only.
    if a[0] != b[0]:
        return a[-needed:] == b[-needed:]
    if a[-1] != b[-1]:
        return a[:needed] == b[:needed]
    head = next((i for i in range(shorter) if a[i] != b[i]), shorter)
    rest = shorter - head
    tail = next((i for i in range(rest) if a[-1 - i] != b[-1 - i]), rest)
    return head + tail >= needed
