"""Numbers in a Plotly figure: texts by ``text.english``, and the few formats that Plotly applies.

A view with a page writes a number when it is pointed at. A figure cannot: it carries a text for
each cell, or, where those would make it much larger, a format by which Plotly writes the number.
These formats are here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from introspect.records import METHODS
from introspect.text import decimal, quantity, signed

#: A figure of more cells carries no texts for them: here they take about 40 KB.
MOST_WRITTEN = 4096

#: d3's format that comes closest to each way to write. Two decimals are the same but for ties and
#: for a signed zero; ``quantity`` differs from 100 on (1,230 for 1,235) and below 0.001, for which
#: d3 has no power of ten with a raised exponent.
HOVER_FORMATS: dict[Callable[[float], str], str] = {
    decimal: ",.2f",
    signed: "+,.2f",
    quantity: ",.3r",
}
#: Shares beside an axis in percent, as ``percent(value, 0)``.
SHARE_TICKS = {"tickformat": ".0%"}
#: Numbers beside an axis or a color bar: by default Plotly writes 0.0002 as 200μ, and 20000 as 20k.
NUMBER_TICKS = {"exponentformat": "power", "separatethousands": True}


def cell_hover(
    cells: torch.Tensor, write: Callable[[float], str] = decimal, *, maps: int = 1
) -> dict[str, Any]:
    """Return the properties of a heatmap by which it writes the number of the cell pointed at.

    Args:
        cells: the numbers, ``(rows, columns)``.
        write: the way to write one, a key of ``HOVER_FORMATS``.
        maps: how many maps of this size the figure has.
    """
    if maps * cells.numel() > MOST_WRITTEN:
        return {"hovertemplate": "%{z}<extra></extra>", "zhoverformat": HOVER_FORMATS[write]}
    return {
        "hovertemplate": "%{text}<extra></extra>",
        "text": [[write(value) for value in line] for line in cells.tolist()],
    }


def writing_of(weights: str) -> Callable[[float], str]:
    """Return the way to write a weight, or the number of a method, which may be of any size."""
    return decimal if weights not in METHODS or METHODS[weights].bounded else quantity


def weight_bar(title: str = "weight", **options: Any) -> dict[str, Any]:
    """Return the scale of the colors, to the right of a matrix."""
    return {"title": title, "thickness": 14, "outlinewidth": 0} | NUMBER_TICKS | options
