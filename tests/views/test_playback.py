"""Playback: one slider that plays, for the layers of a page and the tokens of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import pytest
import torch

from introspect.errors import SelectionError
from introspect.records import AttentionRecord
from introspect.views import flow_view, head_view, playback_view
from tests import writers_zoo

from .samples import record_of

LAYERS = "input[name=layers]"
PLAY = "button[name=play-layers]"


def selection(page) -> str:
    return page.get_attribute("html", "data-selection")


def head_of(page) -> str:
    return selection(page).split(".")[0]


@pytest.mark.browser
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


@pytest.mark.browser
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


@pytest.mark.browser
def test_who_wants_no_motion_steps(open_page):
    page = open_page(head_view(record_of(layers=3), head="L0H1").to_html())
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function(f"() => document.querySelector('{PLAY}').textContent === 'Next'")
    for layer in (1, 2, 0):
        page.click(PLAY)
        assert head_of(page) == f"L{layer}H1"
    page.wait_for_timeout(700)
    assert head_of(page) == "L0H1"


@pytest.mark.browser
def test_one_layer_has_nothing_to_play(open_page):
    page = open_page(head_view(record_of(layers=1)).to_html())
    assert page.locator(PLAY).count() == 0


# Texts token by token

VIEW = '[data-view="playback"]'
TEXT = "Ann saw Bo so she left"


def causal(layers: int = 2) -> AttentionRecord:
    record = record_of(TEXT, layers=layers)
    weights = record.attentions.tril()
    return replace(record, attentions=weights / weights.sum(-1, keepdim=True))


def readings_of(tokens: Sequence[str], top: int = 6) -> pd.DataFrame:
    """What follows each token is likeliest in the last layer, and never in the one before."""
    nexts = [*tokens[1:], "."]
    return pd.DataFrame(
        [
            (layer, place, token, rank, word, 0.6 / rank)
            for layer in (0, 1)
            for place, token in enumerate(tokens)
            for rank in range(1, top + 1)
            for word in [nexts[place] if (layer, rank) == (1, 1) else f"w{rank}"]
        ],
        columns=["layer", "position", "token", "rank", "predicted", "probability"],
    )


def test_the_prompt_ends_where_its_text_does():
    record = causal()
    assert playback_view(record).begin == 0
    for prompt, token in (("Ann", 1), ("Ann saw ", 2), ("Ann saw Bo", 3), (TEXT, 6)):
        assert playback_view(record, prompt=prompt).begin == token
    model = writers_zoo.writer("gpt2")
    written = model.capture("The animal", generate=4)
    given = model.tokens("The animal")
    names = [t for t, flag in zip(given.tokens, given.special_tokens_mask, strict=True) if not flag]
    begin = playback_view(written, prompt="The animal").begin
    assert list(written.queries.tokens[: begin + 1][-len(names) :]) == names


def test_what_cannot_be_played_is_refused():
    with pytest.raises(SelectionError, match="read from left to right, but tokens attend to later"):
        playback_view(record_of())
    with pytest.raises(SelectionError, match="`prompt` as the beginning of the text, got 'Bo'"):
        playback_view(causal(), prompt="Bo")
    with pytest.raises(SelectionError, match="readings of 3 tokens, which differ"):
        playback_view(causal(), lens=readings_of(["a", "b", "c"]))
    with pytest.raises(SelectionError, match=r"head of L0H0–L1H2, got L9H9"):
        playback_view(causal(), head="L9H9")


def test_the_figure_has_the_rows_that_are_played():
    record = causal()
    view = playback_view(record, prompt="Ann saw", head="L1H2")
    shown = torch.tensor(view.figure.data[0].z)
    torch.testing.assert_close(shown, record.attentions[1, 2, 2:], atol=1e-6, rtol=0)
    assert view.to_svg().startswith("<svg")


def test_the_likeliest_are_the_last_layers_and_five_at_most():
    tokens = list(causal().queries.tokens)
    view = playback_view(causal(), lens=readings_of([*tokens, "!"]))  # the last one has no row
    assert len(view.likeliest) == len(tokens)
    assert view.likeliest[0][0] == ("Ann", 0.6) and len(view.likeliest[0]) == 5


@pytest.mark.browser
def test_tokens_appear_one_after_the_other_with_their_rows(open_page, rules_broken):
    record = causal()
    view = playback_view(
        record, prompt="Ann saw", head="L1H2", lens=readings_of(record.queries.tokens)
    )
    page = open_page(view.to_html())
    assert rules_broken(page) == []
    later = page.locator(f"{VIEW} .later bdi")
    assert later.all_text_contents() == ["Bo", "so", "she", "left"]
    first = page.locator(f"{VIEW} .likeliest li").first
    assert first.inner_text().split() == ["Bo", "60.0%"]
    assert first.get_attribute("aria-current") == "true"
    page.click("button[name=play-tokens]")
    page.wait_for_function("() => document.querySelectorAll('.later').length === 0")
    assert page.get_attribute("html", "data-selection") == "L1H2.q6"
    assert page.inner_text("button[name=play-tokens]") == "Play"
    row = record.attentions[1, 2, 6]
    # A number stands below its token, not over it.
    below = """() => [...document.querySelectorAll('.played small')].every((one) => {
      const word = one.parentElement.firstChild.getBoundingClientRect();
      return one.textContent === '' || one.getBoundingClientRect().top > word.bottom - 6;
    })"""
    assert page.evaluate(below)
    for key in range(7):
        name = page.get_attribute(f'{VIEW} [data-token-index="{key}"]', "aria-label")
        assert name.endswith(f"gets {row[key]:.2f}")
    page.click('[data-element="strip"] [data-layer="0"][data-head="1"]')
    assert page.inner_text(f"{VIEW} .reading").startswith("L0H1: “left” gives most to ")
    page.click(f'{VIEW} [data-token-index="3"]')
    assert page.input_value("input[name=token]") == "1"
    assert later.all_text_contents() == ["so", "she", "left"]
