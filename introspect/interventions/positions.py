"""The tokens that an intervention applies to."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index

from introspect.errors import SelectionError

__all__ = ["chosen_positions"]


def chosen_positions(positions: Sequence[int], length: int, name: str = "positions") -> list[int]:
    """Return the positions after checking them.

    Raises:
        SelectionError: none, or one that a sequence of this length does not have.
    """
    try:
        chosen = [index(position) for position in positions]
    except TypeError:
        chosen = []
    if not chosen or not all(0 <= position < length for position in chosen):
        raise SelectionError(
            f"Expected `{name}` as whole numbers in 0–{length - 1}, got {positions!r}. Tokens are "
            "numbered from 0."
        )
    return chosen
