"""The stages of a study, for progress reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["LOOKING", "SMALLEST", "TAKING_OUT", "TWINS", "Stage", "Told", "told_nobody"]


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
