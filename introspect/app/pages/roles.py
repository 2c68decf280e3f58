"""The page for the roles of heads: which of them attend as known kinds of heads do."""

from __future__ import annotations

import streamlit as st

from introspect.app.cached import model_named, page_of_roles
from introspect.app.display import embed_report, say
from introspect.app.form import asked_model, kept
from introspect.errors import InputError
from introspect.text import whole

_MOST_TEXTS = 100


def draw() -> None:
    """Draw the report on the roles of a model's heads."""
    name = asked_model()
    kinds = model_named(name).kinds
    kind = None
    if len(kinds) > 1:
        with st.sidebar:
            kind = st.selectbox(say("Attention"), kinds, **kept("kind of role", kinds[0], kinds))
    embed_report(page_of_roles(name, kind, _own_texts()), say("Report"))


def _own_texts() -> tuple[str, ...]:
    """Draw the field for own texts, and return them.

    Raises:
        InputError: there are too many.
    """
    with st.sidebar:
        typed = st.text_area(
            say("Own texts, one per line"),
            height=140,
            help=say(
                "Also says what shapes the patterns of the heads have on these texts, and how fast "
                "a loss changes with each head, where the model predicts words."
            ),
            **kept("texts"),
        )
    texts = tuple(line.strip() for line in str(typed or "").splitlines() if line.strip())
    if len(texts) > _MOST_TEXTS:
        raise InputError(
            f"Expected at most {_MOST_TEXTS} texts here, got {whole(len(texts))}. More are for the "
            "command line: introspect heads --texts FILE."
        )
    return texts


if __name__ == "__main__":
    draw()
