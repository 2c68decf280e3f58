"""The fields for a text and a model, drawn above the pages and kept from page to page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import streamlit as st

from introspect.app.cached import is_ready, model_named
from introspect.app.chinese import word
from introspect.app.display import plain, say
from introspect.app.entries import (
    EXAMPLES,
    MODELS,
    Entry,
    Word,
    case_from_words,
    case_link,
    example_of,
    example_words,
    is_example,
    marks_linked,
    words_of,
)
from introspect.errors import IntrospectError, ModelError, TextError
from introspect.records import Kind
from introspect.text import CorefCase, shortened


class Place(Protocol):
    """Where the page will be drawn, as ``st.empty`` and ``st.container`` return it."""

    def info(self, body: str) -> Any:
        """Show a message."""

    def empty(self) -> Any:
        """Show nothing."""


_OTHER = "another …"
_EXAMPLE_WIDTH = 34
_MODEL, _ENTRY, _DRAWN = "asked model", "asked entry", "drawn model"
# Names that were typed in this session, each with its field, not only found in its address.
_TYPED = "typed names"
# More words than these get a box of their own that scrolls.
_MANY = 60


def kept(key: str, default: Any = None, labels: Sequence[str] = ()) -> dict[str, Any]:
    """Return the arguments of a field whose value outlives its page, in the page's address.

    Args:
        key: the field's key, which is also its name in the address.
        default: its value, unless the session or the address has one.
        labels: what it can be, as the address has it; by default anything.
    """
    linked = st.query_params.get(key)
    is_linked = linked in labels if labels else linked is not None
    if default is not None and key not in st.session_state and not is_linked:
        st.session_state[key] = default
    return {"key": key, "bind": "query-params", "persist_state": "session"}


def ask(place: Place, *, with_text: bool = True) -> None:
    """Draw the fields for a text and a model, and store the entry.

    Args:
        place: where the page will be drawn.
        with_text: whether the page is of a text; otherwise only the model is asked for.

    Raises:
        IntrospectError: the text is empty, or the model cannot be loaded.
    """
    if not with_text:
        ask_model(place)
        return
    text = st.text_area(say("Text"), height=110, **kept("text", example_of(MODELS[0]).text))
    _offer_examples()
    ask_model(place)
    name = asked_model()
    kinds = model_named(name).kinds
    further = _encoder_decoder(name, kinds) if len(kinds) > 1 else _pair()
    if not text.strip():
        raise TextError("Expected a text with words in it, got an empty one. Type a sentence.")
    st.session_state[_ENTRY] = Entry(text=text, **further)


def _offer_examples() -> None:
    """Draw a button for each example, which fills in its text and its model."""
    with st.expander(say("Examples")), st.container(horizontal=True, gap="xsmall"):
        for name, example in EXAMPLES.items():
            for text in dict.fromkeys((example.text, example.other_text)):
                st.button(
                    plain(shortened(text, _EXAMPLE_WIDTH)),
                    key=f"example {name} {text}",
                    help=plain(f"{name}: {text}"),
                    on_click=_fill,
                    args=(name, text),
                )


def ask_model(place: Place) -> None:
    """Draw the choice of a model, load it, and store its name.

    Args:
        place: where the page will be drawn; what it showed of another model goes at once.

    Raises:
        ModelError: there is no such model, or it cannot be used.
    """
    chosen = st.selectbox(
        say("Model"),
        (*MODELS, _OTHER),
        on_change=_take_example,
        help=say(
            "minilm is the default; the next five are small models whose mechanisms are "
            "known. Choose “another …” to enter a hub id or a local folder."
        ),
        **kept("model"),
    )
    name = _other_name() if chosen == _OTHER else chosen
    if name != st.session_state.get(_MODEL):
        st.session_state.pop(_MODEL, None)
        place.info(say("Loading {name} …", name=plain(name)))
    try:
        model_named(name)
    except IntrospectError:
        place.empty()
        raise
    st.session_state[_MODEL] = name


def is_of_another_model() -> bool:
    """Return whether the page on the screen is of another model than the one now chosen."""
    chosen = [st.session_state.get(key) for key in ("model", "name")]
    before, st.session_state[_DRAWN] = st.session_state.get(_DRAWN), chosen
    return chosen != before


def _other_name() -> str:
    """Draw the field for the name of a model, and return one that may be loaded.

    Raises:
        ModelError: there is no name, or it is from the address alone.
    """
    name = typed_name("name", say("Hub id or folder"))
    if name is None:
        raise ModelError(
            "Expected the hub id of a model, such as bert-base-uncased, or a folder that "
            "save_pretrained wrote. Type one, or choose a model from the list."
        )
    return name


def typed_name(key: str, label: str) -> str | None:
    """Draw a field for the name of a model; return ``None`` while it is empty.

    Args:
        key: the key of the field.
        label: its label, in the language of the app.

    Raises:
        ModelError: the name is from the address alone.
    """
    return typed(
        key,
        label,
        is_known=is_ready,
        offer=say("Load this model"),
        refusal="The model {name!r} is named by the address alone and is not loaded. Press “Load "
        "this model” if you trust it, or choose another.",
    )


def typed(
    key: str,
    label: str,
    *,
    is_known: Callable[[str], bool],
    offer: str,
    refusal: str,
    first: str | None = None,
) -> str | None:
    """Draw a field for what this machine is to load; return ``None`` while it is empty.

    Whoever made a link may not choose that: what only the address names needs a press of a button.

    Args:
        key: the key of the field.
        label: its label, in the language of the app.
        is_known: whether somebody has loaded something of this name before.
        offer: the words on the button.
        refusal: what is said until it is pressed, with a place for the name.
        first: what it holds at first.

    Raises:
        ModelError: the name is from the address alone.
    """

    def note() -> None:
        names = st.session_state.setdefault(_TYPED, set())
        names.add((key, st.session_state[key].strip()))

    name = str(st.text_input(label, on_change=note, **kept(key, first)) or "").strip()
    if not name:
        return None
    if (key, name) not in st.session_state.get(_TYPED, ()) and not is_known(name):
        st.button(offer, on_click=note)
        raise ModelError(refusal.format(name=name))
    return name


def asked() -> tuple[str, Entry]:
    """Return the model's name and the entry, for a page below the fields."""
    return asked_model(), cast(Entry, st.session_state[_ENTRY])


def asked_model() -> str:
    """Return the model's name."""
    return str(st.session_state[_MODEL])


def _take_example() -> None:
    """Fill in the example of a newly chosen model, unless the user has typed a text."""
    name = st.session_state["model"]
    if is_example(st.session_state.get("text", "")) and name in MODELS:
        _fill(name, example_of(name).text)


def _fill(model: str, text: str) -> None:
    st.session_state["text"] = text
    st.session_state["model"] = model
    st.session_state["target"] = example_of(model).target


def _pair() -> dict[str, Any]:
    with st.expander(say("Second text and truncation")):
        pair = st.text_input(say("Second text, for models that read pairs"), **kept("pair"))
        truncation = _truncation()
    return {"pair": pair if pair.strip() else None, "truncation": truncation}


def _encoder_decoder(name: str, kinds: Sequence[Kind]) -> dict[str, Any]:
    target = st.text_input(
        say("Target: the text that the model writes"), **kept("target", example_of(name).target)
    )
    writes = bool(target.strip())
    kind = st.selectbox(
        say("Attention"),
        kinds if writes else kinds[:1],
        **kept("kind" if writes else "kind of encoder", kinds[-1] if writes else kinds[0], kinds),
    )
    return {"target": target if writes else None, "kind": kind, "truncation": _truncation()}


def _truncation() -> bool:
    return bool(
        st.checkbox(
            say("Truncate a text that is too long"),
            help=say("Otherwise it is rejected. A notice shows what was truncated."),
            **kept("truncation"),
        )
    )


_ROLES = {
    "pronoun": word("Pronoun"),
    "antecedent": word("Refers to"),
    "distractor": word("Might refer to, but does not"),
}


def choose_case(name: str, text: str) -> CorefCase | None:
    """Draw the words of a text to click, in the sidebar; return ``None`` while a part is missing.

    Args:
        name: the name of the model, whose example is already marked.
        text: the text.
    """
    words = words_of(text)
    # Each text keeps its own marks, which are restored when the text returns.
    marks = st.session_state.setdefault(f"marks {text}", _first_marks(name, text, len(words)))
    with st.sidebar:
        st.segmented_control(
            say("Click the words:"),
            list(_ROLES),
            format_func=lambda role: say(_ROLES[role]),
            default="pronoun",
            required=True,
            key="role",
            persist_state="session",
            help=say("Adjacent words form one candidate: old and dog become “old dog”."),
        )
        with st.container(height=240 if len(words) > _MANY else "content", border=False):
            _draw_words(words, marks, text)
        st.caption(_summary(words, marks))
    st.query_params["case"] = case_link(marks)
    pronoun, antecedents, distractors = ([words[i] for i in marks[role]] for role in _ROLES)
    if not pronoun or not (antecedents or distractors):
        return None
    return case_from_words(text, pronoun[0], antecedents, distractors)


def _first_marks(name: str, text: str, count: int) -> dict[str, list[int]]:
    linked = marks_linked(st.query_params.get("case", ""), count)
    if linked is not None and "case" not in st.session_state:
        st.session_state["case"] = "read"
        return linked
    return dict(zip(_ROLES, example_words(example_of(name), text), strict=True))


# How a word shows what it is.
_COLORS = {"pronoun": ":primary-background", "antecedent": ":blue-background",
           "distractor": ":orange-background"}  # fmt: skip


def _draw_words(words: Sequence[Word], marks: dict[str, list[int]], text: str) -> None:
    """Draw each word as a button, so that no click is lost while the page is drawn anew.

    A press is kept until it is read, and is in the role that is chosen then. What is chosen of
    several would be the last choice alone, and of the role that was drawn.
    """
    role_of = {index: role for role, indices in marks.items() for index in indices}
    with st.container(horizontal=True, gap="xxsmall"):
        for word in words:
            label, role = plain(word.label), role_of.get(word.index)
            st.button(
                label if role is None else f"{_COLORS[role]}[{label}]",
                key=f"word {word.index} {text}",
                type="tertiary",
                help=None if role is None else say(_ROLES[role]),
                on_click=_mark,
                args=(text, word.index),
            )


def _mark(text: str, index: int) -> None:
    """Give a word the chosen role, or take it away where the word has it already."""
    marks, role = st.session_state[f"marks {text}"], st.session_state["role"]
    had = index in marks[role]
    # A word has one role: the one that it was given last.
    for other in marks:
        marks[other] = [each for each in marks[other] if each != index]
    if had:
        return
    marks[role] = [index] if role == "pronoun" else sorted([*marks[role], index])


def _summary(words: Sequence[Word], marks: dict[str, list[int]]) -> str:
    """Return what is marked, each role with its words."""
    parts = [
        f"{say(_ROLES[role])}: {plain(', '.join(words[index].label for index in marks[role]))}"
        for role in _ROLES
        if marks[role]
    ]
    return "  \n".join(parts)


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
