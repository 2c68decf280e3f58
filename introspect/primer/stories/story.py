"""A story, and the reader that it may ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from introspect.records import AttentionRecord
from introspect.views.base import View

__all__ = ["Reader", "Story"]


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
