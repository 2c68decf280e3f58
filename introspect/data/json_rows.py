"""The objects of a file of JSON: one a line, an array of them, or one over several lines."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from introspect.io import PathLike, Row, RowError, read_lines

#: So many lists and objects a list or an object may be in.
MOST_NESTED = 100

_SPACE = " \t\r\n"


def read_objects(path: PathLike) -> Iterator[Row]:
    """Yield a row for each object of a file, by the line it begins in; its text is the object's.

    Lines of JSON are held one at a time, a file of another form as a whole. What is left of a file
    after an object that cannot be read is one row with a fault.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    rows = read_lines(path)
    first = next(rows, None)
    if first is None:
        return
    if first.fault or isinstance(_parsed(first.raw), dict):
        yield first
        yield from rows
        return
    all_rows = [first, *rows]
    objects = _divided(all_rows) or all_rows
    if len({row.line for row in objects}) < len(objects):
        # Of objects that share a line, the line is no name: they are numbered from 1.
        objects = [replace(row, line=number) for number, row in enumerate(objects, start=1)]
    yield from objects


# What the parser of Python expects, in words.
_EXPECTED = (
    ("Expecting value", 'a value: a text in "…", a number, [ or {'),
    ("Expecting ','", "a comma, or the bracket that closes"),
    ("Expecting ':'", "a colon after the key"),
    ("Expecting property name", 'a key in quotation marks, "…"'),
    ("Unterminated string", "a quotation mark that ends the text which begins here"),
    ("Invalid control character", "no line break or tab within a text, but \\n or \\t"),
    ("Invalid \\u", "four digits after \\u"),
    ("Invalid \\", 'a backslash twice, or before one of "\\/bfnrtu'),
    ("Extra data", "nothing more after the first value"),
    ("Illegal trailing comma", "no comma before the bracket that closes"),
)


def fault_of_json(error: ValueError | RecursionError, lines_before: int = 0) -> str:
    """Return what is wrong with JSON and where, in words of no programming language.

    Args:
        error: of the parser.
        lines_before: the lines before those that were parsed; negative for a single line, whose
            number is known.

    Example:
        >>> try:
        ...     json.loads('{"text": "It ran." "id": 3}')
        ... except ValueError as error:
        ...     print(fault_of_json(error, -1))
        Expected JSON, but at character 20 a comma, or the bracket that closes, is expected.
    """
    if isinstance(error, RecursionError):
        return str(too_deep())
    if not isinstance(error, json.JSONDecodeError):
        return "Expected JSON, but a number in it has too many digits to be kept."
    wanted = next(
        (words for said, words in _EXPECTED if error.msg.startswith(said)), "something else"
    )
    line = "" if lines_before < 0 else f" of line {lines_before + error.lineno}"
    what = f"{wanted}," if "," in wanted else wanted
    return f"Expected JSON, but at character {error.colno}{line} {what} is expected."


def list_inside(row: Row) -> tuple[str, list[Row]] | None:
    """Return the only list of objects in an object, with its key; ``None`` if it is not clear.

    An object with a text of its own, or with several lists or objects, leaves open what is meant.

    Example:
        >>> list_inside(Row(1, '{"version": "1", "data": [{"text": "It ran."}]}'))[0]
        'data'
    """
    value = _parsed(row.raw)
    if not isinstance(value, dict):
        return None
    held = {key: each for key, each in value.items() if isinstance(each, list | dict)}
    if len(held) != 1:
        return None
    ((key, objects),) = held.items()
    is_list = isinstance(objects, list) and bool(objects)
    if not is_list or not all(isinstance(each, dict) for each in objects):
        return None
    if any(isinstance(each, str) and " " in each.strip() for each in value.values()):
        return None
    lines = (json.dumps(each, ensure_ascii=False) for each in objects)
    return key, [Row(number, line) for number, line in enumerate(lines, start=1)]


def check_nesting(value: Any) -> None:
    """Check that no list or object of JSON is in too many others.

    Raises:
        RowError: one is in more than ``MOST_NESTED``.
    """
    level = [value]
    for _ in range(MOST_NESTED + 1):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise too_deep()


def too_deep() -> RowError:
    """Return the error of JSON that is nested too deeply."""
    return RowError(
        f"Expected lists and objects of JSON in at most {MOST_NESTED} others, got them nested more "
        "deeply. Leave out what is nested, or write it as text.",
        kind="json",
    )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _divided(rows: Sequence[Row]) -> list[Row] | None:
    """Return the objects of a file that is an array, or objects over lines; ``None`` if neither."""
    faulty = next((row for row in rows if row.fault), None)
    if faulty and not rows[0].raw.lstrip().startswith("["):
        return None  # Lines, of which some are bad.
    text = "\n".join(row.raw for row in rows)
    starts, place = [], 0
    for row in rows:
        starts.append(place)
        place += len(row.raw) + 1

    def line(offset: int) -> int:
        return rows[bisect_right(starts, offset) - 1].line

    found: list[Row] = []
    is_array = text.lstrip(_SPACE).startswith("[")
    offset = _after(text, 0, "[" if is_array else "")
    while offset < len(text) and not (is_array and text[offset] == "]"):
        try:
            value, end = json.JSONDecoder().raw_decode(text, offset)
        except (ValueError, RecursionError) as error:
            if not found:
                return None
            fault = RowError(fault_of_json(error, line(0) - 1), kind="json")
            return [*found, Row(line(offset), text[offset:], fault=fault)]
        if not is_array and not isinstance(value, dict):
            return None
        found.append(Row(line(offset), text[offset:end]))
        offset = _after(text, end, "," if is_array else "")
    rest = text[offset + 1 :]
    if is_array and rest.strip():
        if _parsed(rows[0].raw) is not None:
            return None  # Lines, of which the first is a list.
        fault = RowError("Expected nothing after the array.", kind="json")
        found.append(Row(line(offset + 1), rest.strip(), fault=fault))
    return found or None


def _after(text: str, offset: int, mark: str) -> int:
    """Return the offset after any white space and one mark."""
    while offset < len(text) and text[offset] in _SPACE:
        offset += 1
    if mark and text.startswith(mark, offset):
        return _after(text, offset + 1, "")
    return offset
