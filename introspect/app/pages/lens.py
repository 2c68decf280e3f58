"""The page for the logit lens: what a model would predict after each layer."""

from __future__ import annotations

import streamlit as st

from introspect.app.cached import model_to_ask, page_of_lens, record_of
from introspect.app.display import embed_report, plain, say
from introspect.app.entries import Entry
from introspect.app.form import asked
from introspect.records import AttentionRecord
from introspect.studies.causal import way_of_predicting
from introspect.text import visible


def draw() -> None:
    """Draw the choice of a token, and the report on what is predicted there."""
    name, entry = asked()
    if way_of_predicting(model_to_ask(name)) is None:
        st.info(
            say(
                "This model has no language-modeling head: it outputs hidden states only. "
                "Models that predict words are pronoun, pronoun-gated, induction, shortcut and "
                "reversal, masked models such as BERT, and all that write."
            )
        )
        return
    record = record_of(name, Entry(entry.text, target=entry.target, truncation=entry.truncation))
    embed_report(page_of_lens(name, entry, _choose_token(record, entry)), say("Report"))


def _choose_token(record: AttentionRecord, entry: Entry) -> int | None:
    tokens = record.queries.tokens
    with st.sidebar:
        chosen = st.selectbox(
            say("Token to read at"),
            range(len(tokens)),
            index=None,
            format_func=lambda index: plain(f"{index} {visible(tokens[index])}"),
            key=f"read at {entry.text} {entry.target}",
            persist_state="session",
            placeholder=say("The mask, or the last token"),
        )
    return None if chosen is None else int(chosen)


if __name__ == "__main__":
    draw()
