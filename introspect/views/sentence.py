"""A case's sentence as a reader sees it: units that stand in a line, each with its token pieces.

A unit is a word, or the part of a word that a mention covers: in ``animal's`` with the candidate
``animal`` there are two, without a space between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from introspect.alignment import mention_pieces
from introspect.mentions import CorefCase, Span
from introspect.records import TokenSequence
from introspect.text import visible_text

__all__ = ["Mention", "Role", "Sentence", "Unit", "read_sentence"]

Role = Literal["pronoun", "antecedent", "distractor", "other"]


@dataclass(frozen=True)
class Unit:
    """A word or part of one.

    Args:
        text: what to show.
        before: the characters between this unit and the one before it.
        span: where it is in the text.
        tokens: indices of its pieces.
        role: what it is in the case; an antecedent inside a distractor is an antecedent.
    """

    text: str
    before: str
    span: Span
    tokens: tuple[int, ...]
    role: Role


@dataclass(frozen=True)
class Mention:
    """A candidate: its text, its words as token indices, and the units it covers."""

    text: str
    is_antecedent: bool
    words: tuple[tuple[int, ...], ...]
    units: tuple[int, ...]


@dataclass(frozen=True)
class Sentence:
    """The units of a text in order, and the mentions among them.

    Args:
        units: what stands in the line.
        after: the characters behind the last unit.
        pronoun: the words of the pronoun, each as token indices.
        candidates: in the order of the case.
        left_out: tokens that belong to no unit: special ones, and those of a second text.
    """

    units: tuple[Unit, ...]
    after: str
    pronoun: tuple[tuple[int, ...], ...]
    candidates: tuple[Mention, ...]
    left_out: tuple[int, ...]

    @property
    def pronoun_tokens(self) -> tuple[int, ...]:
        """The pieces of the pronoun."""
        return tuple(token for word in self.pronoun for token in word)


def read_sentence(sequence: TokenSequence, case: CorefCase) -> Sentence:
    """The units and mentions of a case among the tokens that the model saw.

    Raises:
        MentionError: no token stands for the pronoun or a candidate.
    """
    pronoun = _words(sequence, case.pronoun, "pronoun")
    found = [_words(sequence, c.span, "candidate") for c in case.candidates]
    owners = [{i for word in words for i in word} for words in (pronoun, *found)]
    units = _with_gaps(case.text, _units(sequence, case, owners))
    candidates = tuple(
        Mention(
            text=visible_text(case.phrase(candidate.span)),
            is_antecedent=candidate.antecedent,
            words=words,
            units=tuple(n for n, unit in enumerate(units) if owned.intersection(unit.tokens)),
        )
        for candidate, words, owned in zip(case.candidates, found, owners[1:], strict=True)
    )
    inside = {token for unit in units for token in unit.tokens}
    return Sentence(
        units=tuple(units),
        after=visible_text(case.text[units[-1].span[1] :]),
        pronoun=pronoun,
        candidates=candidates,
        left_out=tuple(i for i in range(len(sequence)) if i not in inside),
    )


def _words(sequence: TokenSequence, span: Span, role: str) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(word) for word in mention_pieces(sequence, span, role=role))


def _units(sequence: TokenSequence, case: CorefCase, owners: Sequence[set[int]]) -> list[Unit]:
    units: list[Unit] = []
    last: object = None
    for index, (start, end) in enumerate(sequence.offsets):
        mentions = tuple(number for number, owned in enumerate(owners) if index in owned)
        is_special = sequence.special_tokens_mask[index] and not mentions
        if is_special or sequence.sequence_ids[index] != 0 or not case.text[start:end].strip():
            continue
        word = sequence.word_ids[index]
        # A piece without a word stands alone.
        key = (word, mentions) if word is not None else (None, index)
        if key == last:
            unit = units[-1]
            span = (unit.span[0], max(end, unit.span[1]))
            units[-1] = replace(unit, span=span, tokens=(*unit.tokens, index))
        else:
            units.append(Unit("", "", (start, end), (index,), _role(case, mentions)))
        last = key
    return units


def _role(case: CorefCase, mentions: Sequence[int]) -> Role:
    if 0 in mentions:
        return "pronoun"
    golds = [case.candidates[number - 1].antecedent for number in mentions]
    if not golds:
        return "other"
    return "antecedent" if any(golds) else "distractor"


def _with_gaps(text: str, units: Sequence[Unit]) -> list[Unit]:
    """The units with their characters, and with what stands between them."""
    finished = []
    position = 0
    for unit in units:
        start, end = _stripped(text, unit.span)
        shown, gap = visible_text(text[start:end]), visible_text(text[position:start])
        finished.append(replace(unit, span=(start, end), text=shown, before=gap))
        position = max(position, end)
    return finished


def _stripped(text: str, span: Span) -> Span:
    # Some vocabularies count the space before a word as part of its first piece.
    start, end = span
    inner = text[start:end]
    return start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())
