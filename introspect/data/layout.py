"""What inputs hold, and where in them the texts and cases stand; a doubt is an error."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from introspect.data.cells import literal_of
from introspect.data.columns import (
    Columns,
    Found,
    case_columns,
    check_roles,
    choose_column,
    is_usual,
    missing_columns,
    sampled,
)
from introspect.data.conllu import Sentence, read_conllu
from introspect.data.foreign import check_is_text
from introspect.data.inputs import Input, Inputs, find_inputs, published
from introspect.data.jsonl import CASE_KEYS, case_from_fields
from introspect.data.outcomes import CaseSource, Outcome, Reject
from introspect.data.published import form_of
from introspect.data.readers import LINE, Hints, Reader, TableRows, Values, reader_of, sample_of
from introspect.data.tables import DELIMITERS, Table, check_divided
from introspect.data.words import case_from_words
from introspect.errors import InputError
from introspect.io import Row
from introspect.text import CorefCase, counted, listed, shortened

Content = Literal["cases", "sentences", "conllu"]

CONTENT_WORDS: Mapping[Content, str] = MappingProxyType(
    {"cases": "cases", "sentences": "plain sentences", "conllu": "sentences of a treebank"}
)
_SPANS: Columns = MappingProxyType({key: (key,) for key in CASE_KEYS})
_ALL_LINES: Columns = MappingProxyType({"text": (LINE,)})


@dataclass(frozen=True)
class Layout:
    """How one file or data set is read.

    Args:
        file: the file or data set.
        content: cases, plain sentences, or trees.
        columns: the columns that are read, by role.
        reader: the reader of its rows; ``None`` for trees.
        first: the first text; empty if no row could be read.
    """

    file: Input
    content: Content
    columns: Columns = field(default_factory=dict)
    reader: Reader | None = None
    first: str = ""

    @property
    def words(self) -> str:
        """Return what is read, in a sentence: the file, its columns, and the first text."""
        what = f"{CONTENT_WORDS[self.content]} from {self.file.name}"
        how = [self._table.words] if self._table else []
        if self.columns not in (_SPANS, _ALL_LINES):
            how += [
                f"{role} from {listed(f'“{shortened(name, 40)}”' for name in names)}"
                for role, names in self.columns.items()
            ]
        details = f" ({'; '.join(how)})" if how else ""
        doubt = f"; {self.doubt}" if self.doubt else ""
        first = f"; first text: “{shortened(self.first, 80)}”" if self.first else ""
        return f"reading {what}{details}{doubt}{first}"

    @property
    def doubt(self) -> str:
        """Return what was taken for a heading, or for none, where it might be something else."""
        return self.reader.doubt if self.reader else ""

    @property
    def manner(self) -> str:
        """Return how it is read, alike for files of one kind."""
        how = [self.file.format, self._table.words if self._table else "", self.doubt]
        return str((self.content, sorted(self.columns.items()), how))

    @property
    def _table(self) -> Table | None:
        return self.reader.table if isinstance(self.reader, TableRows) else None

    @property
    def facts(self) -> dict[str, Any]:
        """Return what is read, as plain JSON."""
        return {
            "file": self.file.name,
            "content": self.content,
            "columns": {role: list(names) for role, names in self.columns.items()},
            "delimiter": self._table.delimiter if self._table else None,
            "doubt": self.doubt,
            "first_text": shortened(self.first, 200),
        }

    def rows(self) -> Iterator[tuple[Row, Values]]:
        """Yield the rows with their values; of sentences also the blank ones, which are rejected.

        Raises:
            InputError: the file cannot be read.
        """
        assert self.reader is not None
        is_plain = self.content == "sentences"
        columns = [name for names in self.columns.values() for name in names] if is_plain else None
        return self.reader.rows(columns, keep_blank=is_plain)

    def cases(self, source: CaseSource) -> Iterator[tuple[Row | None, Outcome]]:
        """Yield the cases, or rejects, each with its row; ``None`` means the file as a whole."""
        values: Values = None

        def rows() -> Iterator[Row]:
            nonlocal values
            for row, values in self.rows():  # noqa: B007
                yield row

        def parse(row: Row) -> list[CorefCase]:
            assert values is not None
            if self.columns is _SPANS:
                return [case_from_fields(values)]
            return [case_from_words(values, self.columns)]

        yield from source.located(rows(), parse)

    def trees(self) -> Iterator[Sentence | Reject]:
        """Yield the sentences of a treebank, or rejects."""
        return read_conllu(self.file.path)


@dataclass(frozen=True)
class InputSet:
    """Inputs, and what the caller says about how to read them.

    Args:
        inputs: files, folders, globs, data sets; a list of texts or of cases; or a DataFrame.
        column: the column of plain sentences; a table of cases is then read as sentences.
        columns: the columns of a table of cases by role: ``{"antecedent": "Correct"}``, with roles
            ``text``, ``pronoun``, ``antecedent``, ``distractor``, ``id`` and ``group``.
        format: the format of all files, whatever their endings.
        delimiter: what separates the columns of a table; by default, what its first rows show.
        heading: whether the first row of a table names the columns; by default, what it looks
            like.
        wanted: what the inputs must hold; by default, whatever they do.
    """

    inputs: Inputs
    column: str | None = None
    columns: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    format: str | None = None
    delimiter: str | None = None
    heading: bool | None = None
    wanted: Content | None = None

    def __post_init__(self) -> None:
        if self.column is not None:
            # The columns of a DataFrame may be numbers.
            object.__setattr__(self, "column", str(self.column))

    @cached_property
    def files(self) -> list[Input]:
        """The files of all inputs, in order.

        Raises:
            InputError: as ``find_inputs``.
        """
        return find_inputs(self.inputs, format=self.format)

    @property
    def places(self) -> list[str]:
        """Return where what is read stands: what a run must not write."""
        return [file.path for file in self.files]

    @cached_property
    def layouts(self) -> list[Layout]:
        """Return how each file of a known format is read.

        Raises:
            InputError: a file may be read in several ways; or some hold something else than others.
        """
        check_roles(self.columns)
        layouts = [_layout_of(file, self) for file in self.files if file.format]
        kinds: dict[Content, str] = {}
        for layout in layouts:
            # A file without a readable row is taken for what the others are.
            if layout.first or layout.content == "conllu":
                kinds.setdefault(layout.content, layout.file.source)
        if len(kinds) > 1:
            (one, its), (other, others), *_ = kinds.items()
            raise InputError(
                f"Expected inputs of one kind, got {one} in {its!r} and {other} in {others!r}. "
                "Give them one after the other."
            )
        return layouts

    @property
    def content(self) -> Content:
        """Return what the inputs hold: cases, plain sentences, or trees."""
        known = [layout for layout in self.layouts if layout.first] or self.layouts
        return known[0].content

    @property
    def words(self) -> list[str]:
        """Return what is read, in a sentence for each kind of layout; of many files the first."""
        first: dict[str, str] = {}
        for layout in self.layouts:
            first.setdefault(layout.manner, layout.words)
        times = Counter(layout.manner for layout in self.layouts)
        return [f"{words}{_more(times[manner] - 1)}" for manner, words in first.items()]

    @property
    def hints(self) -> Hints:
        """Return what the caller says about tables."""
        given = [[each] if isinstance(each, str) else each for each in self.columns.values()]
        asked = tuple(name for names in given for name in names)
        column = () if self.column is None else (self.column,)
        return Hints(self.delimiter, self.heading, (*asked, *column))


def _more(number: int) -> str:
    return f", and {counted(number, 'more file')} read alike" if number else ""


def input_set(
    inputs: Inputs | InputSet,
    *,
    column: str | None = None,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    format: str | None = None,
    delimiter: str | None = None,
    heading: bool | None = None,
    wanted: Content | None = None,
) -> InputSet:
    """Return inputs with what the caller says about how to read them; a set of inputs as it is."""
    if isinstance(inputs, InputSet):
        return inputs
    return InputSet(inputs, column, columns or {}, format, delimiter, heading, wanted)


def _layout_of(file: Input, asked: InputSet) -> Layout:
    """Return how a file is read.

    Raises:
        InputError: it may be read in several ways.
    """
    if file.format in _AS_TEXT:
        check_is_text(file.path, file.source)
    if _is_undecided(file, asked) and (form := form_of(file.path)):
        raise published(file.source, form)
    if file.format == "conllu":
        trees = (tree for tree in read_conllu(file.path) if isinstance(tree, Sentence))
        return Layout(file, "conllu", first=next((tree.text for tree in trees), ""))
    reader = reader_of(file, asked.hints)
    samples = sample_of(reader)
    if file.format == "txt":
        texts = [values[LINE] for values in samples]
        if texts and asked.format is None and asked.heading is None:
            _check_lines(file, texts)
        return Layout(file, "sentences", _ALL_LINES, reader, first=texts[0] if texts else "")
    values = sampled(reader.names, samples)
    is_typed = file.format not in _UNTYPED
    held = getattr(reader, "held", {})
    found = Found(file.source, reader.names, values, reader.texts, is_typed, held)
    if asked.column is None:
        if any(all(key in values for key in CASE_KEYS) for values in samples) and not asked.columns:
            first = next(v["text"] for v in samples if "text" in v)
            return Layout(file, "cases", _SPANS, reader, first=str(first))
        if not samples and file.format in ("jsonl", "json"):
            # Reading them as cases reports what is wrong with each row.
            return Layout(file, "cases", _SPANS, reader)
        may_be_sentences = asked.wanted != "cases"
        columns = case_columns(found, asked.columns, may_be_sentences=may_be_sentences)
        if columns is not None:
            return Layout(file, "cases", columns, reader, _first(samples, columns["text"][0]))
        if not may_be_sentences and found.names:
            raise missing_columns(found, may_be_sentences=False)
    if not found.names:
        return Layout(file, "sentences", {}, reader)
    _check_no_cases(found, samples, asked)
    column = choose_column(found, asked.column)
    if not column:
        raise InputError(
            f"Expected a heading over the texts of {file.source!r}, got columns without names; "
            f"found: {found.listed}. Delete what stands above the heading, or name the column."
        )
    return Layout(file, "sentences", {"text": (column,)}, reader, _first(samples, column))


# Formats whose cells may hold a number, or a text of digits.
_UNTYPED = ("csv", "tsv", "xlsx")
_AS_TEXT = ("txt", "csv", "tsv", "jsonl", "json", "conllu")
# What may be written in a published form.
_MAY_BE_PUBLISHED = ("txt", "csv", "tsv", "jsonl", "json")


def _is_undecided(file: Input, asked: InputSet) -> bool:
    """Return whether nothing says yet how a file is read."""
    if file.format == "conllu":
        return asked.wanted == "cases"
    is_said = asked.column is not None or asked.columns or asked.format is not None
    return file.format in _MAY_BE_PUBLISHED and not is_said


def _first(samples: Sequence[Mapping[str, Any]], column: str) -> str:
    texts = (values.get(column) for values in samples)
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


_HEADING = re.compile("[" + "".join(DELIMITERS.values()) + "]")


def _check_lines(file: Input, lines: Sequence[str]) -> None:
    """Raise if the lines of a text are rows of another format.

    Raises:
        InputError: the first line is the heading of a table, or an object.
    """
    first = lines[0].strip()
    if literal_of(first) and not re.match(r'[{\[]\s*["{]', first):
        raise InputError(
            f"Expected a sentence on each line of {file.source!r}, got a list of words: "
            f"“{shortened(first, 60)}”. Join the words with spaces, or say 'txt' (--format) if "
            "these are the sentences."
        )
    if re.match(r'[{\[]\s*["\[{]', first) and first[-1] in "}],:[{":
        raise InputError(
            f"Expected a sentence on each line of {file.source!r}, got JSON: "
            f"“{shortened(first, 60)}”. Say format='jsonl' or 'json' (--format), or 'txt' if these "
            "are the sentences."
        )
    check_divided([line.strip() for line in lines if line.strip()], file.source)
    tabs = {line.count("\t") for line in lines if line.strip()}
    if len(tabs) == 1 and tabs != {0}:
        raise InputError(
            f"Expected a sentence on each line of {file.source!r}, got columns divided by tabs: "
            f"“{shortened(first, 60)}”. Say format='tsv' (--format), or 'txt' if these are the "
            "sentences."
        )
    names = [name.strip() for name in _HEADING.split(first)]
    if len(names) > 1 and any(map(is_usual, names)) and all(len(n.split()) < 4 for n in names):
        raise InputError(
            f"Expected a sentence on each line of {file.source!r}, got what may be the columns of "
            f"a table: “{shortened(first, 60)}”. Say format='csv' or 'tsv' (--format), or 'txt' if "
            "these are the sentences."
        )


def _check_no_cases(found: Found, samples: Sequence[Mapping[str, Any]], asked: InputSet) -> None:
    """Raise if a table whose headings say nothing of cases looks like one of cases.

    Raises:
        InputError: in every row, the words of three other columns stand in the text; of two, where
            there is no heading.
    """
    if asked.column is not None or not found.of_sentences:
        return
    text = max(found.of_sentences, key=lambda name: sum(len(str(row.get(name))) for row in samples))
    inside = [name for name in found.names if name != text and _stands_in(name, text, samples)]
    is_numbered = list(found.names) == [str(i + 1) for i in range(len(found.names))]
    if len(inside) > (1 if is_numbered else 2):
        heading = "a heading in" if is_numbered else "one kind of rows in"
        raise InputError(
            f"Expected {heading} {found.source!r}, whose columns {listed(inside)} have words of "
            f"the text in column {text}: these may be cases. Say which is which with columns=… "
            f"(--columns text={text},pronoun=…,antecedent=…,distractor=…), or read plain sentences "
            f"with column=… (--column {text})."
        )


def _stands_in(name: str, text: str, samples: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether what a column has stands in the text of its row, and not all of it is empty.

    A cell may hold several words, with ``|`` between them.
    """
    cells = [(str(row[name]), str(row.get(text))) for row in samples if row.get(name)]
    return bool(cells) and all(
        part.strip().casefold() in whole.casefold()
        for cell, whole in cells
        for part in cell.split("|")
    )
