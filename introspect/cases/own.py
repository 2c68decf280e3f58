"""A small original set of cases, free to use for anything (CC0-1.0).

Minimal pairs in the manner of Winograd's schemas: one word differs, and with it the antecedent.
They are new sentences, so no model has learned them from a published collection. There are too few
to support any claim: they are for demonstrations and tests.
"""

from __future__ import annotations

from importlib.resources import files

from introspect.cases.jsonl import case_from_json
from introspect.errors import SelectionError
from introspect.mentions import CorefCase

__all__ = ["own_cases"]

_LANGUAGES = ("en", "zh")


def own_cases(language: str = "en") -> list[CorefCase]:
    """Return the cases in ``"en"`` or ``"zh"`` (simplified); a minimal pair is one group.

    ``extra`` has ``licence`` and ``lang``.

    Raises:
        SelectionError: no cases exist in this language.

    Example:
        >>> first, second = own_cases()[:2]
        >>> first.group == second.group
        True
    """
    if language not in _LANGUAGES:
        raise SelectionError(f"Expected a language from {', '.join(_LANGUAGES)}, got {language!r}.")
    data = files("introspect.cases") / "data" / f"own_{language}.jsonl"
    return [case_from_json(line) for line in data.read_text("utf-8").splitlines()]
