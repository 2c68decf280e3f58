"""Small models with known mechanisms, shipped with the package and loaded by name.

    induction       finds what followed the last time: previous-token heads, then induction heads
    shortcut        reaches the same low loss by counting positions, with no induction head
    reversal        writes a sequence backwards: cross-attention along the antidiagonal
    pronoun         names the noun that a pronoun refers to, and attends to it
    pronoun-gated   names it as well, while no head distinguishes the right noun from the other

``tools/circuits`` in the repository trained each of them. Their behavior was measured on held-out
inputs, and is reported in the model card next to the weights.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

__all__ = ["CIRCUITS", "SYMBOLS", "Repeated", "circuit_folder", "repeated", "symbols_text"]

CIRCUITS = ("induction", "shortcut", "reversal", "pronoun", "pronoun-gated")

#: The vocabulary of the models that read symbols: 62 letters and digits.
SYMBOLS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def circuit_folder(name: str) -> Path:
    """Return the folder with the configuration, weights, tokenizer and card (``README.md``)."""
    return Path(str(files(__name__))) / name


@dataclass(frozen=True)
class Repeated:
    """Symbols that occur twice, after a prefix of others that do not.

    Args:
        text: the text that the model reads. Its first token is ``<s>``, at position 0.
        prefix: the number of symbols before the first occurrence.
        period: the number of symbols that occur twice.
    """

    text: str
    prefix: int
    period: int

    @property
    def queries(self) -> range:
        """Positions in the second occurrence whose next symbol is predictable."""
        start = 1 + self.prefix + self.period
        return range(start, start + self.period - 1)

    @property
    def matches(self) -> range:
        """For each query, the position after its first occurrence: an induction head's target."""
        return range(2 + self.prefix, 1 + self.prefix + self.period)


def repeated(
    n: int, seed: int = 0, *, prefix: int | None = None, period: int | None = None
) -> list[Repeated]:
    """Draw sequences of random symbols that occur twice, after a random prefix.

    Args:
        n: the number of sequences.
        seed: the random seed.
        prefix: the length of the prefix; by default random from 0 to 16.
        period: the number of symbols that occur twice; by default random from 8 to 22.

    Example:
        >>> repeated(1, prefix=1, period=3)[0].text
        '2 y W 4 y W 4'
    """
    generator = random.Random(seed)
    made = []
    for _ in range(n):
        before = generator.randint(0, 16) if prefix is None else prefix
        length = generator.randint(8, 22) if period is None else period
        drawn = generator.sample(SYMBOLS, before + length)
        made.append(Repeated(symbols_text(drawn + drawn[before:]), before, length))
    return made


def symbols_text(symbols: list[str]) -> str:
    """Join symbols with spaces into a text that the models read."""
    return " ".join(symbols)
