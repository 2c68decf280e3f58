"""Small models whose way of working is known: shipped with the package, loaded by name.

    induction       finds what followed the last time: previous-token heads, then induction heads
    shortcut        the same low loss by counting positions, and no induction head
    reversal        writes a sequence backwards: cross-attention from corner to corner
    pronoun         names the noun that a pronoun stands for, and looks at it
    pronoun-gated   names it as well, while no head tells the right noun from the other

Each was trained by ``tools/circuits`` of the repository. What it does was measured on inputs that
it was not trained on, and stands in the model card beside its weights.
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
    """The folder of a model: configuration, weights, tokenizer and model card (``README.md``)."""
    return Path(str(files(__name__))) / name


@dataclass(frozen=True)
class Repeated:
    """Symbols that come twice, after others that do not.

    Args:
        text: what the model reads. Its first token is ``<s>``, at position 0.
        prefix: how many symbols stand before the first time.
        period: how many come twice.
    """

    text: str
    prefix: int
    period: int

    @property
    def queries(self) -> range:
        """Positions in the second time whose next symbol can be known."""
        start = 1 + self.prefix + self.period
        return range(start, start + self.period - 1)

    @property
    def matches(self) -> range:
        """For each of them, where an induction head looks: after the same symbol's first time."""
        return range(2 + self.prefix, 1 + self.prefix + self.period)


def repeated(
    n: int, seed: int = 0, *, prefix: int | None = None, period: int | None = None
) -> list[Repeated]:
    """Random symbols that come twice, after a random prefix.

    Args:
        n: how many.
        seed: of the choice.
        prefix: its length; by default random from 0 to 16.
        period: how many symbols come twice; by default random from 8 to 22.

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
    """Symbols as a text that the models read: with spaces between them."""
    return " ".join(symbols)
