"""The head view: its figure as data, and its page by acts in a browser."""

from __future__ import annotations

import pytest
import torch

from introspect.errors import SelectionError
from introspect.records import AttentionRecord
from introspect.views.head import EDGES, head_view
from introspect.views.palette import head_colours

from .samples import bare_record, record_of

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\u2028",
    "\x00",
    "עברית",
    "\u202eabc",
    "👩‍👩‍👧",
    "中文",
    "x" * 300,
    "&amp;",
]


def lines(traces) -> dict[tuple[int, int], str]:
    """Query and key of each line, with its colour."""
    found = {}
    for trace in traces:
        x, y = list(trace["x"]), list(trace["y"])
        assert x == [0, 1, None] * (len(x) // 3)
        for start in range(0, len(y), 3):
            found[(y[start], y[start + 1])] = trace["line"]["color"]
    return found


def token(page, side: str, index: int):
    return page.locator(f'[data-side="{side}"][data-token-index="{index}"]').first


def number_beside(page, side: str, index: int) -> str:
    return token(page, side, index).locator("xpath=../span[@class][1]").inner_text()


def drawn(page):
    """Plotly's own traces, in the form of the Python figure's."""
    return page.evaluate("document.querySelector('.lines').data")


# The figure


def test_a_line_for_each_weight_above_the_threshold():
    pattern = torch.tensor([[[[0.9, 0.1, 0.0], [0.3, 0.7, 0.0], [0.01, 0.19, 0.8]]]])
    record = AttentionRecord.from_tensors(pattern, ["a", "b", "c"])
    view = head_view(record, threshold=0.02)
    assert set(lines(view.traces())) == {(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2)}


def test_opacity_and_width_grow_with_the_weight():
    pattern = torch.tensor([[[[0.95, 0.05], [0.45, 0.55]]]])
    view = head_view(AttentionRecord.from_tensors(pattern, ["a", "b"]))
    opacity = {
        pair: float(colour.rstrip(")").split(",")[3])
        for pair, colour in lines(view.traces()).items()
    }
    assert opacity[0, 1] < opacity[1, 0] < opacity[1, 1] < opacity[0, 0] <= 1
    assert len({trace["line"]["width"] for trace in view.traces()}) == 4


def test_each_head_keeps_its_own_colour_after_filtering():
    record = record_of(heads=12)
    alone = head_view(record, heads=[10]).traces()
    red, green, blue = (int(head_colours(12)[10][i : i + 2], 16) for i in (1, 3, 5))
    assert all(t["line"]["color"].startswith(f"rgba({red},{green},{blue},") for t in alone)


def test_pinned_token_has_only_its_lines_and_their_numbers():
    pattern = torch.tensor([[[[0.75, 0.25], [0.5, 0.5]]]])
    view = head_view(AttentionRecord.from_tensors(pattern, ["a", "b"]), token=0)
    assert set(lines(view.traces())) == {(0, 0), (0, 1)}
    texts = [annotation.text for annotation in view.figure.layout.annotations]
    assert texts == ["a", "b", "a  <b>0.75</b>", "b  <b>0.25</b>"]


def test_missing_weights_have_no_line():
    pattern = torch.tensor([[[[0.5, float("nan")], [0.5, 0.5]]]])
    view = head_view(AttentionRecord.from_tensors(pattern, ["a", "b"]))
    assert (0, 1) not in lines(view.traces())


def test_hostile_tokens_are_text_in_the_figure():
    texts = [a.text for a in head_view(bare_record(HOSTILE)).figure.layout.annotations]
    assert not any("<" in text for text in texts)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"layer": 2}, "Expected `layer` in 0–1, got 2"),
        ({"layer": -1}, "Expected `layer` in 0–1, got -1"),
        ({"heads": [3]}, "Expected `heads` in 0–2, got 3"),
        ({"token": 7}, "Expected the token's `index` in 0–6, got 7"),
        ({"token": {"side": "left", "index": 0}}, "`side` as query or key, got 'left'"),
        ({"threshold": 1.5}, "`threshold` from 0 to 1"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_range(options, expected):
    with pytest.raises(SelectionError, match=expected):
        head_view(record_of(), **options)


def test_layers_go_by_the_models_own_numbers():
    record = record_of()
    hybrid = AttentionRecord(
        attentions=record.attentions, queries=record.queries, keys=record.keys, layers=(4, 9)
    )
    assert head_view(hybrid, layer=9).traces() == head_view(record, layer=1).traces()
    with pytest.raises(SelectionError, match="in 4, 9"):
        head_view(hybrid, layer=1)


# The page


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
        assert theirs["line"] == ours["line"]


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
    assert len(lines(drawn(page))) == everything


@pytest.mark.browser
def test_several_heads_show_their_mean_and_a_bar_each(open_page):
    record = record_of()
    page = open_page(head_view(record).to_html())
    token(page, "query", 3).hover()
    mean = float(record.attentions[0, :, 3, 4].mean())
    assert float(number_beside(page, "key", 4)) == pytest.approx(mean, abs=0.0051)
    assert "mean of 3 heads" in page.inner_text(".reading")
    assert token(page, "key", 4).locator("xpath=..").locator(".bars i").count() == 3


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


def pressed(page) -> list[int]:
    chips = page.locator('button[name="head"][aria-pressed="true"]')
    return [int(chip.get_attribute("data-head")) for chip in chips.all()]


@pytest.mark.browser
def test_chips_toggle_on_click_and_isolate_on_double_click(open_page):
    page = open_page(head_view(record_of()).to_html())
    page.click('[data-head="1"]')
    assert pressed(page) == [0, 2]
    page.click('[data-head="1"]')
    assert pressed(page) == [0, 1, 2]
    page.dblclick('[data-head="1"]')
    assert pressed(page) == [1]
    page.dblclick('[data-head="1"]')
    assert pressed(page) == [0, 1, 2]


@pytest.mark.browser
def test_everything_works_from_the_keyboard(open_page):
    page = open_page(head_view(record_of()).to_html())
    page.focus('[data-head="2"]')
    page.keyboard.press("Space")
    assert pressed(page) == [0, 1]
    page.keyboard.press("Shift+Enter")
    assert pressed(page) == [2]
    page.focus('[data-side="query"][data-token-index="0"]')
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
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
    assert number_beside(page, "key", 1) == ""


@pytest.mark.browser
def test_threshold_hides_and_says_so(open_page):
    record = record_of()
    page = open_page(head_view(record, heads=[0]).to_html())
    slider = page.locator('input[name="threshold"]')
    slider.fill("0.4")
    assert page.locator("output").nth(1).inner_text() == "0.40"
    expected = (record.attentions[0, 0] >= 0.4).nonzero().tolist()
    assert set(lines(drawn(page))) == {tuple(pair) for pair in expected}


@pytest.mark.browser
def test_no_heads_are_said_not_left_blank(open_page):
    page = open_page(head_view(record_of()).to_html())
    page.click("text=none")
    assert "No head is shown" in page.inner_text(".reading")
    assert drawn(page) == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 800, 600])
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


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 800, 600])
def test_nothing_moves_when_numbers_appear(open_page, width):
    page = open_page(head_view(bare_record(HOSTILE, heads=12)).to_html(), width=width)
    places = "[...document.querySelectorAll('.token')].map((t) => t.getBoundingClientRect().top)"
    before = page.evaluate(places)
    for side in ("query", "key"):
        for index in (0, 8):
            token(page, side, index).hover()
            assert page.evaluate(places) == before


def test_a_notebook_gets_a_frame_that_cannot_reach_out():
    shown = head_view(record_of())._repr_html_()
    assert shown.startswith('<iframe sandbox="allow-scripts"')
    assert "<script" not in shown


@pytest.mark.browser
def test_two_views_in_a_notebook_do_not_disturb_each_other(browser, tmp_path):
    cells = "".join(head_view(record_of(seed=n), layer=n)._repr_html_() for n in (0, 1))
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><meta charset=utf-8>{cells}", encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    first, second = (page.frame_locator(f"iframe >> nth={n}") for n in (0, 1))
    for frame in (first, second):
        frame.locator("html[data-ready=true]").wait_for(state="attached")
    first.locator('[data-head="1"]').click()
    assert first.locator('button[aria-pressed="true"].chip').count() == 2
    assert second.locator('button[aria-pressed="true"].chip').count() == 3
    assert second.locator("output").first.inner_text() == "1"
    context.close()


def test_saved_page_is_whole(tmp_path):
    path = head_view(record_of()).save(tmp_path / "view.html")
    assert path.read_text(encoding="utf-8").endswith("</html>\n")


def test_edges_begin_at_nothing_and_rise():
    assert EDGES[0] == 0
    assert list(EDGES) == sorted(set(EDGES))
