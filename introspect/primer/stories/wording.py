"""The wording of stories and their numbers, in either language."""

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
    """Return the wording of every story."""
    data = files("introspect.primer") / "data" / f"stories_{language}.toml"
    return tomllib.loads(data.read_text("utf-8"))


def words_of(story: str, language: str) -> Mapping[str, Any]:
    """Return the wording of one story.

    Raises:
        SelectionError: there is none in this language.
    """
    if language not in LANGUAGES:
        raise SelectionError(f"Expected a language from {', '.join(LANGUAGES)}, got {language!r}.")
    words: Mapping[str, Any] = all_words(language)[story]
    return words


def verdict(words: Mapping[str, Any], is_told: bool, **figures: Any) -> str:
    """Return the words that say whether the story's claim holds."""
    text: str = words["as_told" if is_told else "not_as_told"]
    return text.format(**figures)


def losses_of(training: Training) -> dict[str, float]:
    """Return the loss at the beginning and at the end."""
    return {"first": training.losses[0], "last": training.losses[-1]}


def listed(numbers: Mapping[str, float], chosen: Sequence[str]) -> str:
    """List the chosen words, each with its number."""
    return ", ".join(f"{word} {numbers[word]:.2f}" for word in chosen)
