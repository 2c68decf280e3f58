"""The page for an atlas: its index, the card of a head, and a search in the kept examples."""

from __future__ import annotations

from typing import Any

import streamlit as st

from introspect.app.cached import atlas_in, is_open
from introspect.app.chinese import word
from introspect.app.display import (
    offer_report,
    offer_table,
    plain,
    say,
    say_that_findings_are_english,
    show_page,
)
from introspect.app.form import kept, typed
from introspect.app.offered import offered_atlas
from introspect.app.tables import example_table
from introspect.studies.atlas import Atlas
from introspect.text import whole

_PARTS = {
    "heads": word("All heads"),
    "head": word("One head"),
    "search": word("Search in examples"),
}
# More rows are for Python: the search has no end of them in a large atlas.
_MOST_SHOWN = 500


def draw() -> None:
    """Draw the choice of a folder, and what is asked of the atlas in it."""
    with st.sidebar:
        folder = typed(
            "atlas",
            say("Folder of an atlas"),
            is_known=is_open,
            offer=say("Open this folder"),
            refusal="The folder {name!r} is named by the address alone and is not opened. Press "
            "“Open this folder” if you trust it, or type another.",
            first=offered_atlas(),
        )
    if folder is None:
        st.info(say("Type the folder of an atlas. To make one: `introspect atlas FILE --out DIR`."))
        return
    atlas = atlas_in(folder)
    with st.sidebar:
        st.caption(plain(" · ".join(filter(None, (atlas.model, atlas.summary["corpus"])))))
    # A link to a head names it alone.
    first = "head" if "card" in st.query_params else "heads"
    part = st.segmented_control(
        say("What to show"),
        list(_PARTS),
        format_func=lambda part: say(_PARTS[part]),
        required=True,
        label_visibility="collapsed",
        **kept("part", first, [say(part) for part in _PARTS.values()]),
    )
    if part != "search":
        say_that_findings_are_english()
    if part == "head":
        _draw_head(atlas)
    elif part == "search":
        _draw_search(atlas)
    else:
        show_page(atlas.page(), say("All heads"), hides_heading=True)


def _draw_head(atlas: Atlas) -> None:
    names = atlas.names
    with st.sidebar:
        name = st.selectbox(say("Head"), names, **kept("card", names[0], names))
    if atlas.has_page(name):
        page = atlas.page(name)
        show_page(page, say("One head"), hides_heading=True)
        offer_report(lambda: page, key="report")
    else:
        st.markdown(plain(atlas.head(name).sentence))
        st.info(say("The atlas keeps no page for this head."))


def _draw_search(atlas: Atlas) -> None:
    names, any_head = atlas.names, say("All heads")
    with st.sidebar:
        queries = st.text_input(say("Token that attends"), **kept("query"))
        keys = st.text_input(say("Token that it attends to"), **kept("key"))
        chosen = st.selectbox(
            say("Head"), names, index=None, placeholder=any_head, **kept("of", labels=names)
        )
        least = st.slider(say("Smallest weight"), 0.0, 1.0, step=0.05, **kept("least"))
    found = atlas.search(
        _word(queries), key=_word(keys), head=chosen, min_weight=float(least or 0.0)
    )
    table = example_table(found.head(_MOST_SHOWN), atlas.texts)
    st.caption(
        say(
            "{shown} of {found} kept examples, the largest weight first.",
            shown=whole(len(table)),
            found=whole(len(found)),
        )
    )
    st.dataframe(table, hide_index=True, column_config=_columns(), alt="Examples of the atlas")
    offer_table(table, "examples.csv")


def _word(typed: Any) -> str | None:
    return str(typed).strip() or None if typed else None


def _columns() -> dict[str, Any]:
    return {
        "head": st.column_config.TextColumn(say("head")),
        "query": st.column_config.TextColumn(say("Token that attends")),
        "key": st.column_config.TextColumn(say("Token that it attends to")),
        "weight": st.column_config.NumberColumn(say("weight"), format="%.3f"),
        "set": st.column_config.TextColumn(say("kept as")),
        "text": st.column_config.TextColumn(say("Text"), width="large"),
    }


if __name__ == "__main__":
    draw()
