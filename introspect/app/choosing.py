"""Fields that pages share: a case that is marked in a text, and a word of it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from introspect.app.drawing import say
from introspect.app.examples import example_of
from introspect.app.questions import Word, case_from_words, example_words, words_of
from introspect.mentions import CorefCase

__all__ = ["choose_case", "choose_word"]


def choose_case(name: str, text: str) -> CorefCase | None:
    """The case that is marked in a text; nothing while a part is missing.

    Args:
        name: of the model, whose example is marked already.
        text: the text.
    """
    words = words_of(text)
    pronoun, gold, other = example_words(example_of(name), text)
    left, middle, right = st.columns(3)
    # Each text has marks of its own, which come back with it.
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
    """One word of a text; nothing while none is chosen.

    Args:
        label: of the field, in the language of the app.
        words: those to choose from.
        first: the one that is chosen at first, if any.
        key: of the field.
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
