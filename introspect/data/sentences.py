"""Read sentences one after another, whatever their format, and tell them from cases and trees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from introspect.data.case_rows import unknown_ending
from introspect.data.cells import fault_of_cell
from introspect.data.inputs import Input, Inputs
from introspect.data.layout import InputSet, Layout, input_set
from introspect.data.outcomes import Reject, no_rows, thing
from introspect.data.readers import LINE
from introspect.errors import InputError
from introspect.io import LONGEST_LINE, RowError


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
    inputs: Inputs | InputSet, *, column: str | None = None, format: str | None = None
) -> Iterator[PlainSentence | Reject]:
    """Yield the sentences of all inputs, in order, and a ``Reject`` for each unreadable one.

    Lines and batches of rows are held, never a file, but for an array of JSON and a workbook.
    Empty lines and values are rejected, as are values that are not text, too long (10 MB), or not
    Unicode, broken JSON, and the point where a compressed file is truncated; everything readable
    before and after is yielded.

    * ``txt``: one sentence per line.
    * ``csv``, ``tsv``: commas, semicolons, tabs or pipes between columns, and a heading or none, as
      the first rows show. In ``csv`` a field may be quoted; in ``tsv`` a quotation mark is a
      character like any other.
    * ``jsonl``, ``json``: one object a line, or an array of objects.
    * ``parquet``, data sets: a column of strings.
    * ``xlsx``: the only sheet with cells (read by openpyxl).
    * ``conllu``: the text of each sentence.
    * standard input without a format: by its first bytes, or else ``txt``.

    Args:
        inputs: a file, a folder, a glob, ``-`` for standard input, ``hf:NAME`` with or without
            ``:SPLIT`` or ``:CONFIG:SPLIT``, a folder that ``save_to_disk`` made; or several; or a
            list of texts, or a DataFrame.
        column: the column of the sentences. Without it, the one named ``text`` or ``sentence``, or
            else the only one that can be meant.
        format: of all files, whatever their endings.

    Raises:
        InputError: an input is missing or unknown, a column is missing, or the texts may be in
            several columns.
        MissingExtraError: a data set is named, and the package ``datasets`` is not installed.
    """
    given = input_set(inputs, column=column, format=format)
    layouts = {layout.file: layout for layout in given.layouts}
    return (outcome for file in given.files for outcome in _read(file, layouts.get(file)))


def read_texts(inputs: Inputs | InputSet) -> list[str]:
    """Return the texts of all inputs, without blank ones.

    Raises:
        InputError: as ``read_sentences``; or a text cannot be read, or there is none.
    """
    texts = []
    given = input_set(inputs)
    for outcome in read_sentences(given):
        if isinstance(outcome, PlainSentence):
            texts.append(outcome.text)
        elif outcome.kind != "empty":
            raise InputError(f"{outcome.source}, line {outcome.line}: {outcome.reason}")
    if not texts:
        source = given.files[0].source
        raise InputError(f"Expected a text on each line of {source!r}, got none. Add some.")
    return texts


def _read(file: Input, layout: Layout | None) -> Iterator[PlainSentence | Reject]:
    if layout is None:
        yield unknown_ending(file)
        return
    if layout.content == "conllu":
        for outcome in layout.trees():
            if isinstance(outcome, Reject):
                yield outcome
            else:
                yield _sentence(file, outcome.line, outcome.text)
        return
    is_empty = True
    (column,) = layout.columns.get("text", ("",))
    for row, values in layout.rows():
        is_empty = False
        value = (values or {}).get(column)
        fault = row.fault or _missing(values or {}, column) or _fault(value)
        if not fault and isinstance(value, str) and column != LINE:
            fault = fault_of_cell(value)
        if fault:
            yield Reject(file.source, row.line, str(fault), row.shown, fault.kind)
        else:
            yield _sentence(file, row.line, str((values or {})[column]))
    if is_empty:
        yield no_rows(file.source)


def _missing(values: Mapping[str, Any], column: str) -> RowError | None:
    if column in values:
        return None
    return RowError(f"Expected the key {column!r}, which is missing.", kind="missing_key")


def _sentence(item: Input, line: int, text: str) -> PlainSentence:
    return PlainSentence(f"{item.name}:{line}", text, item.source, line)


def _fault(value: object) -> RowError | None:
    """Return the fault of a text, if it has one."""
    if not isinstance(value, str):
        return RowError(f"Expected a text, got {thing(value)}.", kind="type")
    if not value.strip():
        return RowError("Expected a text with words in it, got an empty one.", kind="empty")
    if "\0" in value:
        return RowError(f"The text holds a NUL at character {value.index(chr(0))}.", kind="nul")
    # A character takes 4 bytes at most: a shorter text needs no count.
    if 4 * len(value) > LONGEST_LINE and len(value.encode("utf-8")) > LONGEST_LINE:
        reason = f"The text is longer than {LONGEST_LINE // 10**6} MB. Divide it."
        return RowError(reason, kind="too_long")
    return None
