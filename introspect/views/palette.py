"""Colors, defined once and sent to the page with the view that uses them.

Colors are built in OKLCH, where equal steps look equal, so neighboring heads differ in hue and in
lightness and remain distinct for readers with color blindness.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

ColorScale = list[list[float | str]]

INK = "#1b1f24"
MUTED = "#5b6470"
#: Colors of the antecedent (also the page's only accent) and of the distractor. Blue and orange
#: are distinct in every common form of color blindness.
ACCENT = "#1858a8"
RIVAL = "#b3540b"
PAPER = "#ffffff"
LINE = "#dfe3e8"
EDGE = "#8b95a1"

#: The same colors on a dark page; the page's style sheet has the same pairs.
DARK = {
    INK: "#e7eaee",
    MUTED: "#a3adb8",
    ACCENT: "#7db4f0",
    RIVAL: "#f0a35e",
    PAPER: "#15181c",
    LINE: "#333a42",
    EDGE: "#6d7782",
}

#: Scale from 0 to a whole row; it is monotonic and keeps small weights visible.
SEQUENTIAL: ColorScale = [
    [0.0, "#ffffff"],
    [0.02, "#eef3fa"],
    [0.1, "#c8daf0"],
    [0.3, "#7ea9dc"],
    [0.6, "#3172c0"],
    [1.0, "#0b3266"],
]

#: Scale from the distractor through neutral to the antecedent.
DIVERGING: ColorScale = [
    [0.0, "#7a3504"],
    [0.25, "#d97a2b"],
    [0.45, "#f7dcc3"],
    [0.5, "#f7f7f5"],
    [0.55, "#cfe0f4"],
    [0.75, "#4f8ed1"],
    [1.0, "#0b3266"],
]

#: The same two scales for a dark page.
SEQUENTIAL_DARK: ColorScale = [
    [0.0, "#15181c"],
    [0.02, "#1b2430"],
    [0.1, "#22405f"],
    [0.3, "#2f6aa8"],
    [0.6, "#6aa6e6"],
    [1.0, "#e4f0ff"],
]
DIVERGING_DARK: ColorScale = [
    [0.0, "#ffc18a"],
    [0.25, "#c8712a"],
    [0.45, "#4a3222"],
    [0.5, "#22262b"],
    [0.55, "#22364c"],
    [0.75, "#4b8fd6"],
    [1.0, "#d3e6ff"],
]

# White text on any of them has a contrast of at least 4.5; on a dark page, black text does.
_LIGHTNESS = (0.50, 0.57, 0.40)
_LIGHTNESS_DARK = (0.76, 0.83, 0.69)
# From the first layer to the last. Each has a contrast of at least 3 to white or, on a dark page,
# to the background.
_LAYER_LIGHTNESS = (0.32, 0.64)
_LAYER_LIGHTNESS_DARK = (0.92, 0.58)
_LAYER_HUES = (295.0, 45.0)
_CHROMA = 0.14
_FIRST_HUE = 255.0  # the accent's
_GOLDEN_ANGLE = 137.508


def themed(scale: ColorScale) -> dict[str, ColorScale]:
    """Return a scale and its dark-page counterpart, in the form a page expects."""
    return {"light": scale, "dark": SEQUENTIAL_DARK if scale is SEQUENTIAL else DIVERGING_DARK}


def scale_partners(scale: ColorScale) -> dict[str, str]:
    """Return the dark-page colors of a scale by its light ones."""
    both = zip(*themed(scale).values(), strict=True)
    return {str(light): str(dark) for (_, light), (_, dark) in both}


def themed_head_colors(num_heads: int) -> dict[str, list[str]]:
    """Return the colors of all heads for a light and a dark page."""
    return {"light": head_colors(num_heads), "dark": head_colors(num_heads, dark=True)}


def head_colors(num_heads: int, *, dark: bool = False) -> list[str]:
    """Return a color for each head; neighbors differ in hue and lightness.

    Hues of up to 12 heads are evenly spaced; beyond, they step by the golden angle, which never
    repeats.

    Args:
        num_heads: the number of heads.
        dark: whether the colors are for a dark page.

    Example:
        >>> len(set(head_colors(64)))
        64
    """
    step = 360 / 12 * 5 if num_heads <= 12 else _GOLDEN_ANGLE
    lightness = _LIGHTNESS_DARK if dark else _LIGHTNESS
    return [
        _oklch(lightness[head % len(lightness)], _CHROMA, _FIRST_HUE + head * step)
        for head in range(num_heads)
    ]


def themed_layer_colors(num_layers: int) -> dict[str, list[str]]:
    """Return the colors of all layers for a light and a dark page."""
    return {"light": layer_colors(num_layers), "dark": layer_colors(num_layers, dark=True)}


def layer_colors(num_layers: int, *, dark: bool = False) -> list[str]:
    """Return a color for each layer in a visible order: hue and lightness change monotonically.

    Args:
        num_layers: the number of layers.
        dark: whether the colors are for a dark page.

    Example:
        >>> len(set(layer_colors(24)))
        24
    """
    first, last = _LAYER_LIGHTNESS_DARK if dark else _LAYER_LIGHTNESS
    parts = [layer / max(1, num_layers - 1) for layer in range(num_layers)]
    from_hue, to_hue = _LAYER_HUES
    return [
        _oklch(first + part * (last - first), _CHROMA, from_hue + part * (to_hue - from_hue))
        for part in parts
    ]


def dark_color(color: str, partners: Mapping[str, str]) -> str:
    """Return the color of a dark page in place of one, opaque or not, of a light page.

    Args:
        color: ``#rrggbb``, or as ``mixed`` returns it.
        partners: dark colors by light ones, besides ``DARK``.

    Raises:
        KeyError: the color has no partner.

    Example:
        >>> dark_color(INK, {}), dark_color(mixed(MUTED, 0.5), {})
        ('#e7eaee', 'rgba(163,173,184,0.5)')
    """
    known = {**DARK, **partners}
    if color.startswith("#"):
        return known[color]
    *channels, opacity = color[len("rgba(") : -1].split(",")
    return mixed(
        known["#" + "".join(f"{int(channel):02x}" for channel in channels)], float(opacity)
    )


def mixed(color: str, opacity: float) -> str:
    """Combine ``color`` (``#rrggbb``) with an opacity in the notation of CSS and Plotly.

    Example:
        >>> mixed("#ff0000", 0.5)
        'rgba(255,0,0,0.5)'
    """
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def _oklch(lightness: float, chroma: float, hue: float) -> str:
    """Convert OKLCH to ``#rrggbb``, lowering the chroma until the color can be displayed.

    Source: Björn Ottosson 2020, "A perceptual color space for image processing".
    """
    while True:
        channels = _linear_rgb(lightness, chroma, math.radians(hue))
        if all(-1e-4 <= channel <= 1 + 1e-4 for channel in channels):
            return "#" + "".join(f"{_encoded(channel):02x}" for channel in channels)
        chroma -= 0.005


def _linear_rgb(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _encoded(channel: float) -> int:
    bounded = min(max(channel, 0.0), 1.0)
    curved = 12.92 * bounded if bounded <= 0.0031308 else 1.055 * bounded ** (1 / 2.4) - 0.055
    return round(255 * curved)
