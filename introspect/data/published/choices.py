"""Schemas as JSON: a sentence, its pronoun, a list of candidates, and which of them is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from introspect.data.outcomes import checked_case
from introspect.data.published.phrases import found_phrase, found_phrases
from introspect.data.similar import SimilarTexts
from introspect.io import RowError
from introspect.text import CorefCase, Span, divides_word, shortened

_TEXTS = ("sentence", "text")
_CANDIDATES = ("candidates", "options")
_ANSWERS = ("label", "answer", "correct")


def is_choices(fields: Mapping[str, Any]) -> bool:
    """Return whether an object is a schema with candidates as words.

    Example:
        >>> is_choices({"text": "It ran.", "pronoun": "It", "options": ["a", "b"], "label": 0})
        True
    """
    candidates = _first(fields, _CANDIDATES)
    return (
        isinstance(_first(fields, _TEXTS), str)
        and isinstance(fields.get("pronoun"), str)
        and isinstance(candidates, list)
        and bool(candidates)
        and all(isinstance(each, str) for each in candidates)
    )


def case_of_choices(fields: Mapping[str, Any], name: str, groups: SimilarTexts) -> CorefCase:
    """Return the case that a schema makes.

    The answer is the number of a candidate, from 0, or its words. The pronoun is at the character
    ``pronoun_loc`` where the object says so, or else at its first occurrence.

    Args:
        fields: keys and values of the object.
        name: the name of the case.
        groups: texts seen so far, by which versions of a schema are told.

    Raises:
        RowError: it is no schema, or has no answer.
    """
    if not is_choices(fields):
        raise RowError(
            f"Expected a text ({' or '.join(_TEXTS)}), its pronoun, and {' or '.join(_CANDIDATES)} "
            f"as a list of words, got the keys {shortened(', '.join(fields), 100) or 'none'}.",
            kind="missing_key",
        )
    text = _first(fields, _TEXTS)
    candidates = [each.strip() for each in _first(fields, _CANDIDATES)]
    right = _right(_first(fields, _ANSWERS), candidates)
    pronoun = _pronoun(text, fields["pronoun"].strip(), fields.get("pronoun_loc"))
    spans = found_phrases(text, candidates, pronoun)
    answers = [place == right for place in range(len(candidates))]
    return checked_case(
        text,
        pronoun,
        sorted(zip(spans, answers, strict=True)),
        group=groups.group_of(text, name),
        id=name,
    )


def _first(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if fields.get(name) is not None), None)


def _right(answer: Any, candidates: list[str]) -> int:
    """Return the number of the right candidate."""
    words = [candidate.casefold() for candidate in candidates]
    if isinstance(answer, str) and words.count(answer.strip().casefold()) == 1:
        return words.index(answer.strip().casefold())
    if isinstance(answer, str) and answer.strip().isdecimal():
        answer = int(answer)
    if answer in (None, "", -1):
        raise RowError("The row has no answer, as in a test set.", kind="label")
    if type(answer) is not int or not 0 <= answer < len(candidates):
        raise RowError(
            f"Expected the answer as a number from 0 to {len(candidates) - 1}, or as one of the "
            f"candidates, got {str(answer)[:40]!r}.",
            kind="label",
        )
    return answer


def _pronoun(text: str, word: str, place: Any) -> Span:
    if type(place) is not int:
        return found_phrase(text, word, "pronoun")
    end = place + len(word)
    is_there = place >= 0 and text[place:end].casefold() == word.casefold() and word
    if not is_there or divides_word(text, place) or divides_word(text, end):
        raise RowError(
            f"Expected the pronoun {word[:40]!r} at character {place}, got "
            f"{text[max(place, 0) : end][:40]!r}.",
            kind="span",
        )
    return place, end
