"""Models, records, and pages kept for reuse; only a few are kept, because each may be large."""

from __future__ import annotations

from typing import Any

import streamlit as st

from introspect.app.display import say
from introspect.app.entries import MODELS, Entry, Removal
from introspect.data import case_to_json
from introspect.interventions import Ablation
from introspect.models import Model, hush, load_text, state_of_model
from introspect.records import AttentionRecord, Kind
from introspect.reporting import head_report, lens_report, report
from introspect.studies.causal import (
    BeforeAfter,
    CausalStudy,
    before_after,
    causal_study,
    load_to_ask,
)
from introspect.studies.coreference import coreference_study
from introspect.studies.heads import head_study
from introspect.studies.lens import lens_study
from introspect.text import CorefCase, Span
from introspect.views import (
    ViewName,
    causal_view,
    compare_view,
    coreference_view,
    parts_of_view,
    view_by_name,
)

_MODELS, _RECORDS, _PAGES = 2, 4, 6
_COMMAND = "introspect app"


# The state of the files of each model when it was last asked for.
_states: dict[str, Any] = {}
# The models that were loaded by somebody.
_ready: set[str] = set()


def is_ready(name: str) -> bool:
    """Return whether a model comes with the package or was loaded before."""
    return name in MODELS or name in _ready


def model_named(name: str) -> Model:
    """Return a model by alias, hub id, or folder; a folder whose files have changed is read anew.

    Raises:
        ModelError: there is no such model, or it cannot be used.
    """
    state = state_of_model(name)
    if _states.setdefault(name, state) != state:
        _states[name] = state
        # Records and pages are of the model as it was.
        st.cache_resource.clear()
        st.cache_data.clear()
        st.toast(say("The files of the model have changed. It was loaded again."))
    model = _loaded(name)
    _ready.add(name)
    return model


@st.cache_resource(max_entries=_MODELS, show_spinner="Loading the model …")
def _loaded(name: str) -> Model:
    hush()
    return load_text(name)


@st.cache_resource(max_entries=_RECORDS, show_spinner="Reading the text …")
def record_of(
    name: str,
    entry: Entry,
    include: tuple[str, ...] = ("attentions",),
    layers: tuple[int, ...] | None = None,
) -> AttentionRecord:
    """Return the attention record of a model, restricted to ``layers`` if they are given.

    Raises:
        IntrospectError: the text cannot be captured.
    """
    return model_named(name).capture(
        entry.text,
        entry.pair,
        target=entry.target,
        kind=entry.kind,
        include=include,
        layers=layers,
        truncation=entry.truncation,
    )


@st.cache_data(max_entries=_PAGES, show_spinner="Drawing …")
def page_of_view(
    name: str,
    entry: Entry,
    view: ViewName,
    layer: int | None,
    head: int | None,
    layers: tuple[int, ...] | None = None,
    token: str | None = None,
) -> str:
    """Return a view as the page that ``View.to_html`` returns.

    Args:
        name: the name of the model.
        entry: the text and how it is read.
        view: the name of the view.
        layer: the layer to show first.
        head: the head to show first.
        layers: the layers in the page; by default all.
        token: the word to show first.

    Raises:
        IntrospectError: the text cannot be captured, or there is no such layer or head.
    """
    record = record_of(name, entry, parts_of_view(view), layers)
    heads = () if head is None else (head,)
    return view_by_name(view, record, layer=layer, heads=heads, token=token).to_html()


@st.cache_data(max_entries=_PAGES, show_spinner="Drawing …", hash_funcs={CorefCase: case_to_json})
def page_of_case(name: str, case: CorefCase, truncation: bool) -> str:
    """Return the coreference view of a case as a page."""
    record = record_of(name, Entry(case.text, truncation=truncation))
    return coreference_view(record, case).to_html()


@st.cache_data(max_entries=_PAGES, show_spinner="Comparing …")
def page_of_comparison(
    names: tuple[str, str], entries: tuple[Entry, Entry], labels: tuple[str, str]
) -> str:
    """Return two texts, or two models, side by side as a page."""
    records = [record_of(name, entry) for name, entry in zip(names, entries, strict=True)]
    return compare_view(*records, labels=labels).to_html()


# Before and after


@st.cache_resource(max_entries=_MODELS, show_spinner="Loading the model …")
def model_to_ask(name: str) -> Model:
    """Return a model with its LM head, if it has one.

    Raises:
        ModelError: there is no such model, or it cannot be used.
    """
    hush()
    return load_to_ask(name)


@st.cache_resource(
    max_entries=_RECORDS,
    show_spinner="Reading the text twice …",
    hash_funcs={CorefCase: case_to_json},
)
def before_after_of(
    name: str,
    entry: Entry,
    removal: Removal,
    at: Span | None = None,
    case: CorefCase | None = None,
) -> BeforeAfter:
    """Compare a text, or its case, before and after heads are ablated.

    Raises:
        IntrospectError: the text cannot be captured, or the model cannot be ablated in this way.
    """
    return before_after(
        model_to_ask(name),
        entry.text if case is None else case,
        removal,
        at=at,
        target=entry.target,
        kind=entry.kind,
        truncation=entry.truncation,
    )


@st.cache_data(max_entries=_PAGES, show_spinner="Drawing …")
def page_of_removal(name: str, entry: Entry, removal: Removal) -> str:
    """Return the attention before and after ablation side by side as a page."""
    compared = before_after_of(name, entry, removal)
    return compare_view(compared.before, compared.after, labels=compared.labels).to_html()


@st.cache_resource(
    max_entries=_RECORDS,
    show_spinner="Ablating each head in turn …",
    hash_funcs={CorefCase: case_to_json},
)
def study_named(
    name: str, case: CorefCase, method: Ablation, references: tuple[str, ...]
) -> CausalStudy:
    """Measure the effect of every head on the answer to a case, whichever heads are chosen.

    Raises:
        InputError: the case cannot be asked.
    """
    return causal_study(
        model_to_ask(name),
        [case],
        method=method,
        reference=references or None,
        share=None,
        minimal_pairs=False,
    )


@st.cache_data(max_entries=_PAGES, show_spinner="Drawing …", hash_funcs={CorefCase: case_to_json})
def page_of_study(name: str, case: CorefCase, method: Ablation, references: tuple[str, ...]) -> str:
    """Return the effect of every head on the answer to a case as a page."""
    return causal_view(study_named(name, case, method, references)).to_html()


@st.cache_data(max_entries=_PAGES, show_spinner="Reading every layer …")
def page_of_lens(name: str, entry: Entry, at: int | None) -> str:
    """Return the report on what a model would predict after each layer.

    Args:
        name: the name of the model.
        entry: the text and how it is read.
        at: the token to read at; by default as ``ix.lens_study`` has it.

    Raises:
        IntrospectError: the model predicts nothing, or its layers cannot be read.
    """
    study = lens_study(model_to_ask(name), entry.text, position=at, target=entry.target)
    return lens_report(study, command=_COMMAND).html


@st.cache_data(max_entries=_PAGES, show_spinner="Measuring every head …")
def page_of_roles(name: str, kind: Kind | None) -> str:
    """Return the report on which heads have a known role.

    Raises:
        IntrospectError: the model cannot be run on random tokens.
    """
    study = head_study(model_to_ask(name), kind=kind)
    return head_report(study, command=_COMMAND).html


def report_of(name: str, subject: CorefCase | str | tuple[str, str], truncation: bool) -> str:
    """Return a report on a case, a text, or a pair as a page.

    Raises:
        IntrospectError: the subject cannot be captured or scored.
    """
    study = coreference_study(model_named(name), [subject], truncation=truncation)
    return report(study, command=_COMMAND).html
