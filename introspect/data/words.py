"""Cases as a table of words: the simplest way to write a custom set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from introspect.data.cells import fault_of_cell, is_missing, literal_of
from introspect.data.columns import Columns
from introspect.data.jsonl import OWN_KEYS
from introspect.data.outcomes import checked_case, thing
from introspect.io import RowError
from introspect.text import CorefCase, Span, find_mention


def case_from_words(values: Mapping[str, Any], columns: Columns) -> CorefCase:
    """Return the case that a row of a table of words makes.

    Words are found in the text as whole words; ``it#2`` is the second *it*. Several distractors or
    antecedents are separated by ``|``, given in several columns, or given as a list; an empty cell
    means none, and so does a mark of a missing value, such as ``NaN``. Columns without a role are
    kept in ``extra``.

    Args:
        values: the values of the row by column.
        columns: the columns of each role.

    Raises:
        RowError: the row makes no case.
        MentionError: a word is not in the text, or several times.
    """
    text, pronoun = (_text(values, role, columns) for role in ("text", "pronoun"))
    if fault := fault_of_cell(text):
        raise fault
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
    if role == "pronoun" and is_missing(value):
        raise RowError(
            f"Expected the pronoun, a word of the text, in the column {column!r}, got an empty "
            "cell.",
            kind="empty",
        )
    if not isinstance(value, str):
        raise RowError(
            f"Expected a text in the column {column!r}, got {thing(value)}.", kind="type"
        )
    return value


def _name(values: Mapping[str, Any], role: str, columns: Columns) -> str | None:
    value = values.get(columns[role][0]) if role in columns else None
    return None if is_missing(value) else str(value)


def _words(cell: Any, column: str) -> list[str]:
    if is_missing(cell):
        return []
    written = literal_of(cell) if isinstance(cell, str) else None
    if cell == "[]":
        return []
    parts = cell if isinstance(cell, list) else written or str(cell).split("|")
    if not all(isinstance(part, str) for part in parts):
        raise RowError(f"Expected words in the column {column!r}, got {thing(cell)}.", kind="type")
    return [word for part in parts if (word := part.strip())]


def _found(text: str, word: str, role: str) -> Span:
    if re.search(r"#\d{10,}$", word):
        # More digits than Python converts to an integer by default.
        raise RowError(f"Expected a {role} that the text has, got {word[:40]!r}.", kind="mention")
    return find_mention(text, word, role=role)
