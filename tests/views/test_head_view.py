"""The head view: its figure as data, and its page by acts in a browser."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import introspect as ix
from introspect.errors import SelectionError
from introspect.functional.renormalised import renormalised
from introspect.records import AttentionRecord, TokenSequence
from introspect.views.head import EDGES, ROW_HEIGHT, head_view
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
    """Plotly's own traces, in the form of the Python figure's.

    The page draws in pixels, and each line there and back with the way to the next one outside:
    (outside, 0, breadth, 0, outside).
    """
    traces = page.evaluate("document.querySelector('.lines').data")
    rows = page.evaluate(
        """() => ['query', 'key'].map((side) =>
          [...document.querySelectorAll(`.tokens.${side} li:not([hidden]) .token`)]
            .map((token) => Number(token.dataset.tokenIndex)))"""
    )
    for trace in traces:
        x, y = trace["x"], trace["y"]
        assert len(x) == len(y) == 5 * trace["meta"]["count"]
        trace["x"], trace["y"] = [], []
        for start in range(0, len(x), 5):
            outside, begin, breadth, *way_back = x[start : start + 5]
            assert outside < begin == 0 < breadth
            assert way_back == [begin, outside]
            query, key = (rows[side][int(y[start + 1 + side] // ROW_HEIGHT)] for side in (0, 1))
            trace["x"] += [0, 1, None]
            trace["y"] += [query, key, None]
    return traces


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
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
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
    places = """[...document.querySelectorAll('.token')].map((token) => {
      const { left, top } = token.getBoundingClientRect();
      return [left, top + scrollY];
    })"""
    before = page.evaluate(places)
    for side in ("query", "key"):
        for index in (0, 8):
            token(page, side, index).hover()
            assert page.evaluate(places) == before


def test_a_notebook_gets_a_frame_that_cannot_reach_out():
    shown = head_view(record_of())._repr_html_()
    assert shown.startswith('<iframe sandbox="allow-scripts allow-downloads"')
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


# Choices of the page


def pair_record() -> AttentionRecord:
    """Two texts of three words, with pieces: [CLS] a b## b | c d."""
    tokens = TokenSequence(
        tokens=("[CLS]", "Ann", "sl", "##ept", "Bo", "woke"),
        word_ids=(None, 0, 1, 1, 2, 3),
        special_tokens_mask=(True, False, False, False, False, False),
        sequence_ids=(None, 0, 0, 0, 1, 1),
        words=("Ann", "slept", "Bo", "woke"),
        texts=("Ann slept", "Bo woke"),
    )
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 3, 6, 6, generator=generator)
    return AttentionRecord(attentions=(2 * logits).softmax(-1), queries=tokens, keys=tokens)


def numbers(page, side: str) -> list[float]:
    texts = page.locator(f".tokens.{side} li:not([hidden]) .number").all_inner_texts()
    return [float(text) for text in texts]


def shown_labels(page, side: str) -> list[str]:
    return page.locator(f".tokens.{side} li:not([hidden]) .token").all_inner_texts()


@pytest.mark.browser
def test_the_weights_of_pinned_tokens_are_added_up(open_page):
    record = record_of()
    page = open_page(head_view(record, heads=[1]).to_html())
    token(page, "query", 2).click()
    token(page, "query", 4).click()
    page.mouse.move(0, 0)
    expected = record.attentions[0, 1, [2, 4]].sum(0)
    assert numbers(page, "key") == pytest.approx(expected.tolist(), abs=0.0051)
    assert "give together" in page.inner_text(".reading")
    assert {query for query, _ in lines(drawn(page))} == {2, 4}


@pytest.mark.browser
def test_pins_on_both_sides_have_numbers_on_both(open_page):
    record = record_of()
    page = open_page(head_view(record, heads=[1], token=[2, {"side": "key", "index": 3}]).to_html())
    assert numbers(page, "key") == pytest.approx(record.attentions[0, 1, 2].tolist(), abs=0.0051)
    column = record.attentions[0, 1, :, 3].tolist()
    assert numbers(page, "query") == pytest.approx(column, abs=0.0051)


@pytest.mark.browser
def test_by_word_the_numbers_are_the_records_own_by_word(open_page):
    record = pair_record()
    words = record.words()
    page = open_page(head_view(record, heads=[0]).to_html())
    page.select_option('[name="granularity"]', "word")
    assert shown_labels(page, "query") == ["[CLS]", "Ann", "slept", "Bo", "woke"]
    token(page, "query", 2).hover()
    expected = words.attentions[0, 0, 2].tolist()
    assert numbers(page, "key") == pytest.approx(expected, abs=0.0051)


@pytest.mark.browser
def test_renormalised_weights_are_those_of_the_figure(open_page):
    record = pair_record()
    view = head_view(record, heads=[0], weights="renormalised", token=3)
    page = open_page(view.to_html())
    expected, removed = renormalised(
        record.attentions, record.keys.special_tokens_mask, is_self=True
    )
    assert numbers(page, "key") == pytest.approx(expected[0, 0, 3].tolist(), abs=0.0051)
    assert f"{float(removed[0, 0, 3]):.2f} went to special tokens" in page.inner_text(".reading")
    assert lines(drawn(page)) == lines(view.traces())


@pytest.mark.browser
@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        ("mean", lambda a: a[0].mean(0)),
        ("max", lambda a: a[0].amax(0)),
        ("mean-layers", lambda a: a.mean((0, 1))),
        ("max-layers", lambda a: a.amax((0, 1))),
    ],
)
def test_heads_and_layers_are_put_together(open_page, combine, expected):
    record = record_of()
    page = open_page(head_view(record).to_html())
    page.select_option('[name="combine"]', combine)
    token(page, "query", 3).hover()
    whole = expected(record.attentions)
    assert numbers(page, "key") == pytest.approx(whole[3].tolist(), abs=0.0051)
    view = head_view(record, combine=combine)
    page.mouse.move(0, 0)
    page.wait_for_function("() => !document.querySelector('.token.focal')")
    assert set(lines(drawn(page))) == set(lines(view.traces()))
    assert set(lines(view.traces())) == {tuple(p) for p in (whole >= 0.02).nonzero().tolist()}


@pytest.mark.browser
def test_a_pair_can_be_seen_by_its_texts_with_the_numbers_it_has(open_page):
    record = pair_record()
    page = open_page(head_view(record, heads=[0]).to_html())
    page.select_option('[name="filter"]', "0-1")
    assert shown_labels(page, "query") == ["Ann", "sl", "##ept"]
    assert shown_labels(page, "key") == ["Bo", "woke"]
    token(page, "query", 2).hover()
    expected = record.attentions[0, 0, 2, 4:].tolist()
    assert numbers(page, "key") == pytest.approx(expected, abs=0.0051)
    assert {key for _, key in lines(drawn(page))} <= {4, 5}


@pytest.mark.browser
def test_one_text_has_no_choice_of_texts(open_page):
    page = open_page(head_view(record_of()).to_html())
    assert page.locator('[name="filter"]').count() == 0


@pytest.mark.browser
def test_the_kinds_of_an_encoder_decoder_are_a_choice(open_page):
    encoder = replace(record_of("a b c", heads=2), kind="encoder")
    cross = AttentionRecord.from_tensors(
        torch.rand(2, 4, 2, 4).softmax(-1), ["x", "y", "z", "w"], query_tokens=["<s>", "u"],
        kind="cross",
    )  # fmt: skip
    page = open_page(head_view([encoder, cross]).to_html())
    page.select_option('[name="attention"]', "1")
    assert shown_labels(page, "query") == ["<s>", "u"]
    assert page.locator('button[name="head"]').count() == 4
    token(page, "query", 1).hover()
    expected = cross.attentions[0, :, 1].mean(0).tolist()
    assert numbers(page, "key") == pytest.approx(expected, abs=0.0051)


@pytest.mark.browser
def test_arrows_change_layer_and_head(open_page):
    page = open_page(head_view(record_of(), heads=[1]).to_html())
    token(page, "query", 1).focus()
    page.keyboard.press("ArrowRight")
    assert pressed(page) == [2]
    page.keyboard.press("ArrowRight")
    assert pressed(page) == [2]
    page.keyboard.press("ArrowDown")
    assert page.locator("output").first.inner_text() == "1"
    page.keyboard.press("ArrowLeft")
    assert pressed(page) == [1]
    assert "L1H1" in page.inner_text(".reading")


@pytest.mark.browser
def test_a_search_marks_and_goes_to_what_it_finds(open_page):
    page = open_page(head_view(record_of()).to_html())
    page.fill('[name="search"]', "SHE")
    assert page.locator(".token.found").all_inner_texts() == ["she", "she"]
    assert "2 found" in page.inner_text(".controls")
    page.press('[name="search"]', "Enter")
    assert page.evaluate("document.activeElement.textContent") == "she"


@pytest.mark.browser
@pytest.mark.parametrize("layout", ["vertical", "horizontal"])
def test_the_address_opens_what_was_seen(open_page, layout):
    record = pair_record()
    source = head_view(record).to_html()
    page = open_page(source)
    page.select_option('[name="layout"]', layout)
    page.select_option('[name="weights"]', "renormalised")
    page.dblclick('[data-head="2"]')
    token(page, "query", 4).click()
    page.mouse.move(0, 0)
    token(page, "query", 1).focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function(
        "() => location.hash.includes('layer') && location.hash.includes('pins')"
    )
    seen = page.inner_text(".reading"), numbers(page, "key"), pressed(page)
    again = open_page(source, path_hash=page.evaluate("location.hash"))
    assert (again.inner_text(".reading"), numbers(again, "key"), pressed(again)) == seen
    assert set(lines_in_pixels(again)) == set(lines_in_pixels(page))


def lines_in_pixels(page):
    traces = page.evaluate("document.querySelector('.lines').data")
    return {(tuple(t["x"]), tuple(t["y"]), t["line"]["color"]) for t in traces}


@pytest.mark.browser
@pytest.mark.parametrize(
    "link", ["#view-1-head.layer=99&view-1-head.pins=q99,zz&x=", "#nowhere", "#a=%"]
)
def test_an_address_that_does_not_fit_is_left_aside(open_page, link):
    page = open_page(head_view(record_of(), heads=[0]).to_html(), path_hash=link)
    assert page.locator("output").first.inner_text() == "0"
    assert pressed(page) == [0]


@pytest.mark.browser
def test_words_across_have_their_lines_between_them(open_page):
    record = record_of("那 只 灰 猫 坐")
    page = open_page(head_view(record, heads=[0], layout="horizontal", threshold=0).to_html())
    centres = page.evaluate(
        """() => ['query', 'key'].map((side) => [...document.querySelectorAll(`.tokens.${side} li`)]
          .map((item) => item.offsetLeft + item.offsetWidth / 2))"""
    )
    traces = page.evaluate("document.querySelector('.lines').data")
    found = {
        (trace["x"][start + 1], trace["x"][start + 2])
        for trace in traces
        for start in range(0, len(trace["x"]), 5)
    }
    assert found == {(q, k) for q in centres[0] for k in centres[1]}
    tops = page.evaluate(
        """[...document.querySelectorAll('.tokens.query .token')]
          .map((token) => token.getBoundingClientRect().top)"""
    )
    assert len(set(tops)) == 1


@pytest.mark.browser
def test_the_reader_chooses_light_or_dark(open_page):
    page = open_page(head_view(record_of(), heads=[0]).to_html())
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    light = {trace["line"]["color"] for trace in drawn(page)}
    page.click('[name="theme"]')
    assert page.evaluate(background) == "rgb(21, 24, 28)"
    assert light.isdisjoint({trace["line"]["color"] for trace in drawn(page)})
    page.wait_for_function("() => location.hash.includes('page.theme=dark')")


@pytest.mark.browser
@pytest.mark.parametrize("format", ["svg", "png"])
def test_what_is_seen_can_be_saved(open_page, tmp_path, format):
    record = pair_record()
    page = open_page(head_view(record, heads=[0], token=2).to_html())
    with page.expect_download() as waiting:
        page.click(f'[name="export-{format}"]')
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.name == f"head-view-L0.{format}"
    if format == "png":
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 10_000
        return
    text = path.read_text()
    for label in record.keys.tokens:
        assert f">{label}" in text or label in text
    assert f"{float(record.attentions[0, 0, 2, 4]):.2f}" in text


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"granularity": "letter"}, "token, word"),
        ({"weights": "nonsense"}, "raw, renormalised"),
        ({"combine": "sum"}, "separate, mean, max"),
        ({"layout": "round"}, "vertical, horizontal"),
        ({"granularity": "word", "token": 5}, "0–4"),
    ],
)
def test_choices_that_there_are_not_are_refused(options, expected):
    with pytest.raises(SelectionError, match=expected):
        head_view(pair_record(), **options)


# Norms


def record_with_norms() -> AttentionRecord:
    """Lengths of values of up to 4, other ones for each layer, head and key."""
    record = record_of(layers=2, heads=3)
    generator = torch.Generator().manual_seed(9)
    norms = 4 * torch.rand(2, 3, len(record.keys), generator=generator)
    return replace(record, parts={"value_norms": norms})


def test_norm_weights_of_the_figure_are_products_and_lines_shares_of_the_largest():
    record = record_with_norms()
    view = head_view(record, layer=1, heads=[2], weights="norm", token=3, threshold=0.3)
    by_norm = ix.norms(record)[1]
    labels = [a.text for a in view.figure.layout.annotations][len(record.queries) :]
    expected = [f"<b>{float(w):.2f}</b>" for w in by_norm[2, 3]]
    assert [label.split("  ")[1] for label in labels] == expected
    share = by_norm[2, 3] / by_norm.max()
    assert set(lines(view.traces())) == {(3, k) for k in (share >= 0.3).nonzero()[:, 0].tolist()}
    assert 0 < len(lines(view.traces())) < len(record.keys)


@pytest.mark.browser
@pytest.mark.parametrize("granularity", ["token", "word"])
def test_norm_weights_shown_are_those_of_the_record(open_page, granularity):
    record = record_with_norms()
    if granularity == "word":  # the first two tokens after the special one are a word
        words = (None, 0, *range(len(record.keys) - 2))
        sequence = replace(record.keys, word_ids=words)
        record = replace(record, queries=sequence, keys=sequence)
    view = head_view(record, layer=1, heads=[1], token=2, weights="norm", granularity=granularity)
    page = open_page(view.to_html())
    assert page.input_value('[name="weights"]') == "norm"
    weighed = replace(record, attentions=ix.norms(record))
    expected = (weighed.words() if granularity == "word" else weighed).attentions[1, 1, 2]
    for index, weight in enumerate(expected.tolist()):
        assert float(number_beside(page, "key", index)) == pytest.approx(weight, abs=0.0051)
    assert "length of what its key brings" in page.inner_text(".reading")
    assert lines(drawn(page)).keys() == lines(view.traces()).keys()
    assert "of the largest" in page.inner_text('label:has([name="threshold"])')
    title = token(page, "key", 1).locator("xpath=../span[@class][1]").get_attribute("title")
    assert title == "weight × length of what the key brings"
    page.select_option('[name="weights"]', "raw")
    raw = (record.words() if granularity == "word" else record).attentions[1, 1, 2, 1]
    assert float(number_beside(page, "key", 1)) == pytest.approx(float(raw), abs=0.0051)


@pytest.mark.browser
def test_norms_over_all_layers_have_the_largest_of_all(open_page):
    record = record_with_norms()
    view = head_view(record, weights="norm", combine="max-layers", threshold=0.5)
    page = open_page(view.to_html())
    drawn_pairs = lines(drawn(page)).keys()
    assert drawn_pairs == lines(view.traces()).keys()
    whole = ix.norms(record).amax((0, 1))
    expected = {tuple(pair) for pair in (whole >= whole.max() / 2).nonzero().tolist()}
    assert drawn_pairs == expected


@pytest.mark.browser
def test_a_record_without_norms_offers_none(open_page):
    page = open_page(head_view(record_of()).to_html())
    options = page.eval_on_selector_all('[name="weights"] option', "all => all.map((o) => o.value)")
    assert options == ["raw", "renormalised", "rollout"]
    with pytest.raises(SelectionError, match="value_norms"):
        head_view(record_of(), weights="norm")
