"""Definite pronouns (Rahman and Ng): a sentence, its pronoun, two candidates and the right one.

WSC273 is published in the same forms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from introspect.data.conllu import blocks
from introspect.data.json_rows import read_objects
from introspect.data.jsonl import object_from_json
from introspect.data.outcomes import BadLineError, CaseSource, Outcome, SeenIds, checked_case
from introspect.data.published.choices import case_of_choices
from introspect.data.published.phrases import found_phrase, found_phrases
from introspect.data.similar import SimilarTexts
from introspect.io import PathLike, Row, RowError, read_lines
from introspect.text import CorefCase

_LINES = 4


def read_dpr(path: PathLike, *, seen: SeenIds | None = None) -> Iterator[Outcome]:
    """Yield the sentences of a file of four lines each, with an empty line between two, or of JSON.

    Objects of JSON have ``sentence`` or ``text``, ``pronoun``, ``candidates`` or ``options``, and
    ``label``, the number of the right one from 0, or its words. The lines are the sentence, the
    pronoun, the candidates with commas between them, and the right one. As its authors say, the
    pronoun's first occurrence is meant; so is that of a candidate, apart from the pronoun.
    Sentences that share at least half of their words are a group.

    Args:
        path: the file.
        seen: ids already used by other files.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    source = CaseSource(path, seen)
    groups = SimilarTexts()
    lines: Sequence[Row] = ()

    def parse_object(row: Row) -> list[Outcome]:
        fields = object_from_json(row.raw)
        return [case_of_choices(fields, f"{source.path.stem}-{row.line}", groups)]

    first = next(read_lines(path), None)
    if first is not None and first.raw.lstrip().startswith(("{", "[")):
        yield from source.outcomes(read_objects(path), parse_object)
        return

    def rows() -> Iterator[Row]:
        nonlocal lines
        for lines in _schemas(path):
            yield lines[0]

    def parse(row: Row) -> list[Outcome]:
        return [_case(lines, f"{source.path.stem}-{row.line}", groups)]

    yield from source.outcomes(rows(), parse)


def is_dpr(lines: Sequence[str]) -> bool:
    """Return whether the first lines are those of two schemas, or of the only one."""
    kept = [line.strip() for line in lines]
    while kept and not kept[-1]:
        kept.pop()
    first, rest = kept[:_LINES], kept[_LINES : 2 * _LINES + 1]
    if not _is_schema(first):
        return False
    rest = rest[1:] if rest and not rest[0] else rest
    return not rest or len(rest) < _LINES or _is_schema(rest[:_LINES])


def _is_schema(lines: Sequence[str]) -> bool:
    if len(lines) < _LINES or not all(lines):
        return False
    sentence, pronoun, candidates, answer = lines
    names = [name.strip().lower() for name in candidates.split(",")]
    is_word = len(pronoun.split()) == 1 and pronoun.lower() in sentence.lower()
    return is_word and len(names) > 1 and answer.lower() in names


def _schemas(path: PathLike) -> Iterator[Sequence[Row]]:
    """Yield the lines of each schema; without empty lines, each four lines are one."""
    for block in blocks(path):
        if len(block) % _LINES:
            yield block
        else:
            yield from (block[i : i + _LINES] for i in range(0, len(block), _LINES))


def _case(lines: Sequence[Row], name: str, groups: SimilarTexts) -> CorefCase:
    for row in lines:
        if row.fault:
            raise BadLineError(row, str(row.fault), row.fault.kind)
    if len(lines) != _LINES:
        raise RowError(
            f"Expected {_LINES} lines (sentence, pronoun, candidates, the right one), got "
            f"{len(lines)}.",
            kind="lines",
        )
    text, word, names, answer = (row.raw.strip() for row in lines)
    candidates = [name.strip() for name in names.split(",")]
    right = [name.lower() == answer.lower() for name in candidates]
    if len(candidates) < 2 or sum(right) != 1:
        reason = f"Expected candidates with commas between them, one of them {answer[:40]!r}."
        raise BadLineError(lines[2], reason, "candidates")
    pronoun = found_phrase(text, word, "pronoun")
    spans = found_phrases(text, candidates, pronoun)
    return checked_case(
        text,
        pronoun,
        sorted(zip(spans, right, strict=True)),
        group=groups.group_of(text, name),
        id=name,
    )
