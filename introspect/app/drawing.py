"""Words, views and errors on the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import streamlit as st

from introspect.app.marking import plain
from introspect.app.words import LANGUAGES, in_language
from introspect.errors import IntrospectError

__all__ = ["embed", "offer_report", "say", "show_notices", "telling"]

# Of a frame, in pixels.
_TALLEST = 1_700


def say(text: str, **values: object) -> str:
    """Words of the app in the language that is chosen, with values for their places."""
    language = st.session_state.get("language", LANGUAGES[0])
    return in_language(text, language).format(**values)


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
        say("Download this view"),
        lambda: page,
        file_name="view.html",
        mime="text/html",
        on_click="ignore",
        key="download view",
    )


def offer_report(made: Callable[[], str], *, key: str) -> None:
    """A button that makes a report and saves it.

    Args:
        made: makes the page; called when the button is pressed.
        key: of the button.
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
