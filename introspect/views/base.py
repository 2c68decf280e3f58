"""Base classes of the views, which have a Plotly figure and a page, and their helpers."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from introspect.errors import SelectionError
from introspect.io import check_view_file, save_file
from introspect.page import Document, Section, framed, kept_of
from introspect.records import (
    LARGEST_SHOWN,
    METHODS,
    AttentionRecord,
    Head,
    HeadLike,
    as_head,
    attributed,
    listed_heads,
    offered,
)
from introspect.text import shortened, visible_text, whole
from introspect.views.instrument import Choice, instrument
from introspect.views.shown import is_in_notebook, rendered, show_in_browser, show_in_notebook
from introspect.views.svg import plain_of, svg_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_LONGEST_HEADING = 160
#: The most characters of a token that a figure without a matrix shows; the page has all.
LONGEST_TOKEN = 40


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
    def figure(self) -> Figure:
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
        self.add_instrument(document)
        for notice in dict.fromkeys(self.notices):
            document.add_notice(notice)
        for section in self.sections():
            document.add_section(section)
        return document.to_html()

    def add_instrument(self, document: Document) -> None:  # noqa: B027
        """Add the text as words to choose from, in a view of one text."""

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

    @property
    def still(self) -> Figure:
        """The figure of the picture, without what only a page can do."""
        return self.figure

    def to_svg(self) -> str:
        """Return the picture of the view as it stands, as SVG: ``figure``, drawn without a browser.

        Its text is text, in any script. It loads nothing, and is the same whenever it is made.
        """
        figure = self.still
        words = (plain_of(figure.layout.title.text or ""), self.heading, self.made_by[0])
        return svg_of(figure, self.title, " · ".join(filter(None, words)))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the view to one file atomically: as what the name ends in.

        Args:
            path: ends in ``.html`` for the page, or ``.svg``, ``.png`` or ``.pdf`` for the picture
                of ``to_svg``. The last two are made by kaleido (the extra ``pictures``), which
                needs Chrome or Chromium.

        Raises:
            OutputError: the name ends otherwise, the folder is missing or cannot be written, or no
                browser is found that could draw.
            MissingExtraError: kaleido is not installed.
        """
        target = check_view_file(path)
        ending = target.suffix.lower()
        if ending == ".svg":
            return save_file(target, self.to_svg())
        if ending in (".png", ".pdf"):
            return save_file(target, rendered(self.to_svg(), ending))
        return save_file(target, self.to_html())

    def show(self) -> None:
        """Show the view: in a notebook below the cell, otherwise as a page in the browser.

        Raises:
            OutputError: there is no browser; the message names the page, to open it elsewhere.
        """
        show_in_notebook(self) if is_in_notebook() else show_in_browser(self.to_html())

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
    def choice(self) -> Choice:
        """What is chosen first, for all views of the page."""
        return Choice()

    def add_instrument(self, document: Document) -> None:
        """Add the text as words to choose from."""
        document.add_instrument(instrument(self.record, self.choice))

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
        f"The text is long: of each row this page holds the {whole(kept)} largest weights of "
        f"{whole(len(record.keys))}, and reads the others as 0. How much of a token’s attention "
        "they are is said beside its numbers."
    ]


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


def named_head(
    record: AttentionRecord, layer: int | None, head: int | HeadLike | None
) -> tuple[int | None, int | None]:
    """Return a layer and the number of a head in it, from a number or from a name with its layer.

    Args:
        record: the attention.
        layer: the layer, if it is given apart.
        head: a number in that layer, or a head such as ``"L3H1"``, which names its layer itself.

    Raises:
        SelectionError: the record does not have the named head, or it is of another layer.
    """
    if head is None or isinstance(head, int | Integral):
        return layer, head
    chosen = as_head(head, dict.fromkeys(record.layers, record.num_heads))
    if layer not in (None, chosen.layer):
        raise SelectionError(f"Expected a head of layer {layer}, which is shown, got {chosen}.")
    return chosen


def one_or_several(
    head: int | HeadLike | None, heads: Iterable[int | HeadLike] | HeadLike | None
) -> Iterable[int | HeadLike] | HeadLike:
    """Return the heads that are named as one ``head`` or as several ``heads``.

    Raises:
        SelectionError: both are given.
    """
    if head is not None and heads is not None:
        raise SelectionError("Expected `head` or `heads`, got both. Leave one of them out.")
    return (head,) if head is not None else () if heads is None else heads


def named_heads(
    record: AttentionRecord, layer: int | None, heads: Iterable[int | HeadLike] | HeadLike | int
) -> tuple[int | None, list[int]]:
    """Return a layer and the numbers of several heads in it, as ``named_head`` does for one."""
    if isinstance(heads, str):
        heads = listed_heads(heads)
    several = [heads] if isinstance(heads, Integral | Head) else heads
    numbers = []
    for head in several:  # type: ignore[union-attr]
        layer, number = named_head(record, layer, head)
        assert number is not None
        numbers.append(number)
    return layer, numbers


def _span(numbers: Sequence[int]) -> str:
    first, last = numbers[0], numbers[-1]
    if list(numbers) == list(range(first, last + 1)):
        return str(first) if first == last else f"{first}–{last}"
    return ", ".join(map(str, numbers))


def plotly_text(label: str) -> str:
    """Escape a label for Plotly, which interprets some HTML in labels; tokens are plain text."""
    return label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def layers_of(table: pd.DataFrame) -> tuple[list[int], int]:
    """Return the sorted layers of a table and the number of heads (largest head number + 1)."""
    layers = sorted(int(layer) for layer in table["layer"].unique())
    return layers, int(table["head"].max()) + 1


def map_of(
    table: pd.DataFrame, columns: Sequence[str], layers: Sequence[int], num_heads: int
) -> dict[str, list[list[Any]]]:
    """Return each column as layers × heads; ``None`` where the number or head is missing.

    Example:
        >>> table = pd.DataFrame({"layer": [2, 2], "head": [0, 2], "n": [5, 7]})
        >>> map_of(table, ["n"], [2], 3)
        {'n': [[5, None, 7]]}
    """
    places = list(zip(table["layer"], table["head"], strict=True))
    grids = {}
    for name in columns:
        values = dict(zip(places, table[name], strict=True))
        grids[name] = [
            [known(values.get((layer, head), math.nan)) for head in range(num_heads)]
            for layer in layers
        ]
    return grids


def known(value: float) -> float | int | None:
    """Convert a number for JSON, rounded to 8 decimals; ``None`` for one that is not finite."""
    if isinstance(value, Integral):
        return int(value)
    return round(float(value), 8) if math.isfinite(value) else None


RAW = "raw"


def checked_weights(record: AttentionRecord, weights: str, own: Sequence[str] = (RAW,)) -> None:
    """Raise an error unless the record can be shown with these weights.

    Args:
        record: the attention.
        weights: one of ``own``, or the name of a method.
        own: the weights that the view computes itself.

    Raises:
        SelectionError: there are no such weights, the record cannot provide them, or a page cannot
            hold them.
    """
    if weights in own:
        return
    if weights not in METHODS:
        known = ", ".join((*own, *METHODS))
        raise SelectionError(f"Expected `weights` as one of {known}, got {weights!r}.")
    if weights != "norm" and len(record.keys) > LARGEST_SHOWN:
        raise SelectionError(
            f"Expected at most {LARGEST_SHOWN} tokens to show by {weights}, got "
            f"{whole(len(record.keys))}. Shorten the text, or show raw weights."
        )
    attributed(record, weights)


def by_method(record: AttentionRecord, weights: str) -> AttentionRecord:
    """Replace a record's attention with a method's numbers, with one head if the method has one."""
    if weights not in METHODS:
        return record
    return replace(record, attentions=attributed(record, weights), parts={})


def is_whole(weights: str) -> bool:
    """Return whether one map represents all heads together."""
    return weights in METHODS and not METHODS[weights].by_head


def scale_of(weights: str, shown: torch.Tensor) -> float:
    """Return the weight drawn at full strength: 1, or the largest shown if unbounded."""
    if weights not in METHODS or METHODS[weights].bounded:
        return 1.0
    largest = float(shown.nan_to_num(0.0).max())
    return largest if largest > 0 else 1.0


def page_methods(record: AttentionRecord, weights: str = RAW) -> tuple[str, ...]:
    """Return the methods that a page can show: those the record offers and the named one."""
    named = (weights,) if weights in METHODS else ()
    return tuple(dict.fromkeys((*offered(record), *named)))


def whole_words(weights: str, layer: int) -> str:
    """Describe a method that combines all heads, and its layer, in words."""
    method = METHODS[weights]
    where = f"up to layer {layer}" if method.through else f"layer {layer}"
    return f"{method.label[:1].upper()}{method.label[1:]}, {where}, all heads together"
