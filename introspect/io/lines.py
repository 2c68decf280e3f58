"""Files row by row: the lines of a text, the rows of a table, and any fault in each.

One row is held at a time, never the file. A row that cannot be read has a fault, and reading
continues with the next. Files may be compressed by gzip or zstd; ``-`` is standard input.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from introspect.errors import InputError
from introspect.io.destinations import PathLike
from introspect.io.streams import as_utf8, opened

#: Longer lines, in bytes, are rejected without being read whole.
LONGEST_LINE = 10_000_000
#: How many characters of a rejected row are kept.
ROW_LENGTH = 200

# Marks a line that was not read whole. No bytes of a file decode to it.
_CUT = "\udfff"
# What ``surrogateescape`` makes of a byte that is not UTF-8.
_ESCAPED = re.compile("[\udc80-\udcff]")
#: The first line by which spreadsheets say what separates the columns.
SEPARATOR = re.compile(r'"?sep=(.)"?')


class RowError(InputError):
    """Raised for a row that cannot be used; ``kind`` is the key it is counted under."""

    def __init__(self, reason: str, *, kind: str = "other") -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True)
class Row:
    """A row as read: its first line, its text, its fields in a table, and any fault."""

    line: int
    raw: str
    fields: tuple[str, ...] = ()
    fault: RowError | None = None

    @property
    def shown(self) -> str:
        """Text that can be written back: cut, and with U+FFFD for bytes that are not UTF-8."""
        is_cut = len(self.raw) > ROW_LENGTH or _CUT in self.raw
        kept = re.sub("[\ud800-\udfff]", "\ufffd", self.raw.replace(_CUT, "")[:ROW_LENGTH])
        return kept + "…" if is_cut else kept


def read_lines(path: PathLike, *, keep_blank: bool = False) -> Iterator[Row]:
    """Yield the nonblank lines of a text, numbered from 1, without their ends.

    The text is UTF-8, or what its byte order mark says; the mark is dropped. A line that is too
    long, not UTF-8 or holds a NUL has a fault; so does the last one if the data is truncated.

    Args:
        path: the file.
        keep_blank: also yield the blank lines.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    for number, text, damage in _numbered(path):
        if keep_blank or damage or text.strip():
            yield Row(number, text.rstrip("\r\n"), fault=damage or _fault(text))


def read_table(
    path: PathLike,
    *,
    delimiter: str = ",",
    quoting: bool = True,
    width: int | None = None,
    keep_blank: bool = False,
) -> Iterator[Row]:
    """Yield the rows of a table with their fields; a quoted field may span several lines.

    A first line such as ``sep=;``, which spreadsheets write, is skipped. A field of more than
    ``csv.field_size_limit()`` characters (131,072) is a fault; so is an unclosed quotation, whose
    lines are named.

    Args:
        path: the file.
        delimiter: the character between fields.
        quoting: whether ``"`` quotes a field.
        width: how many fields each row must have; by default as many as the first.
        keep_blank: also yield the rows whose fields are all empty.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    feed = _Feed(path, delimiter)
    reader = csv.reader(
        feed,
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE,
        strict=True,
    )
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = f"{feed.lines} cannot be read as a row of a table: {feed.reason(error)}"
            yield feed.row((), RowError(reason, kind="table"))
            continue
        row = feed.row(tuple(fields))
        if row.line == 1 and SEPARATOR.fullmatch(row.raw):
            continue
        if not row.fault and not any(map(str.strip, fields)):
            if keep_blank:
                yield row
            continue
        width = width or len(fields)
        yield row if row.fault or len(fields) == width else _with_wrong_width(row, width)


def _with_wrong_width(row: Row, width: int) -> Row:
    reason = f"Expected {width} columns, got {len(row.fields)}. Check separators and quotes."
    return Row(row.line, row.raw, row.fields, RowError(reason, kind="columns"))


class _Feed:
    """An iterator of lines for ``csv.reader`` that remembers those of the current row."""

    def __init__(self, path: PathLike, delimiter: str) -> None:
        self._lines = _numbered(path)
        self._delimiter = delimiter
        self._first = self._last = 0
        self._raw: list[str] = []
        self._fault: RowError | None = None

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        number, text, damage = next(self._lines)
        self._first, self._last = self._first or number, number
        if sum(map(len, self._raw)) <= ROW_LENGTH:
            self._raw.append(text[: ROW_LENGTH + 1])
        self._fault = self._fault or damage or _fault(text)
        # The rest of a line that was cut must not open a quotation.
        return text.replace('"', "'") if _CUT in text else text

    @property
    def lines(self) -> str:
        """Text of the lines read since the last row: an open quotation extends further."""
        is_one = self._first == self._last
        return f"Line {self._first}" if is_one else f"Lines {self._first} to {self._last}"

    def reason(self, error: csv.Error) -> str:
        """Return what is wrong with the lines read since the last row, and what to do."""
        said = str(error)
        if "unexpected end" in said:
            return (
                "a quotation mark opens a field, and none closes it. Close it, or write each "
                'quotation mark within a field twice, "".'
            )
        if "field limit" in said:
            return (
                f"a field has more than {csv.field_size_limit()} characters. Divide its text, or "
                "close the quotation mark that opens it."
            )
        if "expected after" in said:
            place = _behind_quotation("".join(self._raw), self._delimiter)
            where = f"at character {place} " if place else ""
            return (
                f"{where}a field goes on after its closing quotation mark. Write each quotation "
                'mark within a field twice, "".'
            )
        return "it holds a line end that no field may have. Save the file with Unix line ends."

    def row(self, fields: tuple[str, ...], fault: RowError | None = None) -> Row:
        """Return the row made of the lines since the last one; a line's own fault comes first."""
        row = Row(self._first, "".join(self._raw).rstrip("\r\n"), fields, self._fault or fault)
        self._first, self._raw, self._fault = 0, [], None
        return row


def _behind_quotation(raw: str, delimiter: str) -> int | None:
    """Return the place in its line, from 1, of what follows a closing quotation mark wrongly."""
    begins, place = True, 0
    while place < len(raw):
        if not (begins and raw[place] == '"'):
            begins = raw[place] == delimiter
            place += 1
            continue
        # The next mark that is not doubled closes the field.
        closing = re.compile(r'(?:[^"]|"")*"').match(raw, place + 1)
        if closing is None:
            return None
        place, begins = closing.end(), False
        if place < len(raw) and raw[place] not in (delimiter, "\r", "\n"):
            return place - raw.rfind("\n", 0, place)
    return None


def _numbered(path: PathLike) -> Iterator[tuple[int, str, RowError | None]]:
    """Yield lines with their ends; bytes that are not UTF-8 become lone surrogates.

    The last line may have a fault of its own if compressed data is truncated in it.
    """
    with as_utf8(opened(path)) as stream:
        number = 0
        while chunk := _next_line(stream, path):
            number += 1
            if number == 1:
                chunk = chunk.removeprefix(codecs.BOM_UTF8)
            if len(chunk) > LONGEST_LINE and not chunk.endswith(b"\n"):
                _skip_line(stream)
                yield number, chunk[:ROW_LENGTH].decode("utf-8", "replace") + _CUT, None
                continue
            if stream.damage and not chunk.endswith(b"\n"):
                yield number, chunk.decode("utf-8", "replace"), _damaged(stream.damage)
                return
            yield number, chunk.decode("utf-8", "surrogateescape"), None
        if stream.damage:
            yield number + 1, "", _damaged(stream.damage)


def _next_line(stream: BinaryIO, path: PathLike) -> bytes:
    try:
        return stream.readline(LONGEST_LINE + 1)
    except OSError as error:
        raise InputError(
            f"Expected to read on in {str(path)!r}, but: {error.strerror or error}. "
            "Copy the file to another disk."
        ) from error


def _in_windows(byte: int) -> str:
    """Return what a byte is in the most common other encoding."""
    character = bytes([byte]).decode("cp1252", "replace")
    return f", in Windows-1252 (cp1252) “{character}”" if character.isprintable() else ""


def _damaged(reason: str) -> RowError:
    return RowError(reason, kind="damaged")


def _skip_line(stream: BinaryIO) -> None:
    while (chunk := stream.readline(1 << 16)) and not chunk.endswith(b"\n"):
        pass


def _fault(text: str) -> RowError | None:
    if text.endswith(_CUT):
        return RowError(
            f"The line is longer than {LONGEST_LINE // 10**6} MB. Divide its text.", kind="too_long"
        )
    if bad := _ESCAPED.search(text):
        byte = ord(bad[0]) - 0xDC00
        return RowError(
            f"Expected UTF-8, got byte 0x{byte:02X} at character {bad.start()}"
            f"{_in_windows(byte)}. Save the file as UTF-8.",
            kind="encoding",
        )
    if "\0" in text:
        return RowError(
            f"The line holds a NUL at character {text.index(chr(0))}, as UTF-16 without a byte "
            "order mark does. Save the file as UTF-8.",
            kind="nul",
        )
    return None
