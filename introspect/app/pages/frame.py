"""The frame of the app, run by Streamlit: the pages and the fields that they share."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from introspect.app.chinese import LANGUAGES, word
from introspect.app.display import say, telling
from introspect.app.form import ask, ask_model

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
    "sets": word("The accuracy of every head on a file of cases, beside that of position alone."),
}


def draw() -> None:
    """Draw the chosen page with its fields above it."""
    st.set_page_config(page_title="introspect", layout="wide")
    st.html(_STYLES)
    about_sets = st.Page(_HERE / "sets.py", title=say("A set of cases"), url_path="sets")
    page = st.navigation(
        [
            st.Page(_HERE / "sentence.py", title=say("One text"), url_path="text", default=True),
            st.Page(_HERE / "pronoun.py", title=say("A pronoun"), url_path="pronoun"),
            st.Page(_HERE / "removal.py", title=say("Ablate heads"), url_path="heads"),
            st.Page(_HERE / "comparison.py", title=say("Compare"), url_path="compare"),
            about_sets,
        ],
        position="top",
    )
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    left.title(page.title, anchor=False)
    right.segmented_control(
        say("Language"),
        LANGUAGES,
        default=LANGUAGES[0],
        required=True,
        key="language",
        persist_state="session",
        label_visibility="collapsed",
    )
    st.markdown(say(_LEADS[page.url_path]))
    with telling():
        if page == about_sets:
            with st.columns([1, 3])[0]:
                ask_model()
        else:
            ask()
        page.run()
    st.caption(say(_CAVEAT))


if __name__ == "__main__":
    draw()
