"""A progress bar on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["terminal_bar"]


@contextmanager
def terminal_bar(stream: TextIO, before_time: str = "", after_time: str = "") -> Iterator[Progress]:
    """Show a bar with a description, the count, the total, and the time left; clear it at the end.

    Args:
        stream: the terminal.
        before_time: the text before the time left, in the format of rich's ``TextColumn``.
        after_time: the text after it.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    columns += [TextColumn(before_time)] if before_time else []
    columns += [TimeRemainingColumn()]
    columns += [TextColumn(after_time)] if after_time else []
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        yield progress
