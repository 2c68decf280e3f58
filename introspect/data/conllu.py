"""CoNLL-U: sentences with their words, syntactic heads and relations.

https://universaldependencies.org/format.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from introspect.data.outcomes import BadLineError, Reject, no_rows
from introspect.io import PathLike, Row, read_lines
from introspect.text import Span

_COLUMNS = 10
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_RANGE = re.compile(r"([1-9][0-9]{0,8})-([1-9][0-9]{0,8})")
_EMPTY_NODE = re.compile(r"[0-9]{1,9}\.[1-9][0-9]{0,8}")
_COMMENT = re.compile(r"#\s*(text|sent_id)\s*=\s?(.*)")


@dataclass(frozen=True)
class SyntaxWord:
    """A syntactic word.

    Args:
        form: its form in the treebank; ``del`` in Spanish is the words *de* and *el*.
        span: its characters in the sentence's text. Words that a contraction does not spell out
            span the whole contraction.
        head: the index of its head among the words; ``None`` for the root or if not annotated.
        deprel: its relation to its head: ``nsubj``, ``nsubj:pass``; empty if not annotated.
        upos: its universal part of speech; empty if not annotated.
    """

    form: str
    span: Span
    head: int | None
    deprel: str = ""
    upos: str = ""


@dataclass(frozen=True)
class Sentence:
    """A sentence of a treebank.

    Args:
        text: its ``# text``, or else the joined forms.
        words: its syntactic words, in order.
        id: its ``sent_id``, if it has one.
        line: where it begins in its file, counted from 1.
    """

    text: str
    words: tuple[SyntaxWord, ...]
    id: str | None = None
    line: int = 0


def read_conllu(path: PathLike) -> Iterator[Sentence | Reject]:
    """Yield the sentences of a CoNLL-U file, holding one at a time.

    Each word of a multiword token gets the characters that it spells out (``don't``: *do*, *n't*),
    or else all of the token's (``del``). Empty nodes are skipped. A sentence with a bad
    line is rejected as a whole, and the ``Reject`` names its first bad line.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    is_empty = True
    for rows in blocks(path):
        is_empty = False
        yield _outcome(rows, str(path))
    if is_empty:
        yield no_rows(str(path))


def blocks(path: PathLike) -> Iterator[list[Row]]:
    """Yield the lines between blank ones; after an unreadable line, do not hold the rest."""
    block: list[Row] = []
    last = 0
    for row in read_lines(path):
        if block and row.line != last + 1:  # Blank lines are skipped, but counted.
            yield block
            block = []
        if not (block and block[-1].fault):
            block.append(row)
        last = row.line
    if block:
        yield block


def _outcome(rows: Sequence[Row], source: str) -> Sentence | Reject:
    try:
        return sentence_of(rows)
    except BadLineError as error:
        return Reject(source, error.row.line, str(error), error.row.shown, error.kind)


def sentence_of(rows: Sequence[Row]) -> Sentence:
    """Return the sentence that the lines of a block are.

    Raises:
        BadLineError: a line is no line of CoNLL-U, or the words are not those of the text.
    """
    comments: dict[str, tuple[Row, str]] = {}
    lines: list[tuple[Row, list[str]]] = []
    for row in rows:
        if row.fault:
            raise BadLineError(row, str(row.fault), row.fault.kind)
        if not row.raw.startswith("#"):
            lines.append((row, _columns(row)))
        elif comment := _COMMENT.fullmatch(row.raw):
            comments.setdefault(comment[1], (row, comment[2].strip()))
    words = [(row, columns) for row, columns in lines if _NUMBER.fullmatch(columns[0])]
    if not words:
        raise BadLineError(rows[0], "The sentence has no words.", "empty")
    text, places = _aligned(_surface(lines), comments.get("text"))
    return Sentence(
        text=text,
        words=tuple(_word(*word, places[i], len(words)) for i, word in enumerate(words)),
        id=comments["sent_id"][1] if "sent_id" in comments else None,
        line=rows[0].line,
    )


def _columns(row: Row) -> list[str]:
    columns = row.raw.split("\t")
    if len(columns) != _COLUMNS:
        reason = f"Expected {_COLUMNS} columns divided by tabs, got {len(columns)}."
        raise BadLineError(row, reason, "columns")
    if not columns[1].strip():
        raise BadLineError(row, "Expected a form in column 2, got none.", "form")
    return columns


def _word(row: Row, columns: Sequence[str], span: Span, num_words: int) -> SyntaxWord:
    number, head = int(columns[0]), columns[6]
    is_number = head == "0" or _NUMBER.fullmatch(head)
    if head != "_" and not (is_number and int(head) <= num_words and int(head) != number):
        reason = (
            f"Expected the head of word {number} as 0 or the number of another of the "
            f"{num_words} words, got {head[:40]!r}."
        )
        raise BadLineError(row, reason, "head")
    return SyntaxWord(
        form=columns[1],
        span=span,
        head=None if head in ("_", "0") else int(head) - 1,
        deprel="" if columns[7] == "_" else columns[7],
        upos="" if columns[3] == "_" else columns[3],
    )


# --- characters -------------------------------------------------------------------------------


@dataclass
class _Token:
    """Characters written together: a word, or a multiword token with the forms of its words."""

    row: Row
    form: str
    forms: list[str]
    is_followed_by_space: bool
    last: int = 0


def _surface(lines: Sequence[tuple[Row, list[str]]]) -> list[_Token]:
    """Return the tokens of the text in order; numbers increase by one, ranges are complete."""
    tokens: list[_Token] = []
    number = 0
    for row, columns in lines:
        name, form = columns[0], columns[1]
        has_space = "SpaceAfter=No" not in columns[9].split("|")
        is_open = bool(tokens) and number < tokens[-1].last
        if _EMPTY_NODE.fullmatch(name):
            continue
        if (range_ := _RANGE.fullmatch(name)) and not is_open:
            first, last = int(range_[1]), int(range_[2])
            if first == number + 1 and last > first:
                tokens.append(_Token(row, form, [], has_space, last))
                continue
        if name != str(number + 1):
            reason = f"Expected word {number + 1} or a range from it, got {name[:40]!r}."
            raise BadLineError(row, reason, "number")
        number += 1
        if is_open:
            tokens[-1].forms.append(form)
        else:
            tokens.append(_Token(row, form, [form], has_space, number))
    if tokens and number < tokens[-1].last:
        reason = f"The range ends at word {tokens[-1].last}, but the last word is {number}."
        raise BadLineError(tokens[-1].row, reason, "number")
    return tokens


def _aligned(tokens: Sequence[_Token], given: tuple[Row, str] | None) -> tuple[str, list[Span]]:
    """Return the text and the span of each word, in order, with only spaces in between."""
    if given is None:
        pieces = [t.form + " " * t.is_followed_by_space for t in tokens]
        text = "".join(pieces).rstrip()
    else:
        text = given[1]
    places: list[Span] = []
    end = 0
    for token in tokens:
        while end < len(text) and text[end].isspace():
            end += 1
        if not text.startswith(token.form, end):
            reason = f"Expected the form {token.form[:40]!r} at character {end} of the text."
            raise BadLineError(token.row, reason, "text")
        places += _divided(token, end)
        end += len(token.form)
    if text[end:].strip() and given is not None:
        reason = f"The words end at character {end}, before the text does."
        raise BadLineError(given[0], reason, "text")
    return text, places


def _divided(token: _Token, start: int) -> list[Span]:
    """Return the span of each word: its own if the words spell the token out, else all."""
    if "".join(token.forms) != token.form:
        return [(start, start + len(token.form))] * len(token.forms)
    spans = []
    for form in token.forms:
        spans.append((start, start + len(form)))
        start += len(form)
    return spans
