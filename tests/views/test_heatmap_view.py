"""The heatmap view: its figure as data, and its page by acts in a browser."""

from __future__ import annotations

import math

import pytest
import torch

from introspect.errors import SelectionError
from introspect.views import heatmap_view

from .samples import bare_record, record_of

GRID = "document.querySelector('.matrix-picture').data[0].z"


def close(ours: torch.Tensor, theirs: list[list[float | None]], tolerance: float = 1e-5) -> bool:
    """Whether the page draws these weights; NaN is drawn as nothing."""
    return len(ours) == len(theirs) and all(
        len(a) == len(b)
        and all(
            y is None if math.isnan(x) else y is not None and abs(x - y) <= tolerance
            for x, y in zip(a, b, strict=True)
        )
        for a, b in zip(ours.tolist(), theirs, strict=True)
    )


def point_at(page, query: int, key: int) -> str:
    """Move to a cell of the whole matrix; what is said of it."""
    page.locator(".matrix-field").evaluate("n => n.scrollIntoView({ block: 'center' })")
    box = page.locator(".matrix-field").bounding_box()
    x0, x1 = page.evaluate("document.querySelector('.matrix-picture').layout.xaxis.range")
    y1, y0 = page.evaluate("document.querySelector('.matrix-picture').layout.yaxis.range")
    page.mouse.move(
        box["x"] + box["width"] * (key - x0) / (x1 - x0),
        box["y"] + box["height"] * (query - y0) / (y1 - y0),
    )
    return page.inner_text(".reading")


def drag(page, start: tuple[int, int], end: tuple[int, int]) -> None:
    point_at(page, *start)
    page.mouse.down()
    point_at(page, *end)
    page.mouse.up()


def test_the_pattern_is_the_heads_or_their_mean_or_largest():
    record = record_of()
    assert torch.equal(heatmap_view(record, layer=1, head=2).pattern(), record.attentions[1, 2])
    mean = heatmap_view(record, layer=1, head="mean").pattern()
    torch.testing.assert_close(mean, record.attentions[1].mean(0))
    largest = heatmap_view(record, layer=1, head="max").pattern()
    assert torch.equal(largest, record.attentions[1].amax(0))


@pytest.mark.parametrize("wrong", [{"layer": 2}, {"head": 3}, {"head": "sum"}, {"scale": "two"}])
def test_what_there_is_not_is_refused(wrong):
    with pytest.raises(SelectionError):
        heatmap_view(record_of(), **wrong)


@pytest.mark.browser
@pytest.mark.parametrize("head", [1, "mean", "max"])
def test_the_page_draws_the_records_weights(open_page, head):
    record = record_of()
    view = heatmap_view(record, layer=1, head=head)
    page = open_page(view.to_html())
    assert close(view.pattern(), page.evaluate(GRID))
    assert page.locator("[data-side=key]").count() == len(record.keys)
    page.select_option("select[name=head]", "2")
    page.select_option("select[name=layer]", "0")
    assert close(record.attentions[0, 2], page.evaluate(GRID))


@pytest.mark.browser
def test_pointing_reads_a_cell_and_a_token(open_page):
    record = record_of()
    page = open_page(heatmap_view(record, layer=0, head=1).to_html())
    said = point_at(page, 2, 3)
    assert f"“saw” → “Bo”: {record.attentions[0, 1, 2, 3]:.2f} (L0H1)" in said
    page.hover("[data-side=query][data-token-index='5']")
    row = record.attentions[0, 1, 5]
    best = int(row.argmax())
    assert f"“she” gives most to: “{record.tokens[best]}” {row[best]:.2f}" in page.inner_text(
        ".reading"
    )


@pytest.mark.browser
def test_a_dragged_part_is_seen_larger_and_escape_shows_the_whole(open_page):
    record = record_of(" ".join(f"w{i}" for i in range(59)))
    page = open_page(heatmap_view(record, layer=1, head=0).to_html())
    whole = page.locator(".matrix-field").bounding_box()
    drag(page, (10, 20), (19, 24))
    assert close(record.attentions[1, 0, 10:20, 20:25], page.evaluate(GRID))
    assert page.inner_text(".reading") == "Showing L1H0: rows 10–19 of 60, columns 20–24 of 60."
    part = page.locator(".matrix-field").bounding_box()
    assert part["width"] / 5 > 1.5 * whole["width"] / 60
    keys = page.locator("[data-side=key]").all()
    assert [int(key.get_attribute("data-token-index")) for key in keys] == [20, 21, 22, 23, 24]
    page.wait_for_function("() => location.hash.includes('columns=20-24')")
    again = open_page(
        heatmap_view(record, layer=1, head=0).to_html(), path_hash=page.evaluate("location.hash")
    )
    assert again.evaluate(GRID) == page.evaluate(GRID)
    page.keyboard.press("Escape")  # on the body: Escape belongs to the view
    page.locator(".matrix-field").focus()
    page.keyboard.press("Escape")
    assert close(record.attentions[1, 0], page.evaluate(GRID))


@pytest.mark.browser
def test_two_clicks_on_tokens_choose_a_range(open_page):
    record = record_of(layers=1, heads=1)
    page = open_page(heatmap_view(record, head=0).to_html())
    page.click("[data-side=query][data-token-index='2']")
    assert "The range begins at query “saw”" in page.inner_text(".reading")
    page.click("[data-side=query][data-token-index='4']", modifiers=["Shift"])
    assert close(record.attentions[0, 0, 2:5], page.evaluate(GRID))
    page.click("[name=whole]")
    assert close(record.attentions[0, 0], page.evaluate(GRID))
    assert page.is_disabled("[name=whole]")


@pytest.mark.browser
def test_zoom_makes_cells_larger_and_the_rest_scrolls_under_the_tokens(open_page):
    record = record_of(" ".join(f"w{i}" for i in range(99)), layers=1, heads=1)
    page = open_page(heatmap_view(record, head=0).to_html())
    small = page.locator(".matrix-field").bounding_box()["width"]
    page.locator("[name=zoom]").fill("4")
    assert page.locator(".matrix-field").bounding_box()["width"] == pytest.approx(
        4 * small, rel=0.2
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    matrix = page.locator(".matrix")
    first = page.locator("[data-side=query]").first
    before = first.bounding_box()["x"]
    matrix.evaluate("n => { n.scrollLeft = 500; }")
    assert matrix.evaluate("n => n.scrollLeft") == 500
    assert first.bounding_box()["x"] == before
    assert page.locator("[data-side=key]").count() == 100
    assert close(record.attentions[0, 0], page.evaluate(GRID))


@pytest.mark.slow
@pytest.mark.browser
def test_512_tokens_are_drawn_whole_with_the_largest_of_what_has_no_room(open_page):
    record = bare_record([f"w{i}" for i in range(512)], layers=1, heads=2)
    page = open_page(heatmap_view(record, head=1).to_html())
    drawn = page.evaluate(GRID)
    factor = -(-512 // len(drawn))
    assert factor > 1
    pattern = record.attentions[0, 1]
    slow = torch.tensor(
        [
            [float(pattern[r : r + factor, c : c + factor].max()) for c in range(0, 512, factor)]
            for r in range(0, 512, factor)
        ]
    )
    assert close(slow, drawn)
    assert f"the largest of {factor} × {factor} weights" in page.inner_text(".matrix-legend")
    # A cell names the pair that gave it its color.
    row, column = 60 // factor * factor, 200 // factor * factor
    block = pattern[row : row + factor, column : column + factor]
    query, key = divmod(int(block.argmax()), factor)
    assert f"“w{row + query}” → “w{column + key}”" in point_at(page, row, column)
    drag(page, (60, 300), (100, 340))
    shown = page.evaluate(GRID)
    tokens = [
        int(page.locator(f"[data-side={side}]").first.get_attribute("data-token-index"))
        for side in ("query", "key")
    ]
    assert abs(tokens[0] - 60) < 3 and abs(tokens[1] - 300) < 3
    assert 35 < len(shown) < 48 and "the largest of" not in page.inner_text(".matrix-legend")
    rows, columns = (
        slice(first, first + n)
        for first, n in zip(tokens, (len(shown), len(shown[0])), strict=True)
    )
    assert close(pattern[rows, columns], shown)


@pytest.mark.browser
def test_arrows_change_the_head_and_with_shift_walk_the_cells(open_page):
    record = record_of()
    page = open_page(heatmap_view(record, layer=0, head=0).to_html())
    page.locator(".matrix-field").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert close(record.attentions[1, 1], page.evaluate(GRID))
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    weight = record.attentions[1, 1, 1, 0]
    assert f"“Ann” → “[CLS]”: {weight:.2f}" in page.inner_text(".reading")
    page.keyboard.press("ArrowLeft")
    assert page.input_value("[name=head]") == "0"


@pytest.mark.browser
def test_colors_reach_to_the_largest_weight_if_asked_for(open_page):
    record = record_of(layers=1)
    page = open_page(heatmap_view(record, head="mean").to_html())
    most = "document.querySelector('.matrix-picture').data[0].zmax"
    assert page.evaluate(most) == 1
    page.select_option("[name=scale]", "largest")
    assert page.evaluate(most) == pytest.approx(float(record.attentions[0].mean(0).max()), abs=1e-4)


@pytest.mark.browser
def test_missing_weights_are_hatched_and_named(open_page):
    record = bare_record(["one", "two"])
    record.attentions[0, 0, 0, 1] = torch.nan
    page = open_page(heatmap_view(record, head=0).to_html())
    assert page.evaluate(GRID)[0][1] is None
    assert "Hatched: missing." in page.inner_text(".matrix-legend")
    assert "“one” → “two”: missing" in point_at(page, 0, 1)


def test_one_token_and_missing_weights(open_page):
    record = bare_record(["one"])
    record.attentions[0, 0, 0, 0] = torch.nan
    page = open_page(heatmap_view(record).to_html())
    assert "missing" in page.inner_text("section").lower()


@pytest.mark.browser
@pytest.mark.parametrize(("length", "block"), [(16, (2, 5)), (300, (0, 1))])
def test_a_part_is_never_drawn_smaller_than_the_whole_was(open_page, length, block):
    source = heatmap_view(bare_record([f"t{n}" for n in range(length)])).to_html()
    whole = open_page(source).locator(".matrix-field").bounding_box()
    first, last = block
    path_hash = f"#view-1-heatmap.rows={first}-{last}&view-1-heatmap.columns={first}-{last}"
    page = open_page(source, path_hash=path_hash)
    count = last - first + 1
    assert f"rows {first}–{last} of {length}" in page.inner_text(".reading")
    part = page.locator(".matrix-field").bounding_box()
    assert part["width"] >= whole["width"] - count
    assert part["height"] >= whole["height"] - count


@pytest.mark.browser
def test_a_finger_shows_a_number_that_stays(browser, tmp_path):
    record = record_of()
    path = heatmap_view(record, layer=1, head=2).save(tmp_path / "view.html")
    context = browser.new_context(offline=True, has_touch=True)
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=true]", state="attached")
    field = page.locator(".matrix-field")
    box = field.bounding_box()
    cell = box["width"] / len(record.tokens)
    field.tap(position={"x": 2.5 * cell, "y": 3.5 * cell})
    page.wait_for_timeout(100)
    said = page.inner_text("section[data-view=heatmap] .reading")
    assert f"{float(record.attentions[1, 2, 3, 2]):.2f}" in said
    context.close()


@pytest.mark.browser
def test_names_of_tokens_hold_the_numbers_of_the_token_pointed_at(open_page):
    record = record_of()
    page = open_page(heatmap_view(record, layer=1, head=2).to_html())

    def numbers(side: str) -> list[float]:
        names = page.locator(f".matrix-labels.{side} .token").evaluate_all(
            "all => all.map((one) => one.getAttribute('aria-label'))"
        )
        return [float(name.rsplit(", ", 1)[1]) for name in names]

    page.locator(".matrix-labels.query .token").nth(3).hover()
    assert numbers("key") == pytest.approx(record.attentions[1, 2, 3].tolist(), abs=0.0051)
    page.locator(".matrix-labels.key .token").nth(1).hover()
    assert numbers("query") == pytest.approx(record.attentions[1, 2, :, 1].tolist(), abs=0.0051)
