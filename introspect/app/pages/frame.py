"""The frame of the app: its pages, and above them what they have in common. Streamlit runs it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from introspect.app.drawing import telling
from introspect.app.form import ask, ask_model

__all__ = ["draw"]

_HERE = Path(__file__).parent
_CAVEAT = (
    "Attention shows where a head looks, not why the model decides. What is typed or uploaded "
    "stays on the machine that runs this app."
)
_LEADS = {
    "": "What every head attends to while the model reads a text.",
    "pronoun": "Where the heads look at a pronoun: at what it refers to, or at something else.",
    "compare": "Two texts that differ in a word, or two models on one text.",
    "sets": "From a file of cases to a head’s accuracy, beside what position alone would give.",
}


def draw() -> None:
    """Draw the page that is chosen, with its fields above it."""
    st.set_page_config(page_title="introspect", layout="wide")
    about_sets = st.Page(_HERE / "sets.py", title="A set of cases", url_path="sets")
    page = st.navigation(
        [
            st.Page(_HERE / "sentence.py", title="One text", url_path="text", default=True),
            st.Page(_HERE / "pronoun.py", title="A pronoun", url_path="pronoun"),
            st.Page(_HERE / "comparison.py", title="Compare", url_path="compare"),
            about_sets,
        ],
        position="top",
    )
    st.title(page.title, anchor=False)
    st.markdown(_LEADS[page.url_path])
    with telling():
        if page == about_sets:
            with st.columns([1, 3])[0]:
                ask_model()
        else:
            ask()
        page.run()
    st.caption(_CAVEAT)


if __name__ == "__main__":
    draw()
