"""Texts, views, downloads, and error messages on the screen."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import pandas as pd
import streamlit as st

from introspect.app.chinese import LANGUAGES, in_language
from introspect.app.chinese_of_notices import NOTICES, notice_in
from introspect.app.chinese_of_pages import PAGE_WORDS
from introspect.errors import IntrospectError
from introspect.io import as_json
from introspect.text import visible_text

_POLICY = "script-src "

# The app has its own margins, so the page fills its frame's width and adds no space at the end. It
# is light or dark as the app is.
_STYLE = (
    "<style>main { max-width: none; padding: 8px 2px 24px } "
    "button[name=theme] { display: none }</style>"
)

_HIDDEN = (
    "<style>main > h1:first-of-type { position: absolute; width: 1px; height: 1px; margin: -1px; "
    "padding: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap }</style>"
)

# Streamlit adds a measuring script to the page. The policy would block it, and it never notices
# that a page has become shorter, so it goes into a template, where it does not run.
_REST_IS_NO_SCRIPT = "<template>"


def measured(
    page: str, *, hides_heading: bool = False, words: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return a page that reports its height to its frame, and keeps what is chosen in it.

    Its policy allows the script that does so by its hash, beside the page's own script, and nothing
    else. The page that is downloaded does not change.

    Args:
        page: the page, as ``View.to_html`` returns it.
        hides_heading: whether only screen readers get the page's heading.
        words: translations of the page's labels.
    """
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    before, policy, after = page.partition(_POLICY)
    assert policy, "a page without a policy"
    allowed = f"{before}{policy}'sha256-{digest}' {after}"
    style = _STYLE + (_HIDDEN if hides_heading else "")
    data = f'<script type="application/json" id="app-words">{as_json(dict(words))}</script>'
    return f"{allowed}{style}{data}<script>{script}</script>{_REST_IS_NO_SCRIPT}"


@cache
def _script() -> str:
    return (files("introspect.app") / "frame.js").read_text(encoding="utf-8")


# Every character with a meaning in Markdown, or in Streamlit's formulas and colored words.
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$^&:=\"'@/])")
# A name between colons becomes a picture even if the colons are escaped, so an invisible word
# joiner separates them.
_SHORT_CODE = re.compile(r":(?=[\w+-]+(?:/[\w+-]+)*:)")
_LINE_END = re.compile(r"[\r\n]+")


def plain(text: str) -> str:
    r"""Escape a text so that Streamlit's Markdown shows it verbatim.

    Example:
        >>> plain("![x](http://a.b) <b>")
        '\\!\\[x\\]\\(http\\:\\/\\/a\\.b\\) \\<b\\>'
    """
    one_line = visible_text(" ".join(line.strip(" \t") for line in _LINE_END.split(text.strip())))
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


def say(text: str, **values: object) -> str:
    """Return a text of the app in the chosen language, with its placeholders filled in."""
    return in_language(text, _language()).format(**values)


def _language() -> str:
    return str(st.session_state.get("language", LANGUAGES[0]))


@contextmanager
def telling() -> Iterator[None]:
    """Show an error of this block as a message; the code after the block still runs."""
    try:
        yield
    except IntrospectError as error:
        st.error(plain(str(error)))
    except Exception as error:  # the app goes on after any error
        what = plain(f"{type(error).__name__}: {error}")
        st.error(f"Something went wrong that should not \\({what}\\)\\. The app goes on\\.")


def show_notices(notices: Iterable[str]) -> None:
    """Show what a reader must know before reading the results."""
    for notice in dict.fromkeys(notices):
        st.warning(plain(notice_in(notice, _language())))


def say_that_findings_are_english() -> None:
    """Say before findings in which language they are, where the app speaks another."""
    if _language() != LANGUAGES[0]:
        st.caption(say("Findings, and what they do not show, are in English."))


def show_page(page: str, title: str, *, hides_heading: bool) -> None:
    """Show a page in a frame that is as tall as the page.

    Args:
        page: the page, as ``View.to_html`` or a report returns it.
        title: the title of the frame.
        hides_heading: whether only screen readers get the page's heading, as of a view, which is
            the text itself.
    """
    words = {**PAGE_WORDS, **NOTICES} if _language() == LANGUAGES[1] else {}
    shown = measured(page, hides_heading=hides_heading, words=words)
    st.iframe(shown, height="content", alt=title)


def embed(page: str, title: str) -> None:
    """Show a view's page in a frame, as in a notebook, with a button to download it.

    Args:
        page: the page, as ``View.to_html`` returns it.
        title: the title of the frame.
    """
    show_page(page, title, hides_heading=True)
    st.download_button(
        say("Download this view"),
        lambda: page,
        file_name="view.html",
        mime="text/html",
        on_click="ignore",
        key="download view",
    )


def embed_report(page: str, title: str) -> None:
    """Show a report in a frame, with a button to download it."""
    show_page(page, title, hides_heading=False)
    offer_report(lambda: page, key="report")


def offer_report(made: Callable[[], str], *, key: str) -> None:
    """Show a button that makes a report and saves it.

    Args:
        made: makes the page; called when the button is pressed.
        key: the key of the button.
    """
    st.download_button(
        say("Download the report"),
        made,
        file_name="report.html",
        mime="text/html",
        on_click="ignore",
        type="primary",
        key=key,
        help=say(
            "One HTML file with these findings, the views and their provenance. It opens offline."
        ),
    )


def column_of_heads() -> Any:
    """Return the table column that names the head of each row."""
    return st.column_config.TextColumn(say("head"), help=say("Layer and head, counted from 0."))


def column_of_shares() -> Any:
    """Return the table column with each head's attention to the antecedent."""
    return st.column_config.NumberColumn(
        say("on the antecedent"),
        format="%.4f",
        help=say("Its share of the attention."),
    )


def offer_table(table: pd.DataFrame, file_name: str) -> None:
    """Show a button that saves a table as CSV."""
    st.download_button(
        say("Download the table"),
        table.to_csv(index=False),
        file_name=file_name,
        mime="text/csv",
        on_click="ignore",
    )
