"""The page for a set of cases: upload a file, probe it, and see the tables and the report."""

from __future__ import annotations

from typing import cast

import streamlit as st

from introspect.app.cached import model_named
from introspect.app.display import plain, say, show_page, telling
from introspect.app.form import asked_model
from introspect.app.uploads import (
    ENDINGS,
    MOST_BYTES,
    MOST_ROWS,
    SAMPLE,
    Probed,
    Upload,
    probe_upload,
)
from introspect.text import whole

_PROBED = "probed"


def draw() -> None:
    """Draw the upload and the results of the last one."""
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
    file = st.file_uploader(say("Cases"), ENDINGS, key="cases", max_upload_size=MOST_BYTES >> 20)
    with st.container(horizontal=True):
        wanted = st.button(say("Probe"), type="primary", disabled=file is None)
        st.download_button(
            say("Download a small example"), SAMPLE, file_name="cases.csv", on_click="ignore"
        )
    if wanted and file is not None:
        st.session_state.pop(_PROBED, None)
        with telling():
            st.session_state[_PROBED] = _probe(Upload(file.name, file.getvalue()))
    if (probed := cast("Probed | None", st.session_state.get(_PROBED))) is not None:
        _draw_probed(probed)


def _probe(upload: Upload) -> Probed:
    bar = st.progress(0.0, "Reading")

    def tell(share: float, what: str) -> None:
        bar.progress(share, plain(what))

    try:
        return probe_upload(model_named(asked_model()), upload, tell)
    finally:
        bar.empty()


def _draw_probed(probed: Probed) -> None:
    st.subheader(plain(f"{probed.name}, read by {probed.model}"), anchor=False)
    if not probed.is_finished:
        st.error(plain(probed.finding))
    else:
        st.markdown(plain(probed.finding))
        st.download_button(
            say("Download the report"),
            probed.report,
            file_name="report.html",
            mime="text/html",
            on_click="ignore",
            type="primary",
            key="report of set",
        )
    if len(probed.rejects):
        count = len(probed.rejects)
        st.warning(say("Rows without a result: {count}. The reasons:", count=whole(count)))
        st.dataframe(probed.rejects, hide_index=True, alt="Rejected rows with their reasons")
    if not probed.is_finished:
        return
    with st.expander(say("Figures")):
        for name, value in probed.figures:
            st.markdown(f"{plain(name)}: {plain(value)}")
    st.markdown(say("**Heads**, on these cases (in-sample)"))
    st.dataframe(probed.heads, hide_index=True, height=300, alt="Heads")
    st.markdown(say("**Baselines without any head**, on the same cases"))
    st.dataframe(probed.baselines, hide_index=True, alt="Baselines")
    st.download_button(
        say("Download the table of heads"),
        probed.heads.to_csv(index=False),
        file_name="heads.csv",
        mime="text/csv",
        on_click="ignore",
    )
    show_page(probed.report, "Report")


if __name__ == "__main__":
    draw()
