"""From a Plotly figure to a whole SVG file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from introspect.views.svg.axis import Axis
from introspect.views.svg.bars import draw_bars
from introspect.views.svg.canvas import Canvas
from introspect.views.svg.cells import draw_map
from introspect.views.svg.colors import painted
from introspect.views.svg.frame import draw_axes, draw_grid
from introspect.views.svg.labels import width_of
from introspect.views.svg.markup import escaped, tag
from introspect.views.svg.numbers import merged
from introspect.views.svg.overlays import (
    draw_annotations,
    draw_legend,
    draw_pictures,
    draw_shapes,
    draw_title,
    legend_needs,
)
from introspect.views.svg.points import draw_points
from introspect.views.svg.scales import draw_scales, scale_needs
from introspect.views.svg.sheet import Need, Sheet, axis_needs, fit, sheet_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Letters of the same widths on every common system; each script's own font stands in for what
# they lack.
_FAMILY = "Arial, Helvetica, 'Liberation Sans', sans-serif"
_SIZE = 12
_NOTE_SIZE = 10
_SHORTEST_NOTE = 12

Drawer = Callable[[Canvas, dict[str, Any], tuple[Axis, Axis], str], None]
# As in Plotly, maps lie below bars and points.
_DRAWERS: dict[str, Drawer] = {"heatmap": draw_map, "bar": draw_bars, "scatter": draw_points}


def svg_of(
    figure: Figure, title: str, description: str = "", note: str = "", *, is_light: bool = False
) -> str:
    """Draw a figure as a whole SVG file, the same to the last byte whenever it is drawn.

    Args:
        figure: the figure; of its traces, ``heatmap``, ``bar`` (lying) and ``scatter`` are known.
        title: what it is, for those who do not see it.
        description: what it shows, for them.
        note: small print below it.
        is_light: draw maps of many cells as small pictures.

    Raises:
        KeyError: a trace is of another type.
    """
    drawn = json.loads(figure.to_json(engine="json"))
    sheet = sheet_of(drawn)
    fit(sheet, _needs)
    digest = hashlib.sha256(json.dumps([drawn, title], sort_keys=True).encode()).hexdigest()
    canvas = Canvas(sheet.width, sheet.height, f"f{digest[:10]}", is_light=is_light)
    _draw(canvas, sheet)
    _draw_note(canvas, note, sheet.layout["font"]["color"])
    return _file(canvas, sheet, title, description)


def _needs(sheet: Sheet) -> Iterator[Need]:
    yield from axis_needs(sheet)
    yield from scale_needs(sheet)
    yield from legend_needs(sheet)


def _draw(canvas: Canvas, sheet: Sheet) -> None:
    """Draw a figure from what lies lowest to what lies on top."""
    draw_pictures(canvas, sheet)
    draw_grid(canvas, sheet)
    draw_shapes(canvas, sheet, "below")
    for kind, draw in _DRAWERS.items():
        for place, trace in enumerate(sheet.data):
            if trace["type"] == kind:
                _draw_trace(canvas, sheet, _with_fonts(trace, sheet), draw, str(place))
    draw_axes(canvas, sheet)
    draw_shapes(canvas, sheet, "above")
    draw_annotations(canvas, sheet)
    draw_scales(canvas, sheet)
    draw_legend(canvas, sheet)
    draw_title(canvas, sheet)


def _draw_note(canvas: Canvas, note: str, color: str) -> None:
    """Draw small print below everything, as much of it as is not wider than the figure."""
    left, top, width, height = canvas.box
    characters = note
    while characters and width_of(escaped(characters), _NOTE_SIZE) > width - 2 * _NOTE_SIZE:
        characters = characters[: len(characters) - 2].rstrip(" …") + "…"
        if len(characters) <= _SHORTEST_NOTE:
            break
    place = (left + _NOTE_SIZE, top + height + 2)
    text = escaped(characters)
    canvas.label(text, *place, size=_NOTE_SIZE, color=color, anchor="start", vertical="top")


def _draw_trace(
    canvas: Canvas, sheet: Sheet, trace: dict[str, Any], draw: Drawer, name: str
) -> None:
    opacity = trace.get("opacity")
    with canvas.group(
        class_=f"trace {trace['type']}", opacity=None if opacity is None else str(round(opacity, 3))
    ):
        draw(canvas, trace, sheet.axes_of(trace), name)


def _with_fonts(trace: dict[str, Any], sheet: Sheet) -> dict[str, Any]:
    return merged({"textfont": sheet.layout["font"]}, trace)


def _file(canvas: Canvas, sheet: Sheet, title: str, description: str) -> str:
    """Return the file around what was drawn; it is as large as all of its words need."""
    left, top, width, height = canvas.box
    paper = painted(sheet.layout.get("paper_bgcolor", "#ffffff"))
    family = sheet.layout["font"].get("family") or _FAMILY
    attributes: Mapping[str, Any] = {
        "xmlns": "http://www.w3.org/2000/svg",
        "xmlns:xlink": "http://www.w3.org/1999/xlink",
        "width": width,
        "height": height,
        "viewBox": f"{left} {top} {width} {height}",
        "role": "img",
        "aria-labelledby": f"{canvas.name}-title {canvas.name}-words",
        "font-family": family,
        "font-size": _SIZE,
    }
    head = [
        tag("title", escaped(title), id=f"{canvas.name}-title"),
        tag("desc", escaped(description), id=f"{canvas.name}-words"),
        tag("rect", x=left, y=top, width=width, height=height, **paper),
    ]
    return tag("svg", "\n", "\n".join(head), "\n", canvas.content(), "\n", **attributes) + "\n"
