"""CoNLL-2012: a word a line, with the mentions that begin and end at it in the last column.

#begin document (bc/cctv/00/cctv_0000); part 000
bc/cctv/00/cctv_0000   0   0   The   DT   …   (12|(7
bc/cctv/00/cctv_0000   0   1   fox   NN   …   12)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from introspect.data.outcomes import BadLineError, CaseSource, Outcome, SeenIds
from introspect.data.published.documents import Document, document_of_words
from introspect.data.published.options import ClusterOptions
from introspect.data.published.pronoun_cases import read_documents
from introspect.data.published.pronouns import is_pronoun_tag, is_tag
from introspect.io import PathLike, Row, read_lines

_BEGIN = re.compile(r"#\s*begin document\s+(?P<what>\S.*)")
_PART = re.compile(r"\s*part\s+(?P<part>\S+)")
_END = re.compile(r"#\s*end document.*")
_WORD, _TAG = 3, 4
# The document, its part, the number of the word, the word, and its mentions.
_LEAST_COLUMNS = 5
_NO_MENTION = ("-", "_", "*")
_BRACKET = re.compile(r"(?P<open>\()?(?P<entity>[^()|\s]+)(?P<close>\))?")


def read_conll2012(
    path: PathLike, *, options: ClusterOptions | None = None, seen: SeenIds | None = None
) -> Iterator[Outcome]:
    """Yield the cases of the pronouns of a file of CoNLL-2012, as OntoNotes and LitBank write it.

    The text is the words with one space between them, as in the file. Pronouns are those tagged
    PRP or PRP$ (PN in Chinese); where the column has no tags, the words of a list. A document with
    a bad line is rejected as a whole, and the reject names that line. Each part is a document.

    Args:
        path: the file.
        options: how cases are made of the clusters.
        seen: ids already used by other files.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    source = CaseSource(path, seen)
    options = options or ClusterOptions()
    lines = read_lines(path, keep_blank=True)
    documents = ((part.row, partial(_document, part, options)) for part in _parts(lines))
    yield from read_documents(source, documents, options)


def is_conll2012(lines: Sequence[str]) -> bool:
    """Return whether the first lines are those of a file of CoNLL-2012."""
    if any(_BEGIN.fullmatch(line.rstrip()) for line in lines):
        return True
    words = [columns for line in lines if (columns := _columns(line)) and not line.startswith("#")]
    return bool(words) and all(
        len(columns) >= 2 * _LEAST_COLUMNS
        and columns[1].isdigit()
        and columns[2].isdigit()
        and (columns[-1] in _NO_MENTION or columns[-1].strip("()|").replace("|", "").isalnum())
        for columns in words
    )


def _columns(line: str) -> list[str]:
    return line.split("\t") if "\t" in line.strip() else line.split()


@dataclass
class _Part:
    """A part of a document: its first row, its name, the words of each sentence, any bad line."""

    row: Row
    name: str
    sentences: list[list[tuple[Row, list[str]]]] = field(default_factory=lambda: [[]])
    fault: BadLineError | None = None
    is_announced: bool = True

    def add(self, row: Row) -> None:
        """Add a line; after a bad one, hold no more."""
        if self.fault:
            return
        columns = [column.strip() for column in _columns(row.raw)]
        if row.fault:
            self.fault = BadLineError(row, str(row.fault), row.fault.kind)
        elif not row.raw.strip():
            if self.sentences[-1]:
                self.sentences.append([])
        elif len(columns) < _LEAST_COLUMNS:
            reason = (
                f"Expected at least {_LEAST_COLUMNS} columns (document, part, number, word, …, "
                f"mentions), got {len(columns)}."
            )
            self.fault = BadLineError(row, reason, "columns")
        elif not columns[_WORD]:
            self.fault = BadLineError(row, "Expected a word in column 4, got none.", "form")
        else:
            self.sentences[-1].append((row, columns))
        if self.fault:
            self.sentences = [[]]


def _named_at(what: str) -> str:
    """Return the name of a part as its first line has it, ``(bc/cctv_0000); part 000``."""
    name, mark, last = what.rpartition(";")
    part = _PART.fullmatch(last) if mark else None
    document = (name if part else what).strip().removeprefix("(").removesuffix(")")
    return _name(document, part and part["part"])


def _parts(rows: Iterable[Row]) -> Iterator[_Part]:
    """Yield the parts of the documents, holding one at a time."""
    part: _Part | None = None
    for row in rows:
        if begin := _BEGIN.fullmatch(row.raw.rstrip()):
            if part:
                yield part
            part = _Part(row, _named_at(begin["what"]))
        elif _END.fullmatch(row.raw):
            if part:
                yield part
            part = None
        elif row.raw.startswith("#") and len(row.raw.split()) < _LEAST_COLUMNS:
            continue  # A comment.
        else:
            is_blank = not row.raw.strip() and not row.fault
            name = "" if is_blank else _name_in(row)
            if part and not part.is_announced and name and name != part.name:
                yield part
                part = None
            if part is None and not is_blank:
                part = _Part(row, name, is_announced=False)
            if part:
                part.add(row)
    if part:
        yield part


def _name(document: str, part: str | None) -> str:
    number = (part or "0").lstrip("0") or "0"
    return document if number == "0" else f"{document}-part{number}"


def _name_in(row: Row) -> str:
    document, part, *_ = [*_columns(row.raw), "", ""]
    return _name(document, part)


def _document(part: _Part, options: ClusterOptions) -> Document:
    if part.fault:
        raise part.fault
    sentences = [sentence for sentence in part.sentences if sentence]
    lines = [line for sentence in sentences for line in sentence]
    if not lines:
        raise BadLineError(part.row, "The document has no words.", "empty")
    return document_of_words(
        part.name,
        [[columns[_WORD] for _, columns in sentence] for sentence in sentences],
        _mentions(lines),
        options,
        _tags(lines),
    )


def _tags(lines: Sequence[tuple[Row, list[str]]]) -> list[bool] | None:
    tags = [columns[_TAG] if len(columns) > _TAG + 1 else "-" for _, columns in lines]
    return list(map(is_pronoun_tag, tags)) if any(map(is_tag, tags)) else None


def _mentions(lines: Sequence[tuple[Row, list[str]]]) -> list[tuple[int, int, str]]:
    """Return first word, word after the last, and entity of each mention."""
    mentions: list[tuple[int, int, str]] = []
    open_at: dict[str, list[int]] = {}
    for number, (row, columns) in enumerate(lines):
        cell = columns[-1]
        for piece in [] if cell in _NO_MENTION else cell.split("|"):
            bracket = _BRACKET.fullmatch(piece)
            if not bracket or not (bracket["open"] or bracket["close"]):
                reason = f"Expected mentions as (1, 1) or (1), divided by |, got {cell[:40]!r}."
                raise BadLineError(row, reason, "brackets")
            started = open_at.setdefault(bracket["entity"], [])
            if bracket["open"]:
                started.append(number)
            if bracket["close"]:
                if not started:
                    reason = f"A mention of {bracket['entity'][:40]} ends here that never began."
                    raise BadLineError(row, reason, "brackets")
                mentions.append((started.pop(), number + 1, bracket["entity"]))
    for entity, started in open_at.items():
        if started:
            reason = f"A mention of {entity[:40]} begins here that never ends."
            raise BadLineError(lines[started[0]][0], reason, "brackets")
    return mentions
