"""Texts, views, downloads, and error messages on the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import streamlit as st

from introspect.app.frames import measured
from introspect.app.marking import plain
from introspect.app.words import LANGUAGES, in_language
from introspect.errors import IntrospectError

__all__ = [
    "column_of_heads",
    "column_of_shares",
    "embed",
    "offer_report",
    "offer_table",
    "say",
    "show_notices",
    "show_page",
    "telling",
]


def say(text: str, **values: object) -> str:
    """Return a text of the app in the chosen language, with its placeholders filled in."""
    language = st.session_state.get("language", LANGUAGES[0])
    return in_language(text, language).format(**values)


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
        st.warning(plain(notice))


def show_page(page: str, title: str) -> None:
    """Show a page in a frame that is as tall as the page.

    Args:
        page: the page, as ``View.to_html`` or a report returns it.
        title: the title of the frame.
    """
    st.iframe(measured(page), height="content", alt=title)


def embed(page: str, title: str) -> None:
    """Show a view's page in a frame, as in a notebook, with a button to download it.

    Args:
        page: the page, as ``View.to_html`` returns it.
        title: the title of the frame.
    """
    show_page(page, title)
    st.download_button(
        say("Download this view"),
        lambda: page,
        file_name="view.html",
        mime="text/html",
        on_click="ignore",
        key="download view",
    )


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
            "One HTML file with these findings, the views, and how they were had. It opens without "
            "a network."
        ),
    )


def column_of_heads() -> Any:
    """Return the table column that names the head of each row."""
    return st.column_config.TextColumn(say("head"), help=say("Layer and head, from 0."))


def column_of_shares() -> Any:
    """Return the table column with each head's attention to the antecedent."""
    return st.column_config.NumberColumn(
        say("on the antecedent"),
        format="%.4f",
        help=say("The share of the attention that it gets."),
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
