"""The characters of each piece of a text, found from the pieces and held to the text.

A tokenizer written in Python does not say which characters a token stands for. Its pieces say it
where they give the text once they are put together. Vocabularies spell pieces in a few ways, and
normalize text in a few ways, before they divide it; what fits none of these, or fits in two ways
that differ, is not guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from introspect.text.folding import FOLDS
from introspect.text.mentions import Span
from introspect.text.spelling import Letter, Run, spelled


def places_of_pieces(
    text: str,
    pieces: Sequence[str],
    *,
    unknown: Collection[str] = (),
    divide: Callable[[str], Sequence[str]] | None = None,
) -> list[Span] | None:
    r"""Return the characters of each piece of a text, or ``None`` where they are not sure.

    Put together, the pieces have to give the text: as it stands; without its spaces; after
    compatibility decomposition (NFKD) and without control characters; without case; without
    accents; or with plain punctuation, in this order. A piece may be spelled as it is, by its
    bytes, with the mark of a word's beginning (``▁``) or end (``</w>``), or of a piece that
    continues (``##``) or is continued (``@@``).

    Args:
        text: the text.
        pieces: what a tokenizer makes of it.
        unknown: pieces that stand for characters which the vocabulary does not have; they are
            placed where only one place is left for them.
        divide: a function that divides a part of the text into pieces, to place unknown ones by.

    Returns:
        The half-open span of each piece, without the spaces before it. A piece of spaces alone has
        the spaces; one that stands for nothing has an empty span.

    Example:
        >>> places_of_pieces("Undoing it", ["un", "##do", "##ing", "it"])
        [(0, 2), (2, 4), (4, 7), (8, 10)]
        >>> places_of_pieces("中", ["ä", "¸", "\xad"])
        [(0, 1), (0, 1), (0, 1)]
        >>> places_of_pieces("Undoing it", ["re", "##do"]) is None
        True
    """
    found = _placed(text, pieces, unknown)
    if found is not None or divide is None or not any(piece in unknown for piece in pieces):
        return found
    for parts in (_words(text), _words_and_marks(text)):
        found = _placed_by_parts(text, pieces, unknown, parts, divide)
        if found is not None:
            return found
    return None


def _placed_by_parts(
    text: str,
    pieces: Sequence[str],
    unknown: Collection[str],
    parts: Sequence[Span],
    divide: Callable[[str], Sequence[str]],
) -> list[Span] | None:
    """Place the pieces of each part in it, if the parts have the same pieces as the text."""
    divided = [list(divide(text[start:end])) for start, end in parts]
    if [piece for part in divided for piece in part] != list(pieces):
        return None
    spans: list[Span] = []
    for (first, end), part in zip(parts, divided, strict=True):
        placed = _placed(text[first:end], part, unknown)
        if placed is None:
            return None
        spans += [(first + start, first + stop) for start, stop in placed]
    return spans


def _words(text: str) -> list[Span]:
    return [match.span() for match in re.finditer(r"\S+", text)]


def _words_and_marks(text: str) -> list[Span]:
    """Return the parts that BERT's tokenizer reads apart: words, marks, and CJK characters."""
    return [match.span() for match in re.finditer(r"[^\W\u2e80-\u9fff\uf900-\ufaff_]+|\S", text)]


def _placed(text: str, pieces: Sequence[str], unknown: Collection[str]) -> list[Span] | None:
    """Return the places that the first normalization gives, if all spellings agree on them."""
    readings: list[Sequence[Run]] = []
    for reading in spelled(pieces, unknown):
        if reading not in readings:
            readings.append(reading)
    for fold in FOLDS:
        written = _Written.of(text, fold)
        found = [
            _filled(text, spans)
            for runs in readings
            if (spans := _aligned(written, runs, fold, len(pieces))) is not None
        ]
        if found:
            return found[0] if all(each == found[0] for each in found) else None
    return None


class _Written(NamedTuple):
    """A normalized text: its characters, where each comes from in the text itself, and its words.

    A character ``begins`` where one of the text does, with its accents; ``word_ends`` has for each
    character where its word ends, before a space.
    """

    marks: str
    places: list[int]
    begins: list[bool]
    word_ends: list[int]

    @classmethod
    def of(cls, text: str, fold: Callable[[str], str]) -> _Written:
        """Normalize a text."""
        folded = [fold(mark) for mark in text]
        places = [place for place, parts in enumerate(folded) for _ in parts]
        marks = "".join(folded)
        begins = [
            (index == 0 or places[index - 1] != place) and unicodedata.combining(text[place]) == 0
            for index, place in enumerate(places)
        ]
        word_ends = [len(marks)] * len(marks)
        for index in range(len(marks) - 2, -1, -1):
            between = text[places[index] + 1 : places[index + 1]]
            is_last = marks[index + 1].isspace() or any(mark.isspace() for mark in between)
            word_ends[index] = index + 1 if is_last else word_ends[index + 1]
        return cls(marks, places, begins, word_ends)

    def is_unknown(self, start: int, end: int) -> bool:
        """Return whether an unknown piece can stand here: whole characters, within a word."""
        return (
            start < len(self.marks)
            # An accent is never one of its own.
            and self.begins[start]
            and not self.marks[start].isspace()
            and start < end <= self.word_ends[start]
            and (end == len(self.marks) or self.begins[end])
        )

    def ends_of_unknown(self, starts: Iterable[int]) -> set[int]:
        """Return where an unknown piece can end that begins at one of some places."""
        found: set[int] = set()
        last = -1
        for start in sorted(starts):
            end = self.word_ends[start] if start < len(self.marks) else last
            # From a later place of the same word it ends nowhere else.
            if end == last or not self.is_unknown(start, end):
                continue
            found |= {stop for stop in range(start + 1, end + 1) if self.is_unknown(start, stop)}
            last = end
        return found


def _aligned(
    written: _Written, runs: Sequence[Run], fold: Callable[[str], str], count: int
) -> list[Span | None] | None:
    """Return the characters of each piece, if what they spell gives the text in one way alone."""
    folded = [
        run if isinstance(run, int) else [
            Letter(part, letter.first, letter.last) for letter in run for part in fold(letter.mark)
        ]
        for run in runs
    ]  # fmt: skip
    ends = _ends_of_runs(written, folded)
    if ends is None:
        return None
    spans: list[Span | None] = [None] * count
    for run, start, end in zip(folded, [0, *ends], ends, strict=False):
        letters = [Letter("", run, run)] * (end - start) if isinstance(run, int) else run
        for place, letter in zip(written.places[start:end], letters, strict=True):
            for number in range(letter.first, letter.last + 1):
                first, last = spans[number] or (place, place + 1)
                spans[number] = min(first, place), max(last, place + 1)
    return spans


def _ends_of_runs(written: _Written, runs: Sequence[Run]) -> list[int] | None:
    """Return where each run ends in the text, or ``None`` if that is nowhere, or not sure."""
    reached = [{0}]
    for run in runs:
        reached.append(_ends_from(written, run, reached[-1]))
        if not reached[-1]:
            return None
    # Backwards, only those ends stay that lead to the end of the text.
    ends: list[int] = []
    after = {len(written.marks)}
    for run, starts, stops in zip(reversed(runs), reached[-2::-1], reached[:0:-1], strict=True):
        right = stops & after
        if len(right) != 1:
            return None
        (end,) = right
        ends.append(end)
        after = _starts_of(written, run, starts, end)
    return ends[::-1] if after == {0} else None


def _ends_from(written: _Written, run: Run, starts: set[int]) -> set[int]:
    """Return where a run can end that begins at one of some places."""
    if isinstance(run, int):
        return written.ends_of_unknown(starts)
    marks = _marks(run)
    return {start + len(marks) for start in starts if written.marks.startswith(marks, start)}


def _starts_of(written: _Written, run: Run, starts: set[int], end: int) -> set[int]:
    """Return those places at which a run can begin that ends at a place."""
    if isinstance(run, int):
        return {start for start in starts if written.is_unknown(start, end)}
    start = end - len(marks := _marks(run))
    return {start} & starts if written.marks.startswith(marks, max(0, start)) else set()


def _marks(run: Iterable[Letter]) -> str:
    return "".join(letter.mark for letter in run)


def _filled(text: str, spans: Sequence[Span | None]) -> list[Span]:
    """Return all spans without the spaces before them; pieces of spaces get the spaces."""
    filled: list[Span] = []
    end = 0
    for number, span in enumerate(spans):
        if span is None:
            filled.append(_spaces(text, end, spans, number))
            continue
        start, end = span
        inner = text[start:end]
        skipped = len(inner) - len(inner.lstrip()) if inner.strip() else 0
        filled.append((start + skipped, end))
    return filled


def _spaces(text: str, end: int, spans: Sequence[Span | None], number: int) -> Span:
    """Return the spaces of a piece that spells no letter, between ``end`` and the next that does.

    Several such pieces in a row have one space each, if they are as many as the spaces.
    """
    first, last = number, number
    while first and spans[first - 1] is None:
        first -= 1
    while last < len(spans) and spans[last] is None:
        last += 1
    start = len(text) if last == len(spans) else (spans[last] or (0, 0))[0]
    between = text[end:start]
    if not between.isspace():
        return start, start
    if len(between) == last - first:
        return end + number - first, end + number - first + 1
    return end, start
