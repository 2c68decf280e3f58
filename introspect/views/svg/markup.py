"""Elements, numbers and words of SVG."""

from __future__ import annotations

import re

# XML has no place for these, escaped or not.
_IMPOSSIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\t": "&#9;"}


def number(value: float) -> str:
    """Write a number with at most two decimals.

    Example:
        >>> number(3.0), number(0.126), number(-0.001)
        ('3', '0.13', '0')
    """
    written = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if written == "-0" else written


def escaped(text: str) -> str:
    """Escape text for XML; what XML cannot hold becomes a replacement character.

    Example:
        >>> escaped('</svg> & "b"')
        '&lt;/svg&gt; &amp; &quot;b&quot;'
    """
    possible = _IMPOSSIBLE.sub("\ufffd", text).replace("\r", " ")
    return "".join(_ESCAPES.get(character, character) for character in possible)


def tag(name: str, *content: str, **attributes: float | str | None) -> str:
    """Build an element from content that is markup already; attributes of ``None`` are left out.

    Example:
        >>> tag("rect", x=1.5, fill="#fff", stroke_width=2)
        '<rect x="1.5" fill="#fff" stroke-width="2"/>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not content:
        return f"<{name}{written}/>"
    return f"<{name}{written}>{''.join(content)}</{name}>"


def _attribute(value: float | str) -> str:
    return escaped(value) if isinstance(value, str) else number(value)
