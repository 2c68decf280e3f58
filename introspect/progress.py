"""Progress of long work: one protocol for a bar, for lines, for a function, and for the logger.

Work is told in stages. Every long call takes ``progress=``; the logger ``introspect`` hears when a
stage begins and ends, whatever was given.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from introspect.errors import SelectionError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_LOGGER = logging.getLogger("introspect")

#: A function that receives the stage, how much of it is done, and its total; ``None`` where the
#: total is unknown. The first call for a stage says that nothing of it is done.
Listener = Callable[[str, int, int | None], object]


class _Display:
    """A display that shows nothing."""

    def line(self, text: str) -> None:
        """Receive a sentence as a stage begins and as it ends."""

    def fact(self, text: str) -> None:
        """Receive what a reader must know of the work, before its first stage."""
        self.line(text)

    def count(self, stage: str, done: int, total: int | None, note: str) -> None:
        """Receive how much of a stage is done."""


class Stages:
    """The stages of one piece of work, told to a display and to the logger.

    Longer work hands it to its parts as their ``progress``.
    """

    def __init__(self, display: _Display) -> None:
        self._display = display
        self._stage: str | None = None
        self._done, self._total, self._note = 0, None, ""  # type: tuple[int, int | None, str]
        self._first, self._began = 0, 0.0
        self._facts: list[str] = []

    def announce(self, facts: Iterable[str]) -> None:
        """Tell what is read as the first stage begins: once it is known that the work begins."""
        self._facts += facts

    def __call__(self, stage: str, done: int, total: int | None = None, note: str = "") -> None:
        """Tell how much of a stage is done.

        Args:
            stage: the work, such as ``ablating each head``; another one ends the stage before.
            done: how much of it is done, from 0.
            total: how much there is; ``None`` where that is unknown.
            note: what else there is to show, such as ``3 rejected``.
        """
        if stage != self._stage:
            self.end()
            for fact in self._facts:
                _LOGGER.info(fact)
                self._display.fact(fact)
            self._facts = []
            # What an earlier run has done took no time of this one.
            self._stage, self._first, self._began = stage, done, time.monotonic()
            self._say(stage if total is None else f"{stage}: {done:,} of {total:,}")
        self._done, self._total, self._note = done, total, note
        self._display.count(stage, done, total, note)

    def end(self, *, is_stopped: bool = False) -> None:
        """End the current stage, if there is one.

        Args:
            is_stopped: whether an error or the user ended it.
        """
        if self._stage is None:
            return
        seconds = time.monotonic() - self._began
        verb = "stopped" if is_stopped else "done"
        parts = [f"{verb} in {seconds:.1f} s"]
        of = "" if self._total is None else f" of {self._total:,}"
        now = self._done - self._first
        if self._first and not now and not is_stopped:
            parts = [f"{self._done:,}{of} done before"]
        elif self._total is not None or self._done:
            parts = [
                f"{self._done:,}{of} {verb} in {seconds:.1f} s",
                f"{(now or self._done) / max(seconds, 1e-9):,.1f} a second",
            ]
        parts += [self._note] if self._note else []
        self._say(f"{self._stage}: {', '.join(parts)}")
        self._stage, self._note = None, ""

    def _say(self, text: str) -> None:
        _LOGGER.info(text)
        self._display.line(text)


#: What ``progress=`` takes: ``True`` for a bar on a terminal and in a notebook, and lines on
#: standard error elsewhere; ``False`` or ``None`` for nothing; or a function.
ProgressLike = bool | Listener | Stages | None


@contextmanager
def following(progress: ProgressLike, stream: TextIO | None = None) -> Iterator[Stages]:
    """Yield what a piece of work tells its stages to; the last stage ends with the block.

    Args:
        progress: as every long call takes it; the ``Stages`` of longer work are handed on.
        stream: where the bar or the lines go; standard error by default.

    Raises:
        SelectionError: ``progress`` is something else.

    Example:
        >>> with following(lambda stage, done, total: print(stage, done, total)) as tell:
        ...     tell("ablating each head", 0, 2)
        ablating each head 0 2
    """
    if isinstance(progress, Stages):
        yield progress
        return
    with _display_of(progress, stream or sys.stderr) as display:
        stages = Stages(display)
        try:
            yield stages
        except BaseException:
            stages.end(is_stopped=True)
            raise
        stages.end()


@contextmanager
def _display_of(progress: bool | Listener | None, stream: TextIO) -> Iterator[_Display]:
    if progress is None or progress is False:
        yield _Display()
    elif progress is not True:
        if not callable(progress):
            raise SelectionError(
                "Expected `progress` as True, False or a function of (stage, done, total), got "
                f"{progress!r}."
            )
        yield _Heard(progress)
    else:
        from rich.console import Console

        console = Console(file=stream)
        if stream.isatty() or _shows_widgets(console):
            with _bar(console) as bar:
                yield _Bar(bar)
        else:
            yield _Lines(stream)


def _shows_widgets(console: Console) -> bool:
    """Return whether this is a notebook in which rich can draw, for which it takes ipywidgets."""
    return console.is_jupyter and importlib.util.find_spec("ipywidgets") is not None


class _Heard(_Display):
    """A function of the caller's."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def count(self, stage: str, done: int, total: int | None, note: str) -> None:
        self._listener(stage, done, total)


class _Lines(_Display):
    """A line as each stage begins and as it ends, for logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def line(self, text: str) -> None:
        print(f"introspect: {text}", file=self._stream, flush=True)


@contextmanager
def _bar(console: Console) -> Iterator[Progress]:
    """Show a bar with the stage, the count, the speed and the time left; clear it at the end."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
        transient=True,
    ) as progress:
        yield progress


class _Bar(_Display):
    """A bar, begun anew with each stage: the speed of one does not predict that of the next."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stage: str | None = None
        self._first, self._began = 0, 0.0

    def fact(self, text: str) -> None:
        self._progress.console.print(f"introspect: {text}", markup=False, highlight=False)

    def count(self, stage: str, done: int, total: int | None, note: str) -> None:
        if stage != self._stage:
            self._progress.refresh()  # the stage before, at its end
            self._stage, self._first, self._began = stage, done, time.monotonic()
            # A known total cannot be made unknown again, so a stage is a task of its own.
            for task in self._progress.task_ids:
                self._progress.remove_task(task)
            self._progress.add_task(stage, total=total, speed="", note="")
        speed = (done - self._first) / max(time.monotonic() - self._began, 1e-9)
        self._progress.update(
            self._progress.task_ids[0],
            completed=done,
            speed=f"{speed:,.0f}/s" if speed >= 1 else "",
            note=note,
        )
