"""A coreference case: a text, a pronoun in it, and what the pronoun may refer to.

All spans are half-open character offsets ``(start, end)`` into the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

import regex

from introspect.calls import checked_call, checked_class
from introspect.errors import MentionError, TextError
from introspect.text.characters import divides_word, segment_words, shortened
from introspect.text.english import counted, whole
from introspect.text.tokens import checked_words_span, joined_words, span_list

Span = tuple[int, int]

_NUMBERED = re.compile(r"(?P<phrase>.+)#(?P<number>\d{1,9})", re.DOTALL)
_MOST_NEAR = 3
#: A pronoun has no more candidates than this.
MOST_CANDIDATES = 1_000


@checked_class
@dataclass(frozen=True)
class Candidate:
    """One thing the pronoun may refer to; ``antecedent`` says whether it does."""

    span: Span
    antecedent: bool = False


@checked_class
@dataclass(frozen=True)
class CorefCase:
    """A text, the pronoun's span and the candidates', with at least one candidate.

    Args:
        text: the sentence or passage.
        pronoun: span of the pronoun.
        candidates: the antecedent and its distractors.
        group: cases of one group (minimal pairs, translations) stay together in every split.
        id: a name for tables and reports.
        extra: any other keys, kept as given.

    Raises:
        TextError: the text is empty.
        MentionError: a span is outside the text, empty, reversed, blank or overlaps the pronoun.

    Example:
        >>> case = CorefCase.from_words("The cat ate because it was hungry.",
        ...                             pronoun="it", antecedent="cat")
        >>> case.pronoun, case.candidates[0].span
        ((20, 22), (4, 7))
    """

    text: str
    pronoun: Span
    candidates: tuple[Candidate, ...]
    group: str | None = None
    id: str | None = None
    # Any JSON, some of which has no hash.
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise TextError("Expected a text with words in it, got an empty one. Give a sentence.")
        if not self.candidates:
            raise MentionError("Expected at least one candidate for the pronoun, got none.")
        _check_number(len(self.candidates))
        pronoun = _checked_span(self.text, self.pronoun, "pronoun")
        candidates = tuple(
            replace(c, span=_checked_span(self.text, c.span, "candidate")) for c in self.candidates
        )
        for start, end in (candidate.span for candidate in candidates):
            if start < pronoun[1] and pronoun[0] < end:
                raise MentionError(
                    f"Expected candidates apart from the pronoun, but {self.text[start:end]!r} at "
                    f"({start}, {end}) overlaps the pronoun at {pronoun}. Correct one of the two."
                )
        object.__setattr__(self, "pronoun", pronoun)
        object.__setattr__(self, "candidates", candidates)
        object.__setattr__(self, "extra", MappingProxyType(dict(self.extra)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only view cannot be pickled, which is needed to reach another process.
        kept = (self.text, self.pronoun, self.candidates, self.group, self.id, dict(self.extra))
        return type(self), kept

    @classmethod
    @checked_call
    def from_words(
        cls,
        text: str,
        *,
        pronoun: str,
        antecedent: str | None = None,
        distractors: Iterable[str] = (),
        group: str | None = None,
        id: str | None = None,
    ) -> CorefCase:
        """Find the words in the text; ``it#2`` means the second *it*.

        Raises:
            MentionError: a word is not in the text, or occurs several times.
        """
        distractors = (distractors,) if isinstance(distractors, str) else tuple(distractors)
        _check_number(len(distractors))
        candidates = (
            []
            if antecedent is None
            else [Candidate(find_mention(text, antecedent, role="antecedent"), antecedent=True)]
        )
        candidates += [Candidate(find_mention(text, d, role="distractor")) for d in distractors]
        return cls(
            text=text,
            pronoun=find_mention(text, pronoun, role="pronoun"),
            candidates=tuple(candidates),
            group=group,
            id=id,
        )

    @classmethod
    @checked_call
    def from_tokens(
        cls,
        words: Iterable[str],
        *,
        pronoun: Span,
        antecedents: Iterable[Span] | Span = (),
        distractors: Iterable[Span] | Span = (),
        spaces: bool | Sequence[bool] = True,
        group: str | None = None,
        id: str | None = None,
    ) -> CorefCase:
        """Return the case of words and half-open spans of words, counted from 0.

        The text is made of the words: with one space between two by default, exactly as it was
        where ``spaces`` says so (``[bool(t.whitespace_) for t in doc]`` of a spaCy document).

        Args:
            words: the words, in order.
            pronoun: its words; ``(8, 9)`` is the word 8 alone.
            antecedents: the spans that the pronoun refers to.
            distractors: those that it does not.
            spaces: whether a space follows each word: a flag for each, or one for all.
            group: as in a case.
            id: as in a case.

        Raises:
            InputError: the words are not strings, or ``spaces`` does not fit them.
            TextError: there are no words, or one is empty.
            MentionError: a span is not one of the words, or overlaps the pronoun.

        Example:
            >>> words = "The cat ate because it was hungry .".split()
            >>> case = CorefCase.from_tokens(words, pronoun=(4, 5), antecedents=[(0, 2)])
            >>> case.phrase(case.pronoun), case.phrase(case.candidates[0].span)
            ('it', 'The cat')
        """
        text, places = joined_words(words, spaces)

        def characters(span: Span, role: str) -> Span:
            first, end = checked_words_span(span, len(places), role)
            return places[first][0], places[end - 1][1]

        candidates = [
            Candidate(characters(span, role), antecedent=role == "antecedent")
            for role, spans in (("antecedent", antecedents), ("distractor", distractors))
            for span in span_list(spans)
        ]
        return cls(text, characters(pronoun, "pronoun"), tuple(candidates), group, id)

    @property
    def antecedents(self) -> tuple[Candidate, ...]:
        """The candidates the pronoun does refer to."""
        return tuple(c for c in self.candidates if c.antecedent)

    @property
    def distractors(self) -> tuple[Candidate, ...]:
        """The candidates it does not refer to."""
        return tuple(c for c in self.candidates if not c.antecedent)

    @property
    def is_forced_choice(self) -> bool:
        """Return whether the case offers a right and a wrong answer (methods, rule 6)."""
        return bool(self.antecedents) and bool(self.distractors)

    def phrase(self, span: Span) -> str:
        """Return the text of a span."""
        return self.text[span[0] : span[1]]


def find_mention(text: str, phrase: str, *, role: str = "mention") -> Span:
    """Find the one place where ``phrase`` occurs in ``text`` as whole words.

    ``phrase#2`` picks the second place. Case is respected first; it is ignored only if the phrase
    does not occur as written.

    Example:
        >>> find_mention("It rained, and it stopped.", "it")
        (15, 17)

    Raises:
        TextError: the text is empty.
        MentionError: the phrase is not in the text, or occurs several times and no number is given.
    """
    if not text.strip():
        raise TextError("Expected a text with words in it, got an empty one. Give a sentence.")
    phrase, number, spans = _read(text, phrase)
    if not spans:
        raise MentionError(
            f"Expected the {role} {phrase!r} as a word of the text, but it is not there: "
            f"{shortened(text)!r}. Check the spelling{_nearest(text, phrase)}."
        )
    if number is None and len(spans) > 1:
        raise MentionError(
            f"Expected one {role} {phrase!r}, but the text has {len(spans)}. Say which one with "
            f"a number from {phrase}#1 to {phrase}#{len(spans)}, for example {phrase}#2."
        )
    if number is not None and not 1 <= number <= len(spans):
        raise MentionError(
            f"Expected {phrase}#1 to {phrase}#{len(spans)} as {role}, got {phrase}#{number}: "
            f"the text has {phrase!r} {counted(len(spans), 'time')}."
        )
    return spans[(number or 1) - 1]


def occurrences(text: str, phrase: str) -> list[Span]:
    """Return all places where a phrase, numbered or not, occurs in a text as whole words.

    Example:
        >>> occurrences("It rained, and it stopped, and it rained.", "it#2")
        [(15, 17), (31, 33)]
    """
    return _read(text, phrase)[2]


def _read(text: str, phrase: str) -> tuple[str, int | None, list[Span]]:
    """Return a phrase without its number, the number, and where the phrase occurs."""
    spans = _occurrences(text, phrase)
    if not spans and (match := _NUMBERED.fullmatch(phrase)):
        return match["phrase"], int(match["number"]), _occurrences(text, match["phrase"])
    return phrase, None, spans


def _nearest(text: str, phrase: str) -> str:
    """Return the words of a text that a misspelled one may stand for, in brackets."""
    words = {text[start:end].lower(): text[start:end] for start, end in segment_words(text)}
    near = get_close_matches(phrase.lower(), words, n=_MOST_NEAR)
    return f" (nearest: {', '.join(repr(words[each]) for each in near)})" if near else ""


def _occurrences(text: str, phrase: str) -> list[Span]:
    if not phrase.strip():
        return []
    # One letter with its mark may be written as one character or as two.
    forms = dict.fromkeys([phrase, *(unicodedata.normalize(f, phrase) for f in ("NFC", "NFD"))])
    tries = [(form, flags) for flags in (0, regex.IGNORECASE) for form in forms]
    return next((spans for each in tries if (spans := _places(text, *each))), [])


def _places(text: str, phrase: str, flags: int) -> list[Span]:
    """Return where a phrase occurs, one place after the other, without dividing a word."""
    places: list[Span] = []
    for match in regex.finditer(regex.escape(phrase), text, flags, overlapped=True):
        is_after = not places or places[-1][1] <= match.start()
        if is_after and not any(divides_word(text, offset) for offset in match.span()):
            places.append(match.span())
    return places


def _check_number(candidates: int) -> None:
    if candidates > MOST_CANDIDATES:
        raise MentionError(
            f"Expected at most {whole(MOST_CANDIDATES)} candidates for the pronoun, got "
            f"{whole(candidates)}. Leave out the farthest."
        )


def _checked_span(text: str, span: Span, role: str) -> Span:
    start, end = (int(span[0]), int(span[1]))
    if not 0 <= start < end <= len(text):
        raise MentionError(
            f"Expected the span of the {role} as 0 <= start < end <= {len(text)}, "
            f"got ({start}, {end}). Spans are half-open character offsets into the text."
        )
    if not text[start:end].strip():
        raise MentionError(
            f"Expected a word at the span of the {role}, but ({start}, {end}) holds only spaces."
        )
    return start, end
