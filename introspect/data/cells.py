"""What stands in a cell where a text should be: a number, a date, a list, or a mark of none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

from introspect.io import RowError
from introspect.text import shortened

Kind = Literal["number", "date", "truth", "formula", "list", "missing"]

#: What holds each kind, in words.
KIND_WORDS: dict[Kind, str] = {
    "number": "numbers",
    "date": "dates",
    "truth": "true and false",
    "formula": "formulas without a result",
    "list": "lists",
    "missing": "marks of a missing value",
}

# What pandas takes for a missing value, and the errors of a workbook.
_MISSING = frozenset(("NaN", "nan", "-NaN", "-nan", "None", "NULL", "null", "<NA>", "NA", "N/A"))
_MISSING |= {"n/a", "NaT", "#N/A", "#NA", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!"}
_MISSING |= {"#NULL!", "#SPILL!", "#CALC!"}
_TRUTH = frozenset(("True", "False", "TRUE", "FALSE", "true", "false"))
_NUMBER = re.compile(
    r"[+\-−]?[$€£¥]? ?(?:\d{1,3}(?:[,.'’ ]\d{3})+|\d+)(?:[.,]\d*)?(?:[eE][+\-]?\d+)? ?[%€]?"
    r"|[+\-−]?[.,]\d+"
)
_TIME = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp][Mm])?(?:Z| ?[+\-]\d{2}:?\d{2})?"
_DATE = re.compile(
    rf"(?:\d{{4}}[\-/.]\d{{1,2}}[\-/.]\d{{1,2}}|\d{{1,2}}[\-/.]\d{{1,2}}[\-/.]\d{{2,4}}"
    rf"|\d{{4}}年\d{{1,2}}月\d{{1,2}}日)(?:[T ]+{_TIME})?|{_TIME}"
)
# The parts of a list, tuple, dictionary, set or bytes as Python, NumPy or JSON writes them.
_PART = re.compile(
    r"""\s+|,|:|(?P<open>array\(|[\[({])|(?P<close>[\])}])
    |(?P<string>[bru]?(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"))
    |[+\-]?(?:\d++\.?\d*+|\.\d++)(?:[eE][+\-]?\d+)?(?![\w])|dtype=\w+
    |(?:None|null|nan|NaN|True|False|true|false)\b""",
    re.VERBOSE | re.DOTALL,
)
_PAIRS = {"[": "]", "(": ")", "{": "}", "array(": ")"}


class Cell(str):
    """A cell of a workbook that holds something else than a text, written as a text.

    Args:
        text: how it is written.
        kind: what it is.
    """

    kind: Kind

    def __new__(cls, text: str, kind: Kind) -> Cell:
        """Return a cell of a kind."""
        cell = super().__new__(cls, text)
        cell.kind = kind
        return cell


def kind_of_cell(text: str) -> Kind | None:
    """Return what a cell is that is no text; ``None`` of a text.

    Example:
        >>> kind_of_cell("3.5"), kind_of_cell("['It', 'ran']"), kind_of_cell("It ran.")
        ('number', 'list', None)
    """
    if isinstance(text, Cell):
        return text.kind
    plain = text.strip()
    if plain in _MISSING:
        return "missing"
    if plain in _TRUTH:
        return "truth"
    if _NUMBER.fullmatch(plain):
        return "number"
    if _DATE.fullmatch(plain):
        return "date"
    return "list" if literal_of(plain) is not None else None


def literal_of(text: str) -> list[str] | None:
    """Return the texts in a list, or other container, that is written out; ``None`` of a text.

    Example:
        >>> literal_of("['It', 'ran']"), literal_of("[1, 2]"), literal_of("[sic]")
        (['It', 'ran'], [], None)
    """
    plain = text.strip()
    if _BYTES.fullmatch(plain):
        return [plain]
    texts: list[str] = []
    closing: list[str] = []
    place = 0
    while place < len(plain):
        part = _PART.match(plain, place)
        if part is None or not (closing or part["open"]):
            return None
        if part["open"]:
            if place and not closing:
                return None
            closing.append(_PAIRS[part["open"]])
        elif part["close"] and part["close"] != closing.pop():
            return None
        elif part["string"]:
            texts.append(_unquoted(part["string"]))
        place = part.end()
    # One value in round brackets is no tuple.
    is_tuple = not plain.startswith("(") or "," in plain
    return texts if plain and not closing and is_tuple and plain != "()" else None


_BYTES = re.compile(r"""b(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")""", re.DOTALL)


def _unquoted(string: str) -> str:
    """Return what a string that is written out holds; its escapes stay where they say no mark."""
    quoted = string.lstrip("bru")
    return re.sub(r"\\(['\"\\])", r"\1", quoted[1:-1])


def column_kind(values: Iterable[Any]) -> Kind | None:
    """Return what a column holds instead of texts; ``None`` if a text, or nothing, is in it."""
    found: Kind | None = None
    for value in values:
        if not isinstance(value, str) or not value.strip():
            continue
        kind = kind_of_cell(value)
        if kind is None:
            return None
        if found in (None, "missing"):
            found = kind
    return None if found == "missing" else found


def is_missing(value: Any) -> bool:
    """Return whether a cell stands for nothing: empty, or a mark of a missing value."""
    return value is None or (isinstance(value, str) and (not value.strip() or value in _MISSING))


def fault_of_cell(text: str) -> RowError | None:
    """Return why a cell is no text to read, if it is none; a number alone may be one in a table."""
    kind = kind_of_cell(text)
    shown = shortened(text.strip(), 40)
    if kind == "missing":
        return RowError(
            f"Expected a text, got “{shown}”, which stands for a missing value.", kind="empty"
        )
    if kind == "list":
        return RowError(
            f"Expected a text, got a list as a program writes it, “{shown}”. Write the words with "
            "spaces between them.",
            kind="type",
        )
    if not isinstance(text, Cell):
        return None
    if kind == "formula":
        return RowError(
            f"Expected a text, got the formula “{shown}” without a result. Open the workbook in "
            "a spreadsheet program and save it, or save the table as CSV UTF-8.",
            kind="formula",
        )
    what = {"number": "the number", "date": "the date"}.get(str(kind), "the value")
    return RowError(f"Expected a text, got {what} {shown}.", kind="type")
