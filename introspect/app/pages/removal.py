"""The page for ablation: attention, states, and words before and after, and head effects."""

from __future__ import annotations

from typing import Any, cast

import pandas as pd
import streamlit as st

from introspect.app.cached import (
    before_after_of,
    model_to_ask,
    page_of_removal,
    page_of_study,
    study_named,
)
from introspect.app.chinese import word
from introspect.app.display import (
    column_of_heads,
    column_of_shares,
    embed,
    offer_table,
    plain,
    say,
    show_notices,
)
from introspect.app.entries import (
    EXAMPLES,
    METHODS,
    Entry,
    Removal,
    example_of,
    example_words,
    words_of,
)
from introspect.app.form import asked, choose_case, choose_word
from introspect.app.tables import effect_table
from introspect.errors import SelectionError
from introspect.interventions import Ablation, names_of_heads
from introspect.models import Model
from introspect.records import Head
from introspect.studies.causal import BeforeAfter, way_of_predicting
from introspect.text import percent, quantity

_EDGE = "edge"
_WAYS = {
    METHODS[0]: word("Zero"),
    METHODS[1]: word("Mean"),
    METHODS[2]: word("Uniform"),
    _EDGE: word("Cut an edge"),
}
_MEANINGS = {
    METHODS[0]: word("The heads output zeros. This is the strongest change."),
    METHODS[1]: word("The heads output their mean over all tokens of some texts."),
    METHODS[2]: word("The heads attend equally to all tokens that the mask allows."),
    _EDGE: word("The heads are kept, but one word can no longer attend to another."),
}


def choose_removal(model: Model, name: str, entry: Entry) -> Removal | str:
    """Draw the fields; return what is to be chosen, in words, while a part is missing.

    Args:
        model: the model.
        name: the name that the model was requested by.
        entry: the text and how it is read.

    Raises:
        SelectionError: an edge would be cut outside the encoder's attention.
    """
    way = st.segmented_control(
        say("Method"),
        list(_WAYS),
        format_func=lambda way: say(_WAYS[way]),
        default=METHODS[0],
        required=True,
        key="method of ablation",
        persist_state="session",
    )
    st.caption(say(_MEANINGS[way]))
    if way == _EDGE:
        return _edge(model, name, entry)
    heads = _heads(model, name, entry, at_least_one=True)
    references = _references(entry.text) if way == "mean" else ()
    if not heads:
        return say("Choose a head, such as L3H1, or a whole layer, such as L3.")
    return Removal(heads, cast(Ablation, way), references=references, kind=entry.kind)


def _heads(model: Model, name: str, entry: Entry, *, at_least_one: bool) -> tuple[str, ...]:
    names = names_of_heads(model.module, entry.kind)
    example = example_of(name)
    first = str(Head(example.layer, example.head))
    first = first if first in names else names[1]

    def label(name: str) -> str:
        return name if "H" in name else say("{layer} (whole layer)", layer=name)

    return tuple(
        st.multiselect(
            say("Heads"),
            names,
            default=[first] if at_least_one else [],
            format_func=label,
            key=f"heads of {name} {entry.kind} {at_least_one}",
            persist_state="session",
            placeholder=say("Choose heads") if at_least_one else say("All heads"),
            help=say("Type to search: L3H1 is head 1 of layer 3; L3 is the whole layer."),
        )
    )


def _references(text: str) -> tuple[str, ...]:
    own = [text]
    for example in EXAMPLES.values():
        own += [example.other_text] if text == example.text else []
    written = st.text_area(
        say("Texts to average over, one per line"),
        value="\n".join(dict.fromkeys(own)),
        height=90,
        key=f"references {text}",
        persist_state="session",
    )
    lines = tuple(line for line in written.splitlines() if line.strip())
    if not lines:
        raise SelectionError("Expected at least one text for the mean, got none. Type one.")
    return lines


def _edge(model: Model, name: str, entry: Entry) -> Removal | str:
    if entry.is_of_target:
        raise SelectionError(
            "Expected the encoder's attention, where both words are of the text. Clear the target, "
            "or choose the encoder's attention in the sidebar."
        )
    words = words_of(entry.text)
    pronoun, gold, _ = example_words(example_of(name), entry.text)
    query = choose_word(
        say("Word that attends"), words, next(iter(pronoun), None), f"attends {entry.text}"
    )
    key = choose_word(
        say("Word that it can no longer attend to"),
        words,
        next(iter(gold), None),
        f"attended to {entry.text}",
    )
    heads = _heads(model, name, entry, at_least_one=False)
    if query is None or key is None:
        return say("Choose the word that attends and the word that it can no longer attend to.")
    return Removal(heads, edge=(query.span, key.span), kind=entry.kind)


#: The results offered, in order.
_CHOICES = {
    "attention": word("Attention before and after"),
    "states": word("Hidden states"),
    "words": word("Predictions"),
    "effects": word("Effect of each head"),
}
#: The label of the word field, by how the model predicts words.
_ASKED = {
    "masked": word("Masked word"),
    "at": word("Word at which the model predicts"),
    "after": word("Word after which the model predicts"),
    "written": word("Word of the target that the model predicts"),
}


def draw() -> None:
    """Draw the choice of what to ablate and the resulting changes."""
    name, entry = asked()
    if entry.pair:
        raise SelectionError(
            "Expected one text to ablate heads on, got a pair. Clear the second text."
        )
    model = model_to_ask(name)
    with st.sidebar:
        removal = choose_removal(model, name, entry)
    if isinstance(removal, str):
        st.info(removal)
        return
    compared = before_after_of(name, entry, removal)
    show_notices(compared.before.notices)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(plain(compared.words), anchor=False, width="content")
        chosen = st.segmented_control(
            say("What to show"),
            list(_CHOICES),
            format_func=lambda choice: say(_CHOICES[choice]),
            default="attention",
            required=True,
            label_visibility="collapsed",
            key="what of heads",
            persist_state="session",
        )
    if chosen == "attention":
        embed(page_of_removal(name, entry, removal), say("Compare view"))
    elif chosen == "states":
        _draw_states(compared.last_states)
    elif chosen == "words":
        _draw_words(name, entry, removal)
    else:
        _draw_effects(name, entry, removal)
    _draw_summary(compared)


def _draw_summary(compared: BeforeAfter) -> None:
    changed = compared.most_changed
    if changed is None:
        st.info(
            say(
                "No attention changes: no later attention reads what was removed, or the mask "
                "hid it before."
            )
        )
    else:
        head, share = changed
        st.markdown(
            plain(
                say(
                    "The attention of {head} changes most: {share} of it goes elsewhere.",
                    head=head,
                    share=percent(share),
                )
            )
        )
    states = compared.last_states
    most = states.loc[states["moved"].idxmax()]
    st.markdown(
        plain(
            say(
                "After the last layer, the hidden states of the tokens have moved by {mean} of "
                "their norm on average, that of “{token}” most, by {most}.",
                mean=percent(states["moved"].mean()),
                token=most["token"],
                most=percent(most["moved"]),
            )
        )
    )


def _draw_states(states: pd.DataFrame) -> None:
    number = st.column_config.NumberColumn
    columns: dict[str, Any] = {
        "position": number(say("position")),
        "token": say("token"),
        "moved": number(
            say("moved by"),
            format="%.4f",
            help=say("The norm of the difference, divided by the norm of the unchanged state."),
        ),
        "cosine": number(
            say("cosine"),
            format="%.4f",
            help=say("Between the two states; 1 means the same direction."),
        ),
    }
    st.dataframe(states, hide_index=True, column_config=columns, alt="Hidden states of the tokens")
    offer_table(states, "states.csv")


def _draw_words(name: str, entry: Entry, removal: Removal) -> None:
    way = way_of_predicting(model_to_ask(name))
    if way is None:
        st.info(
            say(
                "This model has no language-modeling head: it outputs hidden states only. "
                "Models that predict words are pronoun, pronoun-gated, induction, shortcut and "
                "reversal, masked models such as BERT, and all that write."
            )
        )
        return
    words = words_of((entry.target or "") if way == "written" else entry.text)
    if not words:
        st.info(say("There is no word to predict: enter a target for the model to write."))
        return
    pronoun, _, _ = example_words(example_of(name), entry.text)
    first = pronoun[0] if pronoun else (0 if way == "written" else len(words) - 1)
    key = f"asked at {way} {entry.text} {entry.target}"
    # Indices of an example count all its words, so they are valid in this list.
    with st.sidebar:
        chosen = choose_word(say(_ASKED[way]), words, first, key)
    if chosen is None:
        return
    table = before_after_of(name, entry, removal, at=chosen.span).predictions
    assert table is not None
    before, after = (table.loc[table[when].idxmax()] for when in ("before", "after"))
    st.markdown(
        plain(
            say(
                "Before, the model predicts “{one}” ({share}); after, “{other}” ({less}).",
                one=before["word"],
                share=percent(before["before"]),
                other=after["word"],
                less=percent(after["after"]),
            )
        )
    )
    share = st.column_config.ProgressColumn
    columns: dict[str, Any] = {
        "word": say("word"),
        "before": share(say("before"), format="%.4f", min_value=0.0, max_value=1.0),
        "after": share(say("after"), format="%.4f", min_value=0.0, max_value=1.0),
    }
    st.dataframe(table, hide_index=True, column_config=columns, alt="Words before and after")
    offer_table(table, "words.csv")


def _draw_effects(name: str, entry: Entry, removal: Removal) -> None:
    if removal.edge is not None:
        st.info(say("Effects are measured for ablated heads, not for a cut edge."))
        return
    if entry.is_of_target:
        raise SelectionError(
            "Expected the encoder's attention, in which a pronoun can be marked. Clear the target, "
            "or choose the encoder's attention in the sidebar."
        )
    case = choose_case(name, entry.text)
    if case is None:
        st.info(
            say("Choose the pronoun, what it refers to, and what it might refer to but does not.")
        )
        return
    asked_for = (name, case, removal.method, removal.references)
    heads = study_named(*asked_for).heads
    preference = before_after_of(name, entry, removal, case=case).preference
    assert preference is not None
    metric = preference.metric
    if metric.is_surrogate:
        show_notices([f"Effects are on {metric.words}."])
    surrogate = say(", a surrogate") if metric.is_surrogate else ""
    st.markdown(
        plain(
            say(
                "The model prefers the antecedent by {before} {unit}{surrogate}; with all "
                "chosen heads ablated, by {after}.",
                before=quantity(preference.before),
                after=quantity(preference.after),
                unit=metric.unit,
                surrogate=surrogate,
            )
        )
    )
    number = st.column_config.NumberColumn
    unit = f"{metric.unit}{surrogate}"
    columns: dict[str, Any] = {
        "head": column_of_heads(),
        "effect": number(
            say("effect, in {unit}", unit=unit),
            format="%.5f",
            help=say("How far the preference falls when this head alone is ablated."),
        ),
        "control": number(
            say("other heads of the layer"),
            format="%.5f",
            help=say("The mean effect of the other heads of the same layer."),
        ),
        "antecedent": column_of_shares(),
    }
    table = effect_table(heads)
    st.dataframe(
        table, hide_index=True, height=300, column_config=columns, alt="Effect of each head"
    )
    st.caption(say("One sentence is an example, not evidence: there are no confidence intervals."))
    offer_table(table, "effects.csv")
    embed(page_of_study(*asked_for), say("Causal view"))


if __name__ == "__main__":
    draw()
