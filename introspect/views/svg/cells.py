"""Maps: cells of one color joined to one path, or a picture of very many cells."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from introspect.views.svg.axis import Axis
from introspect.views.svg.canvas import Canvas
from introspect.views.svg.colors import Color, along, hex_of
from introspect.views.svg.markup import number, tag
from introspect.views.svg.numbers import is_number, listed
from introspect.views.svg.ranges import centers_of, edges

#: A map of more cells is a picture of them: as paths they would take megabytes.
MOST_PATHS = 50_000
# A picture's pixels for each pixel of the figure, so that cells stay sharp in print.
_SHARPNESS = 4
_MOST_PIXELS = 4096

Paint = tuple[str, float]


def draw_map(canvas: Canvas, trace: dict[str, Any], axes: tuple[Axis, Axis], name: str) -> None:
    """Draw a trace of cells; those without a number are left empty."""
    columns, rows = (
        [axis.at(edge) for edge in edges(centers_of(trace, axis.name[0], axis.categories))]
        for axis in axes
    )
    cells = colored(trace)
    if sum(map(len, cells)) > MOST_PATHS:
        canvas.add(_picture(cells, columns, rows))
        return
    gaps = float(trace.get("xgap") or 0), float(trace.get("ygap") or 0)
    paths: dict[Paint, list[str]] = {}
    for line, top, bottom in zip(cells, rows, rows[1:], strict=False):
        for color, left, right in zip(line, columns, columns[1:], strict=False):
            if color is not None:
                paint = hex_of(color), round(color[3], 3)
                paths.setdefault(paint, []).append(_cell(left, right, top, bottom, gaps))
    crisp = None if any(gaps) else "crispEdges"
    for (fill, opacity), cells_of_color in paths.items():
        canvas.add(
            tag(
                "path",
                d="".join(cells_of_color),
                fill=fill,
                fill_opacity=None if opacity == 1 else str(opacity),
                # Without it, white lines show between neighbors.
                shape_rendering=crisp,
            )
        )


def limits(trace: dict[str, Any]) -> tuple[float, float]:
    """Return the numbers at the ends of a map's color scale."""
    numbers = [value for line in listed(trace["z"]) for value in line if is_number(value)]
    low = trace.get("zmin")
    high = trace.get("zmax")
    return (
        float(min(numbers, default=0.0) if low is None else low),
        float(max(numbers, default=1.0) if high is None else high),
    )


def colored(trace: dict[str, Any]) -> list[list[Color | None]]:
    """Return the color of each cell, row by row; ``None`` where there is no number."""
    low, high = limits(trace)
    scale = trace["colorscale"]
    span = (high - low) or 1.0
    return [
        [along(scale, (value - low) / span) if is_number(value) else None for value in line]
        for line in listed(trace["z"])
    ]


def _cell(left: float, right: float, top: float, bottom: float, gaps: tuple[float, float]) -> str:
    """Return a cell as a part of a path, a gap narrower than its edges."""
    left, right = sorted((left, right))
    top, bottom = sorted((top, bottom))
    width, height = right - left - gaps[0], bottom - top - gaps[1]
    x, y = number(left + gaps[0] / 2), number(top + gaps[1] / 2)
    return f"M{x} {y}h{number(width)}v{number(height)}h{number(-width)}z"


def _picture(
    cells: list[list[Color | None]], columns: Sequence[float], rows: Sequence[float]
) -> str:
    """Return all cells as a picture; they are of one size."""
    left, right = sorted((columns[0], columns[-1]))
    top, bottom = sorted((rows[0], rows[-1]))
    if rows[0] > rows[-1]:
        cells = cells[::-1]
    if columns[0] > columns[-1]:
        cells = [line[::-1] for line in cells]
    longest = max(len(cells), len(cells[0]))
    wished = min(_SHARPNESS * round(max(right - left, bottom - top)), _MOST_PIXELS)
    times = max(1, wished // longest)
    return tag(
        "image",
        x=left,
        y=top,
        width=right - left,
        height=bottom - top,
        preserveAspectRatio="none",
        style="image-rendering:pixelated",
        **{"xlink:href": png(cells, times)},
    )


def png(cells: Sequence[Sequence[Color | None]], times: int) -> str:
    """Return cells as a PNG picture in a data address, each ``times`` pixels wide and high."""
    lines = []
    for line in cells:
        pixels = b"".join(times * _pixel(color) for color in line)
        lines.append(times * (b"\0" + pixels))
    size = struct.pack(">IIBBBBB", times * len(cells[0]), times * len(cells), 8, 6, 0, 0, 0)
    data = zlib.compress(b"".join(lines), 9)
    chunks = _chunk(b"IHDR", size) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()


def _pixel(color: Color | None) -> bytes:
    if color is None:
        return b"\0\0\0\0"
    return bytes([*(min(max(round(part), 0), 255) for part in color[:3]), round(255 * color[3])])


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
