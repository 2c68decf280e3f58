"""One axis of a figure: from values to pixels, with its ticks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from introspect.views.svg import ticks
from introspect.views.svg.labels import height_of, width_of
from introspect.views.svg.numbers import is_number

#: Between the line of an axis and its labels, in pixels.
PAD = 4
_TICK = 5
# Fewest pixels between two ticks of numbers.
_SPACING = {"x": 80, "y": 40}


@dataclass
class Axis:
    """An axis, whose ends in pixels are known once the margins are.

    Args:
        name: such as ``x`` or ``y2``.
        options: its properties, with the template's and Plotly's own filled in.
        categories: the names that its values are, in order; empty if they are numbers.
        ends: the values at its start (left, or bottom) and end.
        start: the pixel of its start.
        stop: the pixel of its end.
    """

    name: str
    options: dict[str, Any]
    categories: list[str]
    ends: tuple[float, float]
    start: float = 0.0
    stop: float = 1.0

    @property
    def is_across(self) -> bool:
        """Return whether it runs from left to right."""
        return self.name.startswith("x")

    @property
    def size(self) -> float:
        """The size of its tick labels."""
        return float(self.options["tickfont"]["size"])

    @property
    def title(self) -> str:
        """Its title; empty for none."""
        return str(self.options["title"].get("text") or "")

    @property
    def side(self) -> str:
        """Return where its labels are."""
        return str(self.options.get("side") or ("bottom" if self.is_across else "left"))

    @property
    def outward(self) -> int:
        """The direction in which its labels lie: 1 for right and down, -1 for left and up."""
        return 1 if self.side in ("bottom", "right") else -1

    def value(self, given: Any) -> float | None:
        """Return a value as a number; the place of a name; ``None`` if it cannot be drawn."""
        if self.categories and isinstance(given, str):
            return float(self.categories.index(given)) if given in self.categories else None
        return float(given) if is_number(given) else None

    def at(self, given: float) -> float:
        """Return the pixel of a number."""
        low, high = self.ends
        return self.start + (given - low) / (high - low) * (self.stop - self.start)

    def holds(self, given: float) -> bool:
        """Return whether a number lies on the axis."""
        low, high = sorted(self.ends)
        slack = 1e-9 * (high - low)
        return low - slack <= given <= high + slack

    @property
    def tick_length(self) -> float:
        """Return how far its ticks stand out."""
        given = any(self.options.get(name) for name in ("ticklen", "tickwidth", "tickcolor"))
        shown = self.options.get("ticks", "outside" if given else "")
        return float(self.options.get("ticklen", _TICK)) if shown == "outside" else 0.0

    def step(self) -> float:
        """Return the distance of its ticks, where these are not given one by one."""
        low, high = self.ends
        if given := self.options.get("dtick"):
            return float(given)
        length = abs(self.stop - self.start)
        if self.categories:
            most = max(length / (1.2 * self.size), 1)
            return float(max(1, -(-abs(high - low) // most)))
        shown = min(max(length / _SPACING[self.name[0]], 4), 9) + 1
        return ticks.step_for(abs(high - low), shown)

    def ticks(self) -> list[tuple[float, str]]:
        """Return the value and label of each tick on the axis."""
        if (values := self.options.get("tickvals")) is not None:
            names = self.options.get("ticktext") or [str(value) for value in values]
            pairs = ((self.value(v), str(name)) for v, name in zip(values, names, strict=False))
            return [
                (value, name) for value, name in pairs if value is not None and self.holds(value)
            ]
        step = self.step()
        where = ticks.places(self.ends, step, float(self.options.get("tick0", 0)))
        if self.categories:
            number = len(self.categories)
            return [(at, self.categories[int(at)]) for at in where if 0 <= at < number]
        return [(at, ticks.words(at, step, self.ends, self.options)) for at in where]

    def labels(self) -> list[tuple[float, str]]:
        """Return the ticks whose labels are shown."""
        return self.ticks() if self.options.get("showticklabels", True) else []

    def angle(self) -> float:
        """Return by how many degrees its labels are turned: as given, or until they fit."""
        given = self.options.get("tickangle", "auto")
        if given != "auto":
            return float(given)
        labels = self.labels()
        if not self.is_across or not _run_together(self, labels):
            return 0.0
        gaps = [abs(self.at(b) - self.at(a)) for (a, _), (b, _) in pairwise(labels)]
        return 30.0 if min(gaps) > 2.2 * self.size else 90.0

    def label_room(self) -> float:
        """Return how far its tick labels reach from its line."""
        sizes = [_reach(self, label) for _, label in self.labels()]
        return self.tick_length + (PAD + max(sizes) if sizes else 0.0)

    def room(self) -> float:
        """Return how far its labels and its title reach from its line."""
        if self.options.get("visible") is False:
            return 0.0
        if not self.title:
            return self.label_room()
        font = float(self.options["title"]["font"]["size"])
        standoff = float(self.options["title"].get("standoff", 10))
        return self.label_room() + standoff + height_of(self.title, font) + 2


def _run_together(axis: Axis, labels: Sequence[tuple[float, str]]) -> bool:
    boxes = [(axis.at(value), width_of(label, axis.size) / 2) for value, label in labels]
    return any(
        abs(next_ - here) < half + next_half + 3
        for (here, half), (next_, next_half) in pairwise(boxes)
    )


def _reach(axis: Axis, label: str) -> float:
    """Return how far a label reaches across the direction of the axis."""
    width, height = width_of(label, axis.size), height_of(label, axis.size)
    angle = abs(axis.angle()) % 180
    if axis.is_across:
        return height if angle == 0 else width if angle == 90 else 0.5 * width + 0.87 * height
    return width
