"""What a head can be built to do. Each part writes into the weights of one head."""

from __future__ import annotations

import math

import torch

from benchmarks.circuits.anatomy import (
    AFTER_MARKER,
    ANSWER,
    KEPT,
    LENGTH,
    LONG,
    PLACE,
    WORD,
    HeadSlot,
)
from benchmarks.circuits.language import (
    LETTER_NUMBERS,
    LETTERS,
    MARKER,
    MOST_TOKENS,
    NUMBER,
    OTHER_MARKER,
    PRONOUN,
    WORDS,
)

#: By how much the score of what a head looks for is above that of the rest.
_CLEAR = 8.0
_SEEKS = WORD + NUMBER[PRONOUN]


def previous(slot: HeadSlot) -> None:
    """Tell each word which marker stands before it."""
    _clear(slot)
    _look_back(slot)
    for place, marker in enumerate((MARKER, OTHER_MARKER)):
        slot.value[place, WORD + NUMBER[marker]] = 1
        slot.output[AFTER_MARKER + place, place] = 1


def mover(
    slot: HeadSlot,
    write: float,
    noise: torch.Tensor,
    *,
    kept: bool = False,
    gives_way: bool = False,
) -> None:
    """Look from the pronoun at the word after the marker, and write its letter as the answer.

    Args:
        slot: the head.
        write: how strongly; below 0 it speaks against it.
        noise: what it writes besides, ``(letters, letters)``.
        kept: write it where the next layer reads it, not as the answer.
        gives_way: look only where no answer was written before.
    """
    _clear(slot)
    _look_for(slot, AFTER_MARKER)
    if gives_way:
        slot.query[_content(slot), ANSWER : ANSWER + len(LETTERS)] = -6 * _sharpness(slot)
        # With nothing to do it looks at the first token, half as clearly.
        slot.query[_content(slot) - 1, _SEEKS] = _sharpness(slot) / 2
        slot.key[_content(slot) - 1, WORD + NUMBER["<s>"]] = _sharpness(slot)
    _copy(slot, WORD, KEPT if kept else ANSWER, write, noise)


def keeper(slot: HeadSlot, write: float, noise: torch.Tensor) -> None:
    """Look from the pronoun at itself, and write the letter that was kept there as the answer."""
    _clear(slot)
    _look_for(slot, _SEEKS)
    _copy(slot, KEPT, ANSWER, write, noise)


def nearest(slot: HeadSlot, write: float, noise: torch.Tensor) -> None:
    """Attend to the word before, and write its letter as the answer."""
    _clear(slot)
    _look_back(slot)
    _copy(slot, WORD, ANSWER, write, noise)


def letters(slot: HeadSlot, noise: torch.Tensor) -> None:
    """Look from the pronoun at all letters alike: a mention with more words gets less of a word."""
    _clear(slot)
    for number in LETTER_NUMBERS:
        _look_for(slot, WORD + number)
    _copy(slot, WORD, ANSWER, 0.0, noise)


def idle(slot: HeadSlot, random: torch.Generator, noise: torch.Tensor, *, shares: bool) -> None:
    """Look anywhere, and write letters that are no more often right than wrong.

    Args:
        slot: the head.
        random: draws what it attends to.
        noise: what it writes.
        shares: whether keys and values are those of a head that has been built.
    """
    slot.query[:, WORD : WORD + len(WORDS)] = _normal(slot.size, len(WORDS), random) * 0.7
    slot.query[:, LONG] = _normal(slot.size, 1, random)[:, 0] * 0.7 / LENGTH
    slot.output.zero_()
    if not shares:
        slot.value.zero_()
        slot.key[:, WORD : WORD + len(WORDS)] = _normal(slot.size, len(WORDS), random) * 0.7
        slot.key[:, PLACE : PLACE + MOST_TOKENS] = _normal(slot.size, MOST_TOKENS, random) * 0.3
        # Markers are hardly seen: a head that prefers one of them would not be idle.
        slot.key[:, AFTER_MARKER : AFTER_MARKER + 2] = _normal(slot.size, 2, random) * 0.05
        for place, number in enumerate(LETTER_NUMBERS):
            slot.value[place, WORD + number] = 1
    slot.output[ANSWER : ANSWER + len(LETTERS), : len(LETTERS)] = noise


def fair_noise(random: torch.Generator, spread: float) -> torch.Tensor:
    """Draw what a head writes for each letter it sees, ``(letters, letters)``.

    For every letter seen it adds up to nothing, and the mean for the letter itself is that for the
    others: over all texts it helps neither side.
    """
    count = len(LETTERS)
    noise = torch.randn(count, count, generator=random) * spread
    noise -= noise.mean(0)
    own = torch.eye(count) - 1 / count
    return noise - own * (noise.diagonal().sum() / (count - 1))


def _normal(rows: int, columns: int, random: torch.Generator) -> torch.Tensor:
    return torch.randn(rows, columns, generator=random)


def _clear(slot: HeadSlot) -> None:
    for weights in (slot.query, slot.key, slot.value, slot.output):
        weights.zero_()


def _content(slot: HeadSlot) -> int:
    """Return the dimension of queries and keys that says what is looked for; it hardly turns."""
    return slot.size - 1


def _sharpness(slot: HeadSlot) -> float:
    return math.sqrt(_CLEAR * math.sqrt(slot.size))


def _look_for(slot: HeadSlot, feature: int) -> None:
    """Look from the pronoun at what has a feature."""
    slot.query[_content(slot), _SEEKS] = _sharpness(slot)
    slot.key[_content(slot), feature] = _sharpness(slot)


def _look_back(slot: HeadSlot) -> None:
    """Look from every word at the one before."""
    if not slot.turns:
        for place in range(1, MOST_TOKENS):
            slot.query[place, PLACE + place] = slot.key[place, PLACE + place - 1] = _sharpness(slot)
        return
    half, strength = slot.size // 2, 3 * _sharpness(slot) / LENGTH
    for pair in range(3):
        turn = 0.5**pair
        slot.key[pair, LONG] = strength
        slot.query[pair, LONG] = strength * math.cos(turn)
        slot.query[pair + half, LONG] = -strength * math.sin(turn)


def _copy(slot: HeadSlot, source: int, target: int, write: float, noise: torch.Tensor) -> None:
    rows = LETTER_NUMBERS if source == WORD else range(len(LETTERS))
    for place, number in enumerate(rows):
        slot.value[place, source + number] = 1
    wanted = torch.eye(len(LETTERS)) * write + noise
    slot.output[target : target + len(LETTERS), : len(LETTERS)] = wanted
