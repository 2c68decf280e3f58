"""A story, and the reader that it may ask."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

import torch

from introspect.errors import SelectionError
from introspect.primer.trainer import Training
from introspect.records import AttentionRecord, Head, find_tokens
from introspect.text import decimal
from introspect.views import View


class Reader(Protocol):
    """A reader of texts that reports its attention, such as ``introspect.load("minilm")``."""

    @property
    def name(self) -> str:
        """The reader's name."""

    def capture(self, text: Any, *, include: Sequence[str] = ...) -> AttentionRecord:
        """Return the attention of every layer and head."""


@dataclass(frozen=True, eq=False)
class Story:
    """A story that has run.

    Args:
        title: its heading.
        text: what happened, as paragraphs.
        numbers: the figures of the text, by name.
        records: the attention that it describes, by name.
        views: the views of it, by name.
    """

    title: str
    text: tuple[str, ...]
    numbers: Mapping[str, float] = field(default_factory=dict)
    records: Mapping[str, AttentionRecord] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)

    def __str__(self) -> str:
        return "\n\n".join((self.title, *self.text))

    def _repr_markdown_(self) -> str:
        return f"### {self}"


def from_word_to(record: AttentionRecord, source: str, target: str) -> torch.Tensor:
    """Return each head's weight from one word of the text to another, ``(num_layers, num_heads)``.

    It is the mean over the tokens of the source and the sum over those of the target.

    Raises:
        MentionError: a word is not in the text, or occurs several times.
    """
    sources, targets = (find_tokens(record.keys, word) for word in (source, target))
    return record.attentions[:, :, sources][..., targets].sum(-1).mean(-1)


def largest(record: AttentionRecord, values: torch.Tensor) -> Head:
    """Return the head with the largest of some values, ``(num_layers, num_heads)``."""
    row, head = divmod(int(values.argmax()), record.num_heads)
    return Head(record.layers[row], head)


def at_head(record: AttentionRecord, values: torch.Tensor, head: Head) -> float:
    """Return one head's value of some values, ``(num_layers, num_heads)``."""
    return float(values[record.layers.index(head.layer), head.head])


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
    return ", ".join(f"{word} {decimal(numbers[word])}" for word in chosen)
