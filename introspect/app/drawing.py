"""Words, views and errors on the screen.

Streamlit reads Markdown in almost everything it shows. Texts, tokens and error messages are data:
they reach it through ``plain`` only, or in tables, which are drawn as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import streamlit as st

from introspect.errors import IntrospectError
from introspect.text import visible_text

__all__ = ["embed", "marked", "offer_report", "plain", "show_notices", "telling"]

# All that Markdown gives a meaning to, and what Streamlit adds: formulas and coloured words.
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$^&:=\"'@/])")
# A name between colons becomes a picture even where the colons are escaped: a word joiner, which
# cannot be seen, stands between.
_SHORT_CODE = re.compile(r":(?=[\w+-]+(?:/[\w+-]+)*:)")
_TALLEST = 1_700
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


@contextmanager
def telling() -> Iterator[None]:
    """Show an error of this block as a message; what stands after the block goes on."""
    try:
        yield
    except IntrospectError as error:
        st.error(plain(str(error)))
    except Exception as error:  # whatever it is, the app goes on
        what = plain(f"{type(error).__name__}: {error}")
        st.error(f"Something went wrong that should not \\({what}\\)\\. The app goes on\\.")


def show_notices(notices: Iterable[str]) -> None:
    """What a reader must know before looking."""
    for notice in dict.fromkeys(notices):
        st.warning(plain(notice))


def embed(page: str, title: str, *, height: int) -> None:
    """A view's own page in a frame, as in a notebook, with a way to keep it as a file.

    Args:
        page: as ``View.to_html`` gives it.
        title: what is in the frame.
        height: of the frame, in pixels. Streamlit would measure it with a script of its own, which
            the page's policy does not let run; what is longer scrolls.
    """
    st.iframe(page, height=min(height, _TALLEST), alt=title)
    st.download_button(
        "Download this view",
        lambda: page,
        file_name=f"{title.lower().replace(' ', '-')}.html",
        mime="text/html",
        on_click="ignore",
        key=f"download {title}",
    )


def offer_report(made: Callable[[], str], *, key: str) -> None:
    """A button that makes a report and saves it.

    Args:
        made: makes the page; called when the button is pressed.
        key: of the button.
    """
    st.download_button(
        "Download the report",
        made,
        file_name="report.html",
        mime="text/html",
        on_click="ignore",
        type="primary",
        key=key,
        help="One HTML file with these findings, the views, and how they were had. It opens "
        "without a network.",
    )
