"""A figure with everything filled in that it leaves open: its axes, margins and fonts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from introspect.views.svg import ranges
from introspect.views.svg.axis import Axis
from introspect.views.svg.numbers import merged
from introspect.views.svg.ranges import Trace

# What Plotly takes where neither a figure nor its template says anything.
_SIZE = (700, 450)
_MARGIN = {"l": 80, "r": 80, "t": 100, "b": 80}
_FONT = {"size": 12, "color": "#444444"}
_AXIS = {
    "domain": [0, 1],
    "gridcolor": "#eeeeee",
    "gridwidth": 1,
    "zerolinecolor": "#444444",
    "zerolinewidth": 1,
    "linecolor": "#444444",
    "linewidth": 1,
}
# Words grow a margin until this share of a plot is left; what then still does not fit is shown by
# a larger figure.
_LEAST = 0.5
_ROUNDS = 3

#: A side, where along the plot something stands (0 to 1), and how far it reaches out from there.
Need = tuple[str, float, float]


@dataclass
class Sheet:
    """A figure to be drawn.

    Args:
        data: its traces, with the template's defaults.
        layout: its layout, with the template's and Plotly's defaults.
        axes: the axes that have traces, by name.
        margin: pixels on the sides ``l``, ``r``, ``t``, ``b``.
    """

    data: list[dict[str, Any]]
    layout: dict[str, Any]
    axes: dict[str, Axis]
    margin: dict[str, float]

    @property
    def width(self) -> float:
        """The width of the figure in pixels."""
        return float(self.layout["width"])

    @property
    def height(self) -> float:
        """The height of the figure in pixels."""
        return float(self.layout["height"])

    @property
    def plot_width(self) -> float:
        """The width between the margins."""
        return self.width - self.margin["l"] - self.margin["r"]

    @property
    def plot_height(self) -> float:
        """The height between the margins."""
        return self.height - self.margin["t"] - self.margin["b"]

    def across(self, share: float) -> float:
        """Return the pixel of a share of the width between the margins."""
        return self.margin["l"] + share * self.plot_width

    def down(self, share: float) -> float:
        """Return the pixel of a share, from below, of the height between the margins."""
        return self.height - self.margin["b"] - share * self.plot_height

    def axes_of(self, trace: Trace) -> tuple[Axis, Axis]:
        """Return the axes of a trace."""
        return self.axes[trace.get("xaxis", "x")], self.axes[trace.get("yaxis", "y")]

    def partner(self, axis: Axis) -> Axis:
        """Return the axis that another one stands on."""
        named = axis.options.get("anchor") or ("y" if axis.is_across else "x") + axis.name[1:]
        others = (a for a in self.axes.values() if a.is_across != axis.is_across)
        return self.axes[named] if named in self.axes else next(others)

    def place(self) -> None:
        """Set the pixels of every axis from the margins."""
        for axis in self.axes.values():
            way = self.across if axis.is_across else self.down
            axis.start, axis.stop = map(way, axis.options["domain"])


def sheet_of(figure: Mapping[str, Any]) -> Sheet:
    """Fill in a figure, but for what is around its plot: for that, ``fit``."""
    template = figure["layout"].get("template") or {}
    own = {name: value for name, value in figure["layout"].items() if name != "template"}
    layout = merged(template.get("layout") or {}, own)
    layout = merged({"width": _SIZE[0], "height": _SIZE[1], "font": _FONT}, layout)
    data = [_with_defaults(trace, template.get("data") or {}) for trace in figure["data"]]
    names = dict.fromkeys([*_axes_of_traces(data), *_axes_of_words(layout)])
    sheet = Sheet(
        data,
        layout,
        {name: _axis(name, layout, template, data) for name in names},
        {side: float(size) for side, size in merged(_MARGIN, layout.get("margin", {})).items()},
    )
    sheet.place()
    return sheet


def _axes_of_traces(data: Sequence[Trace]) -> Iterator[str]:
    return (trace.get(f"{letter}axis", letter) for letter in "xy" for trace in data)


def _axes_of_words(layout: Mapping[str, Any]) -> Iterator[str]:
    """Yield the axes that words, shapes and pictures have their places on."""
    for kind in ("annotations", "shapes", "images"):
        for thing in layout.get(kind) or []:
            named = (thing.get(f"{letter}ref") or letter for letter in "xy")
            yield from (name for name in named if name != "paper")


def _with_defaults(trace: Trace, defaults: Mapping[str, Any]) -> dict[str, Any]:
    of_kind = defaults.get(trace.get("type", "scatter")) or [{}]
    return merged({"type": "scatter"} | of_kind[0], trace)


def _axis(name: str, layout: dict[str, Any], template: Any, data: Sequence[Trace]) -> Axis:
    letter = name[0]
    has_lines = not _has_places_of_bars(name, data)
    lines = {"showgrid": has_lines, "zeroline": has_lines}
    options = merged(lines, _axis_options(name, layout, template))
    leader = options.get("matches") or name
    traces = [t for t in data if _leader(t.get(f"{letter}axis", letter), layout) == leader]
    led = _axis_options(leader, layout, template)
    categories = ranges.categories_of(traces, letter, led.get("type"))
    if (ends := led.get("range")) is None:
        ends = ranges.reach(traces, letter, led | {"categories": categories})
        ends = ends[::-1] if led.get("autorange") == "reversed" else ends
    return Axis(name, options, categories, (float(ends[0]), float(ends[1])))


def _has_places_of_bars(name: str, data: Sequence[Trace]) -> bool:
    """Return whether bars stand side by side along an axis: it has no lines through the plot."""
    bars = (trace for trace in data if trace["type"] == "bar")
    return any(
        name == trace.get("yaxis", "y")
        if trace.get("orientation") == "h"
        else name == trace.get("xaxis", "x")
        for trace in bars
    )


def _leader(name: str, layout: Mapping[str, Any]) -> str:
    """Return the axis whose range an axis takes over: itself, if no other."""
    return str(layout.get(_key(name), {}).get("matches") or name)


def _axis_options(name: str, layout: dict[str, Any], template: Any) -> dict[str, Any]:
    font = layout["font"]
    title = {"font": font | {"size": round(1.2 * font["size"])}}
    defaults = _AXIS | {"tickfont": font, "title": title}
    of_template = (template.get("layout") or {}).get(f"{name[0]}axis") or {}
    return merged(merged(defaults, of_template), layout.get(_key(name), {}))


def _key(name: str) -> str:
    return f"{name[0]}axis{name[1:]}"


def fit(sheet: Sheet, needs: Callable[[Sheet], Iterator[Need]]) -> None:
    """Grow the margins until all that stands around the plot has its room.

    Args:
        sheet: the figure.
        needs: what stands around the plot, given the margins so far.
    """
    for _ in range(_ROUNDS):
        for side, share, pixels in needs(sheet):
            sheet.margin[side] = max(sheet.margin[side], _margin_for(sheet, side, share, pixels))
        sheet.place()


def _margin_for(sheet: Sheet, side: str, share: float, pixels: float) -> float:
    """Return the margin on a side that leaves so many pixels beside a place along the plot."""
    is_across, is_first = side in "lr", side in "lb"
    whole = sheet.width if is_across else sheet.height
    other = sheet.margin[{"l": "r", "r": "l", "t": "b", "b": "t"}[side]]
    along = 1 - share if is_first else share
    if along <= 0:
        return 0.0
    plot = (whole - other - pixels) / along
    return whole - other - max(plot, _LEAST * (whole - other))


def axis_needs(sheet: Sheet) -> Iterator[Need]:
    """Yield the room that the labels and titles of axes take."""
    for axis in sheet.axes.values():
        low, high = sheet.partner(axis).options["domain"]
        share = low if axis.side in ("bottom", "left") else high
        yield axis.side[0], share, axis.room()
