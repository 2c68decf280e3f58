"""The page for an atlas: a folder is opened, its heads are shown, and its examples searched."""

from __future__ import annotations

import pytest

import introspect as ix
from introspect.app.chinese import LANGUAGES
from introspect.models.circuits import repeated
from introspect.text import visible

from .test_pages import errors, frames


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    texts = [each.text for each in repeated(20)]
    folder = tmp_path_factory.mktemp("atlas") / "made"
    return ix.atlas("induction", texts, folder, heads=["L0H0", "L1H1"], threads=1)


def opened(app, atlas):
    page = app("atlas.py")
    assert errors(page) == [] and "introspect atlas" in page.info[0].value
    return page.text_input(key="atlas").set_value(str(atlas.path)).run()


def test_a_typed_folder_is_opened_at_its_index(app, atlas):
    page = opened(app, atlas)
    assert errors(page) == []
    (shown,) = frames(page)
    assert 'data-view="atlas"' in shown and atlas.finding in shown


def test_the_folder_that_the_app_was_started_with_is_open_at_once(app, atlas, monkeypatch):
    from introspect.app import cached, offered

    monkeypatch.setattr(cached, "_open", set())
    monkeypatch.setattr(offered, "_folders", [])
    offered.offer_atlas(str(atlas.path))
    page = app("atlas.py")
    assert errors(page) == [] and page.text_input(key="atlas").value == str(atlas.path)
    assert atlas.finding in frames(page)[0]
    # Another is typed over it, and an address may still name one of its own.
    page.text_input(key="atlas").set_value("").run()
    assert "introspect atlas" in page.info[0].value


def test_a_head_has_its_card_or_its_sentence(app, atlas):
    page = opened(app, atlas)
    page.segmented_control(key="part").set_value("head").run()
    page.selectbox(key="card").set_value("L1H1").run()
    assert errors(page) == []
    assert 'data-view="head-card"' in frames(page)[0]
    page.selectbox(key="card").set_value("L0H1").run()
    assert frames(page) == [] and "keeps no page" in page.info[0].value
    page.segmented_control(key="language").set_value(LANGUAGES[1]).run()
    assert "结论及其局限为英文。" in [caption.value for caption in page.caption]


def test_examples_are_searched(app, atlas):
    page = opened(app, atlas)
    page.segmented_control(key="part").set_value("search").run()
    word = str(atlas.examples["query"].iloc[0])
    page.text_input(key="query").set_value(word.upper()).run()
    page.slider(key="least").set_value(0.5).run()
    assert errors(page) == []
    found = atlas.search(word, min_weight=0.5)
    table = page.dataframe[0].value
    assert list(table["weight"]) == list(found["weight"])
    assert (
        list(table["query"]) == list(map(visible, found["query"]))
        and table["text"].str.len().min() > 0
    )


def test_an_address_alone_opens_no_folder_and_names_what_is_shown(app, atlas, monkeypatch):
    from introspect.app import cached

    monkeypatch.setattr(cached, "_open", set())
    page = app("atlas.py", atlas=str(atlas.path), card="L1H1")
    (error,) = errors(page)
    assert "by the address alone" in error and frames(page) == []
    page.button[0].click().run()
    assert errors(page) == [] and "What L1H1 does" in frames(page)[0]
    again = app("atlas.py", atlas=str(atlas.path), card="L0H0")
    assert errors(again) == [] and "What L0H0 does" in frames(again)[0]


def test_a_folder_without_an_atlas_is_said(app, tmp_path):
    page = app("atlas.py")
    page.text_input(key="atlas").set_value(str(tmp_path)).run()
    (error,) = errors(page)
    assert "folder of an atlas" in error
