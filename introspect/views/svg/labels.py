"""Labels: Plotly's small HTML as lines of runs, how much room they take, and their elements."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass, replace

from introspect.views.svg.markup import escaped, tag

#: From one line of a label to the next, in sizes of its letters.
LEADING = 1.3

# Widths of Helvetica, and so of Arial and Liberation Sans, in thousandths of the size.
_WIDTHS_OF_ASCII = """
    278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278
    556 556 556 556 556 556 556 556 556 556 278 278 584 584 584 556
    1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778
    667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 556
    333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556
    556 556 333 500 278 556 500 722 500 500 500 334 260 334 584
"""
_WIDTHS = dict(zip(map(chr, range(32, 127)), map(int, _WIDTHS_OF_ASCII.split()), strict=True))
_WIDTHS |= {"…": 1000, "→": 1000, "←": 1000, "—": 1000, "×": 584, "−": 584, "·": 333}
_WIDTHS |= dict.fromkeys("“”", 333) | dict.fromkeys("‘’", 222)
_WIDE, _OTHER, _BOLD = 1000, 620, 1.08
_TAG = re.compile(r"(<[^<>]*>)")
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z]+);")
_BOLD_TAGS, _ITALIC_TAGS = ("b", "strong"), ("i", "em")
_SHIFTS = {"sub": 0.3, "sup": -0.4}
_SMALL = 0.7


@dataclass(frozen=True)
class Run:
    """Letters of one kind.

    Args:
        text: the letters, unescaped.
        bold: whether they are bold.
        italic: whether they are italic.
        underlined: whether there is a line under them.
        shift: how far they are lowered, in sizes of letters; shifted letters are smaller.
    """

    text: str
    bold: bool = False
    italic: bool = False
    underlined: bool = False
    shift: float = 0.0

    @property
    def scale(self) -> float:
        """The size of these letters in those of the label."""
        return _SMALL if self.shift else 1.0


def lines_of(label: str) -> list[list[Run]]:
    """Split a label into lines of runs; tags that Plotly does not know are dropped, as it does.

    Example:
        >>> [[run.text for run in line] for line in lines_of("it <b>0.5</b><br>&lt;b&gt;")]
        [['it ', '0.5'], ['<b>']]
    """
    lines: list[list[Run]] = [[]]
    style = Run("")
    for part in _TAG.split(label):
        if not _TAG.fullmatch(part):
            text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), part.replace("\n", " "))
            lines[-1] += [replace(style, text=text)] if text else []
        elif _name(part) == "br":
            lines.append([])
        else:
            style = _styled(style, part)
    return lines


def _name(tag_text: str) -> str:
    return (tag_text.strip("</>").split() or [""])[0].lower()


def _styled(style: Run, tag_text: str) -> Run:
    name, opens = _name(tag_text), not tag_text.startswith("</")
    if name in _BOLD_TAGS:
        return replace(style, bold=opens)
    if name in _ITALIC_TAGS:
        return replace(style, italic=opens)
    if name == "u":
        return replace(style, underlined=opens)
    if name in _SHIFTS:
        return replace(style, shift=_SHIFTS[name] if opens else 0.0)
    return style


def plain_of(label: str) -> str:
    """Return a label without its tags, its lines joined by a space."""
    return " ".join("".join(run.text for run in line) for line in lines_of(label))


def width_of(label: str, size: float) -> float:
    """Estimate the width of a label in pixels: that of its widest line.

    Example:
        >>> width_of("it", 10), width_of("我", 10)
        (5.0, 10.0)
    """
    return max(_line_width(line, size) for line in lines_of(label))


def _line_width(line: list[Run], size: float) -> float:
    return sum(
        size / 1000 * run.scale * (_BOLD if run.bold else 1.0) * sum(map(_letter_width, run.text))
        for run in line
    )


def _letter_width(letter: str) -> float:
    if letter in _WIDTHS:
        return _WIDTHS[letter]
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0.0
    return _WIDE if unicodedata.east_asian_width(letter) in "WF" else _OTHER


def height_of(label: str, size: float) -> float:
    """Return the height of a label in pixels."""
    return size * (1 + LEADING * (len(lines_of(label)) - 1))


def label_element(
    label: str,
    x: float,
    y: float,
    *,
    size: float,
    color: str,
    anchor: str = "middle",
    turned: str | None = None,
) -> str:
    """Build the text element of a label.

    Args:
        label: the label, in Plotly's small HTML.
        x: its left end, middle or right end, by ``anchor``.
        y: the base line of its first line.
        size: the size of its letters, in pixels.
        color: the color of its letters, as ``#rrggbb``.
        anchor: ``start``, ``middle`` or ``end``.
        turned: the ``transform`` that turns it.
    """
    lines = lines_of(label)
    content = [_line_element(line, size) for line in lines]
    if len(lines) > 1:
        content = [
            tag("tspan", line, x=x, y=y + place * LEADING * size)
            for place, line in enumerate(content)
        ]
    return tag(
        "text",
        *content,
        x=x,
        y=y,
        font_size=None if size == 12 else size,
        fill=color,
        text_anchor=None if anchor == "start" else anchor,
        transform=turned,
        # Otherwise two spaces would be one.
        **({"xml:space": "preserve"} if "  " in label else {}),
    )


def _line_element(line: list[Run], size: float) -> str:
    """Build the runs of a line; what follows a shifted run is shifted back."""
    before = [0.0, *(run.shift for run in line)]
    return "".join(
        _run_element(run, size, lowered=run.shift - shift, alone=len(line) == 1)
        for run, shift in zip(line, before, strict=False)
    )


def _run_element(run: Run, size: float, *, lowered: float, alone: bool) -> str:
    """Build a run; one in a script from right to left keeps its place between its neighbors."""
    directions = {unicodedata.bidirectional(letter) for letter in run.text}
    is_isolated = not alone and bool(directions & {"R", "AL", "AN"})
    is_plain = not (run.bold or run.italic or run.underlined or run.shift)
    if is_plain and not (lowered or is_isolated):
        return escaped(run.text)
    return tag(
        "tspan",
        escaped(run.text),
        dy=lowered * size or None,
        font_weight="bold" if run.bold else None,
        font_style="italic" if run.italic else None,
        text_decoration="underline" if run.underlined else None,
        font_size=run.scale * size if run.shift else None,
        style="unicode-bidi:isolate" if is_isolated else None,
    )
