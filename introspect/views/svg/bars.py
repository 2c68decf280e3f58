"""Bars from left to right, with their numbers inside or beside them."""

from __future__ import annotations

from typing import Any

from introspect.views.svg.axis import Axis
from introspect.views.svg.canvas import Canvas
from introspect.views.svg.colors import ink_on, painted
from introspect.views.svg.labels import width_of
from introspect.views.svg.markup import tag
from introspect.views.svg.numbers import listed

_WIDTH = 0.8
_PAD = 3


def draw_bars(canvas: Canvas, trace: dict[str, Any], axes: tuple[Axis, Axis], name: str) -> None:
    """Draw a trace of bars from left to right; one without a number is left out."""
    across, up = axes
    texts = listed(trace.get("text")) or [""] * len(listed(trace["x"]))
    color = trace["marker"]["color"]
    for x, y, text in zip(listed(trace["x"]), listed(trace["y"]), texts, strict=True):
        length, place = across.value(x), up.value(y)
        if length is None or place is None:
            continue
        start, stop = across.at(0.0), across.at(length)
        top, bottom = sorted((up.at(place - _WIDTH / 2), up.at(place + _WIDTH / 2)))
        canvas.add(
            tag(
                "rect",
                x=min(start, stop),
                y=top,
                width=abs(stop - start),
                height=bottom - top,
                **painted(color),
            )
        )
        _draw_text(canvas, str(text), trace, (start, stop, (top + bottom) / 2))


def _draw_text(
    canvas: Canvas, text: str, trace: dict[str, Any], bar: tuple[float, float, float]
) -> None:
    """Write a bar's text at its end: inside where it fits, otherwise beside it."""
    start, stop, middle = bar
    font = trace["textfont"]
    is_inside = width_of(text, font["size"]) + 2 * _PAD <= abs(stop - start)
    forward = stop >= start
    canvas.label(
        text,
        stop + _PAD * (1 if forward != is_inside else -1),
        middle,
        size=font["size"],
        color=ink_on(trace["marker"]["color"]) if is_inside else font["color"],
        anchor="start" if forward != is_inside else "end",
    )
