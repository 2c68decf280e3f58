"""The fields for an ablation: heads and a method, or one word cut off from another."""

from __future__ import annotations

import streamlit as st

from introspect.app.choosing import choose_word
from introspect.app.drawing import say
from introspect.app.examples import EXAMPLES, example_of
from introspect.app.questions import Question, example_words, words_of
from introspect.app.removal import METHODS, Removal, head_names
from introspect.app.words import word
from introspect.errors import SelectionError
from introspect.models import Model
from introspect.records import Head

__all__ = ["choose_removal"]

_EDGE = "edge"
_WAYS = {
    METHODS[0]: word("Zero"),
    METHODS[1]: word("Mean"),
    METHODS[2]: word("Uniform"),
    _EDGE: word("Cut a word off"),
}
_MEANINGS = {
    METHODS[0]: word("The heads give nothing on. The strongest change."),
    METHODS[1]: word("The heads give on what they give in the mean over all tokens of some texts."),
    METHODS[2]: word("The heads attend alike to all that they may see."),
    _EDGE: word("The heads stay, but one word can no longer look at another."),
}


def choose_removal(model: Model, name: str, question: Question) -> Removal | None:
    """Draw the fields; return ``None``, with a message, while a part is missing.

    Args:
        model: the model.
        name: the name that the model was requested by.
        question: the text and how it is read.

    Raises:
        SelectionError: a word would be cut off outside the encoder's attention.
    """
    way = st.segmented_control(
        say("How"),
        list(_WAYS),
        format_func=lambda way: say(_WAYS[way]),
        default=METHODS[0],
        required=True,
        key="way of taking out",
        persist_state="session",
    )
    st.caption(say(_MEANINGS[way]))
    if way == _EDGE:
        return _edge(model, name, question)
    heads = _heads(model, name, question, at_least_one=True)
    references = _references(question.text) if way == "mean" else ()
    if not heads:
        st.info(say("Choose a head, such as L3H1, or a whole layer, such as L3."))
        return None
    return Removal(heads, way, references=references)


def _heads(model: Model, name: str, question: Question, *, at_least_one: bool) -> tuple[str, ...]:
    names = head_names(model, question.kind)
    example = example_of(name)
    first = str(Head(example.layer, example.head))
    first = first if first in names else names[1]

    def label(found: str) -> str:
        return found if "H" in found else say("{layer} (whole layer)", layer=found)

    return tuple(
        st.multiselect(
            say("Heads"),
            names,
            default=[first] if at_least_one else [],
            format_func=label,
            key=f"heads of {name} {question.kind} {at_least_one}",
            persist_state="session",
            placeholder=say("Choose heads") if at_least_one else say("All heads"),
            help=say("Type to find one: L3H1 is head 1 of layer 3; L3 is the whole layer."),
        )
    )


def _references(text: str) -> tuple[str, ...]:
    own = [text]
    for example in EXAMPLES.values():
        own += [example.twin] if text == example.text else []
    written = st.text_area(
        say("Texts for the mean, one on each line"),
        value="\n".join(dict.fromkeys(own)),
        height=90,
        key=f"references {text}",
        persist_state="session",
    )
    lines = tuple(line for line in written.splitlines() if line.strip())
    if not lines:
        raise SelectionError("Expected at least one text for the mean, got none. Type one.")
    return lines


def _edge(model: Model, name: str, question: Question) -> Removal | None:
    if question.kind in ("cross", "decoder"):
        raise SelectionError(
            "Expected the encoder's attention, where both words are of the text. Empty the target, "
            "or choose the encoder's attention above."
        )
    words = words_of(question.text)
    pronoun, gold, _ = example_words(example_of(name), question.text)
    left, middle, right = st.columns(3)
    with left:
        query = choose_word(
            say("Word that looks"), words, next(iter(pronoun), None), f"looks {question.text}"
        )
    with middle:
        key = choose_word(
            say("Word that it no longer sees"),
            words,
            next(iter(gold), None),
            f"seen {question.text}",
        )
    with right:
        heads = _heads(model, name, question, at_least_one=False)
    if query is None or key is None:
        st.info(say("Choose the word that looks, and the word that it no longer sees."))
        return None
    return Removal(heads, edge=(query.span, key.span))
