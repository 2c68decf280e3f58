"""Models, records, and pages kept for reuse; only a few are kept, because each may be large."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st

from introspect.app.display import say
from introspect.app.entries import MODELS, Entry, Removal
from introspect.app.offered import offered_atlas
from introspect.app.uploads import Upload, written_picture
from introspect.data import case_to_json
from introspect.errors import CaptureError, IntrospectError
from introspect.interventions import Ablation
from introspect.models import Model, VisionModel, hush, load, load_text, state_of_model
from introspect.records import AttentionRecord, Kind
from introspect.reporting import head_report, lens_report, report
from introspect.studies.atlas import Atlas
from introspect.studies.causal import (
    BeforeAfter,
    CausalStudy,
    before_after,
    causal_study,
    load_to_ask,
)
from introspect.studies.coreference import coreference_study
from introspect.studies.heads import head_study
from introspect.studies.lens import lens_study, readings_after
from introspect.text import CorefCase, Span
from introspect.views import (
    ViewName,
    causal_view,
    compare_view,
    coreference_view,
    image_view,
    parts_of_view,
    parts_wished,
    playback_view,
    view_by_name,
)

_MODELS, _RECORDS, _PAGES = 2, 4, 6
_COMMAND = "introspect app"


# The state of the files of each model when it was last asked for.
_states: dict[str, Any] = {}
# The models that were loaded by somebody, and the folders of atlases that were opened.
_ready: set[str] = set()
_open: set[str] = set()


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
    record = _with_wished(name, entry, view, layers)
    heads = () if head is None else (head,)
    return view_by_name(view, record, layer=layer, heads=heads, token=token).to_html()


def _with_wished(
    name: str, entry: Entry, view: ViewName, layers: tuple[int, ...] | None
) -> AttentionRecord:
    """Return a record with what a view needs, and what it wishes for where the model has it."""
    parts = parts_of_view(view)
    if wished := parts_wished(view):
        with suppress(CaptureError):
            return record_of(name, entry, (*parts, *wished), layers)
    return record_of(name, entry, parts, layers)


@st.cache_data(max_entries=_PAGES, show_spinner="Writing …")
def page_of_playback(name: str, entry: Entry, generate: int) -> tuple[str, tuple[str, ...]]:
    """Return a text as it is read or written, token by token, as a page, and what it lacks.

    Args:
        name: the name of the model.
        entry: the text and how it is read.
        generate: how many tokens the model goes on by; 0 for none.

    Raises:
        SelectionError: the text is not read from left to right.
        IntrospectError: the text cannot be captured, or the model cannot write.
    """
    model = model_to_ask(name)
    has_target = entry.target is not None or (generate and len(model.kinds) > 1)
    record = model.capture(
        entry.text,
        target=entry.target if not generate else None,
        kind="decoder" if has_target else None,
        generate=generate or False,
        truncation=entry.truncation,
    )
    is_own = bool(generate) and record.kind == "self"
    prompt = entry.text if is_own else None
    view = playback_view(record, prompt=prompt)
    try:
        lens = readings_after(model, record, text=entry.text)
    except IntrospectError as error:
        return view.to_html(), (f"The likeliest next tokens are not shown. {error}",)
    return playback_view(record, prompt=prompt, lens=lens).to_html(), ()


@st.cache_resource(max_entries=1, show_spinner="Loading the model …")
def model_of_pictures(name: str) -> VisionModel:
    """Return a model that reads pictures.

    Raises:
        ModelError: there is no such model, or it reads no pictures.
    """
    hush()
    model = load(name, tower="vision")
    _ready.add(name)
    return model


@st.cache_data(max_entries=_PAGES, show_spinner="Reading the picture …")
def page_of_picture(name: str, upload: Upload) -> str:
    """Return what every head attends to in an uploaded picture as a page.

    Raises:
        IntrospectError: it is no picture, or cannot be captured.
    """
    model = model_of_pictures(name)
    with written_picture(upload) as path:
        return image_view(model.capture(path), model.picture(path)).to_html()


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
def page_of_roles(name: str, kind: Kind | None, texts: tuple[str, ...] = ()) -> str:
    """Return the report on which heads have a known role, and what they do on some texts.

    Args:
        name: the name of the model.
        kind: the kind of attention.
        texts: own texts, for the shapes of patterns and the importance of heads.

    Raises:
        IntrospectError: the model cannot be run on random tokens, or on one of the texts.
    """
    study = head_study(model_to_ask(name), list(texts) or None, kind=kind)
    return head_report(study, command=_COMMAND).html


def report_of(name: str, subject: CorefCase | str | tuple[str, str], truncation: bool) -> str:
    """Return a report on a case, a text, or a pair as a page.

    Raises:
        IntrospectError: the subject cannot be captured or scored.
    """
    study = coreference_study(model_named(name), [subject], truncation=truncation)
    return report(study, command=_COMMAND).html


# An atlas


def is_open(folder: str) -> bool:
    """Return whether somebody has opened a folder before, or started the app with it."""
    return folder in _open or folder == offered_atlas()


def atlas_in(folder: str) -> Atlas:
    """Return the atlas in a folder, read anew when it was made anew.

    Raises:
        OutputError: the folder holds none, or one that is not finished.
    """
    summary = Path(folder) / "summary.json"
    state = summary.stat().st_mtime_ns if summary.exists() else None
    atlas = _opened(folder, state)
    _open.add(folder)
    return atlas


@st.cache_resource(max_entries=_MODELS, show_spinner="Opening the atlas …")
def _opened(folder: str, state: int | None) -> Atlas:
    return Atlas.open(folder)
