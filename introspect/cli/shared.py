"""Arguments, loading, and output that several commands share."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from introspect.errors import InputError

__all__ = [
    "AllowPickle",
    "ModelName",
    "Text",
    "TextPair",
    "Truncation",
    "command_line",
    "load",
    "print_table",
    "show_notices",
    "texts_of",
]

Text = Annotated[str, typer.Argument(help="The text that the model reads.")]
TextPair = Annotated[str | None, typer.Argument(help="A second text, for models of pairs.")]
ModelName = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="An alias (minilm, pronoun, …), a hub id or a local folder."
    ),
]
Truncation = Annotated[bool, typer.Option(help="Truncate a text that is too long, and say so.")]
AllowPickle = Annotated[
    bool, typer.Option("--allow-pickle", help="Load pickled weights too: only files you trust.")
]


def load(
    name: str, *, allow_pickle: bool, device: str | None = None, dtype: str | None = None
) -> Any:
    """Load a model without printing anything."""
    import introspect as ix
    from introspect.models import hush

    hush()
    return ix.load(name, allow_pickle=allow_pickle, device=device, dtype=dtype)


def show_notices(notices: tuple[str, ...]) -> None:
    """Print the notices about a result to standard error."""
    for notice in notices:
        typer.echo(f"introspect: notice: {notice}", err=True)


def texts_of(file: Path | None) -> list[str] | None:
    """Return the texts of a file, one per line, without blank lines."""
    if file is None:
        return None
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"Expected a file of texts at {str(file)!r}, but: {reason}. Check the name."
        ) from error
    return [line for line in lines if line.strip()]


def command_line() -> str:
    """Return the command as it was given, for the provenance of what it writes."""
    return shlex.join(["introspect", *sys.argv[1:]])


def print_table(title: str, rows: list[tuple[str, str]]) -> None:
    """Print names and values as a table for a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text as RichText

    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in rows:
        table.add_row(RichText(name), RichText(value))
    Console().print(table)
