"""What lies over or under a plot: its title, shapes, pictures, annotations, and the legend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from introspect.views.svg.canvas import Canvas
from introspect.views.svg.colors import color_of, hex_of, painted
from introspect.views.svg.labels import width_of
from introspect.views.svg.markup import tag
from introspect.views.svg.numbers import merged
from introspect.views.svg.points import mark
from introspect.views.svg.sheet import Need, Sheet

_ANCHORS = {"left": "start", "center": "middle", "right": "end"}
_BORDER = 2
_TITLE_SIZE = 1.4
# Of the legend, in pixels.
_SAMPLE, _GAP, _ROW, _FOOT = 30, 14, 20, 8


def draw_title(canvas: Canvas, sheet: Sheet) -> None:
    """Draw the title of the figure."""
    title = sheet.layout.get("title") or {}
    font = sheet.layout["font"]
    font = merged(font | {"size": round(_TITLE_SIZE * font["size"])}, title.get("font") or {})
    share = float(title.get("x", 0.5))
    is_on_plot = title.get("xref") == "paper"
    y = title.get("y", "auto")
    is_top = title.get("yanchor") == "top"
    labels = max((axis.room() for axis in sheet.axes.values() if axis.side == "top"), default=0.0)
    above_labels = sheet.margin["t"] - labels - font["size"]
    canvas.label(
        title.get("text") or "",
        sheet.across(share) if is_on_plot else share * sheet.width,
        min(sheet.margin["t"] / 2, above_labels) if y == "auto" else (1 - y) * sheet.height,
        size=font["size"],
        color=hex_of(color_of(font["color"])),
        anchor=_ANCHORS[_third(share, "left", "center", "right")],
        vertical="top" if is_top else "middle",
    )


def _third(share: float, first: str, second: str, third: str) -> str:
    """Return one of three names by the third of the figure that something is in."""
    return first if share < 1 / 3 else third if share > 2 / 3 else second


def draw_shapes(canvas: Canvas, sheet: Sheet, layer: str) -> None:
    """Draw the lines and frames ``above`` or ``below`` the traces."""
    defaults = sheet.layout.get("shapedefaults") or {}
    for given in sheet.layout.get("shapes") or []:
        shape = merged(defaults, given)
        if shape.get("layer", "above") != layer:
            continue
        x0, x1 = (_across(sheet, shape, shape[end]) for end in ("x0", "x1"))
        y0, y1 = (_down(sheet, shape, shape[end]) for end in ("y0", "y1"))
        line = merged({"color": "#444444", "width": 2}, shape.get("line") or {})
        look = painted(line["color"], "stroke") | {"stroke_width": line["width"]}
        if shape["type"] == "line":
            canvas.add(tag("line", x1=x0, y1=y0, x2=x1, y2=y1, **look))
            continue
        filled = painted(shape.get("fillcolor") or "rgba(0,0,0,0)")
        box = {"x": min(x0, x1), "y": min(y0, y1), "width": abs(x1 - x0), "height": abs(y1 - y0)}
        canvas.add(tag("rect", **box, **filled, **look))


def _across(sheet: Sheet, thing: Mapping[str, Any], value: Any) -> float:
    """Return the pixel of an x of a shape, picture or annotation."""
    named = thing.get("xref") or "x"
    if named == "paper":
        return sheet.across(float(value))
    axis = sheet.axes[named]
    return axis.at(axis.value(value) or 0.0)


def _down(sheet: Sheet, thing: Mapping[str, Any], value: Any) -> float:
    """Return the pixel of a y of a shape, picture or annotation."""
    named = thing.get("yref") or "y"
    if named == "paper":
        return sheet.down(float(value))
    axis = sheet.axes[named]
    return axis.at(axis.value(value) or 0.0)


def draw_pictures(canvas: Canvas, sheet: Sheet) -> None:
    """Draw the pictures below the traces; each is in the figure itself, as a data address."""
    for image in sheet.layout.get("images") or []:
        axes = sheet.axes[image["xref"]], sheet.axes[image["yref"]]
        width, height = (
            abs(axis.at(image[size]) - axis.at(0.0))
            for axis, size in zip(axes, ("sizex", "sizey"), strict=True)
        )
        canvas.add(
            tag(
                "image",
                x=axes[0].at(image["x"]),
                y=axes[1].at(image["y"]),
                width=width,
                height=height,
                opacity=image.get("opacity", 1),
                preserveAspectRatio="none",
                **{"xlink:href": image["source"]},
            )
        )


def draw_annotations(canvas: Canvas, sheet: Sheet) -> None:
    """Draw the words that a figure has beside its axes."""
    for note in sheet.layout.get("annotations") or []:
        font = merged(sheet.layout["font"], note.get("font") or {})
        x, y = _across(sheet, note, note["x"]), _down(sheet, note, note["y"])
        anchor = _anchor(note, "x", ("left", "center", "right"))
        vertical = _anchor(note, "y", ("bottom", "middle", "top"))
        x += {"left": _BORDER, "right": -_BORDER}.get(anchor, 0.0)
        y += {"top": _BORDER, "bottom": -_BORDER}.get(vertical, 0.0)
        canvas.label(
            note["text"],
            x,
            y,
            size=font["size"],
            color=hex_of(color_of(font["color"])),
            anchor=_ANCHORS[anchor],
            vertical=vertical,
        )


def _anchor(note: Mapping[str, Any], letter: str, names: tuple[str, str, str]) -> str:
    """Return the part of an annotation that its place is about."""
    if (given := note.get(f"{letter}anchor", "auto")) != "auto":
        return str(given)
    is_on_paper = note.get(f"{letter}ref") == "paper"
    return _third(float(note[letter]), *names) if is_on_paper else names[1]


# --- the legend -----------------------------------------------------------------------------------


def legend_needs(sheet: Sheet) -> Iterator[Need]:
    """Yield the room that the legend takes below the axes."""
    rows = _legend_rows(sheet)
    deepest = max((a.room() for a in sheet.axes.values() if a.side == "bottom"), default=0.0)
    if rows:
        yield "b", 0.0, deepest + _ROW * len(rows) + _FOOT + _GAP


def draw_legend(canvas: Canvas, sheet: Sheet) -> None:
    """Draw the legend at the foot of the figure, in as many rows as it takes."""
    rows = _legend_rows(sheet)
    font = sheet.layout["font"]
    color = hex_of(color_of(font["color"]))
    with canvas.group(class_="legend"):
        for place, row in enumerate(rows):
            y = sheet.height - _FOOT - _ROW * (len(rows) - place - 0.5)
            for x, label, trace in row:
                if trace is not None:
                    canvas.add(_sample(trace, (x + _SAMPLE / 2, y)))
                shifted = x if trace is None else x + _SAMPLE + 4
                canvas.label(label, shifted, y, size=font["size"], color=color, anchor="start")


def _sample(trace: Mapping[str, Any], at: tuple[float, float]) -> str:
    marker = trace.get("marker") or {}
    look = marker.get("symbol", "circle"), at, marker.get("size", 6), marker.get("color", "#444")
    return mark(*look, marker.get("line") or {})


_Entry = tuple[float, str, dict[str, Any] | None]


def _legend_rows(sheet: Sheet) -> list[list[_Entry]]:
    """Return the rows of the legend: where each entry begins, its label and its trace."""
    if not sheet.layout.get("showlegend"):
        return []
    title = ((sheet.layout.get("legend") or {}).get("title") or {}).get("text") or ""
    shown = [t for t in sheet.data if t.get("name") and t.get("showlegend", True)]
    entries: list[tuple[str, dict[str, Any] | None]] = [(title, None)] if title else []
    entries += [(trace["name"], trace) for trace in shown]
    size = sheet.layout["font"]["size"]
    rows: list[list[_Entry]] = [[]]
    x = sheet.margin["l"]
    for label, trace in entries:
        width = width_of(label, size) + _GAP + (0 if trace is None else _SAMPLE + 4)
        if rows[-1] and x + width > sheet.width:
            rows.append([])
            x = sheet.margin["l"]
        rows[-1].append((x, label, trace))
        x += width
    return rows
