"""KnowRef: sentences of the web with a pronoun in square brackets and two names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from introspect.data.json_rows import read_objects
from introspect.data.jsonl import object_from_json
from introspect.data.outcomes import CaseSource, Outcome, SeenIds, checked_case
from introspect.data.published.phrases import found_phrases
from introspect.io import PathLike, Row, RowError
from introspect.text import CorefCase

_SENTENCES = ("sentence_with_pronoun", "swapped_sentence")
_CANDIDATES = (("candidate0", "candidate_0"), ("candidate1", "candidate_1"))
_ANSWER = "correct_candidate"
_BRACKETED = re.compile(r"\[([^\[\]]*)\]")


def read_knowref(path: PathLike, *, seen: SeenIds | None = None) -> Iterator[Outcome]:
    """Yield the rows of a file of KnowRef or KnowRef-60K, an array of JSON or JSON lines.

    The pronoun is the word in square brackets, which the text leaves out; sentences stay tokenized
    as in the file. The names are the candidates, each at its first occurrence apart from the
    pronoun. Each row is a group of its own. Rows without a bracketed pronoun are rejected.

    Args:
        path: the file.
        seen: ids already used by other files.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    source = CaseSource(path, seen)

    def parse(row: Row) -> list[Outcome]:
        return [_case(object_from_json(row.raw), f"{source.path.stem}-{row.line}")]

    yield from source.outcomes(read_objects(path), parse)


def is_knowref(fields: Mapping[str, Any]) -> bool:
    """Return whether an object is a row of KnowRef."""
    has_candidates = all(any(key in fields for key in keys) for keys in _CANDIDATES)
    return has_candidates and _ANSWER in fields and any(key in fields for key in _SENTENCES)


def _case(fields: Mapping[str, Any], name: str) -> CorefCase:
    sentence = _text(fields, _SENTENCES)
    names = [_text(fields, keys) for keys in _CANDIDATES]
    answer = _text(fields, (_ANSWER,)).strip().lower()
    right = [
        answer in (name.strip().lower(), *keys)
        for name, keys in zip(names, _CANDIDATES, strict=True)
    ]
    if sum(right) != 1:
        raise RowError(
            f"Expected the right candidate as {names[0]!r} or {names[1]!r}, got {answer[:40]!r}.",
            kind="candidates",
        )
    brackets = list(_BRACKETED.finditer(sentence))
    if len(brackets) != 1 or not brackets[0][1].strip():
        raise RowError(
            f"Expected one pronoun in square brackets, got {len(brackets)}.", kind="brackets"
        )
    start, word = brackets[0].start(), brackets[0][1].strip()
    text = sentence[:start] + word + sentence[brackets[0].end() :]
    pronoun = (start, start + len(word))
    spans = found_phrases(text, names, pronoun)
    return checked_case(text, pronoun, sorted(zip(spans, right, strict=True)), group=name, id=name)


def _text(fields: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    value = next((fields[key] for key in keys if key in fields), None)
    if not isinstance(value, str) or not value.strip():
        raise RowError(f"Expected {' or '.join(keys)} as text.", kind="missing_key")
    return value
