"""Controls of the linear probe: a task of words alone, and the length of an online code."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.intp]

# The parts of the groups after which the probe is trained anew (Voita & Titov 2020).
_PORTIONS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
_FEWEST_GROUPS = 2


def answer_by_words(phrases: Sequence[str], seed: int) -> int:
    """Return which candidate is right in the control task: a rank drawn for each phrase decides.

    The answers depend on the candidates' words and on nothing else, alike in every case, so that a
    probe that learns them has memorized words (Hewitt & Liang 2019).

    Example:
        >>> one = answer_by_words(["the cook", "the guest"], 0)
        >>> one == 1 - answer_by_words(["the guest", "the cook"], 0)
        True
    """
    ranks = [
        np.random.default_rng((seed, zlib.crc32(phrase.casefold().encode()))).random()
        for phrase in phrases
    ]
    return int(np.argmax(ranks))


def portions(groups: Integers, seed: int) -> list[tuple[Integers, Integers]]:
    """Return the cases that the probe is trained on, and those it then encodes, portion by portion.

    Whole groups, in an order drawn by the seed; the first portion has no cases before it.
    """
    total = int(groups.max()) + 1
    order = np.random.default_rng(seed).permutation(total)
    rank = np.empty(total, dtype=np.intp)
    rank[order] = np.arange(total)
    ends = sorted({max(_FEWEST_GROUPS, round(total * part)) for part in _PORTIONS} | {total})
    place = rank[groups]
    starts = [0, *ends]
    return [
        (np.flatnonzero(place < start), np.flatnonzero((place >= start) & (place < end)))
        for start, end in zip(starts, ends, strict=False)
    ]
