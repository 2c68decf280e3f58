"""The frame of the app, run by Streamlit: the pages and the fields that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from introspect.app.chinese import LANGUAGES, word
from introspect.app.display import say, telling
from introspect.app.form import ask, is_of_another_model, kept

_HERE = Path(__file__).parent
_STYLES = _HERE.parent / "app.css"
_CAVEAT = word(
    "Attention shows what a head attends to, not why the model decides. What is "
    "typed or uploaded stays on the machine that runs this app."
)
_LEADS = {
    "": word("What every head attends to while the model reads a text."),
    "pronoun": word("What the heads attend to from a pronoun: its antecedent, or something else."),
    "heads": word("What a model attends to and predicts after some of its heads are ablated."),
    "compare": word("Two texts that differ in a word, or two models on one text."),
    "lens": word(
        "What the model would predict after each layer, and which heads contribute to it."
    ),
    "playback": word("The text as a model reads or writes it, one token after the other."),
    "picture": word("What every head attends to in a picture."),
    "roles": word("Which heads have a known role, measured on random tokens."),
    "atlas": word("What every head does on a whole corpus, from the folder of an atlas."),
    "sets": word("The accuracy of every head on a file of cases, beside that of position alone."),
}

_WITHOUT_TEXT = ("roles", "sets")
# Its model is another one.
_WITHOUT_MODEL = ("picture", "atlas")


def draw() -> None:
    """Draw the chosen page with its fields above it."""
    st.set_page_config(page_title="introspect", layout="wide")
    st.html(_STYLES)
    # Before anything is said, because an address may name the language.
    with st.sidebar:
        st.segmented_control(
            say("Language"),
            LANGUAGES,
            required=True,
            label_visibility="collapsed",
            **kept("language", LANGUAGES[0], LANGUAGES),
        )
    page = st.navigation(_pages(), position="top")
    st.title(page.title, anchor=False)
    is_another = is_of_another_model()
    # What was drawn of another model goes before this one is loaded, not after.
    place = st.empty() if is_another else st.container()
    with telling():
        with st.sidebar:
            st.caption(say(_LEADS[page.url_path]))
            if page.url_path not in _WITHOUT_MODEL:
                ask(place, with_text=page.url_path not in _WITHOUT_TEXT)
        with place.container() if is_another else place:
            page.run()
    st.caption(say(_CAVEAT))


def _pages() -> list[Any]:
    """Return the pages in the order in which they are offered."""
    return [
        st.Page(_HERE / "sentence.py", title=say("One text"), url_path="text", default=True),
        st.Page(_HERE / "pronoun.py", title=say("A pronoun"), url_path="pronoun"),
        st.Page(_HERE / "removal.py", title=say("Ablate heads"), url_path="heads"),
        st.Page(_HERE / "comparison.py", title=say("Compare"), url_path="compare"),
        st.Page(_HERE / "lens.py", title=say("Logit lens"), url_path="lens"),
        st.Page(_HERE / "playback.py", title=say("Playback"), url_path="playback"),
        st.Page(_HERE / "picture.py", title=say("A picture"), url_path="picture"),
        st.Page(_HERE / "roles.py", title=say("Roles of heads"), url_path="roles"),
        st.Page(_HERE / "atlas.py", title=say("An atlas"), url_path="atlas"),
        st.Page(_HERE / "sets.py", title=say("A set of cases"), url_path="sets"),
    ]


if __name__ == "__main__":
    draw()
