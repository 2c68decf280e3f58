"""The rows of an Excel workbook."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from introspect.data.cells import Cell
from introspect.errors import InputError
from introspect.io import PathLike, Row
from introspect.text import listed


def rows_of_sheet(path: PathLike) -> Iterator[Row]:
    """Yield the rows of the only sheet with cells, as wide as the widest, blank rows included.

    A number is written as the sheet's value, a date by ISO 8601; a formula gives its last result.
    What is no text in the sheet is a ``Cell``, and so is a formula without a result.

    Raises:
        InputError: openpyxl is not installed; the file is no workbook, or has several sheets with
            cells.
    """
    try:
        import openpyxl  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"Expected the package openpyxl, to read {str(path)!r}, but it is not installed. "
            "Install it (pip install openpyxl), or save the table as CSV UTF-8."
        ) from error
    sheets = _sheets(path, results=True)
    filled = {title: rows for title, rows in sheets.items() if rows}
    if not filled and any(_sheets(path, results=False).values()):
        filled = _with_formulas(path, sheets)
    if len(filled) > 1:
        raise InputError(
            f"Expected one sheet with cells in {str(path)!r}, got {listed(filled)}. Save the one "
            "to be read as CSV UTF-8."
        )
    if any("" in row for rows in filled.values() for row in rows):
        filled = _with_formulas(path, filled)
    rows = next(iter(filled.values()), [])
    width = max(map(len, rows), default=0)
    for number, cells in enumerate(rows, start=1):
        fields = (*cells, *[""] * (width - len(cells)))
        yield Row(number, "\t".join(fields), fields)


_Rows = list[tuple[str, ...]]


def _sheets(path: PathLike, *, results: bool) -> dict[str, _Rows]:
    """Return the rows of each sheet, with the results of formulas or the formulas themselves.

    Raises:
        InputError: the file is no workbook.
    """
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=results)
    except Exception as error:  # the archive and its XML raise errors of many kinds
        raise InputError(
            f"Expected an Excel workbook (.xlsx) at {str(path)!r}, but it cannot be read as one: "
            f"{_lowered(error)}. Open it in a spreadsheet program and save the table as CSV UTF-8."
        ) from error
    try:
        return {sheet.title: list(_filled(sheet)) for sheet in book.worksheets}
    except Exception as error:
        raise InputError(
            f"Expected an Excel workbook (.xlsx) at {str(path)!r}, but a sheet of it is damaged: "
            f"{_lowered(error)}. Open it in a spreadsheet program and save the table as CSV UTF-8."
        ) from error
    finally:
        book.close()


def _with_formulas(path: PathLike, sheets: dict[str, _Rows]) -> dict[str, _Rows]:
    """Return the rows with each formula that has no result, which programs write, in its place."""
    written = _sheets(path, results=False)
    return {
        title: [
            tuple(
                cell or (Cell(formula, "formula") if formula.startswith("=") else cell)
                for cell, formula in zip_longest(row, formulas, fillvalue="")
            )
            for row, formulas in zip_longest(rows, written[title], fillvalue=())
        ]
        for title, rows in sheets.items()
        if rows or written[title]
    }


def _lowered(error: Exception) -> str:
    said = str(error).strip().rstrip(".") or type(error).__name__
    return said[0].lower() + said[1:]


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
    if cell is None or isinstance(cell, str):
        return cell or ""
    if isinstance(cell, bool):
        return Cell(str(cell), "truth")
    if hasattr(cell, "isoformat"):
        return Cell(cell.isoformat(), "date")
    return Cell(str(cell), "number") if isinstance(cell, int | float) else str(cell)
