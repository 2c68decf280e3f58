"""Which sentences are versions of one schema: they share at least half of their words."""

from __future__ import annotations

from collections.abc import Sequence

from introspect.text import segment_words

# Minimal pairs share at least this part of their words, counted from both ends.
_PAIR_SHARE = 0.5


def are_similar(first: str, second: str) -> bool:
    """Return whether two sentences share half of their words, counted from both ends.

    Example:
        >>> are_similar("It was too wide.", "It was too tired.")
        True
    """
    return _share(_words(first), _words(second)) >= _PAIR_SHARE


class SimilarTexts:
    """The group of each sentence seen so far; the versions of a schema share one.

    Two versions begin or end with the same two words, or nearly all: only such are compared.
    """

    def __init__(self) -> None:
        self._near: dict[tuple[str, ...], list[tuple[list[str], str]]] = {}

    def group_of(self, text: str, name: str) -> str:
        """Return the group of an earlier version of the sentence, or else ``name``."""
        words = _words(text)
        keys = [("first", *words[:2]), ("last", *words[-2:])]
        for key in keys:
            for other, group in self._near.get(key, ()):
                if _share(words, other) >= _PAIR_SHARE:
                    name = group
                    break
            else:
                continue
            break
        for key in keys:
            self._near.setdefault(key, []).append((words, name))
        return name


def _words(text: str) -> list[str]:
    return [text[start:end] for start, end in segment_words(text)]


def _share(a: Sequence[str], b: Sequence[str]) -> float:
    """Return the part of the words that two sentences share at their beginnings and ends."""
    shorter = min(len(a), len(b))
    head = next((i for i in range(shorter) if a[i] != b[i]), shorter)
    rest = shorter - head
    tail = next((i for i in range(rest) if a[-1 - i] != b[-1 - i]), rest)
    return (head + tail) / max(len(a), len(b), 1)
