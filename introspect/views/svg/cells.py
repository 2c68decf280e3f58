"""Maps: cells of one color joined to one path, or a picture of very many cells."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from introspect.views.svg.axis import Axis
from introspect.views.svg.canvas import Canvas
from introspect.views.svg.colors import Color, along, hex_of
from introspect.views.svg.markup import number, tag
from introspect.views.svg.numbers import is_number, listed
from introspect.views.svg.ranges import centers_of, edges

#: A map of more cells is a picture of them: as paths they would take megabytes.
MOST_PATHS = 50_000
_MOST_PATHS_OF_LIGHT = 1_000
# A picture's pixels for each pixel of the figure, so that cells stay sharp in print.
_SHARPNESS = 4
_MOST_PIXELS = 4096
_LIGHT_COLORS = 64
# PNG's own numbers of the kinds of pixels.
_OF_PALETTE, _OF_COLORS = 3, 6

Paint = tuple[str, float]


def draw_map(canvas: Canvas, trace: dict[str, Any], axes: tuple[Axis, Axis], name: str) -> None:
    """Draw a trace of cells; those without a number are left empty."""
    columns, rows = (
        [axis.at(edge) for edge in edges(centers_of(trace, axis.name[0], axis.categories))]
        for axis in axes
    )
    if canvas.is_light and sum(map(len, listed(trace["z"]))) > _MOST_PATHS_OF_LIGHT:
        canvas.add(_image(_light_png(trace, columns, rows), columns, rows))
        return
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
    longest = max(len(cells), len(cells[0]))
    size = max(abs(columns[-1] - columns[0]), abs(rows[-1] - rows[0]))
    times = max(1, min(_SHARPNESS * round(size), _MOST_PIXELS) // longest)
    return _image(png(_turned(cells, columns, rows), times), columns, rows)


def _turned(cells: Any, columns: Sequence[float], rows: Sequence[float]) -> Any:
    """Return lines of cells from top to bottom and from left to right."""
    if rows[0] > rows[-1]:
        cells = cells[::-1]
    return [line[::-1] for line in cells] if columns[0] > columns[-1] else cells


def _image(address: str, columns: Sequence[float], rows: Sequence[float]) -> str:
    """Return a picture at the place of a map."""
    left, right = sorted((columns[0], columns[-1]))
    top, bottom = sorted((rows[0], rows[-1]))
    return tag(
        "image",
        x=left,
        y=top,
        width=right - left,
        height=bottom - top,
        preserveAspectRatio="none",
        style="image-rendering:pixelated",
        **{"xlink:href": address},
    )


def png(cells: Sequence[Sequence[Color | None]], times: int) -> str:
    """Return cells as a PNG picture in a data address, each ``times`` pixels wide and high."""
    lines = []
    for line in cells:
        pixels = b"".join(times * _pixel(color) for color in line)
        lines.append(times * (b"\0" + pixels))
    return _address(lines, times * len(cells[0]), _OF_COLORS)


def _light_png(trace: dict[str, Any], columns: Sequence[float], rows: Sequence[float]) -> str:
    """Return a map as a PNG picture of a pixel for each cell, in so few colors that it is small."""
    low, high = limits(trace)
    values = np.array(_turned(listed(trace["z"]), columns, rows), dtype=float)
    shares = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
    last = _LIGHT_COLORS - 1
    # The color after the last is that of no number.
    places = np.where(np.isnan(shares), _LIGHT_COLORS, np.round(np.nan_to_num(shares) * last))
    pixels = [_pixel(along(trace["colorscale"], place / last)) for place in range(_LIGHT_COLORS)]
    pixels.append(_pixel(None))
    palette = _chunk(b"PLTE", b"".join(pixel[:3] for pixel in pixels))
    palette += _chunk(b"tRNS", bytes(pixel[3] for pixel in pixels))
    lines = [b"\0" + line.tobytes() for line in places.astype(np.uint8)]
    return _address(lines, values.shape[1], _OF_PALETTE, palette)


def _address(lines: Sequence[bytes], width: int, kind: int, palette: bytes = b"") -> str:
    """Return lines of pixels as a PNG picture in a data address."""
    data = zlib.compress(b"".join(lines), 9)
    height = sum(map(len, lines)) // (1 + width * (1 if kind == _OF_PALETTE else 4))
    size = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    chunks = _chunk(b"IHDR", size) + palette + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()


def _pixel(color: Color | None) -> bytes:
    if color is None:
        return b"\0\0\0\0"
    return bytes([*(min(max(round(part), 0), 255) for part in color[:3]), round(255 * color[3])])


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
