"""The place of a number: a head of the model, or a patch of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Head", "PatchGrid"]


class Head(NamedTuple):
    """One attention head; ``str`` returns the short name.

    Example:
        >>> str(Head(3, 1))
        'L3H1'
    """

    layer: int
    head: int

    def __str__(self) -> str:
        return f"L{self.layer}H{self.head}"


@dataclass(frozen=True)
class PatchGrid:
    """Positions in an image of the tokens of a vision model.

    Args:
        rows: how many patches the image was cut into from top to bottom.
        columns: how many from left to right.
        first: the index of the first patch among the tokens; the others follow, row by row.
        patch: height and width of a patch in pixels; ``None`` where that is not known.

    Example:
        >>> PatchGrid(rows=2, columns=3, first=1).index(1, 0)
        4
    """

    rows: int
    columns: int
    first: int = 0
    patch: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self.rows * self.columns

    def index(self, row: int, column: int) -> int:
        """Return the index of a patch among the tokens."""
        return self.first + row * self.columns + column
