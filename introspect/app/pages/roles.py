"""The page for the roles of heads: which of them attend as known kinds of heads do."""

from __future__ import annotations

import streamlit as st

from introspect.app.cached import model_named, page_of_roles
from introspect.app.display import embed_report, say
from introspect.app.form import asked_model, kept


def draw() -> None:
    """Draw the report on the roles of a model's heads."""
    name = asked_model()
    kinds = model_named(name).kinds
    kind = None
    if len(kinds) > 1:
        with st.sidebar:
            kind = st.selectbox(say("Attention"), kinds, **kept("kind of role", kinds[0], kinds))
    embed_report(page_of_roles(name, kind), say("Report"))


if __name__ == "__main__":
    draw()
