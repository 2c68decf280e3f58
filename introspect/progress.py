"""Progress of a probe: a bar on a terminal, or else a line at the start and at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = [
    "LOOKING",
    "QUIET",
    "SMALLEST",
    "TAKING_OUT",
    "TWINS",
    "Stage",
    "Told",
    "Watcher",
    "terminal_bar",
    "told_nobody",
    "watching",
    "watching_stages",
]


class Stage(NamedTuple):
    """A stage of a longer piece of work.

    Args:
        words: what is being done.
        counted: the unit of progress, with a placeholder for the number; empty where it is unknown.
    """

    words: str
    counted: str = ""

    def line(self, total: int | None) -> str:
        """Describe what is being done, and how much of it there is.

        Example:
            >>> TAKING_OUT.line(72)
            'taking out each head, 72 in all'
            >>> LOOKING.line(None)
            'scoring where heads look'
        """
        return self.words if total is None else f"{self.words}, {self.counted.format(total)}"


#: Called with a stage, how much of it is done, and of how much (``None`` where it is unknown). The
#: first call for a stage says that nothing of it is done.
Told = Callable[[Stage, int, int | None], None]

TAKING_OUT = Stage("taking out each head", "{:,} in all")
LOOKING = Stage("scoring where heads look")
SMALLEST = Stage("searching the smallest set of heads", "at most {:,} runs")
TWINS = Stage("exchanging heads between twins", "{:,} runs")


def told_nobody(stage: Stage, number: int, total: int | None) -> None:
    """Ignore progress."""


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


class Counts(Protocol):
    """How many rows a shard has read and rejected."""

    @property
    def read(self) -> int:
        """Rows read."""
        ...

    @property
    def rejected(self) -> int:
        """Rows rejected."""
        ...


class Watcher(Protocol):
    """A listener that receives the progress of a probe."""

    def begin(self, total: int | None, done: int) -> None:
        """Begin with the total number of rows, if known, and the number done before."""

    def shard(self, shard: Counts) -> None:
        """Receive the entry of a finished shard."""

    def say(self, what: str) -> None:
        """Receive a description of the current step."""


class _Quiet:
    def begin(self, total: int | None, done: int) -> None: ...

    def shard(self, shard: Counts) -> None: ...

    def say(self, what: str) -> None: ...


#: A watcher that shows nothing.
QUIET: Watcher = _Quiet()


class _Lines:
    """A watcher that prints a line when work begins and when it ends, for logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rows = self._rejected = 0
        self._began = time.monotonic()

    def begin(self, total: int | None, done: int) -> None:
        rows = "" if total is None else f" {total:,} rows"
        before = f", {done:,} done before" if done else ""
        self._print(f"probing{rows}{before}")
        self._began = time.monotonic()

    def shard(self, shard: Counts) -> None:
        self._rows += shard.read
        self._rejected += shard.rejected

    def say(self, what: str) -> None:
        if self._rows:
            seconds = max(time.monotonic() - self._began, 1e-9)
            self._print(
                f"{self._rows:,} rows in {seconds:.0f} s, {self._rows / seconds:.0f} a second, "
                f"{self._rejected:,} rejected"
            )
            self._rows = 0
        self._print(what)

    def _print(self, what: str) -> None:
        print(f"introspect: {what}", file=self._stream, flush=True)


class _Bar:
    """A watcher that draws a progress bar with rows per second, time left, and rejects."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("probing", total=None, rejected=0, speed="")
        self._rejected = self._rows = 0
        self._began = time.monotonic()

    def begin(self, total: int | None, done: int) -> None:
        self._progress.reset(self._task, total=total, completed=done)
        self._began = time.monotonic()

    def shard(self, shard: Counts) -> None:
        self._rejected += shard.rejected
        self._rows += shard.read
        speed = self._rows / max(time.monotonic() - self._began, 1e-9)
        self._progress.update(
            self._task,
            advance=shard.read,
            rejected=self._rejected,
            speed=f"{speed:,.0f}/s",
        )

    def say(self, what: str) -> None:
        self._progress.update(self._task, description=what)


@contextmanager
def watching(stream: TextIO | None = None) -> Iterator[Watcher]:
    """Show a bar if the stream is a terminal, or else a line at the start and at the end."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _Lines(stream)
        return
    with terminal_bar(stream, "{task.fields[speed]}", "{task.fields[rejected]} rejected") as bar:
        yield _Bar(bar)


class _StageLines:
    """A callback that prints a line when a stage begins, for logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stage: Stage | None = None

    def __call__(self, stage: Stage, number: int, total: int | None) -> None:
        if stage != self._stage:
            self._stage = stage
            print(f"introspect: {stage.line(total)}", file=self._stream, flush=True)


class _StageBar:
    """A callback that draws a progress bar with the time left, restarted for each stage."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, visible=False)
        self._stage: Stage | None = None

    def __call__(self, stage: Stage, number: int, total: int | None) -> None:
        if stage != self._stage:
            self._stage = stage
            # The speed of one stage does not predict that of the next.
            self._progress.reset(self._task, total=total, description=stage.words, visible=True)
        self._progress.update(self._task, completed=number, total=total)


@contextmanager
def watching_stages(stream: TextIO | None = None) -> Iterator[Told]:
    """Show a bar if the stream is a terminal, or else a line for each stage.

    Args:
        stream: the stream to write to; standard error by default.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _StageLines(stream)
        return
    with terminal_bar(stream) as bar:
        yield _StageBar(bar)
