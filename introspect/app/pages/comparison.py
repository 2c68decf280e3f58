"""Two texts, or two models on one text, side by side with their difference."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from introspect.app.cached import model_named, page_of_comparison
from introspect.app.chinese import word
from introspect.app.display import embed, say
from introspect.app.entries import MODELS, Entry, example_of
from introspect.app.form import asked
from introspect.errors import InputError

_TEXTS, _MODELS = word("Another text"), word("Another model")


def draw() -> None:
    """Draw the choice of what to compare, and the two sides with their difference."""
    name, entry = asked()
    with st.sidebar:
        with_what = st.segmented_control(
            say("Compare with"),
            (_TEXTS, _MODELS),
            format_func=say,
            default=_TEXTS,
            required=True,
            key="compare with",
            persist_state="session",
        )
        other = _other_text if with_what == _TEXTS else _other_model
        names, entries, labels = other(name, entry)
    embed(page_of_comparison(names, entries, labels), say("Compare view"))


_Pair = tuple[tuple[str, str], tuple[Entry, Entry], tuple[str, str]]


def _other_text(name: str, entry: Entry) -> _Pair:
    example = example_of(name)
    other_text = example.text if entry.text == example.other_text else example.other_text
    text = st.text_area(
        say("Other text"),
        value=other_text,
        key=f"other text {name}",
        height=80,
        persist_state="session",
    )
    if text == entry.text:
        raise InputError(
            "Expected another text, got the same one twice. Change a word in one of the two."
        )
    return (name, name), (entry, replace(entry, text=text)), ("A", "B")


def _other_model(name: str, entry: Entry) -> _Pair:
    other = st.text_input(
        say("Other model: alias, hub id or folder"),
        value="pronoun-gated" if name != "pronoun-gated" else "pronoun",
        key="other model",
        persist_state="session",
        help=", ".join(MODELS),
    ).strip()
    if other == name:
        raise InputError("Expected another model, got the same one twice. Name a second model.")
    model_named(other)
    return (name, other), (entry, entry), (name, other)


if __name__ == "__main__":
    draw()
