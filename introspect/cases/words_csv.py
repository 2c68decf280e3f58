"""Cases as a table of words: the simplest way to write a set of one's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from introspect.cases.lines import PathLike, Row, RowError, read_table
from introspect.cases.reading import Outcome, SeenIds, Source, checked_case
from introspect.mentions import CorefCase, Span, find_mention

__all__ = ["read_words_csv"]

_REQUIRED = ("text", "pronoun", "antecedent", "distractor")
_DISTRACTOR = re.compile(r"distractor(_\d+)?")
_DELIMITERS = (",", ";", "\t")


def read_words_csv(path: PathLike, *, seen: SeenIds | None = None) -> Iterator[Outcome]:
    """The rows of a table with the columns text, pronoun, antecedent and distractor.

    Words are found in the text as whole words; ``it#2`` is the second *it*. Several distractors
    are divided by ``|`` or stand in ``distractor_2``, ``distractor_3`` and so on; an empty cell is
    none. Columns ``id`` and ``group`` are used where they are; a case without an id gets the
    file's name and the line. Further columns are kept in ``extra``, as text.

    Columns are divided by commas, semicolons or tabs, whichever gives the columns needed.

    Args:
        path: the file.
        seen: ids taken by other files.

    Raises:
        InputError: the file is missing, or columns are.
    """
    source = Source(path, seen)
    rows = read_table(path, delimiter=_delimiter(path))
    names = source.header(rows)
    source.need(names or _REQUIRED, _REQUIRED)

    def parse(row: Row) -> list[CorefCase]:
        values = dict(zip(names or (), row.fields, strict=True))
        return [_case(values, f"{source.path.stem}-{row.line}")]

    yield from source.outcomes(rows, parse)


def _delimiter(path: PathLike) -> str:
    """The one that gives the most of the columns needed; a comma where all are alike."""

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
        # More digits than Python turns into a number by itself.
        raise RowError(f"Expected a {role} that the text has, got {word[:40]!r}.", kind="mention")
    return find_mention(text, word, role=role)
