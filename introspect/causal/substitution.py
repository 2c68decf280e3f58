"""Substitution of a candidate for the pronoun in a sentence."""

from __future__ import annotations

import re

from introspect.mentions import Candidate, CorefCase, Span

__all__ = ["substituted"]

_DETERMINERS = (
    "the", "a", "an", "this", "that", "these", "those", "my", "your", "his", "her", "its", "our",
    "their",
)  # fmt: skip
_BEFORE = re.compile(rf"\b(?P<word>{'|'.join(_DETERMINERS)})\s+$", re.IGNORECASE)
_POSSESSIVE = ("his", "its", "their")
# Words that cannot follow a possessive: before them, *her* is the object.
_AFTER_OBJECT = (
    "a", "after", "all", "an", "and", "as", "at", "because", "before", "but", "by", "for", "from",
    "if", "in", "into", "of", "on", "or", "out", "over", "so", "that", "the", "then", "to", "up",
    "when", "while", "who", "with",
)  # fmt: skip
_NEXT_WORD = re.compile(r"\s+(?P<word>[^\W\d_]+)")


def substituted(case: CorefCase, candidate: Candidate) -> tuple[str, Span]:
    """Return the text with a candidate in the pronoun's place, and the candidate's span there.

    In English an article, demonstrative or possessive before the candidate comes with it, without
    its capital, and is not part of the span. *His*, *its* and *their* become *'s*, and so does
    *her* before a word that it can possess. At the beginning of a sentence the first letter is
    capitalized.

    Example:
        >>> text = "The animal didn't cross the street because it was too tired."
        >>> case = CorefCase.from_words(text, pronoun="it", antecedent="animal")
        >>> substituted(case, case.candidates[0])
        ("The animal didn't cross the street because the animal was too tired.", (47, 53))
    """
    start, end = case.pronoun
    pronoun, phrase = case.phrase(case.pronoun).lower(), case.phrase(candidate.span)
    found = _BEFORE.search(case.text[: candidate.span[0]])
    before = f"{found['word'].lower()} " if found else ""
    possessive = "'s" if _is_possessive(pronoun, case.text[end:]) else ""
    if case.text[start].isupper() and pronoun != "i":
        before, phrase = _capital(before, phrase)
    text = case.text[:start] + before + phrase + possessive + case.text[end:]
    first = start + len(before)
    return text, (first, first + len(phrase))


def _is_possessive(pronoun: str, rest: str) -> bool:
    if pronoun in _POSSESSIVE:
        return True
    following = _NEXT_WORD.match(rest)
    return pronoun == "her" and following is not None and following["word"] not in _AFTER_OBJECT


def _capital(before: str, phrase: str) -> tuple[str, str]:
    if before:
        return before[0].upper() + before[1:], phrase
    return before, phrase[0].upper() + phrase[1:]
