"""From numbers to words, in either language."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from introspect.errors import SelectionError
from introspect.primer.training import Training

__all__ = ["LANGUAGES", "all_words", "listed", "losses_of", "verdict", "words_of"]

LANGUAGES = ("en", "zh")


@cache
def all_words(language: str) -> dict[str, Any]:
    """The words of every story."""
    data = files("introspect.primer") / "data" / f"stories_{language}.toml"
    return tomllib.loads(data.read_text("utf-8"))


def words_of(story: str, language: str) -> Mapping[str, Any]:
    """The words of one story.

    Raises:
        SelectionError: there are none in this language.
    """
    if language not in LANGUAGES:
        raise SelectionError(f"Expected a language from {', '.join(LANGUAGES)}, got {language!r}.")
    words: Mapping[str, Any] = all_words(language)[story]
    return words


def verdict(words: Mapping[str, Any], is_told: bool, **figures: Any) -> str:
    """Whether it is as the story has it."""
    text: str = words["as_told" if is_told else "not_as_told"]
    return text.format(**figures)


def losses_of(training: Training) -> dict[str, float]:
    """Where the loss began, and where it ended."""
    return {"first": training.losses[0], "last": training.losses[-1]}


def listed(numbers: Mapping[str, float], chosen: Sequence[str]) -> str:
    """The chosen words, each with its number."""
    return ", ".join(f"{word} {numbers[word]:.2f}" for word in chosen)
