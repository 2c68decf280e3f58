"""Colors of a figure: read, mixed along a scale, and written as attributes of SVG."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

#: Red, green and blue from 0 to 255, and opacity from 0 to 1.
Color = tuple[float, float, float, float]

_NAMES = {"white": "#ffffff", "black": "#000000", "transparent": "rgba(0,0,0,0)"}
_FUNCTION = re.compile(r"rgba?\(([^)]*)\)")


# The few colors of a scale are read for each cell of a map.
@lru_cache(maxsize=512)
def color_of(text: str) -> Color:
    """Read a color as Plotly writes it.

    Example:
        >>> color_of("#0f0"), color_of("rgba(1,2,3,0.5)")
        ((0.0, 255.0, 0.0, 1.0), (1.0, 2.0, 3.0, 0.5))
    """
    text = _NAMES.get(text, text)
    if function := _FUNCTION.fullmatch(text):
        red, green, blue, *opacity = map(float, function[1].split(","))
        return red, green, blue, opacity[0] if opacity else 1.0
    digits = text.removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    red, green, blue = (float(int(digits[i : i + 2], 16)) for i in (0, 2, 4))
    return red, green, blue, 1.0


def hex_of(color: Color) -> str:
    """Write the color without its opacity as ``#rrggbb``."""
    return "#" + "".join(f"{min(max(round(part), 0), 255):02x}" for part in color[:3])


def painted(text: str, way: str = "fill") -> dict[str, float | str | None]:
    """Return the attributes that fill, or ``stroke``, with a color.

    The opacity has an attribute of its own, since not every program reads it in a color.
    """
    color = color_of(text)
    opacity = round(color[3], 3)
    return {way: hex_of(color), f"{way}_opacity": None if opacity == 1 else str(opacity)}


def along(scale: Sequence[Sequence[float | str]], share: float) -> Color:
    """Return the color at a place from 0 to 1 on a scale, mixed linearly between its stops.

    Example:
        >>> hex_of(along([[0, "#000000"], [1, "#ff0000"]], 0.5))
        '#800000'
    """
    stops = [(float(place), color_of(str(text))) for place, text in scale]
    if share <= stops[0][0]:
        return stops[0][1]
    for (low, first), (high, second) in pairwise(stops):
        if share <= high:
            part = (share - low) / (high - low) if high > low else 1.0
            red, green, blue, opacity = (
                a + part * (b - a) for a, b in zip(first, second, strict=True)
            )
            return red, green, blue, opacity
    return stops[-1][1]


def ink_on(text: str) -> str:
    """Return the ink, dark or white, that is read better on a color.

    Example:
        >>> ink_on("#0b3266"), ink_on("#eef3fa")
        ('#ffffff', '#1b1f24')
    """
    red, green, blue, _ = color_of(text)
    brightness = (0.299 * red + 0.587 * green + 0.114 * blue) / 255
    return "#1b1f24" if brightness > 0.55 else "#ffffff"
