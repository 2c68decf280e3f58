"""Tables as text: what separates the columns, and whether the first row names them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from introspect.data.cells import kind_of_cell
from introspect.data.columns import is_heading_of_texts, is_role, is_usual
from introspect.errors import InputError
from introspect.io import SEPARATOR, PathLike, Row, read_lines, read_table
from introspect.text import is_unspaced, listed, shortened

#: What separates the columns of a table, by the name of a character or the character itself.
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}

#: The rows that are looked at.
SAMPLE = 50

_END = re.compile(r"[.!。！।]['\"”’»)\]]*$")
_MOST_WORDS_OF_A_NAME = 3


@dataclass(frozen=True)
class Table:
    """How a table is written.

    Args:
        delimiter: what separates the columns.
        quoting: whether ``"`` quotes a field.
        names: the names of the columns; their numbers, from 1, in a table without a heading.
        has_heading: whether the first row names the columns.
        lines_before: the lines before the first row of values.
        doubt: what the first row was taken for, in words, where it might be something else.
    """

    delimiter: str
    quoting: bool
    names: tuple[str, ...]
    has_heading: bool
    lines_before: int
    doubt: str = ""

    @property
    def words(self) -> str:
        """Return what separates the columns, and whether there are headings, in words."""
        name = next(n for n, character in DELIMITERS.items() if character == self.delimiter)
        columns = f"{name}s between columns" if len(self.names) > 1 else "one column"
        return columns if self.has_heading else f"{columns}, no heading"


@dataclass(frozen=True)
class Heading:
    """Whether the first row of a table names its columns.

    Args:
        is_there: whether it does.
        doubt: what it was taken for, in words, where it might be something else.
    """

    is_there: bool
    doubt: str = ""


def doubt_of(first: Sequence[str], is_heading: bool) -> str:
    """Return what a first row or line was taken for, in words, and how to say otherwise.

    Example:
        >>> doubt_of(["Hello", "you"], True)
        'first line read as heading: “Hello, you” (--no-heading, heading=False if it is none)'
    """
    shown = shortened(", ".join(first), 60)
    if is_heading:
        return f"first line read as heading: “{shown}” (--no-heading, heading=False if it is none)"
    return f"first line read as a text: “{shown}” (--heading, heading=True if it is a heading)"


def may_be_heading(first: str, below: Sequence[str]) -> bool:
    """Return whether the first line of a text may name what the lines below it hold.

    That is: it has a few words, does not end as a sentence does, and the lines below have twice as
    many words or more, on average.

    Example:
        >>> may_be_heading("frase", ["Il gatto dorme", "Ciao"]), may_be_heading("Ciao!", ["Il re"])
        (True, False)
    """
    num_words = _num_words(first)
    if not below or num_words > _MOST_WORDS_OF_A_NAME or first.endswith(("?", "？", "…")):
        return False
    num_below = sum(map(_num_words, below))
    return not _END.search(first) and num_below >= 2 * num_words * len(below)


def rows_of_table(path: PathLike, table: Table, *, keep_blank: bool = False) -> Iterator[Row]:
    """Yield the rows below the heading."""
    rows = read_table(
        path,
        delimiter=table.delimiter,
        quoting=table.quoting,
        width=len(table.names),
        keep_blank=keep_blank,
    )
    # Above a heading there may be blank lines.
    before = table.lines_before if table.has_heading else 0
    return (row for row in rows if row.line > before)


def table_of(
    path: PathLike,
    format: str,
    *,
    delimiter: str | None = None,
    heading: bool | None = None,
    asked: Sequence[str] = (),
) -> Table | None:
    """Return how a table is written, by its first rows; ``None`` if it has none that can be read.

    Args:
        path: the file.
        format: ``csv`` or ``tsv``, whose quotation marks are characters like any other.
        delimiter: what separates the columns, a character or a key of ``DELIMITERS``.
        heading: whether the first row names the columns.
        asked: columns that the caller names, which tell a heading.

    Raises:
        InputError: the first row cannot be read, or may be read in several ways.
    """
    quoting = format == "csv"
    chosen = _checked(delimiter) or _delimiter(path, quoting, asked)
    rows = read_table(path, delimiter=chosen, quoting=quoting)
    first = next(rows, None)
    if first is None:
        return None
    if first.fault:
        if first.fault.kind == "damaged":
            return None
        raise InputError(f"{path}, line {first.line}: {first.fault}")
    names = tuple(name.strip() for name in first.fields)
    below = list(islice(rows, SAMPLE))
    if below and all(row.fault and row.fault.kind == "columns" for row in below):
        raise InputError(
            f"Expected as many columns in the first line of {str(path)!r} as below it, got "
            f"{len(names)}, “{shortened(first.raw, 60)}”, and {len(below[0].fields)}. Delete what "
            "stands above the heading, or quote texts that hold the delimiter."
        )
    if len(names) == 1 and delimiter is None and heading is None:
        check_divided([first.raw, *(row.raw for row in below)], str(path))
    found = headed(str(path), names, below, asked, heading=heading)
    if not found.is_there:
        names = tuple(str(i + 1) for i in range(len(names)))
    before = first.line - (not found.is_there)
    return Table(chosen, quoting, names, found.is_there, before, found.doubt)


def _checked(delimiter: str | None) -> str | None:
    if delimiter is None or delimiter in DELIMITERS.values():
        return delimiter
    if delimiter in DELIMITERS:
        return DELIMITERS[delimiter]
    if delimiter == r"\t":
        return "\t"
    raise InputError(
        f"Expected a delimiter from {', '.join(DELIMITERS)}, or the character itself, got "
        f"{delimiter!r}."
    )


def _delimiter(path: PathLike, quoting: bool, asked: Sequence[str]) -> str:
    """Return what separates the columns: what the file says, or what its first rows show.

    Raises:
        InputError: the first line shows several, or one that the rows below do not have.
    """
    beginning = list(islice(read_lines(path), SAMPLE))
    if beginning and (said := SEPARATOR.fullmatch(beginning[0].raw)):
        if said[1] in DELIMITERS.values():
            return said[1]
        raise InputError(
            f"Expected columns separated by {listed(DELIMITERS, 'or')}, but {str(path)!r} says "
            f"{beginning[0].raw!r}. Save the table with one of these."
        )
    usual = "," if quoting else "\t"
    split = {d: _split([row.raw for row in beginning], d, quoting) for d in DELIMITERS.values()}
    possible = {d: rows for d, rows in split.items() if rows and len(rows[0]) > 1}
    agreeing = {d for d, rows in possible.items() if _agreement(rows) >= _ENOUGH}
    named = {d for d in agreeing if any(n.strip() in asked or is_usual(n) for n in possible[d][0])}
    chosen = named or agreeing
    if not possible:
        return _delimiter_below(beginning, quoting) or usual
    if usual in (chosen or possible):
        return usual
    if len(chosen) == 1:
        return chosen.pop()
    raise InputError(
        f"Expected columns in {str(path)!r} with one character between them, but in the first "
        f"line, “{shortened(beginning[0].raw, 80)}”, it may be {listed(_names(possible), 'or')}, "
        "and the lines below do not show which. Say it with delimiter=… (--delimiter)."
    )


def _delimiter_below(beginning: Sequence[Row], quoting: bool) -> str | None:
    """Return what separates the columns of a table above which another line stands, if one does."""
    for delimiter in DELIMITERS.values():
        rows = _split([row.raw for row in beginning[1:]], delimiter, quoting)
        is_table = len(rows) > 1 and len(rows[0]) > 1 and _agreement(rows) == 1
        if is_table and any(is_usual(name.strip()) for name in rows[0]):
            return delimiter
    return None


def check_divided(lines: Sequence[str], source: str) -> None:
    """Check that no character divides lines that are taken for texts into columns.

    Args:
        lines: the first lines.
        source: what is read, for messages.

    Raises:
        InputError: one stands as often in each line, between names in the first, or is one that
            no text has.
    """
    first = lines[0]
    for mark in dict.fromkeys(_MARK.findall(first)):
        names = [name.strip(" '\"\u00a0") for name in first.split(mark)]
        is_heading = any(map(is_usual, names)) and all(
            len(name.split()) <= _MOST_WORDS_OF_A_NAME for name in names
        )
        is_even = len(lines) > 1 and all(line.count(mark) == len(names) - 1 for line in lines)
        if is_even and (is_heading or mark in _OF_NO_TEXT):
            raise InputError(
                f"Expected a text on each line of {source!r}, or columns separated by "
                f"{listed(DELIMITERS, 'or')}, got what may be columns separated by {mark!r}: "
                f"“{shortened(first, 60)}”. Save the table with one of these; if each line is a "
                "text, say heading=False (--no-heading)."
            )


# What may separate columns: marks of punctuation, but for those in and around words.
_MARK = re.compile(r"[^\w\s'’\"“”.!?-]+|[\x1c-\x1f]")
_OF_NO_TEXT = ("^", "~", "¦", "§", "::", "\x01", "\x1e", "\x1f")

# The share of rows that have as many columns as the first.
_ENOUGH = 0.5


def _names(delimiters: Iterable[str]) -> list[str]:
    return [name for name, character in DELIMITERS.items() if character in delimiters]


def _split(lines: Sequence[str], delimiter: str, quoting: bool) -> list[list[str]]:
    text = [line + "\n" for line in lines]
    mode = csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE
    try:
        rows = list(csv.reader(text, delimiter=delimiter, quoting=mode))  # type: ignore[arg-type]
    except csv.Error:
        return [line.split(delimiter) for line in lines]
    return [row for row in rows if any(map(str.strip, row))]


def _agreement(rows: Sequence[Sequence[str]]) -> float:
    """Return the share of rows below the first that have as many columns; 1 if there are none."""
    below = rows[1:]
    same = sum(len(row) == len(rows[0]) for row in below)
    return same / len(below) if below else 1.0


def headed(
    source: str,
    first: Sequence[str],
    rows: Sequence[Row],
    asked: Sequence[str],
    *,
    heading: bool | None = None,
) -> Heading:
    """Return whether the first row names the columns, and what of it is in doubt.

    The only column of a table has a heading if that is a usual name of texts; of several columns
    one may be numbers or dates, or have the first row's cell again, which shows what that is.

    Args:
        source: what is read, for messages.
        first: the first row.
        rows: some rows below it.
        asked: columns that the caller names.
        heading: what the caller says about it.

    Raises:
        InputError: it may be a heading or a row, or it names a column twice.
    """
    if heading is None:
        _check_nothing_above(source, first, rows)
    found = Heading(heading) if heading is not None else _heading(source, first, rows, asked)
    if found.is_there:
        _check_names(source, first)
    return found


def _check_nothing_above(source: str, first: Sequence[str], rows: Sequence[Row]) -> None:
    """Raise if a heading stands below a first row with empty cells, such as a title.

    Raises:
        InputError: it does.
    """
    if all(map(str.strip, first)) or any(map(is_role, first)):
        return
    for row in rows[:_MOST_ABOVE]:
        is_full = len(row.fields) == len(first) and all(map(str.strip, row.fields))
        if is_full and any(map(is_role, row.fields)) and not any(map(_is_text, row.fields)):
            raise InputError(
                f"Expected the names of the columns of {source!r} first, got “"
                f"{shortened(', '.join(filter(None, first)), 60)}” above “"
                f"{shortened(', '.join(row.fields), 60)}”. Delete what stands above "
                "the heading, or say heading=True or False (--heading, --no-heading)."
            )


# So many rows may stand above a heading.
_MOST_ABOVE = 5


def _heading(
    source: str, first: Sequence[str], rows: Sequence[Row], asked: Sequence[str]
) -> Heading:
    # A number that is asked for is the place of a column in a table without a heading.
    named = [name for name in asked if not name.isdecimal()]
    below = [row.fields for row in rows if not row.fault and len(row.fields) == len(first)]
    is_alone = len(first) == 1
    is_known = is_heading_of_texts(first[0]) if is_alone else any(map(is_role, first))
    if any(name in named for name in first) or (is_known and not any(map(_is_text, first))):
        return Heading(True)
    if (is_shown := _shown_by_values(first, below)) is not None:
        return Heading(is_shown)
    if any(map(_is_text, first)):
        return Heading(False)
    if not is_alone and any(map(is_usual, first)):
        return Heading(True)
    doubtful = [cell for cell in first if _num_words(cell) > _MOST_WORDS_OF_A_NAME]
    if doubtful:
        raise InputError(
            f"Expected a first line in {source!r} that names the columns, or none that does, but "
            f"“{shortened(doubtful[0], 80)}” may be a name or a text. Say which with heading=True "
            "or False (--heading, --no-heading)."
        )
    return Heading(not is_alone, doubt_of(first, not is_alone))


def _shown_by_values(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool | None:
    """Return whether the first row is a heading by what stands below it; ``None`` if that is open.

    Where a column below is all numbers, or all dates, the first row is a row if it has one too; so
    it is if a label of it comes again.
    """
    is_heading = None
    for place, cell in enumerate(first):
        column = [fields[place] for fields in below if fields[place].strip()]
        if cell.strip() and cell in [each.strip() for each in column]:
            return False
        kinds = {_is_number(each) or kind_of_cell(each) == "date" for each in column}
        if kinds == {True}:
            if _is_number(cell) or kind_of_cell(cell) == "date":
                return False
            is_heading = True if cell.strip() else is_heading
    return is_heading


def _is_text(cell: str) -> bool:
    """Return whether a cell ends as a sentence does."""
    return bool(_END.search(cell)) and (_num_words(cell) > 1 or is_unspaced(cell[0]))


def _num_words(cell: str) -> int:
    return max(len(cell.split()), sum(map(is_unspaced, cell)) // 3)


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _check_names(source: str, names: Sequence[str]) -> None:
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise InputError(
            f"Expected each column of {source!r} once, but {twice[0]!r} is there "
            f"{names.count(twice[0])} times. Rename one."
        )
