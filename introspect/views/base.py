"""What every view is: a Plotly figure of its state, and a page that shows itself."""

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
    "Shown",
    "View",
    "first_token",
    "head_number",
    "joined_texts",
    "layer_row",
    "plotly_text",
]

_LONGEST_HEADING = 160


class Shown(ABC):
    """What is shown in one way: a plain Plotly figure, and a page with its interaction.

    In a notebook it shows itself.
    """

    @property
    @abstractmethod
    def title(self) -> str:
        """The heading."""

    @property
    @abstractmethod
    def figure(self) -> Any:
        """A ``plotly.graph_objects.Figure`` of the current state."""

    @abstractmethod
    def sections(self) -> tuple[Section, ...]:
        """The section of the page, and those it opens."""

    @property
    @abstractmethod
    def heading(self) -> str:
        """What is at the head of the page: the text, or nothing."""

    @property
    def notices(self) -> tuple[str, ...]:
        """What must be read before anything else."""
        return ()

    def to_html(self) -> str:
        """One self-contained page."""
        heading = visible_text(shortened(self.heading, _LONGEST_HEADING))
        document = Document(self.title, heading=heading or None, summary=self._summary(heading))
        for notice in dict.fromkeys(self.notices):
            text = html.escape(visible_text(notice))
            document.add_prose(f'<p class="notice" role="alert">{text}</p>')
        for section in self.sections():
            document.add_section(section)
        return document.to_html()

    def _summary(self, heading: str) -> dict[str, Any]:
        """What the list of a folder reads of the page without opening it."""
        return {"kind": "view", "title": self.title, "finding": heading}

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page as one file, whole or not at all.

        Raises:
            OutputError: the folder is missing or cannot be written.
        """
        return write_atomically(path, self.to_html())

    def _repr_html_(self) -> str:
        return framed(self.to_html(), self.title)


@dataclass(frozen=True, eq=False, repr=False)
class View(Shown):
    """A record, shown in one way.

    ``figure`` is a plain Plotly figure of what is shown first; the page has it with its
    interaction. In a notebook a view shows itself.
    """

    record: AttentionRecord

    @property
    def heading(self) -> str:
        """What is at the head of the page: the text, or nothing."""
        return joined_texts(self.record)

    @property
    def notices(self) -> tuple[str, ...]:
        """What must be read before anything else."""
        return (*self.record.notices, *_left_out(self.record))

    def _summary(self, heading: str) -> dict[str, Any]:
        certificate = self.record.certificate
        return {
            **super()._summary(heading),
            "model": certificate.model,
            "revision": certificate.revision,
        }

    def __repr__(self) -> str:
        # A notebook keeps this beside the page: it must not hold the record's tokens again.
        return f"<{type(self).__name__}: {self.record.extent}>"


def joined_texts(record: AttentionRecord) -> str:
    """The text of a record, or both of a pair; nothing where it has none."""
    return " · ".join(text for text in record.keys.texts if text.strip())


def _left_out(record: AttentionRecord) -> list[str]:
    """What a page of a long text does not hold."""
    kept = kept_of(tuple(record.attentions.shape))
    if kept is None:
        return []
    return [
        f"The text is long: of each row this page holds the {kept} largest weights of "
        f"{len(record.keys)}, and reads the others as 0. How much of a token’s attention they are "
        "is said beside its numbers."
    ]


def first_token(tokens: TokenSequence) -> int:
    """Where a view of one token starts: at the last word.

    The last token with a letter or digit that is not special; else the last that is not special;
    else the first.
    """
    own = [index for index, flag in enumerate(tokens.special_tokens_mask) if not flag]
    words = [index for index in own if any(map(str.isalnum, tokens.tokens[index]))]
    return (words or own or [0])[-1]


def layer_row(record: AttentionRecord, layer: int) -> int:
    """The row of the record that holds a layer, by the model's own number.

    Raises:
        SelectionError: the record has no such layer.
    """
    if layer not in record.layers:
        raise SelectionError(f"Expected `layer` in {_span(record.layers)}, got {layer}.")
    return record.layers.index(layer)


def head_number(record: AttentionRecord, head: int) -> int:
    """``head``, if the record has it.

    Raises:
        SelectionError: it does not.
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
    """A label as Plotly must be given it: it reads some HTML in labels, and tokens are text."""
    return label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
