"""WinoGrande: sentences with a blank and two options. A blank attends to nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from introspect.data.json_rows import read_objects
from introspect.data.jsonl import object_from_json
from introspect.data.outcomes import CaseSource, Outcome, SeenIds, checked_case
from introspect.data.published.phrases import found_phrases
from introspect.data.similar import SimilarTexts
from introspect.errors import SelectionError
from introspect.io import PathLike, Row, RowError
from introspect.text import CorefCase, shortened

_KEYS = ("sentence", "option1", "option2")
_BLANK = re.compile(r"(?<!\w)_+(?!\w)")
_DETERMINER = re.compile(
    r"\b(?:the|an?|this|these|those|my|your|his|her|its|our|their|every|each)\s+$",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?:^|[.!?]['\"”’)]*\s+)['\"“‘(]*$")


def read_winogrande(
    path: PathLike, *, pronoun: str | None = None, seen: SeenIds | None = None
) -> Iterator[Outcome]:
    """Yield the rows of a file of WinoGrande with a pronoun in the blank, as JSON lines.

    The sentences have no pronoun, only ``_``, which is no word and attends to nothing. So they are
    read only with one that you choose: it takes the blank's place, with a capital where a sentence
    begins. What is then read is no longer WinoGrande's own text, and not each row is good English.

    A row is rejected where no pronoun can stand: after an article or another determiner, or before
    *'s*. Options are the candidates, at their first occurrence. The two rows of a minimal pair are
    a group, by their ``qID`` or by their words.

    Args:
        path: the file.
        pronoun: the word for the blank, as "it" or "they".
        seen: ids already used by other files.

    Raises:
        InputError: the file is missing or cannot be read.
        SelectionError: no pronoun is given, or it is not one word.
    """
    if pronoun is None or not pronoun.strip().replace("'", "").isalpha():
        got = "none" if pronoun is None else repr(pronoun)
        raise SelectionError(
            "Expected a pronoun for the blanks of WinoGrande, which has none of its own: "
            f'pronoun="it" (--pronoun it); got {got}.'
        )
    return _read(path, pronoun.strip(), seen)


def _read(path: PathLike, pronoun: str, seen: SeenIds | None) -> Iterator[Outcome]:
    source = CaseSource(path, seen)
    groups = SimilarTexts()

    def parse(row: Row) -> list[Outcome]:
        fields = object_from_json(row.raw)
        return [_case(fields, pronoun, f"{source.path.stem}-{row.line}", groups)]

    yield from source.outcomes(read_objects(path), parse)


def is_winogrande(fields: Mapping[str, Any]) -> bool:
    """Return whether an object is a row of WinoGrande."""
    return all(isinstance(fields.get(key), str) for key in _KEYS) and "_" in fields["sentence"]


def _case(fields: Mapping[str, Any], word: str, name: str, groups: SimilarTexts) -> CorefCase:
    if missing := [key for key in _KEYS if not isinstance(fields.get(key), str)]:
        raise RowError(f"Expected {', '.join(missing)} as text.", kind="missing_key")
    sentence, first, second = (fields[key] for key in _KEYS)
    answer = str(fields.get("answer", "")).strip()
    if answer not in ("1", "2"):
        reason = (
            "The row has no answer, as in a test set."
            if not answer
            else (f"Expected the answer as 1 or 2, got {answer[:40]!r}.")
        )
        raise RowError(reason, kind="label")
    text, pronoun = _filled(sentence, word)
    spans = found_phrases(text, [first, second], pronoun)
    given = fields.get("qID")
    pair, dash, _ = given.rpartition("-") if isinstance(given, str) else ("", "", "")
    return checked_case(
        text,
        pronoun,
        sorted(zip(spans, (answer == "1", answer == "2"), strict=True)),
        group=pair if dash and pair else groups.group_of(text, name),
        id=given if isinstance(given, str) and given else name,
        extra={"filled": word},
    )


def _filled(sentence: str, word: str) -> tuple[str, tuple[int, int]]:
    """Return the sentence with a word in its blank, and the word's characters."""
    blanks = list(_BLANK.finditer(sentence))
    if len(blanks) != 1:
        raise RowError(f"Expected one blank, _, got {len(blanks)}.", kind="blank")
    start, end = blanks[0].span()
    before, after = sentence[:start], sentence[end:]
    if determiner := _DETERMINER.search(before):
        reason = f"No pronoun can stand after {determiner[0].strip()!r}: the blank is a noun."
        raise RowError(reason, kind="determiner")
    if re.match(r"['’]s\b", after):
        reason = f"No pronoun can stand before {shortened(after, 8)!r}."
        raise RowError(reason, kind="possessive")
    if _SENTENCE_END.search(before):
        word = word[0].upper() + word[1:]
    return before + word + after, (start, start + len(word))
