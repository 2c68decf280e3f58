"""Color bars: the scale of a map, beside the plot or below it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from introspect.views.svg import ticks
from introspect.views.svg.canvas import Canvas
from introspect.views.svg.cells import limits
from introspect.views.svg.colors import color_of, hex_of, painted
from introspect.views.svg.labels import height_of, width_of
from introspect.views.svg.markup import number, tag
from introspect.views.svg.numbers import merged
from introspect.views.svg.sheet import Need, Sheet

_BAR = {
    "orientation": "v",
    "x": 1.02,
    "xanchor": "left",
    "xpad": 10,
    "ypad": 10,
    "thickness": 30,
    "lenmode": "fraction",
    "len": 1,
}
_PAD, _GAP = 4, 8
_SHORTEST = 120
_SPACING = 40


@dataclass(frozen=True)
class Scale:
    """A color bar.

    Args:
        trace: the map whose colors it explains.
        options: its properties, with Plotly's own filled in.
    """

    trace: dict[str, Any]
    options: dict[str, Any]

    @property
    def is_upright(self) -> bool:
        """Return whether it stands beside the plot; otherwise it lies below it."""
        return bool(self.options["orientation"] == "v")

    @property
    def font(self) -> dict[str, Any]:
        """The font of its numbers."""
        return dict(self.options["tickfont"])

    @property
    def title(self) -> str:
        """Its title; empty for none."""
        return str(self.options["title"].get("text") or "")

    @property
    def title_size(self) -> float:
        """The size of its title's letters."""
        return float(self.options["title"]["font"]["size"])

    def labels(self, length: float) -> list[tuple[float, str]]:
        """Return the place, from 0 to 1, and the label of each tick on a bar of a length."""
        low, high = limits(self.trace)
        if high <= low:
            return []
        most = self.options.get("nticks") or min(max(length / _SPACING, 4), 9) + 1
        step = ticks.step_for(high - low, most)
        return [
            ((value - low) / (high - low), ticks.words(value, step, (low, high), self.options))
            for value in ticks.places((low, high), step)
        ]

    def room(self, length: float) -> float:
        """Return how far it reaches to the right of where it begins."""
        sizes = [width_of(label, self.font["size"]) for _, label in self.labels(length)]
        beside = float(self.options["thickness"]) + _PAD + max(sizes, default=0.0)
        widest = max(beside, width_of(self.title, self.title_size))
        return float(self.options["xpad"]) + widest + 2 * _PAD


def scales_of(sheet: Sheet) -> list[Scale]:
    """Return the color bars of a figure."""
    font = sheet.layout["font"]
    title = {"font": font | {"size": round(1.2 * font["size"])}}
    return [
        Scale(trace, merged(_BAR | {"tickfont": font, "title": title}, trace.get("colorbar") or {}))
        for trace in sheet.data
        if trace["type"] == "heatmap" and trace.get("showscale", True)
    ]


def scale_needs(sheet: Sheet) -> Iterator[Need]:
    """Yield the room that upright color bars take."""
    for scale in scales_of(sheet):
        if scale.is_upright:
            yield "r", float(scale.options["x"]), scale.room(_length(sheet, scale))


def draw_scales(canvas: Canvas, sheet: Sheet) -> None:
    """Draw all color bars of a figure."""
    for place, scale in enumerate(scales_of(sheet)):
        with canvas.group(class_="colorbar"):
            (_draw_upright if scale.is_upright else _draw_lying)(canvas, sheet, scale, place)


def _length(sheet: Sheet, scale: Scale) -> float:
    """Return the length of a color bar with its title."""
    whole = sheet.plot_height if scale.is_upright else sheet.plot_width
    given = float(scale.options["len"])
    return given if scale.options["lenmode"] == "pixels" else given * whole


def _draw_upright(canvas: Canvas, sheet: Sheet, scale: Scale, place: int) -> None:
    left = sheet.across(float(scale.options["x"])) + scale.options["xpad"]
    length = _length(sheet, scale)
    middle = sheet.down(float(scale.options.get("y", 0.5)))
    top, bottom = middle - length / 2, middle + length / 2
    bottom -= scale.options["ypad"]
    if scale.title:
        _draw_scale_title(canvas, scale, left, top, vertical="top")
        top += height_of(scale.title, scale.title_size) + _GAP
    else:
        top += scale.options["ypad"]
    thickness = float(scale.options["thickness"])
    _draw_bar(canvas, scale, (left, top, thickness, bottom - top), place)
    for share, label in scale.labels(bottom - top):
        _draw_label(canvas, scale, label, left + thickness + _PAD, bottom - share * (bottom - top))


def _draw_lying(canvas: Canvas, sheet: Sheet, scale: Scale, place: int) -> None:
    """Draw a bar at the foot of the figure, its title before it and its numbers below."""
    left = sheet.across(float(scale.options["x"])) + scale.options["xpad"]
    size = float(scale.font["size"])
    thickness = float(scale.options["thickness"])
    top = sheet.height - scale.options["ypad"] - size - _PAD - thickness
    shift = width_of(scale.title, scale.title_size) + _GAP if scale.title else 0.0
    length = max(_length(sheet, scale) - shift, _SHORTEST)
    _draw_scale_title(canvas, scale, left, top + thickness / 2, vertical="middle")
    _draw_bar(canvas, scale, (left + shift, top, length, thickness), place)
    for share, label in scale.labels(length):
        x, y = left + shift + share * length, top + thickness + _PAD
        _draw_label(canvas, scale, label, x, y, anchor="middle", vertical="top")


def _draw_scale_title(canvas: Canvas, scale: Scale, x: float, y: float, *, vertical: str) -> None:
    color = hex_of(color_of(scale.options["title"]["font"]["color"]))
    canvas.label(
        scale.title, x, y, size=scale.title_size, color=color, anchor="start", vertical=vertical
    )


def _draw_label(
    canvas: Canvas,
    scale: Scale,
    label: str,
    x: float,
    y: float,
    anchor: str = "start",
    vertical: str = "middle",
) -> None:
    color = hex_of(color_of(scale.font["color"]))
    size = float(scale.font["size"])
    canvas.label(label, x, y, size=size, color=color, anchor=anchor, vertical=vertical)


def _draw_bar(
    canvas: Canvas, scale: Scale, box: tuple[float, float, float, float], place: int
) -> None:
    """Draw the colors, from the foot upwards or from left to right."""
    stops = "".join(
        tag("stop", offset=number(100 * float(share)) + "%", **painted(str(color), "stop_color"))
        for share, color in scale.trace["colorscale"]
    ).replace("stop-color-opacity", "stop-opacity")
    ends = {"x1": 0, "y1": 1, "x2": 0, "y2": 0} if scale.is_upright else {"x1": 0, "x2": 1}
    name = canvas.define(f"scale-{place}", stops, "linearGradient", **ends)
    x, y, width, height = box
    canvas.add(tag("rect", x=x, y=y, width=width, height=height, fill=f"url(#{name})"))
