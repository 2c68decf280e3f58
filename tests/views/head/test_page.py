"""The page of a head view, by acts in a browser: numbers, lines, chips, keys, what is missing."""

from __future__ import annotations

import pytest
import torch

from introspect.records import AttentionRecord
from introspect.views import head_view
from tests.views.head.helpers import HOSTILE, drawn, lines, number_beside, pressed, token
from tests.views.samples import bare_record, record_of


@pytest.mark.browser
def test_page_draws_what_the_figure_has(open_page):
    view = head_view(record_of(), layer=1, heads=[0, 2])
    page = open_page(view.to_html())
    expected = view.traces()
    found = drawn(page)
    assert len(found) == len(expected)
    for theirs, ours in zip(found, expected, strict=True):
        assert theirs["x"] == ours["x"]
        assert theirs["y"] == ours["y"]
        assert theirs["line"]["color"] == ours["line"]["color"]
        assert theirs["line"]["width"] == ours["line"]["width"]


@pytest.mark.browser
def test_pointing_shows_numbers_within_half_a_hundredth(open_page):
    record = record_of()
    page = open_page(head_view(record, layer=1, heads=[2]).to_html())
    token(page, "query", 5).hover()
    for index in range(len(record.keys)):
        shown = float(number_beside(page, "key", index))
        assert shown == pytest.approx(float(record.attentions[1, 2, 5, index]), abs=0.0051)
    token(page, "key", 1).hover()
    for index in range(len(record.queries)):
        shown = float(number_beside(page, "query", index))
        assert shown == pytest.approx(float(record.attentions[1, 2, index, 1]), abs=0.0051)


@pytest.mark.browser
def test_pointing_leaves_only_the_tokens_lines_and_leaving_brings_all_back(open_page):
    page = open_page(head_view(record_of(), heads=[0]).to_html())
    everything = len(lines(drawn(page)))
    token(page, "query", 2).hover()
    assert {query for query, _ in lines(drawn(page))} == {2}
    page.mouse.move(0, 0)
    page.wait_for_function("() => !document.querySelector('.token.focal')")
    assert len(lines(drawn(page))) == everything


@pytest.mark.browser
def test_several_heads_show_their_mean_and_a_bar_each(open_page):
    record = record_of()
    page = open_page(head_view(record).to_html())
    token(page, "query", 3).hover()
    mean = float(record.attentions[0, :, 3, 4].mean())
    assert float(number_beside(page, "key", 4)) == pytest.approx(mean, abs=0.0051)
    assert "mean of 3 heads" in page.inner_text(".reading")
    bars = token(page, "key", 4).locator("xpath=../span[@class='bars']")
    assert bars.evaluate("(bars) => bars.style.background.match(/linear-gradient/g).length") == 3


@pytest.mark.browser
def test_layer_slider_moves_through_the_models_own_numbers(open_page):
    record = record_of()
    page = open_page(head_view(record, heads=[0]).to_html())
    slider = page.locator('input[name="layer"]')
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("output").first.inner_text() == "1"
    token(page, "query", 3).hover()
    shown = float(number_beside(page, "key", 4))
    assert shown == pytest.approx(float(record.attentions[1, 0, 3, 4]), abs=0.0051)


@pytest.mark.browser
def test_chips_toggle_on_click_and_isolate_on_double_click(open_page):
    page = open_page(head_view(record_of()).to_html())
    page.click('.chip[data-head="1"]')
    assert pressed(page) == [0, 2]
    page.click('.chip[data-head="1"]')
    assert pressed(page) == [0, 1, 2]
    page.dblclick('.chip[data-head="1"]')
    assert pressed(page) == [1]
    page.dblclick('.chip[data-head="1"]')
    assert pressed(page) == [0, 1, 2]


@pytest.mark.browser
def test_everything_works_from_the_keyboard(open_page):
    page = open_page(head_view(record_of()).to_html())
    page.focus('.chip[data-head="2"]')
    page.keyboard.press("Space")
    assert pressed(page) == [0, 1]
    page.keyboard.press("Shift+Enter")
    assert pressed(page) == [2]
    page.focus('[data-side="query"][data-token-index="0"]')
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    assert {query for query, _ in lines(drawn(page))} == {2}
    page.keyboard.press("Enter")
    assert token(page, "query", 2).get_attribute("aria-pressed") == "true"
    page.keyboard.press("Escape")
    assert token(page, "query", 2).get_attribute("aria-pressed") == "false"


@pytest.mark.browser
def test_a_click_keeps_a_tokens_numbers_until_the_next(open_page):
    page = open_page(head_view(record_of(), heads=[0]).to_html())
    token(page, "query", 2).click()
    page.mouse.move(0, 0)
    kept = number_beside(page, "key", 1)
    assert kept != ""
    token(page, "query", 2).click()
    page.mouse.move(0, 0)
    page.wait_for_function("() => !document.querySelector('.token.focal')")
    assert number_beside(page, "key", 1) == ""


@pytest.mark.browser
def test_threshold_hides_and_says_so(open_page):
    record = record_of()
    page = open_page(head_view(record, heads=[0]).to_html())
    slider = page.locator('input[name="threshold"]')
    slider.fill("0.4")
    assert page.locator("section output").nth(1).inner_text() == "0.40"
    expected = (record.attentions[0, 0] >= 0.4).nonzero().tolist()
    assert set(lines(drawn(page))) == {tuple(pair) for pair in expected}


@pytest.mark.browser
def test_no_heads_are_said_not_left_blank(open_page):
    page = open_page(head_view(record_of()).to_html())
    page.click("text=none")
    assert "No head is shown" in page.inner_text(".reading")
    assert drawn(page) == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, pytest.param(800, marks=pytest.mark.slow), 600])
def test_hostile_tokens_are_shown_as_text_and_nothing_runs(open_page, width):
    page = open_page(head_view(bare_record(HOSTILE)).to_html(), width=width)
    shown = [button.inner_text() for button in page.locator('[data-side="query"]').all()]
    assert shown[:2] == HOSTILE[:2]
    assert shown[2:4] == ["⟨U+2028⟩", "␀"]
    assert shown[4] == "עברית"
    assert shown[5] == "⟨U+202E⟩abc"
    assert shown[6:8] == HOSTILE[6:8]
    assert shown[9] == "&amp;"
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.browser
def test_cross_attention_has_other_tokens_on_each_side(open_page):
    record = AttentionRecord.from_tensors(
        torch.tensor([[[[0.2, 0.3, 0.5]]]]), ["a", "b", "c"], query_tokens=["z"], kind="cross"
    )
    page = open_page(head_view(record).to_html())
    assert page.locator('[data-side="query"]').count() == 1
    assert page.locator('[data-side="key"]').count() == 3
    token(page, "key", 2).hover()
    assert number_beside(page, "query", 0) == "0.50"


@pytest.mark.browser
def test_one_token_one_head(open_page):
    page = open_page(head_view(bare_record(["alone"])).to_html())
    token(page, "query", 0).hover()
    assert number_beside(page, "key", 0) == "1.00"


@pytest.mark.browser
def test_64_heads_have_64_chips_and_no_sideways_scrolling(open_page):
    page = open_page(head_view(bare_record(["a", "b"], heads=64)).to_html(), width=800)
    assert page.locator('button[name="head"]').count() == 64
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.browser
def test_missing_weight_is_named(open_page):
    pattern = torch.tensor([[[[0.5, float("nan")], [0.5, 0.5]]]])
    page = open_page(head_view(AttentionRecord.from_tensors(pattern, ["a", "b"])).to_html())
    token(page, "query", 0).hover()
    assert number_beside(page, "key", 1) == "missing"


@pytest.mark.browser
def test_notice_stands_above_the_view(open_page):
    record = record_of()
    noticed = AttentionRecord(
        attentions=record.attentions,
        queries=record.queries,
        keys=record.keys,
        notices=("Most of this text is unknown <b>to the model</b>.",),
    )
    page = open_page(head_view(noticed).to_html())
    assert page.inner_text(".notice") == "Most of this text is unknown <b>to the model</b>."
    above = page.locator(".notice").bounding_box()
    assert above["y"] < page.locator("section").first.bounding_box()["y"]


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, pytest.param(800, marks=pytest.mark.slow), 600])
def test_nothing_moves_when_numbers_appear(open_page, width):
    page = open_page(head_view(bare_record(HOSTILE, heads=12)).to_html(), width=width)
    places = """[...document.querySelectorAll('.token')].map((token) => {
      const { left, top } = token.getBoundingClientRect();
      return [left, top + scrollY];
    })"""
    before = page.evaluate(places)
    for side in ("query", "key"):
        for index in (0, 8):
            token(page, side, index).hover()
            assert page.evaluate(places) == before
