"""The page for a set of cases: upload a file, probe it, and see the tables and the report."""

from __future__ import annotations

import streamlit as st

from introspect.app.cached import model_named, model_to_ask
from introspect.app.display import (
    embed_report,
    offer_report,
    offer_table,
    plain,
    say,
    say_that_findings_are_english,
    show_page,
    telling,
)
from introspect.app.form import asked_model
from introspect.app.uploads import (
    ENDINGS,
    MOST_BYTES,
    MOST_ROWS,
    MOST_STUDIED,
    SAMPLE,
    Probed,
    Studied,
    Upload,
    probe_upload,
    study_upload,
)
from introspect.text import whole

_RESULT = "result of set"


def draw() -> None:
    """Draw the upload and the results of the last one."""
    with st.sidebar:
        file = st.file_uploader(
            say("Cases"), ENDINGS, key="cases", max_upload_size=MOST_BYTES >> 20
        )
        given = None if file is None else Upload(file.name, file.getvalue())
        with st.container(horizontal=True):
            probed = st.button(say("Probe"), type="primary", disabled=given is None)
            studied = st.button(say("Causal study"), disabled=given is None, help=_study_help())
            tried = st.button(say("Try the example"))
            st.download_button(
                say("Download a small example"), SAMPLE, file_name="cases.csv", on_click="ignore"
            )
    if probed or studied or tried:
        st.session_state.pop(_RESULT, None)
        example = Upload("cases.csv", SAMPLE.encode())
        with telling():
            st.session_state[_RESULT] = _result(given or example, is_causal=studied)
    result = st.session_state.get(_RESULT)
    if isinstance(result, Probed):
        _draw_probed(result)
    elif isinstance(result, Studied):
        _draw_studied(result)
    _draw_form_of_cases()


def _draw_form_of_cases() -> None:
    st.markdown(
        say(
            "One case per line: **JSON lines** (`text`, `pronoun`, `candidates`), or a "
            "**table** (csv, tsv, xlsx) with the columns `text`, `pronoun`, `antecedent` and "
            "`distractor`. At most {rows} lines and {size} MB. For larger sets use the "
            "command line, which resumes an interrupted run: `introspect probe FILE --out "
            "DIR`.",
            rows=whole(MOST_ROWS),
            size=MOST_BYTES >> 20,
        )
    )


def _study_help() -> str:
    return say(
        "Ablates each head in turn on at most {most} cases: does the model then prefer the "
        "antecedent less?",
        most=MOST_STUDIED,
    )


def _result(upload: Upload, *, is_causal: bool) -> Probed | Studied:
    bar = st.progress(0.0, "Reading")

    def tell(share: float, what: str) -> None:
        bar.progress(share, plain(what))

    try:
        if is_causal:
            return study_upload(model_to_ask(asked_model()), upload, tell)
        return probe_upload(model_named(asked_model()), upload, tell)
    finally:
        bar.empty()


def _draw_studied(studied: Studied) -> None:
    st.subheader(plain(f"{studied.name}, read by {studied.model}"), anchor=False)
    say_that_findings_are_english()
    st.markdown(plain(studied.finding))
    embed_report(studied.report, say("Report"))


def _draw_probed(probed: Probed) -> None:
    st.subheader(plain(f"{probed.name}, read by {probed.model}"), anchor=False)
    say_that_findings_are_english()
    if probed.is_finished:
        st.markdown(plain(probed.finding))
    else:
        st.error(plain(probed.finding))
    if len(probed.rejects):
        count = len(probed.rejects)
        st.warning(say("Rows without a result: {count}. The reasons:", count=whole(count)))
        st.dataframe(probed.rejects, hide_index=True, alt="Rejected rows with their reasons")
    if not probed.is_finished:
        return
    st.caption(say("**Heads**, on these cases (in-sample)"))
    st.dataframe(probed.heads, hide_index=True, height=300, alt="Heads")
    offer_table(probed.heads, "heads.csv")
    st.caption(say("**Baselines without any head**, on the same cases"))
    st.dataframe(probed.baselines, hide_index=True, alt="Baselines")
    with st.expander(say("Figures")):
        for name, value in probed.figures:
            st.markdown(f"{plain(name)}: {plain(value)}")
    offer_report(lambda: probed.report, key="report of set")
    show_page(probed.report, say("Report"), hides_heading=False)


if __name__ == "__main__":
    draw()
