"""WSC as SuperGLUE publishes it: a row asks whether one span is what the pronoun refers to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from introspect.data.json_rows import read_objects
from introspect.data.jsonl import object_from_json
from introspect.data.outcomes import CaseSource, Outcome, SeenIds, checked_case
from introspect.data.similar import SimilarTexts
from introspect.io import PathLike, Row, RowError
from introspect.text import Span, divides_word, shortened

_KEYS = ("span1_index", "span1_text", "span2_index", "span2_text")
_LABELS = {"true": True, "1": True, "false": False, "0": False}


def read_wsc(path: PathLike, *, seen: SeenIds | None = None) -> Iterator[Outcome]:
    """Yield the schemas of a file of SuperGLUE's WSC, as JSON lines, in nested or flat form.

    ``span1`` is a candidate, ``span2`` the pronoun; their indices count the words between spaces,
    or the characters, as in the Chinese CLUEWSC.
    Rows with one text and pronoun are joined into one case, wherever they are: its candidates are
    right where the label is true. A schema of which the file has one candidate only is a case
    outside forced choice. ``extra`` has ``rows``, their number. The versions of a schema, which
    share at least half of their words, are a group.

    Rows without a label (those of the test set) are rejected, as are spans whose words are not at
    their index, and a candidate given twice. The cases follow when the file has been read, which
    is held in memory.

    Args:
        path: the file.
        seen: ids already used by other files.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    source = CaseSource(path, seen)
    schemas: dict[tuple[str, Span], _Schema] = {}

    def parse(row: Row) -> list[Outcome]:
        text, pronoun, candidate, label = _question(object_from_json(row.raw))
        checked_case(text, pronoun, [(candidate, label)])
        schema = schemas.setdefault((text, pronoun), _Schema(row))
        if candidate in schema.candidates:
            raise RowError(
                f"An earlier row asks the same: {text[slice(*candidate)]!r} for "
                f"{text[slice(*pronoun)]!r}.",
                kind="same_span",
            )
        schema.candidates[candidate] = label
        return []

    yield from source.outcomes(read_objects(path), parse)
    groups = SimilarTexts()
    for (text, pronoun), schema in schemas.items():
        name = f"{source.path.stem}-{schema.row.line}"
        case = checked_case(
            text,
            pronoun,
            sorted(schema.candidates.items()),
            group=groups.group_of(text, name),
            id=name,
            extra={"rows": len(schema.candidates)},
        )
        yield from source.outcomes([schema.row], lambda _, case=case: [case])  # type: ignore[misc]


def is_wsc(fields: Mapping[str, Any]) -> bool:
    """Return whether an object is a row of WSC."""
    target = fields.get("target", fields)
    return "text" in fields and isinstance(target, dict) and all(key in target for key in _KEYS)


@dataclass
class _Schema:
    """A text with a pronoun: its first row, and what its rows say of each candidate."""

    row: Row
    candidates: dict[Span, bool] = field(default_factory=dict)


def _question(fields: Mapping[str, Any]) -> tuple[str, Span, Span, bool]:
    """Return text, pronoun, candidate and label of a row."""
    target = fields.get("target", fields)
    if not isinstance(target, dict) or not isinstance(fields.get("text"), str):
        raise RowError("Expected a text, and a target with two spans.", kind="type")
    if missing := [key for key in _KEYS if key not in target]:
        raise RowError(
            f"Expected the keys {', '.join(missing)}, which are missing.", kind="missing_key"
        )
    text = fields["text"]
    spans = _spans(text, [(target[f"span{n}_index"], target[f"span{n}_text"]) for n in (2, 1)])
    return text, *spans, _label(fields.get("label"))


def _label(value: Any) -> bool:
    if value is None or value in ("", -1, "-1"):
        raise RowError("The row has no label, as in a test set: there is no answer.", kind="label")
    label = _LABELS.get(str(value).lower())
    if label is None:
        raise RowError(f"Expected a label, true or false, got {str(value)[:40]!r}.", kind="label")
    return label


def _spans(text: str, wanted: list[tuple[Any, Any]]) -> tuple[Span, Span]:
    """Return the characters of both spans, by words between spaces of any number, one, or none."""
    by_space = [match.span() for match in re.finditer(r"\S+", text)]
    # An empty word between two spaces counts where a text was divided at each of them.
    by_each = [match.span() for match in re.finditer(r"[^ ]+|(?<= )(?= )|^(?= )|(?<= )$", text)]
    faults = []
    by_character = [(place, len(text)) for place in range(len(text))]
    for words in (by_space, by_each, by_character):
        try:
            first, second = (_span(text, words, *given) for given in wanted)
        except RowError as error:
            faults.append(error)
        else:
            return first, second
    raise faults[0]


def _span(text: str, words: list[Span], index: Any, phrase: Any) -> Span:
    if type(index) is not int or not isinstance(phrase, str) or not phrase.strip():
        raise RowError("Expected each span as the number of a word and its text.", kind="type")
    if not 0 <= index < len(words):
        raise RowError(f"Expected a word of {len(words)}, got the word {index}.", kind="span")
    start, end = words[index]
    pattern = re.compile(r"\s+".join(map(re.escape, phrase.split())), re.IGNORECASE)
    # Before the span a quotation mark may stand, and behind it any mark.
    while start < end and not text[start].isalnum() and not pattern.match(text, start):
        start += 1
    match = pattern.match(text, start)
    if not match or divides_word(text, match.end()):
        got = shortened(text[words[index][0] :], 40)
        raise RowError(
            f"Expected {shortened(phrase, 40)!r} at the word {index}, got {got!r}.", kind="span"
        )
    return match.span()
