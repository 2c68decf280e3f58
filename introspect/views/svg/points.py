"""Points: lines between them, marks, intervals and words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from introspect.views.svg.axis import Axis
from introspect.views.svg.canvas import Canvas
from introspect.views.svg.colors import color_of, hex_of, painted
from introspect.views.svg.markup import number, tag
from introspect.views.svg.numbers import each, is_number, listed

Point = tuple[float, float]
_MARK, _LINE = 6.0, 2.0
_ROOT = 0.7071
# How many of its sizes a mark reaches from its middle, as lines or an outline.
_SHAPES = {
    "circle": "",
    "square": "M-1 -1H1V1H-1Z",
    "diamond": "M0 -1.3L1.3 0L0 1.3L-1.3 0Z",
    "x": f"M-{_ROOT} -{_ROOT}L{_ROOT} {_ROOT}M-{_ROOT} {_ROOT}L{_ROOT} -{_ROOT}",
    "cross": "M-1 0H1M0 -1V1",
    "line-ew": "M-1.4 0H1.4",
    "line-ns": "M0 -1.4V1.4",
}
_ANCHORS = {"left": "end", "center": "middle", "right": "start"}


def draw_points(canvas: Canvas, trace: dict[str, Any], axes: tuple[Axis, Axis], name: str) -> None:
    """Draw a trace of points by its ``mode``."""
    points = list(_points(trace, axes))
    mode = trace.get("mode", "lines")
    clip = None
    if trace.get("cliponaxis", True) and not all(map(_is_inside(axes), points)):
        clip = f"url(#{_clip(canvas, axes, name)})"
    with canvas.group(clip_path=clip):
        if "lines" in mode:
            canvas.add(_line(trace, points))
        if trace.get("error_y"):
            _draw_intervals(canvas, trace, axes, points)
        if "markers" in mode:
            _draw_marks(canvas, trace, points)
    if "text" in mode:
        _draw_words(canvas, trace, points)


def _points(trace: Mapping[str, Any], axes: tuple[Axis, Axis]) -> Iterator[Point | None]:
    """Yield the pixels of each point; ``None`` for one without a number."""
    for x, y in zip(listed(trace.get("x")), listed(trace.get("y")), strict=True):
        across, up = axes[0].value(x), axes[1].value(y)
        yield None if across is None or up is None else (axes[0].at(across), axes[1].at(up))


def _is_inside(axes: tuple[Axis, Axis]) -> Any:
    (left, right), (top, bottom) = (sorted((axis.start, axis.stop)) for axis in axes)

    def is_inside(point: Point | None) -> bool:
        return point is None or (
            left - 0.5 <= point[0] <= right + 0.5 and top - 0.5 <= point[1] <= bottom + 0.5
        )

    return is_inside


def _clip(canvas: Canvas, axes: tuple[Axis, Axis], name: str) -> str:
    (left, right), (top, bottom) = (sorted((axis.start, axis.stop)) for axis in axes)
    area = tag("rect", x=left, y=top, width=right - left, height=bottom - top)
    return canvas.define(f"clip-{name}", area, "clipPath")


def _line(trace: dict[str, Any], points: list[Point | None]) -> str:
    """Return the lines as one path, broken where a point is missing."""
    parts = []
    is_begun = False
    for point in points:
        if point is not None:
            parts.append(f"{'L' if is_begun else 'M'}{number(point[0])} {number(point[1])}")
        is_begun = point is not None
    style = trace.get("line") or {}
    dash = {"dash": "9 6", "dot": "3 3"}.get(style.get("dash", ""))
    return tag(
        "path",
        d="".join(parts),
        fill="none",
        **painted(style.get("color") or _color(trace), "stroke"),
        stroke_width=style.get("width", _LINE),
        stroke_dasharray=dash,
        stroke_linejoin="round",
    )


def _color(trace: Mapping[str, Any]) -> str:
    given = (trace.get("marker") or {}).get("color")
    return given if isinstance(given, str) else "#444444"


def _draw_intervals(
    canvas: Canvas, trace: dict[str, Any], axes: tuple[Axis, Axis], points: list[Point | None]
) -> None:
    """Draw a line from the lower to the upper end of each point's interval."""
    error, up = trace["error_y"], axes[1]
    above = listed(error.get("array"))
    below = listed(error.get("arrayminus")) or above
    values = listed(trace["y"])
    for point, value, plus, minus in zip(points, values, above, below, strict=True):
        if point is None or not (is_number(plus) and is_number(minus)):
            continue
        top, bottom = up.at(value + plus), up.at(value - minus)
        path = f"M{number(point[0])} {number(top)}V{number(bottom)}"
        line = painted(error.get("color") or _color(trace), "stroke")
        canvas.add(tag("path", d=path, **line, stroke_width=error.get("thickness", 2)))


def _draw_marks(canvas: Canvas, trace: dict[str, Any], points: list[Point | None]) -> None:
    marker = trace.get("marker") or {}
    line = marker.get("line") or {}
    count = len(points)
    rows = zip(
        points,
        each(marker.get("symbol", "circle"), count),
        each(marker.get("size", _MARK), count),
        each(marker.get("color") or _color(trace), count),
        strict=True,
    )
    for point, symbol, size, color in rows:
        if point is not None:
            canvas.add(mark(symbol, point, size, color, line))


def mark(symbol: str, at: Point, size: float, color: str, line: Mapping[str, Any]) -> str:
    """Return one mark.

    Args:
        symbol: Plotly's name of its shape; with ``-open`` it is an outline.
        at: its middle, in pixels.
        size: its width, in pixels.
        color: its color.
        line: the color and width of the line around it.
    """
    shape = symbol.removesuffix("-open")
    is_open = symbol.endswith("-open")
    width = line.get("width") or (1.0 if is_open else 0.0)
    edge = color if is_open else line.get("color", "#444444")
    look: dict[str, Any] = {"fill": "none"} if is_open else painted(color)
    look |= painted(edge, "stroke") | {"stroke_width": width} if width else {}
    x, y = at
    if not _SHAPES.get(shape):
        return tag("circle", cx=x, cy=y, r=size / 2, **look)
    scale = size / 2
    look |= {"stroke_width": str(round(width / scale, 3))} if width else {}
    placed = f"translate({number(x)} {number(y)}) scale({number(scale)})"
    return tag("path", d=_SHAPES[shape], transform=placed, **look)


def _draw_words(canvas: Canvas, trace: dict[str, Any], points: list[Point | None]) -> None:
    """Draw the text of each point where its ``textposition`` says."""
    font = trace["textfont"]
    count = len(points)
    texts = each(trace.get("text", ""), count)
    places = each(trace.get("textposition", "middle center"), count)
    size = (trace.get("marker") or {}).get("size", _MARK)
    away = float(size) / 2 + 3 if "markers" in trace["mode"] else 0.0
    for point, text, place in zip(points, texts, places, strict=True):
        if point is None or not text:
            continue
        upright, _, side = place.partition(" ")
        x = point[0] + {"left": -away, "right": away}.get(side, 0.0)
        y = point[1] + {"top": -away, "bottom": away}.get(upright, 0.0)
        canvas.label(
            text,
            x,
            y,
            size=font["size"],
            color=hex_of(color_of(font["color"])),
            anchor=_ANCHORS[side],
            vertical={"top": "bottom", "bottom": "top"}.get(upright, "middle"),
        )
