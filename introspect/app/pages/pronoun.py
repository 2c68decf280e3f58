"""The page for a pronoun: its candidates and the score of every head."""

from __future__ import annotations

from typing import Any

import streamlit as st

from introspect.app.cached import page_of_case, record_of, report_of
from introspect.app.chinese import word
from introspect.app.display import (
    column_of_heads,
    column_of_shares,
    embed,
    marked,
    offer_report,
    offer_table,
    say,
    say_that_findings_are_english,
)
from introspect.app.entries import Entry
from introspect.app.form import asked, choose_case
from introspect.app.tables import score_table
from introspect.errors import SelectionError
from introspect.reporting import finding_of_case
from introspect.studies.coreference import DIRECTIONS, CapturedText

_DIRECTIONS = {
    DIRECTIONS[0]: word("From the pronoun to the candidates"),
    DIRECTIONS[1]: word("From the candidates to the pronoun"),
}


def draw() -> None:
    """Draw the choice of the words and the scores of the heads."""
    name, entry = asked()
    if entry.pair or entry.is_of_target:
        raise SelectionError(
            "Expected one text to mark a pronoun in, got a pair or a target. Clear the second "
            "text or the target, and show the encoder's attention."
        )
    text = entry.text
    case = choose_case(name, text)
    if case is None:
        st.info(say("Choose the pronoun and at least one candidate to score every head."))
        return
    whole = Entry(text, truncation=entry.truncation)
    record = record_of(name, whole)
    captured = CapturedText(case, record)
    finding = finding_of_case(captured)
    say_that_findings_are_english()
    st.subheader(marked(finding.headline), anchor=False)
    embed(page_of_case(name, case, entry.truncation), say("Coreference view"))
    offer_report(lambda: report_of(name, case, entry.truncation), key="report of case")
    for sentence in finding.details:
        st.markdown(marked(sentence))
    for sentence in finding.caveats:
        st.caption(marked(sentence))
    _draw_table(captured)


def _columns() -> dict[str, Any]:
    """Return the labels and number formats of the table's columns."""
    number = st.column_config.NumberColumn
    return {
        "head": column_of_heads(),
        "share": column_of_shares(),
        "others": number(
            say("by other words"),
            format="%.4f",
            help=say("What the other words of the text give the antecedent, in the mean."),
        ),
        "points": st.column_config.CheckboxColumn(
            say("points"),
            help=say(
                "The share is over 0.5 and at least twice what the other words give the antecedent."
            ),
        ),
        "antecedent": number(
            say("antecedent, per word"),
            format="%.4f",
            help=say("The mean over its words, by which candidates are compared."),
        ),
        "distractor": number(
            say("distractor, per word"),
            format="%.4f",
            help=say("The largest mean over the words of a distractor."),
        ),
        "credit": number(
            say("credit"),
            format="%.2f",
            help=say(
                "1: the antecedent has the largest mean; 0: a distractor does; ties are split."
            ),
        ),
        "margin": number(
            say("margin"),
            format="%.3f",
            help=say(
                "From −0.5 to 0.5: the antecedent’s part of the attention to it and the best "
                "distractor, minus one half."
            ),
        ),
    }


def _draw_table(text: CapturedText) -> None:
    direction = st.segmented_control(
        say("Direction"),
        DIRECTIONS,
        format_func=lambda direction: say(_DIRECTIONS[direction]),
        default=DIRECTIONS[0],
        required=True,
        key="direction",
        persist_state="session",
    )
    place = DIRECTIONS.index(direction or DIRECTIONS[0])
    shown = text.directions[place]
    if not shown.is_observable:
        st.info(
            say(
                "No head can attend in this direction: the model reads from left to right. "
                "This counts as neither right nor wrong."
            )
        )
        return
    table = score_table(shown, text.pointing if place == 0 else None)
    st.dataframe(table, hide_index=True, column_config=_columns(), height=300, alt="Score of heads")
    offer_table(table, "heads.csv")


if __name__ == "__main__":
    draw()
