"""The reading of any input into the rows to probe."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

from introspect.data import (
    Content,
    Input,
    InputSet,
    Reject,
    SeenIds,
    Sentence,
    case_to_json,
    read_case_rows,
    read_sentences,
    reject_to_json,
    unknown_ending,
)
from introspect.errors import InputError
from introspect.io import ROW_LENGTH, codec_of, is_stdin
from introspect.text import CorefCase, counted, shortened, verb

_BY_LINES = ("txt", "jsonl", "csv", "tsv")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class ProbeRow:
    """A text to probe.

    Args:
        id: its unique name.
        text: the text that the model reads.
        item: a case, a sentence of a treebank, or ``None`` for a plain text.
        source: the file that it is in.
        line: the line in that file.
        shown: the row as it appears in the file, shortened.
    """

    id: str
    text: str
    item: CorefCase | Sentence | None = None
    source: str = ""
    line: int = 0
    shown: str = ""

    def rejected(self, reason: str, kind: str) -> Reject:
        """Return the row as a reject."""
        return Reject(self.source, self.line, reason, self.shown, kind)

    @property
    def content(self) -> str:
        """Everything that a result depends on, as one line."""
        if isinstance(self.item, CorefCase):
            return case_to_json(self.item)
        of_treebank = None if self.item is None else asdict(self.item)
        return json.dumps([self.id, self.text, of_treebank], ensure_ascii=False)

    @property
    def meaning(self) -> str:
        """The content without its names, which another set may share with this one."""
        if isinstance(self.item, CorefCase):
            unnamed = replace(self.item, id=None, group=None, extra={})
            return f"case {case_to_json(unnamed)}"
        of_treebank = None if self.item is None else asdict(replace(self.item, id=None, line=0))
        return json.dumps([self.text, of_treebank], ensure_ascii=False)


@dataclass(frozen=True)
class Shard:
    """A unit of work: some rows of the input, in order.

    Args:
        index: its index, from 0.
        rows: rows to probe, and rejects for rows that could not be read.
        digest: the digest of its content.
    """

    index: int
    rows: tuple[ProbeRow | Reject, ...]
    digest: str

    @classmethod
    def of(cls, index: int, rows: Iterable[ProbeRow | Reject]) -> Shard:
        """Build the shard of these rows."""
        kept = tuple(rows)
        digest = hashlib.sha256()
        for row in kept:
            line = row.content if isinstance(row, ProbeRow) else reject_to_json(row)
            digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
        return cls(index, kept, digest.hexdigest())


def cut(rows: Iterable[ProbeRow | Reject], size: int) -> Iterator[Shard]:
    """Yield shards of ``size`` rows, the last one shorter, holding one at a time."""
    index, held = 0, []
    for row in rows:
        held.append(row)
        if len(held) == size:
            yield Shard.of(index, held)
            index, held = index + 1, []
    if held:
        yield Shard.of(index, held)


def unlike(rows: Iterable[ProbeRow | Reject]) -> Iterator[ProbeRow | Reject]:
    """Yield the rows, with a reject for each whose id has come before."""
    seen = SeenIds()
    for row in rows:
        if isinstance(row, Reject) or seen.add(row.id):
            yield row
        else:
            reason = f"Expected an id of its own, but an earlier row has {row.id!r}."
            yield row.rejected(reason, "duplicate_id")


def read_rows(inputs: InputSet) -> Iterator[ProbeRow | Reject]:
    """Yield the rows of all inputs in order, and a reject for each row that cannot be read.

    Raises:
        InputError: an input is missing, or may be read in several ways.
    """
    rows = _READERS[inputs.content](inputs)
    is_empty = True
    for row in unlike(rows):
        is_empty = False
        yield row
    if is_empty:
        raise InputError(f"Expected rows in {name_of(inputs)!r}, got none. Check the file.")


def check_readable(inputs: InputSet) -> None:
    """Check that a row of an input can be read, before anything is made of it.

    Raises:
        InputError: none can be read, or an input is missing or may be read in several ways.
    """
    first, number = None, 0
    for row in read_rows(inputs):
        if isinstance(row, ProbeRow):
            return
        first = first or row
        number += 1
    raise no_result(inputs, number, first)


def no_result(
    inputs: InputSet, number: int, first: Reject | None = None, place: str = ""
) -> InputError:
    """Return the error of an input of which no row gives a result.

    Args:
        inputs: the input.
        number: how many rows were rejected.
        first: the first of them.
        place: where they are listed, if they are.
    """
    why = ""
    if first is not None:
        line = f"line {first.line}: " if first.line else ""
        why = f" The first: {line}{first.reason}"
    listed = f", see {place}" if place else ""
    return InputError(
        f"Expected at least one row with a result in {name_of(inputs)!r}, got none; "
        f"{counted(number, 'row')} {verb(number, 'was', 'were')} rejected{listed}.{why}"
    )


def name_of(inputs: InputSet) -> str:
    """Return the name of the first input, and how many more there are."""
    given = inputs.inputs
    if isinstance(given, str | os.PathLike):
        return "standard input" if is_stdin(given) else Path(given).name or str(given)
    sources = list(dict.fromkeys(file.source for file in inputs.files))
    first = Path(sources[0]).name or sources[0]
    return first if len(sources) == 1 else f"{first} and {len(sources) - 1} more"


def _sentences(inputs: InputSet) -> Iterator[ProbeRow | Reject]:
    for sentence in read_sentences(inputs):
        if isinstance(sentence, Reject):
            yield sentence
        else:
            shown = shortened(sentence.text, ROW_LENGTH)
            source, line = sentence.source, sentence.line
            yield ProbeRow(sentence.id, sentence.text, None, source, line, shown)


def _cases(inputs: InputSet) -> Iterator[ProbeRow | Reject]:
    for file, row, case in read_case_rows(inputs):
        if isinstance(case, Reject) or row is None:
            yield case if isinstance(case, Reject) else Reject(file.source, 0, "", "")
            continue
        name = case.id or _name(file, row.line, alone=len(inputs.files) == 1)
        named = case if case.id == name else replace(case, id=name)
        yield ProbeRow(name, case.text, named, file.source, row.line, row.shown)


def _trees(inputs: InputSet) -> Iterator[ProbeRow | Reject]:
    layouts = {layout.file: layout for layout in inputs.layouts}
    for file in inputs.files:
        if file not in layouts:
            yield unknown_ending(file)
            continue
        for tree in layouts[file].trees():
            if isinstance(tree, Reject):
                yield tree
                continue
            name = tree.id or _name(file, tree.line, alone=len(inputs.files) == 1)
            shown = shortened(tree.text, ROW_LENGTH)
            yield ProbeRow(name, tree.text, tree, file.source, tree.line, shown)


def _name(file: Input, line: int, *, alone: bool) -> str:
    """Return the name of a row without an id."""
    return f"line-{line}" if alone else f"{file.name}:{line}"


_READERS: Mapping[Content, Callable[[InputSet], Iterator[ProbeRow | Reject]]] = MappingProxyType(
    {"cases": _cases, "sentences": _sentences, "conllu": _trees}
)


def count_rows(inputs: InputSet) -> int | None:
    """Estimate the number of rows by counting lines; return ``None`` if lines do not show it.

    Raises:
        InputError: an input is missing.
    """
    files = inputs.files
    if any(file.format not in _BY_LINES or codec_of(file.source) for file in files):
        return None
    before = [getattr(layout.reader, "lines_before", 0) for layout in inputs.layouts]
    # A file without a row is one that is rejected.
    return sum(
        max(_count_lines(file.path) - above, 1) for file, above in zip(files, before, strict=True)
    )


def _count_lines(path: str) -> int:
    number, last = 0, b"\n"
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            number += block.count(b"\n")
            last = block[-1:]
    return number + (last != b"\n")
