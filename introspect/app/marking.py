"""Texts on their way to Streamlit, which reads Markdown in almost everything that it shows.

Texts, tokens and error messages are data: they reach it through ``plain`` only, or in tables, which
are drawn as they are.
"""

from __future__ import annotations

import re

from introspect.text import visible_text

__all__ = ["marked", "plain"]

# All that Markdown gives a meaning to, and what Streamlit adds: formulas and coloured words.
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$^&:=\"'@/])")
# A name between colons becomes a picture even where the colons are escaped: a word joiner, which
# cannot be seen, stands between.
_SHORT_CODE = re.compile(r":(?=[\w+-]+(?:/[\w+-]+)*:)")
_LINE_END = re.compile(r"[ \t]*[\r\n]+[ \t]*")


def plain(text: str) -> str:
    r"""A text for Streamlit's Markdown that is shown as it is.

    Example:
        >>> plain("![x](http://a.b) <b>")
        '\\!\\[x\\]\\(http\\:\\/\\/a\\.b\\) \\<b\\>'
    """
    one_line = visible_text(_LINE_END.sub(" ", text.strip()))
    return _MARKS.sub(r"\\\1", _SHORT_CODE.sub(":\u2060", one_line))


def marked(sentence: str) -> str:
    r"""A sentence of a finding, with its ``*marked*`` words as emphasis and all else as it is.

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
    """As ``plain``, with the spaces at the ends that words stand between."""
    if not part.strip():
        return part
    before = part[: len(part) - len(part.lstrip())]
    after = part[len(part.rstrip()) :]
    return f"{before}{plain(part)}{after}"
