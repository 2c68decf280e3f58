"""The model view: one map of all heads, and a button for each."""

from __future__ import annotations

import math

import pytest
import torch

from introspect.records import AttentionRecord
from introspect.views.model import GAP, model_view, pooled

from .samples import bare_record, record_of


def heatmap_on(page):
    return page.evaluate("document.querySelector('[data-view=model] .picture').data[0].z")


def same(ours: list[list[float]], theirs: list[list[float | None]]) -> bool:
    return len(ours) == len(theirs) and all(
        len(a) == len(b)
        and all(
            y is None if math.isnan(x) else y is not None and abs(x - y) < 0.005
            for x, y in zip(a, b, strict=True)
        )
        for a, b in zip(ours, theirs, strict=True)
    )


def test_each_tile_is_one_heads_pattern_with_a_gap_around_it():
    record = record_of(layers=2, heads=3)
    tiles, (height, width) = model_view(record).tiles()
    size = len(record.queries)
    assert (height, width) == (size + 2 * GAP, size + 2 * GAP)
    for layer in range(2):
        for head in range(3):
            tile = tiles[layer * height : (layer + 1) * height, head * width : (head + 1) * width]
            inner = tile[GAP:-GAP, GAP:-GAP]
            torch.testing.assert_close(inner, record.attentions[layer, head])
            assert tile[0].isnan().all() and tile[:, 0].isnan().all()


def test_pooling_keeps_the_largest_weight_of_each_block():
    pattern = torch.rand(1, 1, 100, 7)
    slow = [
        [float(pattern[0, 0, r : r + 3, c : c + 1].max()) for c in range(7)]
        for r in range(0, 100, 3)
    ]
    assert pooled(pattern)[0, 0].tolist() == slow


def test_figure_names_layers_by_the_models_numbers():
    record = record_of()
    hybrid = AttentionRecord(
        attentions=record.attentions, queries=record.queries, keys=record.keys, layers=(4, 9)
    )
    layout = model_view(hybrid).figure.layout
    assert list(layout.yaxis.ticktext) == ["L4", "L9"]
    assert list(layout.xaxis.ticktext) == ["H0", "H1", "H2"]


def test_long_texts_say_that_they_are_pooled():
    assert "largest weight" in model_view(bare_record(["a"] * 49)).sections()[0].lead
    assert "largest weight" not in model_view(bare_record(["a"] * 48)).sections()[0].lead


@pytest.mark.browser
@pytest.mark.parametrize("length", [3, 60])
def test_page_draws_what_the_figure_has(open_page, length):
    record = bare_record([f"t{i}" for i in range(length)], layers=2, heads=2)
    view = model_view(record)
    page = open_page(view.to_html())
    assert same(view.tiles()[0].tolist(), heatmap_on(page))


@pytest.mark.browser
def test_a_click_opens_the_head_and_says_so(open_page):
    page = open_page(model_view(record_of()).to_html())
    head_view = page.locator('section[data-view="head"]')
    assert not head_view.is_visible()
    page.click('[data-view="model"] [data-layer="1"][data-head="2"]')
    assert head_view.is_visible()
    assert head_view.locator("output").first.inner_text() == "1"
    chips = head_view.locator('button[name="head"][aria-pressed="true"]')
    assert [chip.get_attribute("data-head") for chip in chips.all()] == ["2"]
    assert "L1H2" in page.inner_text("#announcements")
    assert page.evaluate("document.activeElement.textContent") == "Head view"


@pytest.mark.browser
def test_arrows_walk_the_grid_and_enter_opens(open_page):
    page = open_page(model_view(record_of()).to_html())
    page.locator('[data-view="model"] .cell').first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    cell = page.locator('[data-view="model"] .cell:focus')
    assert (cell.get_attribute("data-layer"), cell.get_attribute("data-head")) == ("1", "1")
    page.keyboard.press("ArrowDown")  # the edge: stays
    assert page.locator('[data-view="model"] .cell:focus').get_attribute("data-layer") == "1"
    page.keyboard.press("Enter")
    assert page.locator('section[data-view="head"] output').first.inner_text() == "1"


@pytest.mark.browser
def test_pointing_names_the_strongest_pair_of_words(open_page):
    pattern = torch.tensor([[[[0.98, 0.01, 0.01], [0.3, 0.1, 0.6], [0.6, 0.2, 0.2]]]])
    words = record_of("yes no", layers=1, heads=1)
    record = AttentionRecord(attentions=pattern, queries=words.queries, keys=words.keys)
    page = open_page(model_view(record).to_html())
    page.hover('[data-view="model"] .cell')
    reading = page.inner_text('[data-view="model"] .reading')
    assert "L0H0" in reading and "“yes” to “no”, 0.60" in reading


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 800, 600])
def test_64_heads_fit_and_their_names_do_not_overlap(open_page, width):
    page = open_page(model_view(bare_record(["a"], layers=24, heads=64)).to_html(), width=width)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    boxes = [
        name.bounding_box()
        for name in page.locator(".column-names span").all()
        if name.evaluate("node => node.style.visibility") != "hidden"
    ]
    assert len(boxes) > 4
    texts = page.evaluate(
        """[...document.querySelectorAll('.column-names span')]
           .filter((n) => n.style.visibility !== 'hidden')
           .map((n) => { const r = document.createRange(); r.selectNodeContents(n);
                         const b = r.getBoundingClientRect(); return [b.left, b.right]; })"""
    )
    assert all(left[1] <= right[0] for left, right in zip(texts, texts[1:], strict=False))
