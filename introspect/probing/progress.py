"""Progress of a probe: a bar on a terminal, or else a line at the start and at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from introspect.cases.opening import codec_of
from introspect.probing.reading import Reading
from introspect.probing.store import Entry
from introspect.probing.terminal import terminal_bar
from introspect.sentences import find_inputs

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["QUIET", "Watcher", "count_rows", "watching"]

_BY_LINES = ("txt", "jsonl", "csv", "tsv")
_BLOCK = 1 << 20


class Watcher(Protocol):
    """A listener that receives the progress of a probe."""

    def begin(self, total: int | None, done: int) -> None:
        """Begin with the total number of rows, if known, and the number done before."""

    def shard(self, entry: Entry) -> None:
        """Receive the entry of a finished shard."""

    def say(self, what: str) -> None:
        """Receive a description of the current step."""


class _Quiet:
    def begin(self, total: int | None, done: int) -> None: ...

    def shard(self, entry: Entry) -> None: ...

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

    def shard(self, entry: Entry) -> None:
        self._rows += entry.read
        self._rejected += entry.rejected

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

    def shard(self, entry: Entry) -> None:
        self._rejected += entry.rejected
        self._rows += entry.read
        speed = self._rows / max(time.monotonic() - self._began, 1e-9)
        self._progress.update(
            self._task,
            advance=entry.read,
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


def count_rows(reading: Reading) -> int | None:
    """Estimate the number of rows by counting lines; return ``None`` if lines do not show it.

    Raises:
        InputError: an input is missing.
    """
    files = find_inputs(reading.inputs, format=reading.format)
    if any(file.format not in _BY_LINES or codec_of(file.source) for file in files):
        return None
    total = 0
    for file in files:
        with open(file.source, "rb") as stream:
            last = b"\n"
            while block := stream.read(_BLOCK):
                total += block.count(b"\n")
                last = block[-1:]
            total += last != b"\n"
        total -= file.format in ("csv", "tsv")
    return total
