"""The rows of an Excel workbook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from introspect.errors import InputError
from introspect.io import PathLike, Row
from introspect.text import listed


def rows_of_sheet(path: PathLike) -> Iterator[Row]:
    """Yield the rows of the only sheet with cells, as wide as the widest, blank rows included.

    A number is written as the sheet's value, a date by ISO 8601; a formula gives its last result.

    Raises:
        InputError: openpyxl is not installed; the file is no workbook, or has several sheets with
            cells.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise InputError(
            f"Expected the package openpyxl, to read {str(path)!r}, but it is not installed. "
            "Install it (pip install openpyxl), or save the table as CSV UTF-8."
        ) from error
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # the archive and its XML raise errors of many kinds
        raise InputError(
            f"Expected an Excel workbook (.xlsx) at {str(path)!r}, but: {error}. Save the table as "
            "CSV UTF-8."
        ) from error
    try:
        sheets = {sheet.title: list(_filled(sheet)) for sheet in book.worksheets}
    finally:
        book.close()
    filled = {title: rows for title, rows in sheets.items() if rows}
    if len(filled) > 1:
        raise InputError(
            f"Expected one sheet with cells in {str(path)!r}, got {listed(filled)}. Save the one "
            "to be read as CSV UTF-8."
        )
    rows = next(iter(filled.values()), [])
    width = max(map(len, rows), default=0)
    for number, cells in enumerate(rows, start=1):
        fields = (*cells, *[""] * (width - len(cells)))
        yield Row(number, "\t".join(fields), fields)


def _filled(sheet: Any) -> Iterator[tuple[str, ...]]:
    """Yield the rows up to the last one with a cell, without empty cells at their ends."""
    held = 0
    for cells in sheet.iter_rows(values_only=True):
        fields = [_text(cell) for cell in cells]
        while fields and not fields[-1]:
            fields.pop()
        if not fields:
            held += 1
            continue
        yield from [()] * held
        held = 0
        yield tuple(fields)


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)
