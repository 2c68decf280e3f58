"""The page for playback: a text as a model reads or writes it, token by token."""

from __future__ import annotations

import streamlit as st

from introspect.app.cached import page_of_playback
from introspect.app.display import embed, say, show_notices
from introspect.app.form import asked, kept
from introspect.errors import SelectionError

_MOST_WRITTEN = 64


def draw() -> None:
    """Draw the choice of how much the model writes, and the text as it plays."""
    name, entry = asked()
    with st.sidebar:
        generate = st.number_input(
            say("Tokens that the model writes"),
            min_value=0,
            max_value=_MOST_WRITTEN,
            step=1,
            help=say("0 plays the text alone, or the target of an encoder-decoder."),
            **kept("generate", 0),
        )
    try:
        page, missing = page_of_playback(name, entry, int(generate))
    except SelectionError:
        st.info(
            say(
                "Only a text that is read from left to right can be played. Models that do so are "
                "induction, shortcut and reversal with a target, and all that write."
            )
        )
        return
    show_notices(missing)
    embed(page, say("Playback"))


if __name__ == "__main__":
    draw()
