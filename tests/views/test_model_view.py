"""The model view: one map of all heads, and a button for each."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pandas as pd
import pytest
import torch

from introspect.errors import SelectionError
from introspect.functional import entropy
from introspect.records import AttentionRecord, Head
from introspect.views import model_view
from introspect.views.model import GAP, pattern_table, pooled

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


@pytest.mark.parametrize("length", [48, 49])
def test_the_page_of_a_short_text_has_its_weights_once(length):
    [own, *_] = model_view(bare_record([f"t{i}" for i in range(length)])).sections()
    assert set(own.arrays) == ({"tiles"} if length > 48 else set())


@pytest.mark.browser
@pytest.mark.parametrize("length", [3, 60])
def test_page_draws_what_the_figure_has(open_page, length):
    record = bare_record([f"t{i}" for i in range(length)], layers=2, heads=2)
    view = model_view(record)
    page = open_page(view.to_html())
    assert same(view.tiles()[0].tolist(), heatmap_on(page))


@pytest.mark.browser
def test_a_click_shows_the_head_beside_the_maps_and_in_the_head_view(open_page):
    record = record_of()
    page = open_page(model_view(record).to_html())
    head_view = page.locator('section[data-view="head"]')
    assert not head_view.is_visible()
    page.click('[data-view="model"] [data-layer="1"][data-head="2"]')
    detail = page.locator(".detail")
    assert detail.locator("h3").inner_text() == "L1H2"
    pattern = page.evaluate("document.querySelector('.detail-map .matrix-picture').data[0].z")
    assert same(record.attentions[1, 2].tolist(), pattern)
    table = pattern_table(record)
    row = table[(table["layer"] == 1) & (table["head"] == 2)].iloc[0]
    shown = detail.locator("td").all_inner_texts()
    # First stands the weight between the two words that are chosen.
    assert shown[1:] == [f"{row[name]:.2f}" for name in table.columns[2:]]
    inner = record.attentions[1, 2, 1:, 1:]
    first = detail.locator(".pairs .weight").first.inner_text()
    assert float(first) == pytest.approx(float(inner.max()), abs=0.0051)
    assert head_view.is_visible()
    # It shows itself below: the reader stays where the maps are.
    assert page.evaluate("scrollY") < 100
    detail.get_by_role("button", name="Open in the head view").click()
    assert head_view.locator("output").first.inner_text() == "1"
    chips = head_view.locator('button[name="head"][aria-pressed="true"]')
    assert [chip.get_attribute("data-head") for chip in chips.all()] == ["2"]
    assert "L1H2" in page.inner_text("#announcements")
    assert page.evaluate("document.activeElement.textContent") == "Head view"


def places(page) -> list[tuple[int, int]]:
    cells = page.locator('[data-view="model"] .cell').all()
    return [(int(c.get_attribute("data-layer")), int(c.get_attribute("data-head"))) for c in cells]


@pytest.mark.browser
@pytest.mark.parametrize("column", ["entropy", "to previous"])
@pytest.mark.parametrize("sign", ["-", "+"])
def test_maps_are_sorted_by_a_column(open_page, column, sign):
    record = record_of()
    page = open_page(model_view(record).to_html())
    page.select_option('[name="sort"]', f"{sign}{column}")
    table = pattern_table(record).sort_values(column, ascending=sign == "+")
    expected = list(zip(table["layer"], table["head"], strict=True))
    assert places(page) == expected
    # The picture is sorted with the buttons that lie over it.
    size = len(record.queries)
    drawn = heatmap_on(page)
    last = [row[-size - GAP : -GAP] for row in drawn[-size - GAP : -GAP]]
    assert same(record.attentions[expected[-1]].tolist(), last)
    page.click(f'.cell[data-layer="{expected[1][0]}"][data-head="{expected[1][1]}"]')
    assert page.inner_text(".detail h3") == f"L{expected[1][0]}H{expected[1][1]}"


@pytest.mark.browser
def test_heads_that_stand_out_are_framed(open_page):
    record = record_of()
    table = pattern_table(record)[["layer", "head"]].assign(
        score=[0.1, None, 0.3, 0.9, 0.5, 0.6], p_adjusted=[0.5, 0.2, 1, 0.01, 0.05, 0.049]
    )
    view = model_view(record, table=table)
    assert view.framed == (Head(1, 0), Head(1, 2))
    page = open_page(view.to_html())
    assert page.locator('.cell[data-framed="true"]').count() == 2
    page.select_option('[name="sort"]', "-score")
    assert places(page)[0] == (1, 0)
    assert places(page)[-1] == (0, 1)  # without a number
    framed = page.locator('.cell[data-framed="true"]').all()
    names = [cell.get_attribute("aria-label") for cell in framed]
    assert [name.split(":")[0] for name in names] == ["L1H0", "L1H2"]


@pytest.mark.browser
def test_the_address_opens_the_head_and_the_order(open_page):
    source = model_view(record_of()).to_html()
    page = open_page(source)
    page.select_option('[name="sort"]', "-entropy")
    page.click('.cell[data-layer="0"][data-head="1"]')
    page.wait_for_function("() => location.hash.includes('selection.head=L0H1')")
    again = open_page(source, path_hash=page.evaluate("location.hash"))
    assert again.inner_text(".detail h3") == "L0H1"
    assert places(again) == places(page)


@pytest.mark.browser
def test_the_grid_can_be_saved(open_page):
    page = open_page(model_view(record_of()).to_html())
    with page.expect_download() as waiting:
        page.locator('[data-view="model"] [name="export-svg"]').click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert all(name in text for name in ("L0", "L1", "H0", "H2"))
    assert text.count('class="shapelayer') > 0 and "shape-group" in text


@pytest.mark.browser
def test_the_head_beside_the_maps_names_every_token_of_a_sentence(open_page):
    for count in (12, 18):
        text = " ".join(f"word{number}" for number in range(count))
        page = open_page(model_view(record_of(text)).to_html(), width=1440)
        page.click('[data-view="model"] .cell[data-layer="1"][data-head="2"]')
        for side, size in (("query", "height"), ("key", "width")):
            labels = page.locator(f'[data-view="model"] .detail .matrix-labels.{side}')
            assert labels.locator(".token").count() == count + 1
            end = labels.bounding_box()
            last = labels.locator(".token").last.bounding_box()
            start = "y" if side == "query" else "x"
            assert last[start] + last[size] <= end[start] + end[size] + 1


def test_the_table_of_patterns_is_the_functions_own():
    record = record_of()
    table = pattern_table(record)
    assert list(table.columns) == [
        "layer", "head", "entropy", "to special", "to itself", "to previous", "to next",
    ]  # fmt: skip
    row = table.iloc[4]
    pattern = record.attentions[1, 1]
    assert row["entropy"] == pytest.approx(float(entropy(pattern)))
    assert row["to special"] == pytest.approx(float(pattern[1:, 0].mean()))
    assert row["to previous"] == pytest.approx(float(pattern.diagonal(-1).mean()))


@pytest.mark.parametrize(
    ("table", "options", "expected"),
    [
        (pd.DataFrame({"layer": [0]}), {}, "columns layer and head"),
        (pd.DataFrame({"layer": [0, 0], "head": [0, 0], "x": [1, 2]}), {}, "one row for each"),
        (None, {"framed": [(7, 0)]}, "L0H0–L1H2, got L7H0"),
        (None, {"framed": [(0, 7)]}, "L0H0–L0H2, got L0H7"),
    ],
)
def test_tables_and_heads_that_do_not_fit_are_refused(table, options, expected):
    with pytest.raises(SelectionError, match=expected):
        model_view(record_of(), table=table, **options)


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
@pytest.mark.parametrize(
    "width", [600, *(pytest.param(width, marks=pytest.mark.slow) for width in (1280, 800))]
)
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


def middles(page, selector: str) -> list[float]:
    return page.locator(selector).evaluate_all(
        """all => all.map((one) => one.getBoundingClientRect())
             .map(({ left, width }) => left + width / 2)"""
    )


@pytest.mark.browser
@pytest.mark.parametrize("width", [1440, 1080, 640])
def test_maps_are_square_fill_the_width_and_stand_under_their_names(open_page, width):
    page = open_page(model_view(bare_record(["a", "b"], layers=6, heads=12)).to_html(), width=width)
    cell = page.locator('[data-view="model"] .cell').first.bounding_box()
    assert cell["width"] == pytest.approx(cell["height"], abs=1)
    assert cell["width"] >= {1440: 80, 1080: 78, 640: 45}[width]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    drawn = page.locator('[data-view="model"] .picture svg').first.bounding_box()
    grid = page.locator('[data-view="model"] .cells').bounding_box()
    assert drawn["width"] == pytest.approx(grid["width"], abs=1)
    assert drawn["height"] == pytest.approx(grid["height"], abs=1)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1440, 1024, 640])
def test_on_paper_the_maps_stand_under_their_names(open_page, width):
    page = open_page(model_view(bare_record(["a", "b"], layers=2, heads=12)).to_html(), width=width)
    page.click('[data-view="model"] .cell[data-layer="1"][data-head="2"]')
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert "Point at" not in page.inner_text('[data-view="model"]').split("\n", 2)[2]
    names = middles(page, '[data-view="model"] .column-names span')
    assert names == pytest.approx(middles(page, '[data-view="model"] .cell')[:12], abs=1)
    drawn = page.locator('[data-view="model"] .picture svg').first.bounding_box()
    last = page.locator('[data-view="model"] .cell').last.bounding_box()
    assert drawn["x"] + drawn["width"] == pytest.approx(last["x"] + last["width"], abs=1)
    assert drawn["y"] + drawn["height"] == pytest.approx(last["y"] + last["height"], abs=1)
    assert drawn["width"] >= 0.9 * page.locator('[data-view="model"]').bounding_box()["width"] - 36
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.browser
def test_the_head_beside_the_maps_has_its_tokens_and_numbers(open_page):
    record = record_of()
    page = open_page(model_view(record).to_html())
    page.click('[data-view="model"] .cell[data-layer="1"][data-head="2"]')
    detail = page.locator('[data-view="model"] .detail')
    for side in ("query", "key"):
        labels = detail.locator(f".matrix-labels.{side} .token").all_inner_texts()
        assert labels[:2] == list(record.tokens[:2])
    field = detail.locator(".matrix-field")
    box = field.bounding_box()
    count = len(record.tokens)
    field.hover(position={"x": box["width"] * 2.5 / count, "y": box["height"] * 3.5 / count})
    said = detail.locator(".detail-cell").inner_text()
    expected = float(record.attentions[1, 2, 3, 2])
    assert f"“{record.tokens[3]}” → “{record.tokens[2]}”" in said
    assert float(said.split()[-1]) == pytest.approx(expected, abs=0.0051)


@pytest.mark.browser
def test_a_map_says_its_numbers_at_once_and_the_chosen_pairs_always(open_page):
    record = record_of()
    page = open_page(model_view(record).to_html())
    name = page.locator('[data-view="model"] .cell').first.get_attribute("aria-label")
    assert re.fullmatch(r"L0H0: “.+” to “.+” 0\.\d\d", name)
    page.hover('[data-view="model"] .cell[data-layer="1"][data-head="0"]')
    tip = page.locator('[data-view="model"] .cell-tip')
    assert tip.is_visible() and tip.inner_text().startswith("L1H0: strongest between words")
    page.mouse.move(0, 0)
    assert not tip.is_visible()
