"""Playback: one slider that plays, for the layers of the sentence."""

from __future__ import annotations

import pytest

from introspect.views import flow_view, head_view

from .samples import record_of

pytestmark = pytest.mark.browser

LAYERS = "input[name=layers]"
PLAY = "button[name=play-layers]"


def selection(page) -> str:
    return page.get_attribute("html", "data-selection")


def head_of(page) -> str:
    return selection(page).split(".")[0]


def test_the_layers_play_one_after_the_other_and_all_views_follow(open_page):
    page = open_page(head_view(record_of(layers=3), head="L0H1", token=2).to_html())
    rest = selection(page).removeprefix("L0H1")
    page.click(PLAY)
    assert page.inner_text(PLAY) == "Pause"
    page.wait_for_function("() => document.documentElement.dataset.selection.startsWith('L1H1')")
    assert page.inner_text(".live").startswith("L1H1: ")
    page.wait_for_function("() => document.documentElement.dataset.selection.startsWith('L2H1')")
    assert "(L2H1)" in page.inner_text('[data-view="head"] .reading')
    assert page.inner_text(PLAY) == "Play"
    assert page.inner_text("#announcements") == "2."
    assert selection(page) == f"L2H1{rest}"
    # From the last layer it begins anew; pressed again it stops.
    page.click(PLAY)
    assert head_of(page) == "L0H1"
    page.click(PLAY)
    page.wait_for_timeout(700)
    assert head_of(page) == "L0H1"


def test_the_slider_is_the_layer_of_the_page(open_page):
    page = open_page(flow_view(record_of(layers=4)).to_html())
    page.focus(LAYERS)
    page.keyboard.press("Home")
    assert head_of(page).startswith("L0H")
    page.keyboard.press("ArrowRight")
    assert head_of(page).startswith("L1H") and page.input_value(LAYERS) == "1"
    page.click('[data-element="strip"] [data-layer="3"][data-head="2"]')
    assert page.input_value(LAYERS) == "3"
    assert page.get_attribute(LAYERS, "aria-valuetext") == "3"


def test_who_wants_no_motion_steps(open_page):
    page = open_page(head_view(record_of(layers=3), head="L0H1").to_html())
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function(f"() => document.querySelector('{PLAY}').textContent === 'Next'")
    for layer in (1, 2, 0):
        page.click(PLAY)
        assert head_of(page) == f"L{layer}H1"
    page.wait_for_timeout(700)
    assert head_of(page) == "L0H1"


def test_one_layer_has_nothing_to_play(open_page):
    page = open_page(head_view(record_of(layers=1)).to_html())
    assert page.locator(PLAY).count() == 0
