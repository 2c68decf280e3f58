"""Baselines that need no model: choices by position alone.

Rule 10 of the methods: a head's accuracy means little without these for comparison.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = [
    "chance",
    "closest_to_offsets",
    "first_mentioned",
    "nearest_preceding",
]

Span = tuple[int, int]


def chance(antecedents: Sequence[bool]) -> float:
    """Return the expected credit of a random choice: the share of candidates that are antecedents.

    Example:
        >>> chance([True, False])
        0.5
    """
    return sum(antecedents) / len(antecedents)


def nearest_preceding(
    pronoun: Span, candidates: Sequence[Span], antecedents: Sequence[bool]
) -> float:
    """Return the credit of choosing the candidate that ends closest before the pronoun.

    If none precedes the pronoun, the choice is the one that starts closest after it.

    Example:
        >>> nearest_preceding((43, 45), [(4, 10), (28, 34)], [True, False])
        0.0
    """
    before = [(pronoun[0] - end, i) for i, (_, end) in enumerate(candidates) if end <= pronoun[0]]
    after = [(start - pronoun[1], i) for i, (start, _) in enumerate(candidates)]
    return _credit_of_nearest(before or after, antecedents)


def first_mentioned(candidates: Sequence[Span], antecedents: Sequence[bool]) -> float:
    """Return the credit of choosing the candidate that comes first in the text.

    Example:
        >>> first_mentioned([(4, 10), (28, 34)], [True, False])
        1.0
    """
    return _credit_of_nearest([(start, i) for i, (start, _) in enumerate(candidates)], antecedents)


def closest_to_offsets(
    distances: Sequence[Sequence[int]],
    antecedents: Sequence[Sequence[bool]],
    offsets: Sequence[int],
) -> npt.NDArray[np.float64]:
    """Compute the credit of choosing the candidate whose distance is closest to a fixed one.

    Args:
        distances: for each case, how many words each candidate is after the pronoun; negative
            before it.
        antecedents: for each case, which candidates the pronoun refers to.
        offsets: the fixed distances.

    Returns:
        ``(num_cases, num_offsets)``, from 0 to 1; candidates at the same distance share the credit.

    Example:
        >>> closest_to_offsets([[-8, -3]], [[True, False]], [-4, -7])
        array([[0., 1.]])
    """
    shape = len(distances), max(map(len, distances))
    places = np.zeros(shape, dtype=np.int64)
    is_right, is_there = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for row, (own, right) in enumerate(zip(distances, antecedents, strict=True)):
        places[row, : len(own)], is_right[row, : len(own)] = own, right
        is_there[row, : len(own)] = True
    found = np.empty((len(distances), len(offsets)))
    for column, offset in enumerate(offsets):
        apart = np.where(is_there, np.abs(places - offset), np.iinfo(np.int64).max)
        chosen = apart == apart.min(1, keepdims=True)
        found[:, column] = (chosen & is_right).sum(1) / chosen.sum(1)
    return found


def _credit_of_nearest(distances: list[tuple[int, int]], antecedents: Sequence[bool]) -> float:
    """Return the antecedents' share among the candidates at the smallest distance."""
    smallest = min(distance for distance, _ in distances)
    chosen = [antecedents[i] for distance, i in distances if distance == smallest]
    return sum(chosen) / len(chosen)
