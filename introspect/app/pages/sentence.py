"""The page for one text: its tokens, the weights of a head as numbers, and the views."""

from __future__ import annotations

from typing import cast

import streamlit as st

from introspect.app.cached import page_of_view, record_of, report_of
from introspect.app.chinese import word
from introspect.app.display import embed, offer_report, say, show_notices
from introspect.app.entries import Entry, example_of
from introspect.app.form import asked, kept
from introspect.app.tables import MOST_COLORED, cell_style, token_table, weight_table
from introspect.records import AttentionRecord
from introspect.text import decimal, quantity
from introspect.views import ViewName

#: The choices, in order: numbers, then the views by the names that ``view_by_name`` takes.
_CHOICES = {
    "numbers": word("Numbers"),
    "heatmap": word("Heat map"),
    "head": word("Head view"),
    "model": word("Model view"),
    "layer": word("Layer view"),
    "steps": word("Steps view"),
    "neuron": word("Neuron view"),
    "flow": word("Flow view"),
}

# These views show all heads, so there is no head to choose.
_OF_ALL_HEADS = ("model", "layer")

# These hold more numbers for every token: all layers of a long text would be too many.
_DETAILED = ("steps", "neuron")
_LONG = 128


def draw() -> None:
    """Draw the attention of a model in one text."""
    name, entry = asked()
    record = record_of(name, entry)
    chosen = st.segmented_control(
        say("What to show"),
        list(_CHOICES),
        format_func=lambda choice: say(_CHOICES[choice]),
        required=True,
        label_visibility="collapsed",
        **kept("view", "heatmap", [say(choice) for choice in _CHOICES.values()]),
    )
    if chosen == "numbers":
        # The views say them themselves.
        show_notices(record.notices)
        _draw_numbers(record, *_choose_head(record, name))
    else:
        _draw_view(name, entry, cast(ViewName, chosen), record)
    if record.kind in ("self", "text"):
        offer_report(lambda: report_of(name, entry.subject, entry.truncation), key="report")
    _draw_extent(record)
    _draw_tokens(record)


def _draw_view(name: str, entry: Entry, view: ViewName, record: AttentionRecord) -> None:
    """Draw a view; the head is chosen in the view itself."""
    layer, head = _first_head(record, name)
    layers = None
    if view in _DETAILED and len(record.queries) > _LONG:
        layer = _choose_layer(record, name)
        layers = (layer,)
        with st.sidebar:
            st.caption(say("The text is long, so this view shows layer {layer} only.", layer=layer))
    first = None if view in _OF_ALL_HEADS else head
    example = example_of(name)
    is_known = entry.text in (example.text, example.other_text)
    token = example.pronoun if is_known and example.pronoun and entry.pair is None else None
    page = page_of_view(name, entry, view, layer, first, layers, token)
    embed(page, say(_CHOICES[view]))


def _draw_extent(record: AttentionRecord) -> None:
    layers, heads, queries, keys = record.attentions.shape
    st.caption(
        say(
            "{layers} layers × {heads} heads, {queries} × {keys} tokens, captured from the "
            "running model.",
            layers=layers,
            heads=heads,
            queries=queries,
            keys=keys,
        )
        + _row_sums(record)
    )


def _draw_tokens(record: AttentionRecord) -> None:
    sides = {"Query tokens": record.queries, "Key tokens": record.keys}
    if record.queries == record.keys:
        sides = {"Tokens": record.keys}
    with st.expander(say("Tokens")):
        for side, sequence in sides.items():
            st.dataframe(token_table(sequence), hide_index=True, alt=side)


def _row_sums(record: AttentionRecord) -> str:
    error = record.certificate.max_row_sum_error
    if error is None:
        return ""
    return " " + say("The weights of a token sum to 1 within {error}.", error=quantity(error))


def _first_head(record: AttentionRecord, name: str) -> tuple[int, int]:
    """Return the layer and the head to show first."""
    example = example_of(name)
    is_known = example.layer in record.layers and example.head < record.num_heads
    return (example.layer, example.head) if is_known else (record.layers[0], 0)


def _choose_layer(record: AttentionRecord, name: str) -> int:
    first = record.layers.index(_first_head(record, name)[0])
    with st.sidebar:
        layer = st.selectbox(
            say("Layer"),
            record.layers,
            index=first,
            key=f"layer of {name}",
            persist_state="session",
        )
    return int(layer)


def _choose_head(record: AttentionRecord, name: str) -> tuple[int, int]:
    """Draw the choice of the layer and head of a table."""
    layer = _choose_layer(record, name)
    with st.sidebar:
        head = st.selectbox(
            say("Head"),
            range(record.num_heads),
            index=_first_head(record, name)[1],
            key=f"head of {name}",
            persist_state="session",
        )
    return layer, int(head)


def _draw_numbers(record: AttentionRecord, layer: int, head: int) -> None:
    with st.sidebar:
        by_word = st.checkbox(
            say(
                "By word: summed over the tokens of the word attended to, averaged over those "
                "of the word that attends"
            ),
            key="by word",
            persist_state="session",
        )
    table = weight_table(record.words() if by_word else record, layer, head)
    if table.size > MOST_COLORED:
        st.dataframe(table.round(4), alt="Weights of the head")
        st.caption(say("The table is too large to color; the heat map shows the weights in color."))
        return
    colored = table.style.map(cell_style).format(decimal, na_rep="")
    st.dataframe(colored, height=_height(len(table)), alt="Weights of the head: queries by keys")


def _height(rows: int) -> int:
    """Return the height in pixels that shows a table whole, limited to fit on a page."""
    return min(35 * (rows + 1) + 3, 900)


if __name__ == "__main__":
    draw()
