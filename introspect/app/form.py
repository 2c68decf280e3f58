"""The fields for a text and a model, drawn above the pages and kept from page to page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import streamlit as st

from introspect.app.cached import model_named
from introspect.app.display import say
from introspect.app.entries import (
    MODELS,
    Entry,
    Word,
    case_from_words,
    example_of,
    example_words,
    is_example,
    words_of,
)
from introspect.errors import ModelError, TextError
from introspect.records import Kind
from introspect.text import CorefCase

_OTHER = "another …"
_MODEL, _ENTRY = "asked model", "asked entry"


def ask() -> None:
    """Draw the fields for a text and a model, and store the entry.

    Raises:
        IntrospectError: the text is empty, or the model cannot be loaded.
    """
    st.session_state.setdefault("text", example_of(MODELS[0]).text)
    left, right = st.columns([3, 1])
    with left:
        text = st.text_area(say("Text"), key="text", height=110, persist_state="session")
    with right:
        ask_model()
        name = asked_model()
        if name in MODELS and text != example_of(name).text:
            st.button(say("Show its example"), on_click=_fill, args=(name,))
    kinds = model_named(name).kinds
    further = _encoder_decoder(name, kinds) if len(kinds) > 1 else _pair()
    if not text.strip():
        raise TextError("Expected a text with words in it, got an empty one. Type a sentence.")
    st.session_state[_ENTRY] = Entry(text=text, **further)


def ask_model() -> None:
    """Draw the choice of a model, load it, and store its name.

    Raises:
        ModelError: there is no such model, or it cannot be used.
    """
    chosen = st.selectbox(
        say("Model"),
        (*MODELS, _OTHER),
        key="model",
        on_change=_take_example,
        persist_state="session",
        help=say(
            "minilm is the default; the next five are small models whose mechanisms are "
            "known. Choose “another …” to enter a hub id or a local folder."
        ),
    )
    name = chosen
    if chosen == _OTHER:
        name = st.text_input(
            say("Hub id or folder"), key="model name", persist_state="session"
        ).strip()
        if not name:
            raise ModelError(
                "Expected the hub id of a model, such as bert-base-uncased, or a folder that "
                "save_pretrained wrote. Type one, or choose a model from the list."
            )
    model_named(name)
    st.session_state[_MODEL] = name


def asked() -> tuple[str, Entry]:
    """Return the model's name and the entry, for a page below the fields."""
    return asked_model(), cast(Entry, st.session_state[_ENTRY])


def asked_model() -> str:
    """Return the model's name."""
    return str(st.session_state[_MODEL])


def _take_example() -> None:
    """Fill in the example of a newly chosen model, unless the user has typed a text."""
    if is_example(st.session_state.get("text", "")):
        _fill(st.session_state["model"])


def _fill(model: str) -> None:
    example = example_of(model)
    st.session_state["text"] = example.text
    st.session_state["target"] = example.target


def _pair() -> dict[str, Any]:
    with st.expander(say("Second text and truncation")):
        left, right = st.columns([3, 1], vertical_alignment="bottom")
    pair = left.text_input(
        say("Second text, for models that read pairs"), key="pair", persist_state="session"
    )
    return {"pair": pair if pair.strip() else None, "truncation": _truncation(right)}


def _encoder_decoder(name: str, kinds: Sequence[Kind]) -> dict[str, Any]:
    st.session_state.setdefault("target", example_of(name).target)
    left, middle, right = st.columns([3, 2, 2], vertical_alignment="bottom")
    target = left.text_input(
        say("Target: the text that the model writes"), key="target", persist_state="session"
    )
    writes = bool(target.strip())
    kind = middle.selectbox(
        say("Attention"),
        kinds if writes else kinds[:1],
        index=len(kinds) - 1 if writes else 0,
        key="kind" if writes else "kind of encoder",
        persist_state="session",
    )
    return {
        "target": target if writes else None,
        "kind": kind,
        "truncation": _truncation(right),
    }


def _truncation(place: Any) -> bool:
    return bool(
        place.checkbox(
            say("Truncate a text that is too long"),
            key="truncation",
            persist_state="session",
            help=say("Otherwise it is rejected. A notice shows what was truncated."),
        )
    )


def choose_case(name: str, text: str) -> CorefCase | None:
    """Draw the fields that mark a case in a text; return ``None`` while a part is missing.

    Args:
        name: the name of the model, whose example is already marked.
        text: the text.
    """
    words = words_of(text)
    pronoun, gold, other = example_words(example_of(name), text)
    left, middle, right = st.columns(3)
    # Each text keeps its own marks, which are restored when the text returns.
    options = range(len(words))

    def label(index: int) -> str:
        return words[index].label

    chosen = left.selectbox(
        say("Pronoun"),
        options,
        index=pronoun[0] if pronoun else None,
        format_func=label,
        key=f"pronoun {text}",
        persist_state="session",
        placeholder=say("Choose a word"),
    )
    antecedents = middle.multiselect(
        say("Refers to"),
        options,
        default=gold,
        format_func=label,
        key=f"antecedent {text}",
        persist_state="session",
        placeholder=say("Choose words"),
        help=say("Adjacent words form one candidate: old and dog become “old dog”."),
    )
    distractors = right.multiselect(
        say("Might refer to, but does not"),
        options,
        default=other,
        format_func=label,
        key=f"distractor {text}",
        persist_state="session",
        placeholder=say("Choose words"),
    )
    if chosen is None or not (antecedents or distractors):
        return None

    def at(indices: Sequence[int]) -> list[Word]:
        return [words[index] for index in indices]

    return case_from_words(text, words[chosen], at(antecedents), at(distractors))


def choose_word(label: str, words: Sequence[Word], first: int | None, key: str) -> Word | None:
    """Draw the choice of one word of a text; return ``None`` while none is chosen.

    Args:
        label: the label of the field, in the language of the app.
        words: the words to choose from.
        first: the index of the word chosen at first, if any.
        key: the key of the field.
    """
    chosen = st.selectbox(
        label,
        range(len(words)),
        index=first,
        format_func=lambda index: words[index].label,
        key=key,
        persist_state="session",
        placeholder=say("Choose a word"),
    )
    return None if chosen is None else words[chosen]
