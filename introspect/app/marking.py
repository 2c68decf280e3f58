"""Escaped texts for Streamlit, which reads Markdown in almost everything that it shows.

Texts, tokens, and error messages are data: they reach Streamlit only through ``plain`` or in
tables, which are drawn verbatim.
"""

from __future__ import annotations

import re

from introspect.text import visible_text

__all__ = ["marked", "plain"]

# Every character with a meaning in Markdown, or in Streamlit's formulas and colored words.
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$^&:=\"'@/])")
# A name between colons becomes a picture even if the colons are escaped, so an invisible word
# joiner separates them.
_SHORT_CODE = re.compile(r":(?=[\w+-]+(?:/[\w+-]+)*:)")
_LINE_END = re.compile(r"[ \t]*[\r\n]+[ \t]*")


def plain(text: str) -> str:
    r"""Escape a text so that Streamlit's Markdown shows it verbatim.

    Example:
        >>> plain("![x](http://a.b) <b>")
        '\\!\\[x\\]\\(http\\:\\/\\/a\\.b\\) \\<b\\>'
    """
    one_line = visible_text(_LINE_END.sub(" ", text.strip()))
    return _MARKS.sub(r"\\\1", _SHORT_CODE.sub(":\u2060", one_line))


def marked(sentence: str) -> str:
    r"""Escape a sentence of a finding, keeping its ``*marked*`` words as emphasis.

    Example:
        >>> marked("L3H1 (0.68) points to *animal*.")
        'L3H1 \\(0\\.68\\) points to *animal*\\.'
    """
    parts = sentence.split("*")
    return "".join(
        f"*{plain(part)}*" if number % 2 and part.strip() else _spaced(part)
        for number, part in enumerate(parts)
    )


def _spaced(part: str) -> str:
    """Escape a part as ``plain`` does, but keep the spaces at its ends."""
    if not part.strip():
        return part
    before = part[: len(part) - len(part.lstrip())]
    after = part[len(part.rstrip()) :]
    return f"{before}{plain(part)}{after}"
