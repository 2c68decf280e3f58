"""Progress of a run in stages: a bar on a terminal, or else a line for each stage."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from introspect.causal.stages import Stage, Told
from introspect.probing.terminal import terminal_bar

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["watching_stages"]


class _Lines:
    """A callback that prints a line when a stage begins, for logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stage: Stage | None = None

    def __call__(self, stage: Stage, number: int, total: int | None) -> None:
        if stage != self._stage:
            self._stage = stage
            print(f"introspect: {stage.line(total)}", file=self._stream, flush=True)


class _Bar:
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
        yield _Lines(stream)
        return
    with terminal_bar(stream) as bar:
        yield _Bar(bar)
