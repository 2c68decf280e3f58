"""Where the phrases of a schema are in its sentence."""

from __future__ import annotations

from collections.abc import Sequence

from introspect.io import RowError
from introspect.text import Span, occurrences, shortened


def found_phrases(text: str, phrases: Sequence[str], apart: Span) -> list[Span]:
    """Return the first place of each phrase as whole words, apart from a span and each other.

    Longer phrases are found first, so that a name is not taken for a part of a longer one.

    Raises:
        RowError: a phrase is empty or not there.

    Example:
        >>> found_phrases("Jo's dog met Jo and he ran.", ["Jo", "Jo's dog"], (20, 22))
        [(13, 15), (0, 8)]
    """
    spans: dict[int, Span] = {}
    for place in sorted(range(len(phrases)), key=lambda i: -len(phrases[i])):
        taken = (apart, *spans.values())
        spans[place] = found_phrase(text, phrases[place], "candidate", taken)
    return [spans[place] for place in range(len(phrases))]


def found_phrase(text: str, phrase: str, role: str, taken: Sequence[Span] = ()) -> Span:
    """Return the first place of a phrase as whole words, apart from spans that are taken.

    Raises:
        RowError: the phrase is empty or not there.
    """
    phrase = phrase.strip()
    for start, end in occurrences(text, phrase) if phrase else []:
        if all(end <= first or last <= start for first, last in taken):
            return start, end
    raise RowError(
        f"Expected the {role} {shortened(phrase, 40)!r} as words of the sentence, but it is not "
        "there.",
        kind="mention",
    )
