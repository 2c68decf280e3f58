"""What has been drawn so far, and how much room its words take."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from introspect.views.svg.labels import LEADING, height_of, label_element, lines_of, width_of
from introspect.views.svg.markup import number, tag

# From the line or middle that a label is set at to its base line, in sizes of its letters.
_DOWN = {"top": 0.76, "middle": 0.35, "bottom": -0.22, "baseline": 0.0}
_EDGE = 4


class Canvas:
    """Elements in the order in which they are drawn, and the box around all words.

    Args:
        width: the width of the figure, in pixels.
        height: its height.
        name: what the names of its parts begin with, so that several fit in one page.
        is_light: whether what is drawn must be a small file, rather than sharp in print.
    """

    def __init__(self, width: float, height: float, name: str, *, is_light: bool = False) -> None:
        self.width, self.height, self.name = width, height, name
        self.is_light = is_light
        self._parts: list[str] = []
        self._definitions: list[str] = []
        self._words = [0.0, 0.0, width, height]

    def add(self, markup: str) -> None:
        """Draw an element above all others."""
        self._parts.append(markup)

    def define(self, name: str, content: str, kind: str, **attributes: float | str | None) -> str:
        """Define a part that others refer to; return its name in this figure."""
        own = f"{self.name}-{name}"
        self._definitions.append(tag(kind, content, id=own, **attributes))
        return own

    @contextmanager
    def group(self, **attributes: float | str | None) -> Iterator[None]:
        """Draw what is drawn inside as one group."""
        before, self._parts = self._parts, []
        yield
        inside, self._parts = self._parts, before
        if inside:
            self._parts.append(tag("g", *inside, **attributes))

    def label(
        self,
        text: str,
        x: float,
        y: float,
        *,
        size: float,
        color: str,
        anchor: str = "middle",
        vertical: str = "middle",
        angle: float = 0.0,
    ) -> None:
        """Draw a label.

        Args:
            text: the label, in Plotly's small HTML.
            x: where its ``anchor`` is.
            y: where its ``vertical`` is.
            size: the size of its letters.
            color: the color of its letters.
            anchor: ``start``, ``middle`` or ``end``.
            vertical: ``top``, ``middle``, ``bottom`` or ``baseline`` (of the first line).
            angle: by how many degrees it is turned clockwise about ``x, y``.
        """
        if not text:
            return
        further = (len(lines_of(text)) - 1) * LEADING * size
        lifted = {"middle": further / 2, "bottom": further}.get(vertical, 0.0)
        base = y + _DOWN[vertical] * size - lifted
        turned = f"rotate({number(angle)} {number(x)} {number(y)})" if angle else None
        element = label_element(text, x, base, size=size, color=color, anchor=anchor, turned=turned)
        self._parts.append(element)
        width = width_of(text, size)
        left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        top = base - 0.76 * size
        self._include((left, top, width, height_of(text, size)), (x, y), math.radians(angle))

    def _include(
        self,
        box: tuple[float, float, float, float],
        pivot: tuple[float, float],
        angle: float,
    ) -> None:
        """Widen the box around all words by that of a label, turned about a point."""
        left, top, width, height = box
        for x in (left - pivot[0], left + width - pivot[0]):
            for y in (top - pivot[1], top + height - pivot[1]):
                across = pivot[0] + x * math.cos(angle) - y * math.sin(angle)
                down = pivot[1] + x * math.sin(angle) + y * math.cos(angle)
                first, second = self._words[:2], self._words[2:]
                self._words = [
                    min(first[0], across - _EDGE),
                    min(first[1], down - _EDGE),
                    max(second[0], across + _EDGE),
                    max(second[1], down + _EDGE),
                ]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of the figure with all of its words, in whole pixels."""
        left, top = math.floor(self._words[0]), math.floor(self._words[1])
        right, bottom = math.ceil(self._words[2]), math.ceil(self._words[3])
        return left, top, right - left, bottom - top

    def content(self) -> str:
        """Return all elements as markup, one a line."""
        definitions = [tag("defs", *self._definitions)] if self._definitions else []
        return "\n".join([*definitions, *self._parts])
