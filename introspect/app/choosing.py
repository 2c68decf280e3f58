"""Fields that pages share: the choice of a case in a text and the choice of a word."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from introspect.app.drawing import say
from introspect.app.examples import example_of
from introspect.app.questions import Word, case_from_words, example_words, words_of
from introspect.mentions import CorefCase

__all__ = ["choose_case", "choose_word"]


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
        help=say("Neighbouring words are one candidate: old, dog are “old dog”."),
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
