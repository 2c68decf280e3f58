"""The reading of any input into the rows to probe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from introspect.cases import Reject, read_conllu, read_located
from introspect.cases.lines import ROW_LENGTH
from introspect.errors import InputError
from introspect.probing.rows import ProbeRow, unlike
from introspect.sentences import Input, Inputs, find_inputs, read_sentences, sniff
from introspect.sentences.sniffing import Content
from introspect.text import shortened

__all__ = ["Reading", "read_rows"]


@dataclass(frozen=True)
class Reading:
    """The input of a probe and how it is read.

    Args:
        inputs: files, a folder, a glob, or a data set.
        column: the column of the sentences.
        format: the format of all files, whatever their endings.
    """

    inputs: Inputs
    column: str | None = None
    format: str | None = None

    def content(self) -> Content:
        """Return whether the input holds cases, plain sentences, or trees.

        Raises:
            InputError: there is nothing to read, or different kinds are mixed.
        """
        found = sniff(self.inputs, format=self.format)
        if found == "cases" and self.column is not None:
            return "sentences"
        return found


def read_rows(reading: Reading) -> Iterator[ProbeRow | Reject]:
    """Yield the rows of all inputs in order, and a reject for each row that cannot be read.

    Raises:
        InputError: an input is missing or lacks the column.
    """
    rows = _READERS[reading.content()](reading)
    is_empty = True
    for row in unlike(rows):
        is_empty = False
        yield row
    if is_empty:
        raise InputError(f"Expected rows in {reading.inputs!r}, got none. Check the file.")


def _sentences(reading: Reading) -> Iterator[ProbeRow | Reject]:
    for found in read_sentences(reading.inputs, column=reading.column, format=reading.format):
        if isinstance(found, Reject):
            yield found
        else:
            shown = shortened(found.text, ROW_LENGTH)
            yield ProbeRow(found.id, found.text, None, found.source, found.line, shown)


def _cases(reading: Reading) -> Iterator[ProbeRow | Reject]:
    files = find_inputs(reading.inputs, format=reading.format)
    for file in files:
        for row, case in read_located(file.source):
            if isinstance(case, Reject) or row is None:
                yield case if isinstance(case, Reject) else Reject(file.source, 0, "", "")
                continue
            name = case.id or _name(file, row.line, alone=len(files) == 1)
            named = case if case.id == name else replace(case, id=name)
            yield ProbeRow(name, case.text, named, file.source, row.line, row.shown)


def _trees(reading: Reading) -> Iterator[ProbeRow | Reject]:
    files = find_inputs(reading.inputs, format=reading.format)
    for file in files:
        for found in read_conllu(file.source):
            if isinstance(found, Reject):
                yield found
                continue
            name = found.id or _name(file, found.line, alone=len(files) == 1)
            shown = shortened(found.text, ROW_LENGTH)
            yield ProbeRow(name, found.text, found, file.source, found.line, shown)


def _name(file: Input, line: int, *, alone: bool) -> str:
    """Return the name of a row without an id."""
    return f"line-{line}" if alone else f"{file.name}:{line}"


_READERS: Mapping[Content, Callable[[Reading], Iterator[ProbeRow | Reject]]] = MappingProxyType(
    {"cases": _cases, "sentences": _sentences, "conllu": _trees}
)
