"""Readers of each format: rows with the values of their columns, one row at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import dropwhile, islice
from types import MappingProxyType
from typing import Any, Protocol

from introspect.data.columns import USUAL_COLUMNS
from introspect.data.huggingface import HUGGINGFACE, plain_columns, rows_of, text_columns
from introspect.data.inputs import Input
from introspect.data.json_rows import list_inside, read_objects
from introspect.data.jsonl import object_from_json
from introspect.data.sheets import rows_of_sheet
from introspect.data.tables import (
    SAMPLE,
    Heading,
    Table,
    doubt_of,
    headed,
    may_be_heading,
    rows_of_table,
    table_of,
)
from introspect.io import Row, RowError, opened, read_lines, read_table

#: A row and the values of its columns; ``None`` in a row that has a fault.
Values = Mapping[str, Any] | None

#: The one column of a text without columns.
LINE = "line"

# Rows that are held at a time: few, because a text may be long.
_ROWS = 128
# Columns are read in pieces of this size, rather than whole row groups.
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class Hints:
    """What a caller says about how tables are written.

    Args:
        delimiter: what separates the columns.
        heading: whether the first row names the columns.
        asked: columns that the caller names.
    """

    delimiter: str | None = None
    heading: bool | None = None
    asked: tuple[str, ...] = ()


class Reader(Protocol):
    """A file or data set that is read row by row."""

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        ...

    @property
    def texts(self) -> tuple[str, ...] | None:
        """The columns that hold texts by their type; ``None`` where only their values show it."""
        ...

    @property
    def doubt(self) -> str:
        """Return what was taken for something that it might not be, in words; else empty."""
        ...

    def rows(
        self, columns: Sequence[str] | None = None, *, keep_blank: bool = True
    ) -> Iterator[tuple[Row, Values]]:
        """Yield the rows with the values of some columns, all by default.

        A row that cannot be read has a fault and no values.
        """
        ...


def reader_of(file: Input, hints: Hints) -> Reader:
    """Return the reader of a file or data set.

    Raises:
        InputError: it cannot be read, or may be read in several ways.
    """
    return _READERS[file.format](file, hints)


@dataclass(frozen=True)
class Lines:
    """A text with one sentence a line; a first line ``text`` or ``sentence`` is a heading."""

    file: Input
    hints: Hints
    names = (LINE,)
    texts = (LINE,)

    @cached_property
    def _first(self) -> list[Row]:
        return list(islice(read_lines(self.file.path), SAMPLE))

    @cached_property
    def heading(self) -> Row | None:
        """The line that is a heading, if one is."""
        lines = self._first
        if self.hints.heading is False or not lines or lines[0].fault:
            return None
        is_usual = lines[0].raw.strip().casefold() in USUAL_COLUMNS and len(lines) > 1
        return lines[0] if is_usual or self.hints.heading else None

    @property
    def lines_before(self) -> int:
        """The lines before the first text."""
        return 0 if self.heading is None else self.heading.line

    @property
    def doubt(self) -> str:
        """Return what was taken for a heading, or for none."""
        if self.hints.heading is not None or not self._first:
            return ""
        first, *below = [row.raw.strip() for row in self._first]
        if self.heading is not None:
            return doubt_of([first], is_heading=True)
        return doubt_of([first], is_heading=False) if may_be_heading(first, below) else ""

    def rows(
        self, columns: Sequence[str] | None = None, *, keep_blank: bool = True
    ) -> Iterator[tuple[Row, Values]]:
        """Yield the rows with the values of some columns."""
        for row in read_lines(self.file.path, keep_blank=keep_blank):
            if row.line <= self.lines_before:
                continue
            if not row.fault and "\r" in row.raw:
                reason = (
                    "The line holds carriage returns, which end lines on old systems. Save the "
                    "file with Unix or Windows line ends."
                )
                row = replace(row, fault=RowError(reason, kind="line_ends"))
            yield row, None if row.fault else {LINE: row.raw}


@dataclass(frozen=True)
class TableRows:
    """A table as text."""

    file: Input
    hints: Hints
    texts = None

    @cached_property
    def table(self) -> Table | None:
        """Return how the table is written; ``None`` if no row of it can be read."""
        hints = self.hints
        return table_of(
            self.file.path,
            self.file.format,
            delimiter=hints.delimiter,
            heading=hints.heading,
            asked=hints.asked,
        )

    @property
    def lines_before(self) -> int:
        """The lines before the first row of values."""
        return 0 if self.table is None else self.table.lines_before

    @property
    def doubt(self) -> str:
        """Return what the first row was taken for."""
        return "" if self.table is None else self.table.doubt

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        return () if self.table is None else self.table.names

    def rows(
        self, columns: Sequence[str] | None = None, *, keep_blank: bool = True
    ) -> Iterator[tuple[Row, Values]]:
        """Yield the rows with the values of some columns."""
        if self.table is None:
            rows = read_table(self.file.path)
            yield from ((row, None) for row in rows if row.fault and row.fault.kind == "damaged")
            return
        for row in rows_of_table(self.file.path, self.table, keep_blank=keep_blank):
            # A blank line has no fields, however many columns there are.
            fields = row.fields or ("",) * len(self.names)
            yield row, None if row.fault else dict(zip(self.names, fields, strict=False))


@dataclass(frozen=True)
class Sheet:
    """A sheet of an Excel workbook."""

    file: Input
    hints: Hints
    texts = None

    @cached_property
    def _cells(self) -> list[Row]:
        # As in other tables, blank rows above the first are no rows.
        return list(dropwhile(lambda row: not any(row.fields), rows_of_sheet(self.file.path)))

    @cached_property
    def _heading(self) -> Heading:
        if not self._cells:
            return Heading(False)
        first = self._cells[0].fields
        return headed(
            self.file.source, first, self._cells[1:], self.hints.asked, heading=self.hints.heading
        )

    @property
    def doubt(self) -> str:
        """Return what the first row was taken for."""
        return self._heading.doubt

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        if not self._cells:
            return ()
        first = self._cells[0].fields
        return first if self._heading.is_there else tuple(str(i + 1) for i in range(len(first)))

    def rows(
        self, columns: Sequence[str] | None = None, *, keep_blank: bool = True
    ) -> Iterator[tuple[Row, Values]]:
        """Yield the rows with the values of some columns."""
        for row in self._cells[1 if self._heading.is_there else 0 :]:
            if keep_blank or any(row.fields):
                yield row, dict(zip(self.names, row.fields, strict=False))


@dataclass(frozen=True)
class Objects:
    """Objects of JSON: one a line, or in an array."""

    file: Input
    hints: Hints
    texts = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The keys of the first objects, in the order in which they come."""
        return tuple(dict.fromkeys(key for values in sample_of(self) for key in values))

    @cached_property
    def _inside(self) -> tuple[str, list[Row]] | None:
        """The only list of objects in the only object, by its key; ``None`` of other files."""
        rows = list(islice(read_objects(self.file.path), 2))
        return None if len(rows) != 1 or rows[0].fault else list_inside(rows[0])

    @property
    def doubt(self) -> str:
        """The list inside the only object that is read, if one is."""
        return "" if self._inside is None else f"the list under “{self._inside[0]}” is read"

    def rows(
        self, columns: Sequence[str] | None = None, *, keep_blank: bool = True
    ) -> Iterator[tuple[Row, Values]]:
        """Yield the rows with the values of all columns."""
        for row in self._rows(keep_blank=keep_blank):
            try:
                yield row, _object(row)
            except RowError as fault:
                yield replace(row, fault=fault), None

    def _rows(self, *, keep_blank: bool) -> Iterator[Row]:
        if self._inside is not None:
            return iter(self._inside[1])
        first = next(read_lines(self.file.path), None)
        is_array = first is not None and first.raw.lstrip().startswith("[")
        if is_array:
            # Elements may share a line: like the rows of Parquet, they are numbered from 1.
            elements = enumerate(read_objects(self.file.path), start=1)
            return (replace(row, line=number) for number, row in elements)
        if self.file.format == "json":
            return read_objects(self.file.path)
        return read_lines(self.file.path, keep_blank=keep_blank)


def _object(row: Row) -> dict[str, object]:
    if row.fault:
        raise row.fault
    if not row.raw.strip():
        raise RowError("Expected an object, {…}, got an empty line.", kind="empty")
    if (text := _string(row.raw)) is not None:
        return {"text": text}
    if not (parsed := object_from_json(row.raw)):
        raise RowError("Expected an object with keys, got {}.", kind="missing_key")
    return parsed


def _string(raw: str) -> str | None:
    """Return the text that a string of JSON holds; ``None`` of another value."""
    try:
        value = json.loads(raw) if raw.lstrip().startswith('"') else None
    except ValueError:
        return None
    return value if isinstance(value, str) else None


@dataclass(frozen=True)
class Parquet:
    """A file of Parquet; one that becomes unreadable ends with a row that has a fault."""

    file: Input
    hints: Hints
    doubt = ""

    @cached_property
    def _schema(self) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        opened(self.file.path).close()  # says so where it is missing
        try:
            return pq.read_schema(self.file.path)
        except (pa.ArrowException, OSError):
            return None

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        return () if self._schema is None else tuple(self._schema.names)

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that hold texts by their type."""
        return tuple(each.name for each in self._schema or () if _is_text(each.type))

    @property
    def held(self) -> dict[str, str]:
        """Return what the columns of bytes hold, and those of nothing, in words."""
        from pyarrow import types

        bytes_ = "bytes, not texts: decode them and write the file again"
        return {
            each.name: bytes_ if types.is_binary(each.type) else "no value in any row"
            for each in self._schema or ()
            if types.is_binary(each.type) or types.is_null(each.type)
        }

    @property
    def _plain(self) -> list[str]:
        """The columns of other values than bytes, which may be pictures."""
        from pyarrow import types

        bytes_ = (types.is_binary, types.is_large_binary, types.is_struct)
        return [e.name for e in self._schema or () if not any(is_(e.type) for is_ in bytes_)]

    def rows(
        self, columns: Sequence[str] | None = None, *, keep_blank: bool = True
    ) -> Iterator[tuple[Row, Values]]:
        """Yield the rows with the values of some columns."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        wanted = self._plain if columns is None else list(dict.fromkeys(columns))
        number = 0
        try:
            with pq.ParquetFile(
                self.file.path, buffer_size=_BUFFER_BYTES, pre_buffer=False
            ) as parquet:
                for batch in parquet.iter_batches(batch_size=_ROWS, columns=wanted):
                    for place in range(batch.num_rows):
                        number += 1
                        yield _row(number, {n: batch.column(n)[place] for n in batch.schema.names})
        except (pa.ArrowException, OSError) as error:
            reason = f"The file is damaged here ({error}). Get it again."
            # Line 0: the file as a whole.
            line = number + 1 if number else 0
            yield Row(line, "", fault=RowError(reason, kind="damaged")), None


def _row(number: int, scalars: Mapping[str, Any]) -> tuple[Row, Values]:
    try:
        values = {name: scalar.as_py() for name, scalar in scalars.items()}
    except UnicodeDecodeError as error:
        reason = f"Expected UTF-8, got byte 0x{error.object[error.start]:02X}."
        raw = error.object.decode("utf-8", "replace")
        return Row(number, raw, fault=RowError(reason, kind="encoding")), None
    return Row(number, shown_values(values)), values


def shown_values(values: Mapping[str, Any]) -> str:
    """Return values as one text: the only one as it is, several as JSON."""
    if len(values) == 1:
        (value,) = values.values()
        return "" if value is None else str(value)
    return json.dumps(values, ensure_ascii=False, default=str)


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return any(is_kind(kind) for is_kind in (types.is_string, types.is_large_string))


@dataclass(frozen=True)
class DataSet:
    """A data set of the hub, or one that ``save_to_disk`` wrote."""

    file: Input
    hints: Hints
    doubt = ""

    @cached_property
    def _rows(self) -> Any:
        return rows_of(self.file.source)

    @property
    def names(self) -> tuple[str, ...]:
        """All columns."""
        return tuple(self._rows.column_names)

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that hold texts by their type."""
        return text_columns(self._rows)

    def rows(
        self, columns: Sequence[str] | None = None, *, keep_blank: bool = True
    ) -> Iterator[tuple[Row, Values]]:
        """Yield the rows with the values of some columns."""
        chosen = plain_columns(self._rows) if columns is None else list(columns)
        number = 0
        for batch in self._rows.select_columns(chosen).with_format(None).iter(batch_size=_ROWS):
            for cells in zip(*batch.values(), strict=True):
                number += 1
                values = dict(zip(batch, cells, strict=True))
                yield Row(number, shown_values(values)), values


def sample_of(reader: Reader) -> list[Mapping[str, Any]]:
    """Return the values of the first rows that can be read."""
    rows = islice(reader.rows(keep_blank=False), SAMPLE)
    return [values for _, values in rows if values]


_READERS: Mapping[str, Callable[[Input, Hints], Reader]] = MappingProxyType(
    {
        "txt": Lines,
        "csv": TableRows,
        "tsv": TableRows,
        "xlsx": Sheet,
        "jsonl": Objects,
        "json": Objects,
        "parquet": Parquet,
        HUGGINGFACE: DataSet,
    }
)
