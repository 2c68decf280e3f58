"""Cases as a table of words: the simplest way to write a custom set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from introspect.data.columns import Columns
from introspect.data.jsonl import OWN_KEYS
from introspect.data.outcomes import checked_case
from introspect.io import RowError
from introspect.text import CorefCase, Span, find_mention


def case_from_words(values: Mapping[str, Any], columns: Columns) -> CorefCase:
    """Return the case that a row of a table of words makes.

    Words are found in the text as whole words; ``it#2`` is the second *it*. Several distractors or
    antecedents are separated by ``|``, given in several columns, or given as a list; an empty cell
    means none. Columns without a role are kept in ``extra``.

    Args:
        values: the values of the row by column.
        columns: the columns of each role.

    Raises:
        RowError: the row makes no case.
        MentionError: a word is not in the text, or several times.
    """
    text, pronoun = (_text(values, role, columns) for role in ("text", "pronoun"))
    candidates = [
        (_found(text, word, role), role == "antecedent")
        for role in ("antecedent", "distractor")
        for column in columns[role]
        for word in _words(values.get(column), column)
    ]
    if not candidates:
        raise RowError("Expected an antecedent or a distractor, got neither.", kind="no_candidates")
    used = {column for names in columns.values() for column in names}
    return checked_case(
        text,
        _found(text, pronoun.strip(), "pronoun"),
        candidates,
        group=_name(values, "group", columns),
        id=_name(values, "id", columns),
        extra={_kept(name): value for name, value in values.items() if name not in used},
    )


def _kept(name: str) -> str:
    """Return the key under which a column without a role is kept, which no key of a case has."""
    return f"column {name}" if name in OWN_KEYS else name


def _text(values: Mapping[str, Any], role: str, columns: Columns) -> str:
    (column,) = columns[role]
    value = values.get(column)
    if not isinstance(value, str):
        got = "nothing" if value is None else f"a value of type {type(value).__name__}"
        raise RowError(f"Expected a text in the column {column!r}, got {got}.", kind="type")
    return value


def _name(values: Mapping[str, Any], role: str, columns: Columns) -> str | None:
    value = values.get(columns[role][0]) if role in columns else None
    return None if value is None or value == "" else str(value)


def _words(cell: Any, column: str) -> list[str]:
    if cell is None:
        return []
    parts = cell if isinstance(cell, list) else str(cell).split("|")
    if not all(isinstance(part, str) for part in parts):
        raise RowError(f"Expected words in the column {column!r}, got {cell!r:.60}.", kind="type")
    return [word for part in parts if (word := part.strip())]


def _found(text: str, word: str, role: str) -> Span:
    if re.search(r"#\d{10,}$", word):
        # More digits than Python converts to an integer by default.
        raise RowError(f"Expected a {role} that the text has, got {word[:40]!r}.", kind="mention")
    return find_mention(text, word, role=role)
