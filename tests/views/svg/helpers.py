"""An SVG file read as XML, with what a reader sees in it: words and where they stand, and cells."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

from introspect.views import head_view, lens_view

from ..samples import record_of
from ..test_lens_view import table as lens_table
from ..test_plotly_numbers import VIEWS as _VIEWS

NAMESPACE = "{http://www.w3.org/2000/svg}"
#: Every view, with figures of all sizes.
VIEWS = _VIEWS | {
    "pinned head": lambda: head_view(record_of(), layer=1, heads=[0, 2], token=3),
    "words head": lambda: head_view(record_of(), granularity="word", combine="mean"),
    "hostile lens": lambda: lens_view(lens_table(["</svg><script>", "&amp;", "שלום", "我"])),
}


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def elements(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return list(root.iter(NAMESPACE + name))


def groups(root: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Groups that have a class."""
    return [g for g in elements(root, "g") if name in g.get("class", "").split()]


def words(root: ElementTree.Element) -> list[str]:
    """The words of every label, without the lines and runs that it is divided into."""
    return ["".join(text.itertext()) for text in elements(root, "text")]


def places(root: ElementTree.Element, axis: str) -> list[tuple[float, float, str]]:
    """x, y and words of each label of an axis; turned labels are turned about their place."""
    (ticks,) = groups(root, axis)
    made = []
    for text in elements(ticks, "text"):
        x, y = float(text.attrib["x"]), float(text.attrib["y"])
        if turned := re.fullmatch(r"rotate\(\S+ (\S+) (\S+)\)", text.get("transform", "")):
            x, y = map(float, turned.groups())
        made.append((x, y, "".join(text.itertext())))
    return made


def cells(root: ElementTree.Element) -> Iterator[tuple[tuple[float, ...], str]]:
    """Left, top, right and bottom of each cell of each map, and its color."""
    for group in groups(root, "heatmap"):
        for path in elements(group, "path"):
            for one in path.attrib["d"].split("z")[:-1]:
                match = re.fullmatch(r"M(\S+) (\S+)h(\S+)v(\S+)h(\S+)", one)
                x, y, width, height, back = map(float, match.groups())
                assert back == -width
                yield (x, y, x + width, y + height), path.attrib["fill"]


def color_at(root: ElementTree.Element, x: float, y: float) -> str | None:
    """The color of the only cell over a point; ``None`` for none."""
    over = [
        color for (left, top, right, bottom), color in cells(root)
        if left <= x < right and top <= y < bottom
    ]  # fmt: skip
    assert len(over) < 2
    return over[0] if over else None


def polylines(path: ElementTree.Element) -> list[list[tuple[float, float]]]:
    """The points of each unbroken line of a path."""
    lines = re.findall(r"M[^M]+", path.attrib["d"])
    return [
        [(float(x), float(y)) for x, y in re.findall(r"[ML](\S+?) ([^ML]+)", line)]
        for line in lines
    ]
