"""Read sentences one after another, whatever their format, and tell them from cases and trees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from introspect.data.columns import choose_column
from introspect.data.conllu import read_conllu
from introspect.data.huggingface import HUGGINGFACE, read_huggingface
from introspect.data.inputs import (
    FORMATS,
    Input,
    Inputs,
    find_files,
    find_inputs,
    spooled_stdin,
)
from introspect.data.jsonl import CASE_KEYS, object_from_json
from introspect.data.outcomes import CaseSource, Reject
from introspect.errors import InputError
from introspect.io import LONGEST_LINE, Row, RowError, is_stdin, opened, read_lines, read_table

# Rows that are held at a time: few, because a text may be long.
_ROWS = 128
# Columns are read in pieces of this size, rather than whole row groups.
_BUFFER_BYTES = 1 << 20


def read_parquet(path: str, column: str | None) -> Iterator[tuple[Row, object]]:
    """Yield the rows, numbered from 1, each with its value in the column.

    A file that becomes unreadable ends with a row that has a fault.

    Raises:
        InputError: the file is missing, or has no such column of strings.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    opened(path).close()  # says so where it is missing
    number = 0
    try:
        with pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
            schema = file.schema_arrow
            texts = [field.name for field in schema if _is_text(field.type)]
            chosen = choose_column(path, schema.names, column, texts=texts)
            for batch in file.iter_batches(batch_size=_ROWS, columns=[chosen]):
                for value in batch.column(0):
                    number += 1
                    yield _row(number, value)
    except (pa.ArrowException, OSError) as error:
        reason = f"The file is damaged here ({error}). Get it again."
        # Line 0: the file as a whole.
        line = number + 1 if number else 0
        yield Row(line, "", fault=RowError(reason, kind="damaged")), None


def _row(number: int, scalar: Any) -> tuple[Row, object]:
    try:
        value = scalar.as_py()
    except UnicodeDecodeError as error:
        reason = f"Expected UTF-8, got byte 0x{error.object[error.start]:02X}."
        raw = error.object.decode("utf-8", "replace")
        return Row(number, raw, fault=RowError(reason, kind="encoding")), None
    return Row(number, "" if value is None else value), value


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return any(is_kind(kind) for is_kind in (types.is_string, types.is_large_string))


@dataclass(frozen=True)
class PlainSentence:
    """A sentence and its source.

    Args:
        id: name of the input and line, the same on every machine: ``"news.txt:12"``; in a folder
            with the place in it, ``"2024/news.txt:12"``.
        text: the sentence as it stands there, without the end of its line.
        source: the file or data set, as the caller named it.
        line: the line it begins in, or its row in Parquet and data sets, counted from 1.
    """

    id: str
    text: str
    source: str
    line: int


def read_sentences(
    inputs: Inputs, *, column: str | None = None, format: str | None = None
) -> Iterator[PlainSentence | Reject]:
    """Yield the sentences of all inputs, in order, and a ``Reject`` for each unreadable one.

    Lines and batches of rows are held, never a file. Empty lines and values are rejected, as are
    values that are not text, too long (10 MB), or not UTF-8, broken JSON, and the point where a
    compressed file is truncated; everything readable before and after is yielded.

    * ``txt``: one sentence per line.
    * ``csv``, ``tsv``: the first line names the columns. In ``csv`` a field may be quoted; in
      ``tsv`` a quotation mark is a character like any other.
    * ``jsonl``: one object per line; the first readable one determines the columns.
    * ``parquet``, data sets: a column of strings.
    * ``conllu``: the text of each sentence.
    * standard input without a format: Parquet or JSON by its first bytes, or else ``txt``.

    Args:
        inputs: a file, a folder, a glob, ``-`` for standard input, ``hf:NAME`` with or without
            ``:SPLIT`` or ``:CONFIG:SPLIT``, a folder that ``save_to_disk`` made; or several.
        column: the column of the sentences. Without it, the only one with texts is taken, or else
            the one named ``text`` or ``sentence``.
        format: of all files, whatever their endings.

    Raises:
        InputError: an input is missing or unknown, a column is missing, or there are several.
        MissingExtraError: a data set is named, and the package ``datasets`` is not installed.
    """
    items = find_inputs(inputs, format=format)
    return (outcome for item in items for outcome in _read(item, column))


def _read(item: Input, column: str | None) -> Iterator[PlainSentence | Reject]:
    if not item.format:
        reason = f"Expected a file that ends in {', '.join(FORMATS)}. Move it, or rename it."
        yield Reject(item.source, 0, reason, "", "ending")
        return
    if item.format == "conllu":
        yield from _trees(item)
        return
    is_empty = True
    for row, value in _READERS[item.format](item, column):
        is_empty = False
        if fault := row.fault or _fault(value):
            yield Reject(item.source, row.line, str(fault), row.shown, fault.kind)
        else:
            yield _sentence(item, row.line, str(value))
    if is_empty:
        yield Reject(item.source, 0, "The file is empty: no sentence is in it.", "", "empty")


def _sentence(item: Input, line: int, text: str) -> PlainSentence:
    return PlainSentence(f"{item.name}:{line}", text, item.source, line)


def _fault(value: object) -> RowError | None:
    """Return the fault of a text, if it has one."""
    if not isinstance(value, str):
        got = "nothing" if value is None else f"a value of type {type(value).__name__}"
        return RowError(f"Expected a text, got {got}.", kind="type")
    if not value.strip():
        return RowError("Expected a text with words in it, got an empty one.", kind="empty")
    if "\0" in value:
        return RowError(f"The text holds a NUL at character {value.index(chr(0))}.", kind="nul")
    # A character takes 4 bytes at most: a shorter text needs no count.
    if 4 * len(value) > LONGEST_LINE and len(value.encode("utf-8")) > LONGEST_LINE:
        reason = f"The text is longer than {LONGEST_LINE // 10**6} MB. Divide it."
        return RowError(reason, kind="too_long")
    return None


# --- rows of each format, with what stands where the text should be --------------------------


def _text(item: Input, column: str | None) -> Iterator[tuple[Row, object]]:
    return ((row, row.raw) for row in read_lines(item.source, keep_blank=True))


def _table(item: Input, column: str | None) -> Iterator[tuple[Row, object]]:
    is_csv = item.format == "csv"
    delimiter = "," if is_csv else "\t"
    rows = read_table(item.source, delimiter=delimiter, quoting=is_csv, keep_blank=True)
    first = next(rows, None)
    if first is None or first.fault:
        if first:
            yield first, None  # Without the column names, nothing below them can be interpreted.
        return
    names = CaseSource(item.source).header(iter([first])) or ()
    place = names.index(choose_column(item.source, names, column))
    for row in rows:
        # A blank line has no fields, however many columns there are.
        yield row, row.fields[place] if place < len(row.fields) else ""


def _json(item: Input, column: str | None) -> Iterator[tuple[Row, object]]:
    chosen: str | None = None
    for row in read_lines(item.source, keep_blank=True):
        try:
            parsed = _object(row)
        except RowError as fault:
            yield replace(row, fault=fault), None
            continue
        if chosen is None:
            # What is null in the first row may be a text in others.
            texts = [key for key, value in parsed.items() if isinstance(value, str | None)]
            chosen = choose_column(
                item.source, list(parsed), column, texts=texts if column is None else None
            )
        if chosen in parsed:
            yield row, parsed[chosen]
        else:
            reason = f"Expected the key {chosen!r}, which is missing."
            yield replace(row, fault=RowError(reason, kind="missing_key")), None


def _object(row: Row) -> dict[str, object]:
    if row.fault:
        raise row.fault
    if not row.raw.strip():
        raise RowError("Expected an object, {…}, got an empty line.", kind="empty")
    if not (parsed := object_from_json(row.raw)):
        raise RowError("Expected an object with keys, got {}.", kind="missing_key")
    return parsed


def _trees(item: Input) -> Iterator[PlainSentence | Reject]:
    for outcome in read_conllu(item.source):
        yield (
            outcome if isinstance(outcome, Reject) else _sentence(item, outcome.line, outcome.text)
        )


def _parquet(item: Input, column: str | None) -> Iterator[tuple[Row, object]]:
    # Its index is at its end.
    path = spooled_stdin() if is_stdin(item.source) else item.source
    return read_parquet(str(path), column)


def _huggingface(item: Input, column: str | None) -> Iterator[tuple[Row, object]]:
    return read_huggingface(item.source, column)


_READERS: Mapping[str, Callable[[Input, str | None], Iterator[tuple[Row, object]]]] = (
    MappingProxyType(
        {
            "txt": _text,
            "csv": _table,
            "tsv": _table,
            "jsonl": _json,
            "parquet": _parquet,
            HUGGINGFACE: _huggingface,
        }
    )
)


Content = Literal["cases", "sentences", "conllu"]


def sniff(inputs: Inputs, *, format: str | None = None) -> Content:
    """Return what the inputs hold, by their endings and the first readable row of a ``jsonl``.

    That row is a case if it has the keys ``text``, ``pronoun`` and ``candidates``. Files of
    ``jsonl`` without a readable row are treated as cases, so that reading them reports what is
    wrong with each row.

    Raises:
        InputError: as ``find_files``; or different kinds are mixed.
    """
    known = [item for item in find_files(inputs, format=format) if item.format]
    kinds: dict[Content, str] = {}
    unknown = None
    for item in known:
        kind: Content | None = "conllu" if item.format == "conllu" else "sentences"
        if item.format == "jsonl":
            kind = _kind_of_rows(item.source)
        if kind is None:
            unknown = item.source
        else:
            kinds.setdefault(kind, item.source)
    if len(kinds) > 1:
        (one, its), (other, others), *_ = kinds.items()
        raise InputError(
            f"Expected inputs of one kind, got {one} in {its!r} and {other} in {others!r}. "
            "Give them one after the other."
        )
    return next(iter(kinds), "cases" if unknown else "sentences")


def _kind_of_rows(path: str) -> Content | None:
    for row in read_lines(path):
        if row.fault:
            continue
        try:
            found = object_from_json(row.raw)
        except RowError:
            continue
        return "cases" if all(key in found for key in CASE_KEYS) else "sentences"
    return None
