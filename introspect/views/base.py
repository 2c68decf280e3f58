"""Base classes of the views, which have a Plotly figure and a page, and their helpers."""

from __future__ import annotations

import html
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from introspect.errors import SelectionError
from introspect.files import write_atomically
from introspect.page import Document, Section, framed
from introspect.page.codec import kept_of
from introspect.records import AttentionRecord, TokenSequence
from introspect.text import shortened, visible_text

__all__ = [
    "Drawing",
    "View",
    "first_token",
    "head_number",
    "joined_texts",
    "layer_row",
    "plotly_text",
]

_LONGEST_HEADING = 160


class Drawing(ABC):
    """Base class of everything drawn: a static Plotly figure and an interactive page.

    A notebook displays it directly.
    """

    @property
    @abstractmethod
    def title(self) -> str:
        """The title of the view."""

    @property
    @abstractmethod
    def figure(self) -> Any:
        """A ``plotly.graph_objects.Figure`` of the current state."""

    @abstractmethod
    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page and the sections that it opens."""

    @property
    def heading(self) -> str:
        """The heading of the page in place of the title; empty for none."""
        return ""

    @property
    def notices(self) -> tuple[str, ...]:
        """Notices that must be read before anything else."""
        return ()

    @property
    @abstractmethod
    def made_by(self) -> tuple[str | None, str | None]:
        """The model and its revision, where known."""

    def to_html(self) -> str:
        """Return one self-contained page."""
        heading = visible_text(shortened(self.heading, _LONGEST_HEADING))
        document = Document(self.title, heading=heading or None, summary=self._summary(heading))
        for notice in dict.fromkeys(self.notices):
            text = html.escape(visible_text(notice))
            document.add_prose(f'<p class="notice" role="alert">{text}</p>')
        for section in self.sections():
            document.add_section(section)
        return document.to_html()

    def _summary(self, heading: str) -> dict[str, Any]:
        """Return the summary that a folder listing reads without opening the page."""
        model, revision = self.made_by
        return {
            "kind": "view",
            "title": self.title,
            "finding": heading,
            "model": model,
            "revision": revision,
        }

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to one file atomically.

        Raises:
            OutputError: the folder is missing or cannot be written.
        """
        return write_atomically(path, self.to_html())

    def _repr_html_(self) -> str:
        return framed(self.to_html(), self.title)


@dataclass(frozen=True, eq=False, repr=False)
class View(Drawing):
    """A view of one record.

    ``figure`` is a plain Plotly figure of what is shown first; the page adds the interaction. A
    notebook displays a view directly.
    """

    record: AttentionRecord

    @property
    def heading(self) -> str:
        """The heading of the page: the text, or an empty string."""
        return joined_texts(self.record)

    @property
    def notices(self) -> tuple[str, ...]:
        """Notices that must be read before anything else."""
        return (*self.record.notices, *_left_out(self.record))

    @property
    def made_by(self) -> tuple[str | None, str | None]:
        """The captured model and its revision."""
        certificate = self.record.certificate
        return certificate.model, certificate.revision

    def __repr__(self) -> str:
        # A notebook stores this next to the page, so it must not repeat the record's tokens.
        return f"<{type(self).__name__}: {self.record.extent}>"


def joined_texts(record: AttentionRecord) -> str:
    """Return the text of a record, or both texts of a pair; an empty string if it has none."""
    return " · ".join(text for text in record.keys.texts if text.strip())


def _left_out(record: AttentionRecord) -> list[str]:
    """Return a notice of what the page of a long text leaves out, if anything."""
    kept = kept_of(tuple(record.attentions.shape))
    if kept is None:
        return []
    return [
        f"The text is long: of each row this page holds the {kept} largest weights of "
        f"{len(record.keys)}, and reads the others as 0. How much of a token’s attention they are "
        "is said beside its numbers."
    ]


def first_token(tokens: TokenSequence) -> int:
    """Return the index of the token that a view of one token shows first: the last word.

    This is the last non-special token with a letter or digit; else the last non-special token;
    else the first token.
    """
    own = [index for index, flag in enumerate(tokens.special_tokens_mask) if not flag]
    words = [index for index in own if any(map(str.isalnum, tokens.tokens[index]))]
    return (words or own or [0])[-1]


def layer_row(record: AttentionRecord, layer: int) -> int:
    """Return the row of the record that holds a layer, given in the model's own numbering.

    Raises:
        SelectionError: the record has no such layer.
    """
    if layer not in record.layers:
        raise SelectionError(f"Expected `layer` in {_span(record.layers)}, got {layer}.")
    return record.layers.index(layer)


def head_number(record: AttentionRecord, head: int) -> int:
    """Return ``head`` if the record has it.

    Raises:
        SelectionError: the record does not have it.
    """
    if not 0 <= head < record.num_heads:
        numbers = range(record.num_heads)
        raise SelectionError(f"Expected `heads` in {_span(numbers)}, got {head}.")
    return head


def _span(numbers: Sequence[int]) -> str:
    first, last = numbers[0], numbers[-1]
    if list(numbers) == list(range(first, last + 1)):
        return str(first) if first == last else f"{first}–{last}"
    return ", ".join(map(str, numbers))


def plotly_text(label: str) -> str:
    """Escape a label for Plotly, which interprets some HTML in labels; tokens are plain text."""
    return label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
