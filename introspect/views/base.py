"""Base classes of the views, which have a Plotly figure and a page, and their helpers."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from introspect.calls import checked_call
from introspect.errors import SelectionError
from introspect.io import check_view_file, save_file
from introspect.page import FRAME_HEIGHT, Choice, Document, Section, framed, kept_of
from introspect.records import METHODS, AttentionRecord, Head, TokenSequence
from introspect.text import shortened, visible_text, whole
from introspect.views.given import instrument
from introspect.views.shown import is_in_notebook, rendered, show_in_browser, show_in_notebook
from introspect.views.svg import plain_of, svg_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_LONGEST_HEADING = 160
_LONGEST_NOTED = 80
_UNDERLINED = "underlined: generated"
# Of a frame in a notebook, in pixels.
_LEAST_HEIGHT = 100
_MOST_HEIGHT = 10_000
# Characters: a picture beside the page in a notebook is there for hosts that show no page.
_LARGEST_LIGHT = 300_000
# Within the HTML it is there a second time, for hosts that show HTML without its frames.
_LARGEST_STILL = 100_000
# Cells and points, whose picture would take seconds.
_MOST_MARKS = 400_000
# Of a page in a notebook, in pixels: a line of words and how many letters fit, a cell of the strip.
_WORDS_HEIGHT, _LETTERS_IN_LINE, _STRIP_CELL = 68, 60, 14
_MOST_ESTIMATED = 3_000
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
        # Small print that is the title would be said twice.
        note = "" if self.small_print == words[0] else self.small_print
        return svg_of(figure, self.title, " · ".join(filter(None, words)), note)

    @property
    def small_print(self) -> str:
        """Return what the picture is of, below it: the text and the model."""
        text = visible_text(shortened(self.heading, _LONGEST_NOTED))
        return " · ".join(filter(None, (text, self.made_by[0])))

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

    @checked_call
    def show(self, *, height: int | None = None, compact: bool = True) -> None:
        """Show the view: in a notebook below the cell, otherwise as a page in the browser.

        Args:
            height: in a notebook, the height in pixels, within which the view scrolls; by default
                it is as tall as its content.
            compact: in a notebook, fold what explains the view.

        Raises:
            SelectionError: the height is not from 100 to 10,000 pixels.
            OutputError: there is no browser; the message names the page, to open it elsewhere.
        """
        if height is not None and not _LEAST_HEIGHT <= height <= _MOST_HEIGHT:
            raise SelectionError(
                f"Expected `height` from {_LEAST_HEIGHT} to {whole(_MOST_HEIGHT)} pixels, got "
                f"{height}."
            )
        if not is_in_notebook():
            show_in_browser(self.to_html())
        elif height is None and compact:
            show_in_notebook(self)
        else:
            show_in_notebook(self._in_notebook(height=height, compact=compact), raw=True)

    @property
    def frame_height(self) -> int:
        """About how tall the page is in a notebook, in pixels, until it says so itself."""
        return FRAME_HEIGHT

    def light_picture(self) -> str | None:
        """Return a small picture of the view as SVG; ``None`` where it would not be small."""
        figure = self.still
        if sum(map(_marks_in, figure.data)) > _MOST_MARKS:
            return None
        picture = svg_of(figure, self.title, self.heading, is_light=True)
        return picture if len(picture) <= _LARGEST_LIGHT else None

    def _in_notebook(self, *, height: int | None = None, compact: bool = True) -> dict[str, str]:
        """Return what a notebook keeps: the page in a frame, a picture, and a line of text."""
        picture = self.light_picture()
        page = framed(
            self.to_html(),
            self.title,
            compact=compact,
            height=height,
            estimate=self.frame_height,
            still=picture if picture and len(picture) <= _LARGEST_STILL else None,
        )
        kept = {"text/html": page, "text/plain": repr(self)}
        return kept if picture is None else kept | {"image/svg+xml": picture}

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return self._in_notebook()

    def _repr_html_(self) -> str:
        return self._in_notebook()["text/html"]


@dataclass(frozen=True, eq=False, repr=False)
class View(Drawing):
    """A view of one record.

    ``figure`` is a plain Plotly figure of what is shown first; the page adds the interaction. A
    notebook displays a view directly.
    """

    record: AttentionRecord
    #: The token that attends, chosen first in place of the view's own choice.
    token_first: int | None = field(default=None, kw_only=True)
    #: The layer chosen first, where the view's own choice has none.
    layer_first: int | None = field(default=None, kw_only=True)

    def opening(self, *, token: int | None = None, layer: int | None = None) -> Self:
        """Return the view with another word or layer chosen first.

        Args:
            token: the index of the token that attends; ``None`` leaves that of the view.
            layer: the layer, for a view that shows all layers; ``None`` leaves that of the view.
        """
        return replace(
            self,
            token_first=self.token_first if token is None else token,
            layer_first=self.layer_first if layer is None else layer,
        )

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
        """Return what is chosen first, for all views of the page."""
        return Choice()

    @property
    def small_print(self) -> str:
        """Return what the picture is of, below it: text, model, head and weighting."""
        name = self.choice.weights
        method = METHODS.get(name)
        weights = method.label if method else f"{name} weights"
        sides = (self.record.queries, self.record.keys)
        line = _UNDERLINED if any(any(side.generated_mask) for side in sides) else None
        return " · ".join(filter(None, (super().small_print, self.noted_head, weights, line)))

    @property
    def noted_head(self) -> str | None:
        """The head in the small print, if the picture is of one."""
        layer, head = self.choice.layer, self.choice.head
        return None if layer is None or head is None else str(Head(layer, head))

    #: About how tall the view is below the words, of so many tokens, in pixels.
    _height_and_of_token = 780, 0

    @property
    def frame_height(self) -> int:
        """About how tall the page is in a notebook, in pixels, until it says so itself."""
        record = self.record
        letters = sum(len(token) + 1 for token in record.keys.tokens)
        words = _WORDS_HEIGHT * math.ceil(letters / _LETTERS_IN_LINE)
        own, of_token = self._height_and_of_token
        whole_height = max(words, _STRIP_CELL * record.num_layers + 80) + 200 + own
        return min(whole_height + of_token * len(record.queries), _MOST_ESTIMATED)

    def add_instrument(self, document: Document) -> None:
        """Add the text as words to choose from."""
        choice = self.choice
        if self.token_first is not None:
            choice = replace(choice, query=self.token_first)
        if self.layer_first is not None and choice.layer is None:
            choice = replace(choice, layer=self.layer_first)
        document.add_instrument(instrument(self.record, choice))

    @property
    def made_by(self) -> tuple[str | None, str | None]:
        """The captured model and its revision."""
        certificate = self.record.certificate
        return certificate.model, certificate.revision

    def __repr__(self) -> str:
        # A notebook stores this next to the page, so it must not repeat the record's tokens.
        return f"<{type(self).__name__}: {self.record.extent}>"


def _marks_in(trace: Any) -> int:
    """Return how many cells or points a trace of a figure has."""
    if trace.type == "heatmap":
        return sum(map(len, trace.z))
    return len(trace.x) if trace.x is not None else 0


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


def plotly_text(label: str) -> str:
    """Escape a label for Plotly, which interprets some HTML in labels; tokens are plain text."""
    return label.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def underlined(labels: Sequence[str], sequence: TokenSequence) -> list[str]:
    """Return labels of Plotly, one for each token, those that the model wrote underlined."""
    flags = zip(labels, sequence.generated_mask, strict=True)
    return [f"<u>{label}</u>" if flag else label for label, flag in flags]


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
