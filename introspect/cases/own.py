"""A small set of this project's own, free to use for anything (CC0-1.0).

Twin pairs after the manner of Winograd's schemas: one word differs, and with it the antecedent.
They are new sentences, so no model has learnt them from a published collection. There are too few
to claim anything from: they are for demonstrations and tests.
"""

from __future__ import annotations

from importlib.resources import files

from introspect.cases.jsonl import case_from_json
from introspect.errors import SelectionError
from introspect.mentions import CorefCase

__all__ = ["own_cases"]

_LANGUAGES = ("en", "zh")


def own_cases(language: str = "en") -> list[CorefCase]:
    """The cases in a language, ``"en"`` or ``"zh"`` (simplified); twins are one group.

    ``extra`` has ``licence`` and ``lang``.

    Raises:
        SelectionError: there are none in this language.

    Example:
        >>> first, second = own_cases()[:2]
        >>> first.group == second.group
        True
    """
    if language not in _LANGUAGES:
        raise SelectionError(f"Expected a language from {', '.join(_LANGUAGES)}, got {language!r}.")
    data = files("introspect.cases") / "data" / f"own_{language}.jsonl"
    return [case_from_json(line) for line in data.read_text("utf-8").splitlines()]
