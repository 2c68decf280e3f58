"""CorefUD: trees in CoNLL-U with the mentions that begin and end at a node in the last column.

https://ufal.mff.cuni.cz/corefud
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from introspect.data.conllu import Sentence, blocks, sentence_of
from introspect.data.outcomes import BadLineError, CaseSource, Outcome, SeenIds
from introspect.data.published.documents import Document, Mention
from introspect.data.published.options import ClusterOptions
from introspect.data.published.pronoun_cases import read_documents
from introspect.data.published.pronouns import are_pronouns, is_pronoun_tag, is_tag
from introspect.io import PathLike, Row
from introspect.text import Span, is_unspaced

_NEW_DOCUMENT = re.compile(r"#\s*newdoc\b(?:\s+id)?\s*(?:=\s*(?P<id>.*))?")
_ORDER = re.compile(r"#\s*global\.Entity\s*=\s*(?P<order>\S+)\s*")
_ENTITY_NAMES = ("eid", "GRP")
_BRACKETS = re.compile(r"\((?P<opened>[^()]+)(?P<closes>\))?|(?<![^()])(?P<closed>[^()]++)\)")
_PARTED = re.compile(r"(?P<entity>.+?)\[(?P<part>\d{1,4})/(?P<parts>\d{1,4})\]")
_WORD_LINE = re.compile(r"[1-9][0-9]*")


def read_corefud(
    path: PathLike, *, options: ClusterOptions | None = None, seen: SeenIds | None = None
) -> Iterator[Outcome]:
    """Yield the cases of the pronouns of a file of CoNLL-U with ``Entity=`` in its last column.

    The text is that of the sentences (``# text``, or the forms with ``SpaceAfter=No``). Pronouns
    are personal, possessive and demonstrative ones by their universal part of speech; without
    parts of speech, the words of a list. What follows ``# newdoc`` is a document. Mentions of
    empty nodes (zero pronouns) and those in several parts have no characters in one piece: they
    are left out and counted. A document with a bad line is rejected as a whole.

    Args:
        path: the file.
        options: how cases are made of the clusters.
        seen: ids already used by other files.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    source = CaseSource(path, seen)
    options = options or ClusterOptions()
    documents = (
        (found.row, partial(_document, found, options))
        for found in _documents(path, source.path.stem)
    )
    yield from read_documents(source, documents, options)


def is_corefud(lines: Sequence[str]) -> bool:
    """Return whether the first lines are those of trees with mentions."""
    return any(
        _ORDER.fullmatch(line)
        or (
            line.count("\t") == 9
            and any(pair.startswith("Entity=") for pair in line.split("\t")[9].split("|"))
        )
        for line in lines
    )


@dataclass
class _Trees:
    """A document as it is in the file: its name, its sentences, and where the entity's name is."""

    row: Row
    name: str
    place: int = 0
    blocks: list[list[Row]] = field(default_factory=list)


def _documents(path: PathLike, stem: str) -> Iterator[_Trees]:
    """Yield the documents of a file, holding one at a time."""
    trees: _Trees | None = None
    place = number = 0
    for block in blocks(path):
        comments = [row for row in block if row.raw.startswith("#") and not row.fault]
        for row in comments:
            if order := _ORDER.fullmatch(row.raw):
                names = order["order"].split("-")
                place = next((names.index(n) for n in _ENTITY_NAMES if n in names), 0)
        begins = next(
            (m for row in comments if (m := _NEW_DOCUMENT.fullmatch(row.raw.rstrip()))), None
        )
        if trees is None or begins:
            if trees is not None:
                yield trees
            number += 1
            trees = _Trees(block[0], (begins and begins["id"]) or f"{stem}-{number}", place)
        if any(row.fault or not row.raw.startswith("#") for row in block):
            trees.blocks.append(block)
    if trees is not None:
        yield trees


def _document(trees: _Trees, options: ClusterOptions) -> Document:
    reader = _Reader(trees, options)
    for block in trees.blocks:
        reader.add(block)
    return reader.document()


@dataclass
class _Open:
    """A mention that has begun: the row, its first word, and which of its parts this is."""

    row: Row
    word: int
    part: int
    parts: int


class _Reader:
    """The text, words and mentions of a document, sentence by sentence."""

    def __init__(self, trees: _Trees, options: ClusterOptions) -> None:
        self._trees, self._options = trees, options
        self._pieces: list[str] = []
        self._length = 0
        self._glued = False
        self._words: list[Span] = []
        self._tags: list[tuple[str, str]] = []
        self._sentences: list[Span] = []
        self._open: dict[str, list[_Open]] = {}
        self._mentions: list[Mention] = []
        self._unread: list[tuple[str, str]] = []

    def add(self, block: Sequence[Row]) -> None:
        """Add a sentence."""
        sentence = sentence_of(block)
        begin = self._begin(sentence)
        first = len(self._words)
        words = iter(sentence.words)
        columns: list[str] = []
        for row in block:
            if row.raw.startswith("#"):
                continue
            columns = row.raw.split("\t")
            if "-" in columns[0]:
                continue  # A range has no node of its own.
            here = len(self._words)
            # An empty node has no characters.
            if _WORD_LINE.fullmatch(columns[0]):
                start, end = next(words).span
                self._words.append((begin + start, begin + end))
                self._tags.append((columns[3], columns[5]))
            for pair in columns[9].split("|"):
                if pair.startswith("Entity="):
                    self._read(row, here, pair.removeprefix("Entity="))
        self._sentences.append((first, len(self._words)))
        self._glued = "SpaceAfter=No" in columns[9].split("|")

    def _begin(self, sentence: Sentence) -> int:
        """Add the text of a sentence; return where it begins."""
        if self._pieces and not (self._glued and is_unspaced(sentence.text[0])):
            self._pieces.append(" ")
            self._length += 1
        begin = self._length
        self._pieces.append(sentence.text)
        self._length += len(sentence.text)
        return begin

    def _read(self, row: Row, here: int, value: str) -> None:
        """Read the brackets of a node, as ``(e1-person-1-(e2-place-1-)e3)``."""
        end = 0
        for bracket in _BRACKETS.finditer(value):
            if bracket.start() != end:
                break
            end = bracket.end()
            if bracket["opened"] is not None:
                fields = bracket["opened"].split("-")
                name = fields[self._trees.place] if self._trees.place < len(fields) else ""
                self._begin_mention(row, here, name)
                if bracket["closes"]:
                    self._end_mention(row, name)
            else:
                self._end_mention(row, bracket["closed"])
        if end != len(value) or not value:
            reason = f"Expected mentions as (e1-…, e1) or (e1-…), got {value[:60]!r}."
            raise BadLineError(row, reason, "brackets")

    def _begin_mention(self, row: Row, here: int, name: str) -> None:
        if not name:
            raise BadLineError(row, "Expected the name of an entity, got none.", "brackets")
        parted = _PARTED.fullmatch(name)
        part, parts = (int(parted["part"]), int(parted["parts"])) if parted else (1, 1)
        self._open.setdefault(name, []).append(_Open(row, here, part, parts))

    def _end_mention(self, row: Row, name: str) -> None:
        started = self._open.get(name)
        if not started:
            reason = f"A mention of {name[:40]} ends here that never began."
            raise BadLineError(row, reason, "brackets")
        begun = started.pop()
        parted = _PARTED.fullmatch(name)
        entity = parted["entity"] if parted else name
        if begun.parts > 1:
            if begun.part == 1:
                reason = f"A mention of {entity} is in {begun.parts} parts."
                self._unread.append(("discontinuous", reason))
        elif begun.word == len(self._words):
            self._unread.append(("empty_node", f"A mention of {entity} has no words."))
        else:
            span = (self._words[begun.word][0], self._words[-1][1])
            self._mentions.append(Mention(span, entity))

    def document(self) -> Document:
        """Return the document."""
        for name, started in self._open.items():
            if started:
                reason = f"A mention of {name[:40]} begins here that never ends."
                raise BadLineError(started[0].row, reason, "brackets")
        if not self._words:
            raise BadLineError(self._trees.row, "The document has no words.", "empty")
        by_words = self._options.pronouns is not None or not any(is_tag(t) for t, _ in self._tags)
        text = "".join(self._pieces)
        words = [text[start:end] for start, end in self._words]
        return Document(
            name=self._trees.name,
            text=text,
            words=self._words,
            sentences=self._sentences,
            pronouns=are_pronouns(words, self._options.language, self._options.pronouns)
            if by_words
            else [is_pronoun_tag(tag, features) for tag, features in self._tags],
            mentions=self._mentions,
            unread=self._unread,
        )
