"""Cases as a table of words: the simplest way to write a custom set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from introspect.data.outcomes import CaseSource, Outcome, SeenIds, checked_case
from introspect.io import PathLike, Row, RowError, read_table
from introspect.text import CorefCase, Span, find_mention

_REQUIRED = ("text", "pronoun", "antecedent", "distractor")
_DISTRACTOR = re.compile(r"distractor(_\d+)?")
_DELIMITERS = (",", ";", "\t")


def read_words_csv(path: PathLike, *, seen: SeenIds | None = None) -> Iterator[Outcome]:
    """Yield the rows of a table with the columns text, pronoun, antecedent, and distractor.

    Words are found in the text as whole words; ``it#2`` is the second *it*. Several distractors
    are separated by ``|`` or given in ``distractor_2``, ``distractor_3`` and so on; an empty cell
    means none. Columns ``id`` and ``group`` are used if present; a case without an id gets the
    file's name and the line. Other columns are kept in ``extra``, as text.

    Columns are separated by commas, semicolons, or tabs, whichever yields the required columns.

    Args:
        path: the file.
        seen: ids already used by other files.

    Raises:
        InputError: the file or a column is missing.
    """
    source = CaseSource(path, seen)
    rows = read_table(path, delimiter=_delimiter(path))
    names = source.header(rows)
    source.need(names or _REQUIRED, _REQUIRED)

    def parse(row: Row) -> list[CorefCase]:
        values = dict(zip(names or (), row.fields, strict=True))
        return [_case(values, f"{source.path.stem}-{row.line}")]

    yield from source.outcomes(rows, parse)


def _delimiter(path: PathLike) -> str:
    """Return the delimiter that yields the most required columns; a comma if they tie."""

    def found(delimiter: str) -> int:
        first = next(read_table(path, delimiter=delimiter), None)
        names: Sequence[str] = first.fields if first else ()
        return len({name.strip() for name in names} & set(_REQUIRED))

    return max(_DELIMITERS, key=found)


def _case(values: dict[str, str], name: str) -> CorefCase:
    text = values["text"]
    wrong = [value for key, value in values.items() if _DISTRACTOR.fullmatch(key)]
    candidates = [(_found(text, word, "antecedent"), True) for word in _words(values["antecedent"])]
    candidates += [(_found(text, w, "distractor"), False) for cell in wrong for w in _words(cell)]
    if not candidates:
        raise RowError("Expected an antecedent or a distractor, got neither.", kind="no_candidates")
    used = (*_REQUIRED, "id", "group")
    return checked_case(
        text,
        _found(text, values["pronoun"].strip(), "pronoun"),
        candidates,
        group=values.get("group") or None,
        id=values.get("id") or name,
        extra={k: v for k, v in values.items() if k not in used and not _DISTRACTOR.fullmatch(k)},
    )


def _words(cell: str) -> list[str]:
    return [word for part in cell.split("|") if (word := part.strip())]


def _found(text: str, word: str, role: str) -> Span:
    if re.search(r"#\d{10,}$", word):
        # More digits than Python converts to an integer by default.
        raise RowError(f"Expected a {role} that the text has, got {word[:40]!r}.", kind="mention")
    return find_mention(text, word, role=role)
