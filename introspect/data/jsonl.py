"""Cases as JSON, one object per line.

    {"id": "w1", "text": "The cat ate because it was hungry.", "pronoun": [20, 22],
     "candidates": [{"span": [4, 7], "antecedent": true}], "group": "cat"}

``text``, ``pronoun`` and ``candidates`` are required. Spans are half-open character offsets.
Other keys are kept: those of the case in ``extra``, those of the candidates in
``extra["candidates"]``.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from introspect.data.json_rows import check_nesting, fault_of_json, read_objects, too_deep
from introspect.data.outcomes import CaseSource, Outcome, Reject, SeenIds, checked_case
from introspect.errors import InputError
from introspect.io import (
    PathLike,
    Row,
    RowError,
    claimed_file,
    from_plain,
    object_from,
    read_lines,
    write_lines,
)
from introspect.text import CorefCase, Span

#: The keys that every case has.
CASE_KEYS = ("text", "pronoun", "candidates")
#: All keys of a case.
OWN_KEYS = (*CASE_KEYS, "id", "group")
_OF_CANDIDATE = ("span", "antecedent")
_TYPES = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_jsonl(path: PathLike, *, seen: SeenIds | None = None) -> Iterator[Outcome]:
    """Yield the cases of a file, and a ``Reject`` for each bad line; blank lines are skipped.

    A file may also be an array of cases, or have objects over several lines.

    Cases outside forced choice, with only right or only wrong candidates, are included.

    Args:
        path: the file.
        seen: ids already used by other files.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    source = CaseSource(path, seen)
    first = next(read_lines(path), None)
    begins = "" if first is None else first.raw.strip()
    is_one_a_line = not begins.startswith("[") and begins != "{"
    yield from source.outcomes(read_lines(path) if is_one_a_line else read_objects(path), _parse)


def _parse(row: Row) -> list[CorefCase]:
    return [case_from_json(row.raw)]


def case_from_json(line: str) -> CorefCase:
    """Return the case that a line of JSON holds.

    Raises:
        RowError: it holds none; the message says why, and ``kind`` says so in a word.
    """
    return case_from_fields(object_from_json(line))


def case_from_fields(fields: Mapping[str, Any]) -> CorefCase:
    """Return the case that an object's keys and values make.

    Raises:
        RowError: as ``case_from_json``.
    """
    if missing := [key for key in CASE_KEYS if key not in fields]:
        raise RowError(
            f"Expected the keys {', '.join(missing)}, which are missing.", kind="missing_key"
        )
    extra = {key: value for key, value in fields.items() if key not in OWN_KEYS}
    candidates = [
        _candidate(value, f"candidates[{i}]")
        for i, value in enumerate(_typed(fields["candidates"], list, "candidates"))
    ]
    if not candidates:
        raise RowError("Expected at least one candidate, got none.", kind="no_candidates")
    if any(rest for _, _, rest in candidates):
        extra["candidates"] = [rest for _, _, rest in candidates]
    return checked_case(
        _typed(fields["text"], str, "text"),
        _span(fields["pronoun"], "pronoun"),
        [(span, antecedent) for span, antecedent, _ in candidates],
        group=_optional_string(fields, "group"),
        id=_optional_string(fields, "id"),
        extra=extra,
    )


def object_from_json(line: str) -> dict[str, Any]:
    """Return the object that a line of JSON holds.

    Raises:
        RowError: it holds none, or one that could not be written back as it was read.
    """
    try:
        parsed = json.loads(
            line,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_without_repeats,
        )
    except RowError:
        raise
    except RecursionError as error:
        raise too_deep() from error
    except ValueError as error:
        is_one_line = "\n" not in line
        raise RowError(fault_of_json(error, -1 if is_one_line else 0), kind="json") from error
    if not isinstance(parsed, dict):
        raise RowError(f"Expected an object, {{…}}, got {_type_name(parsed)}.", kind="type")
    check_nesting(parsed)
    # Only an escape can yield half a surrogate pair, which no file and no tokenizer accepts.
    if "\\u" in line and _SURROGATE.search(json.dumps(parsed, ensure_ascii=False)):
        raise RowError("The row holds half a character (a lone surrogate).", kind="character")
    return parsed


def _refuse_constant(name: str) -> None:
    raise RowError(f"Expected JSON, which has no {name}.", kind="json")


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise RowError(f"Expected a number that can be kept, got {digits[:40]}.", kind="json")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        times = Counter(key for key, _ in pairs)
        repeated = next(key for key, count in times.items() if count > 1)
        raise RowError(f"Expected each key once, got {repeated!r} several times.", kind="json")
    return unique


def _candidate(value: Any, name: str) -> tuple[Span, bool, dict[str, Any]]:
    value = _typed(value, dict, name)
    if missing := [key for key in _OF_CANDIDATE if key not in value]:
        raise RowError(f"Expected {' and '.join(missing)} in {name}.", kind="missing_key")
    rest = {key: kept for key, kept in value.items() if key not in _OF_CANDIDATE}
    return (
        _span(value["span"], f"{name}.span"),
        _typed(value["antecedent"], bool, f"{name}.antecedent"),
        rest,
    )


def _span(value: Any, name: str) -> Span:
    # Not isinstance: in Python, True is an int.
    if isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value):
        return (value[0], value[1])
    got = json.dumps(value)
    raise RowError(
        f"Expected {name} as [start, end], two whole numbers, got {got[:60]}.", kind="type"
    )


def _typed(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise RowError(f"Expected {name} as {_TYPES[kind]}, got {_type_name(value)}.", kind="type")
    return value


def _optional_string(fields: Mapping[str, Any], key: str) -> str | None:
    value = fields.get(key)
    return None if value is None else str(_typed(value, str, key))


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    return _TYPES.get(type(value), "a number")


def case_to_json(case: CorefCase) -> str:
    """Return the case as one line of JSON, without a line end; ``case_from_json`` reverses it.

    Raises:
        InputError: an extra key is one of the case's own, or its value cannot be expressed in JSON.

    Example:
        >>> case = CorefCase.from_words("It is a cat.", pronoun="It", antecedent="cat", id="w1")
        >>> case_to_json(case)[:50]
        '{"id": "w1", "text": "It is a cat.", "pronoun": [0'
    """
    extra = dict(case.extra)
    rests = _of_candidates(case, extra.pop("candidates", None))
    if taken := [key for key in extra if key in OWN_KEYS]:
        raise InputError(f"Expected extra keys that are not the case's own, got {taken[0]!r}.")
    named: dict[str, Any] = {"id": case.id, "text": case.text, "pronoun": list(case.pronoun)}
    named["candidates"] = [
        {"span": list(candidate.span), "antecedent": candidate.antecedent, **rest}
        for candidate, rest in zip(case.candidates, rests, strict=True)
    ]
    named["group"] = case.group
    kept = {key: value for key, value in named.items() if value is not None}
    try:
        line = json.dumps(kept | extra, ensure_ascii=False, allow_nan=False)
        line.encode()
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Expected the case {case.id!r} to hold what JSON can say, but: {error}."
        ) from error
    return line


def _of_candidates(case: CorefCase, given: Any) -> Any:
    """Return the extra keys of the candidates."""
    if given is None:
        return [{}] * len(case.candidates)
    is_fitting = isinstance(given, list) and len(given) == len(case.candidates)
    if not is_fitting or not all(
        isinstance(g, dict) and g.keys().isdisjoint(_OF_CANDIDATE) for g in given
    ):
        raise InputError(
            "Expected the extra key 'candidates' as a list with an object for each candidate, "
            f"without {' and '.join(_OF_CANDIDATE)}, got {str(given)[:60]}."
        )
    return given


def write_jsonl(path: PathLike, cases: Iterable[CorefCase]) -> Path:
    """Write cases as they arrive to a temporary file beside ``path``, then rename it.

    A failure, including one in the iterable, leaves the old file as it was.

    Raises:
        OutputError: the folder is missing, or the file may not be written.
        InputError: a case cannot be expressed in JSON.
    """
    with claimed_file(path) as target:
        write_lines(target, map(case_to_json, cases))
    return Path(path)


def reject_to_json(reject: Reject) -> str:
    """Return a rejected row as one line of JSON: source, line, reason, row, kind.

    Example:
        >>> reject_to_json(Reject("a.tsv", 3, "No 她.", "它", "mention"))
        '{"source": "a.tsv", "line": 3, "reason": "No 她.", "row": "它", "kind": "mention"}'
    """
    # The name of a file may hold bytes that are no text.
    return _SURROGATE.sub("\ufffd", json.dumps(asdict(reject), ensure_ascii=False))


def reject_from_json(line: str) -> Reject:
    """Return the rejected row that ``reject_to_json`` wrote.

    Raises:
        ValueError: the line holds something else.
    """
    return from_plain(Reject, object_from(line))
