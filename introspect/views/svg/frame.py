"""What axes draw: grid and zero lines below the traces, lines, ticks, labels and titles above."""

from __future__ import annotations

from introspect.views.svg.axis import PAD, Axis
from introspect.views.svg.canvas import Canvas
from introspect.views.svg.colors import color_of, hex_of, painted
from introspect.views.svg.labels import height_of
from introspect.views.svg.markup import number, tag
from introspect.views.svg.sheet import Sheet

_OPPOSITE = {"top": "bottom", "bottom": "top", "left": "right", "right": "left"}


def draw_grid(canvas: Canvas, sheet: Sheet) -> None:
    """Draw the lines that go through the plots."""
    for axis in sheet.axes.values():
        options = axis.options
        if options.get("visible") is False or not options["showgrid"]:
            continue
        for value, _ in axis.ticks():
            if value or not options["zeroline"]:
                canvas.add(_through(sheet, axis, value, "grid"))
        if options["zeroline"] and not axis.categories and axis.holds(0.0):
            canvas.add(_through(sheet, axis, 0.0, "zeroline"))


def _through(sheet: Sheet, axis: Axis, value: float, kind: str) -> str:
    """Return the line through a plot at a value."""
    other = sheet.partner(axis)
    return _line(
        axis,
        axis.at(value),
        (other.start, other.stop),
        axis.options[f"{kind}color"],
        axis.options[f"{kind}width"],
    )


def _line(axis: Axis, at: float, ends: tuple[float, float], color: str, width: float) -> str:
    """Return a line across an axis, at a pixel of it."""
    low, high = number(min(ends)), number(max(ends))
    path = f"M{number(at)} {low}V{high}" if axis.is_across else f"M{low} {number(at)}H{high}"
    return tag("path", d=path, **painted(color, "stroke"), stroke_width=width, fill="none")


def draw_axes(canvas: Canvas, sheet: Sheet) -> None:
    """Draw the lines, ticks, labels and titles of all axes."""
    for axis in sheet.axes.values():
        if axis.options.get("visible") is not False:
            _draw_line(canvas, sheet, axis)
            with canvas.group(class_=f"ticks {axis.name}"):
                _draw_labels(canvas, axis, _edge(sheet, axis, axis.side))
            _draw_title(canvas, axis, _edge(sheet, axis, axis.side))


def _edge(sheet: Sheet, axis: Axis, side: str) -> float:
    """Return the pixel at which the side of a plot lies."""
    other = sheet.partner(axis)
    return other.start if side in ("bottom", "left") else other.stop


def _draw_line(canvas: Canvas, sheet: Sheet, axis: Axis) -> None:
    options = axis.options
    if not options.get("showline"):
        return
    for side in (axis.side, _OPPOSITE[axis.side]) if options.get("mirror") else (axis.side,):
        at = _edge(sheet, axis, side)
        ends = number(min(axis.start, axis.stop)), number(max(axis.start, axis.stop))
        along = f"M{ends[0]} {number(at)}H{ends[1]}"
        upright = f"M{number(at)} {ends[0]}V{ends[1]}"
        canvas.add(
            tag(
                "path",
                d=along if axis.is_across else upright,
                **painted(options["linecolor"], "stroke"),
                stroke_width=options["linewidth"],
                fill="none",
            )
        )


def _draw_labels(canvas: Canvas, axis: Axis, edge: float) -> None:
    """Draw the ticks of an axis, and their labels."""
    length, outward = axis.tick_length, axis.outward
    if length:
        color = axis.options.get("tickcolor", "#444444")
        for value, _ in axis.ticks():
            ends = (edge, edge + outward * length)
            canvas.add(_line(axis, axis.at(value), ends, color, 1))
    angle = axis.angle()
    color = hex_of(color_of(axis.options["tickfont"]["color"]))
    away = edge + outward * (length + PAD)
    for value, label in axis.labels():
        at = axis.at(value)
        x, y = (at, away) if axis.is_across else (away, at)
        anchor, vertical = _set_by(axis, angle)
        canvas.label(
            label, x, y, size=axis.size, color=color, anchor=anchor, vertical=vertical, angle=angle
        )


def _set_by(axis: Axis, angle: float) -> tuple[str, str]:
    """Return the end and the height by which a label is set."""
    outward = axis.outward
    if not axis.is_across:
        return ("start" if outward > 0 else "end"), "middle"
    if not angle:
        return "middle", "top" if outward > 0 else "bottom"
    return ("start" if angle * outward > 0 else "end"), "middle"


def _draw_title(canvas: Canvas, axis: Axis, edge: float) -> None:
    if not axis.title:
        return
    title = axis.options["title"]
    size = float(title["font"]["size"])
    away = axis.label_room() + float(title.get("standoff", 10))
    middle = edge + axis.outward * (away + height_of(axis.title, size) / 2)
    along = (axis.start + axis.stop) / 2
    x, y = (along, middle) if axis.is_across else (middle, along)
    color = hex_of(color_of(title["font"]["color"]))
    angle = 0.0 if axis.is_across else -90.0
    canvas.label(axis.title, x, y, size=size, color=color, angle=angle)
