"""The layer view: its figure as data, and its page by acts in a browser."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from introspect.errors import SelectionError
from introspect.functional import rollout
from introspect.records import LARGEST_SHOWN, AttentionRecord
from introspect.views import layer_view

from .samples import bare_record, record_of

HOSTILE = ["<img src=x onerror=alert(1)>", "</script>", "שלום", "😀", "x" * 300, "&amp;"]


def cross_record() -> AttentionRecord:
    return AttentionRecord.from_tensors(
        torch.rand(2, 4, 2, 4, generator=torch.Generator().manual_seed(3)).softmax(-1),
        ["x", "y", "z", "w"],
        query_tokens=["<s>", "u"],
        kind="cross",
    )


def slow(record: AttentionRecord, token: int, head: int | str, side: str) -> list[list[float]]:
    """Layers × tokens of the other side, by plain loops."""
    weights = record.attentions.tolist()
    number = len(record.keys if side == "query" else record.queries)
    table = []
    for layer in weights:
        line = []
        for other in range(number):
            query, key = (token, other) if side == "query" else (other, token)
            of_heads = [pattern[query][key] for pattern in layer]
            if head == "mean":
                line.append(sum(of_heads) / len(of_heads))
            else:
                line.append(max(of_heads) if head == "max" else of_heads[int(head)])
        table.append(line)
    return table


# The figure


@pytest.mark.parametrize("side", ["query", "key"])
@pytest.mark.parametrize("head", ["mean", "max", 2])
def test_the_figure_is_the_records_own_by_a_slow_loop(head, side):
    record = record_of(layers=4)
    trace = layer_view(record, token=3, head=head, side=side).figure.data[0]
    expected = torch.tensor(slow(record, 3, head, side)).T
    torch.testing.assert_close(torch.tensor(trace.z), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("side", "shape"), [("query", (4, 2)), ("key", (2, 2))])
def test_of_two_texts_the_rows_are_the_other_ones_tokens(side, shape):
    view = layer_view(cross_record(), token=1, side=side)
    assert torch.tensor(view.figure.data[0].z).shape == shape
    first = next(iter(view.figure.layout.yaxis.ticktext))
    assert first == ("x" if side == "query" else "&lt;s&gt;")


def test_rollout_is_up_to_each_layer():
    record = record_of(layers=3)
    expected = rollout(record.attentions)
    found = layer_view(record, token=4, weights="rollout").values()
    torch.testing.assert_close(found, expected[:, 4].float())
    found = layer_view(record, token=4, weights="rollout", side="key").values()
    torch.testing.assert_close(found, expected[:, :, 4].float())


def test_the_last_token_of_the_text_is_the_first_choice():
    assert layer_view(record_of()).token == 6
    record = record_of()
    ended = replace(record.keys, special_tokens_mask=(True, *[False] * 5, True))
    assert layer_view(replace(record, queries=ended, keys=ended)).token == 5


def test_layers_go_by_the_models_own_numbers():
    hybrid = replace(record_of(), layers=(4, 9))
    assert list(layer_view(hybrid).figure.layout.xaxis.ticktext) == ["4", "9"]
    assert "only: 4, 9." in layer_view(hybrid).sections()[0].state["note"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"token": 7}, "Expected `token` in 0–6, got 7"),
        ({"token": -1}, "Expected `token` in 0–6, got -1"),
        ({"head": 3}, "in 0–2, got 3"),
        ({"head": "sum"}, "a number, mean or max, got 'sum'"),
        ({"side": "left"}, "query or key"),
    ],
)
def test_what_there_is_not_is_refused_with_the_range(options, expected):
    with pytest.raises(SelectionError, match=expected):
        layer_view(record_of(), **options)


def test_rollout_is_refused_where_there_is_none():
    with pytest.raises(SelectionError, match="a text to itself"):
        layer_view(cross_record(), weights="rollout")
    long = bare_record(["a"] * (LARGEST_SHOWN + 1))
    with pytest.raises(SelectionError, match="at most 256 tokens to show by rollout, got 257"):
        layer_view(long, weights="rollout")
    assert layer_view(long).sections()[0].methods == ((),)


# The page


def choose(page, token: int, side: str = "query") -> None:
    page.click(f'.layer-words [data-side="{side}"][data-token-index="{token}"]')


def numbers(page) -> list[list[float]]:
    """The numbers of the cells: a list for each token, by layer."""
    rows = page.evaluate(
        """[...document.querySelectorAll('.layer-line:not(.layer-head)')]
          .map((line) => [...line.querySelectorAll('.layer-cells span')]
            .map((cell) => cell.textContent))"""
    )
    return [[float("nan") if text == "–" else float(text) for text in row] for row in rows]


def assert_numbers(page, expected: torch.Tensor) -> None:
    """``expected`` is layers × tokens; a page holds them within 0.00001 and writes two decimals."""
    found = torch.tensor(numbers(page)).T
    torch.testing.assert_close(found, expected.float(), atol=0.0051, rtol=0, equal_nan=True)


@pytest.mark.browser
def test_a_click_on_a_token_shows_the_records_numbers(open_page):
    record = record_of(layers=4)
    page = open_page(layer_view(record).to_html())
    for token in (2, 5, 0):
        choose(page, token)
        assert_numbers(page, record.attentions[:, :, token].mean(1))
        assert f"“{record.tokens[token]}” attends most to" in page.inner_text(".reading")


@pytest.mark.browser
def test_weights_of_one_head_the_largest_and_rollout(open_page):
    record = record_of(layers=3)
    page = open_page(layer_view(record, token=3).to_html())
    assert page.is_disabled('[name="head"]')
    page.select_option('[name="combine"]', "one")
    page.select_option('[name="head"]', "2")
    assert_numbers(page, record.attentions[:, 2, 3])
    page.select_option('[name="combine"]', "max")
    assert_numbers(page, record.attentions[:, :, 3].amax(1))
    page.select_option('[name="weights"]', "rollout")
    assert page.is_disabled('[name="head"]')
    assert_numbers(page, rollout(record.attentions)[:, 3])
    page.hover(".layer-cells[data-token='5'] span >> nth=1")
    assert "up to layer 1: " in page.inner_text(".reading")
    page.select_option('[name="side"]', "key")
    assert_numbers(page, rollout(record.attentions)[:, :, 3])


@pytest.mark.browser
@pytest.mark.parametrize(
    ("head", "weights", "side"), [("max", "raw", "key"), (1, "rollout", "query")]
)
def test_the_page_opens_as_its_figure(open_page, head, weights, side):
    view = layer_view(record_of(layers=3), token=4, head=head, weights=weights, side=side)
    page = open_page(view.to_html())
    assert_numbers(page, view.values())


@pytest.mark.browser
def test_the_sentence_names_the_largest_weight(open_page):
    record = record_of(layers=4)
    page = open_page(layer_view(record, token=3).to_html())
    mean = record.attentions[:, :, 3].mean(1)
    layer, key = divmod(int(mean.argmax()), len(record.keys))
    assert page.inner_text(".reading") == (
        f"“Bo” attends most to “{record.tokens[key]}” in layer {layer} "
        f"({float(mean.max()):.2f} on average over 3 heads)."
    )
    bold = page.evaluate(
        """[...document.querySelectorAll('.layer-cells')].map((strip) =>
          [...strip.children].flatMap((cell, i) => cell.classList.contains('strong') ? [i] : []))"""
    )
    expected = [[i for i in range(4) if int(mean[i].argmax()) == key] for key in range(7)]
    assert bold == expected


@pytest.mark.browser
def test_pointing_says_a_cell_in_words(open_page):
    record = record_of(layers=4)
    page = open_page(layer_view(record, token=3, head=1).to_html())
    page.hover(".layer-cells[data-token='5'] span >> nth=2")
    weight = float(record.attentions[2, 1, 3, 5])
    assert page.inner_text(".reading") == f"“Bo” → “she”, layer 2: {weight:.2f} (in head 1)."
    page.mouse.move(0, 0)
    page.wait_for_function("() => document.querySelector('.reading').textContent.includes('most')")


@pytest.mark.browser
def test_keys_walk_tokens_and_layers(open_page):
    record = record_of(layers=4)
    page = open_page(layer_view(record, token=3).to_html())
    page.focus('.layer-words [aria-pressed="true"]')
    page.keyboard.press("ArrowDown")
    assert_numbers(page, record.attentions[:, :, 4].mean(1))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    assert_numbers(page, record.attentions[:, :, 2].mean(1))
    page.focus(".layer-name[data-token-index='1']")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    weight = float(record.attentions[1, :, 2, 1].mean())
    assert f"“saw” → “Ann”, layer 1: {weight:.2f}" in page.inner_text(".reading")
    page.keyboard.press("Enter")
    assert_numbers(page, record.attentions[:, :, 1].mean(1))


@pytest.mark.browser
@pytest.mark.parametrize("side", ["query", "key"])
def test_special_tokens_can_be_left_out_and_their_share_is_said(open_page, side):
    record = record_of(layers=3)
    page = open_page(layer_view(record, token=2, side=side).to_html())
    page.check('[name="special"]')
    mean = torch.tensor(slow(record, 2, "mean", side))
    assert_numbers(page, torch.cat([mean[:, 1:], mean[:, :1]], 1))
    assert "1 special token; the last row" in page.inner_text(".matrix-note")
    assert "[CLS]" not in page.inner_text(".layer-table")


@pytest.mark.browser
def test_of_the_largest_the_share_left_out_is_one_heads(open_page):
    record = record_of(layers=2)
    both = replace(record.keys, special_tokens_mask=(True, *[False] * 5, True))
    record = replace(record, queries=both, keys=both)
    page = open_page(layer_view(record, token=2, head="max").to_html())
    page.check('[name="special"]')
    share = record.attentions[:, :, 2][..., [0, 6]].sum(-1).amax(1)
    assert numbers(page)[-1] == pytest.approx(share.tolist(), abs=0.0051)


@pytest.mark.browser
def test_two_texts_are_seen_from_both(open_page):
    record = cross_record()
    page = open_page(layer_view(record, token=0).to_html())
    assert page.locator('option[value="rollout"]').count() == 0
    assert "no rollout" in page.inner_text(".matrix-note")
    assert_numbers(page, record.attentions[:, :, 0].mean(1))
    page.click(".layer-name[data-side='key'][data-token-index='2']")
    assert page.input_value('[name="side"]') == "key"
    assert_numbers(page, record.attentions[..., 2].mean(1))
    choose(page, 1, "key")
    assert_numbers(page, record.attentions[..., 1].mean(1))
    page.wait_for_function("() => location.hash.includes('token=')")
    again = open_page(
        layer_view(record, token=0).to_html(), path_hash=page.evaluate("location.hash")
    )
    assert numbers(again) == numbers(page)


@pytest.mark.browser
def test_the_address_opens_what_was_seen(open_page):
    source = layer_view(record_of(layers=3), token=3).to_html()
    page = open_page(source)
    choose(page, 0)
    page.select_option('[name="combine"]', "one")
    page.select_option('[name="head"]', "1")
    page.select_option('[name="side"]', "key")
    page.select_option('[name="scale"]', "largest")
    page.check('[name="special"]')
    page.mouse.move(0, 0)
    page.wait_for_function("() => location.hash.includes('special=hidden')")
    again = open_page(source, path_hash=page.evaluate("location.hash"))
    assert numbers(again) == numbers(page)
    assert again.inner_text("section") == page.inner_text("section")
    assert again.is_checked('[name="special"]')
    assert again.input_value('[name="scale"]') == "largest"


@pytest.mark.browser
def test_an_address_that_does_not_fit_is_left_aside(open_page):
    view = layer_view(record_of(), token=3)
    bad = ("token=99", "head=-1", "weights=x", "side=up")
    link = "#" + "&".join(f"view-1-layer.{part}" for part in bad)
    assert_numbers(open_page(view.to_html(), path_hash=link), view.values())


@pytest.mark.browser
def test_colors_follow_the_theme(open_page):
    page = open_page(layer_view(record_of()).to_html())
    strip = "document.querySelector('.layer-cells').style.backgroundImage"
    light, found = page.evaluate(strip), numbers(page)
    page.click('[name="theme"]')
    assert page.evaluate(strip) != light
    assert numbers(page) == found


@pytest.mark.browser
def test_missing_weights_are_hatched_and_said(open_page):
    record = record_of(layers=2)
    record.attentions[1, 2, 3, 4] = torch.nan
    page = open_page(layer_view(record, token=3).to_html())
    assert_numbers(page, record.attentions[:, :, 3].mean(1))
    cell = page.locator(".layer-cells[data-token='4'] span").nth(1)
    assert cell.get_attribute("aria-label") == "missing"
    cell.hover()
    assert "layer 1: missing" in page.inner_text(".reading")
    assert "Hatched cells are missing." in page.inner_text(".matrix-note")
    page.select_option('[name="weights"]', "rollout")
    assert_numbers(page, rollout(record.attentions)[:, 3])


@pytest.mark.browser
def test_a_token_whose_weights_are_all_missing(open_page):
    record = bare_record(["one"])
    record.attentions[0, 0, 0, 0] = torch.nan
    page = open_page(layer_view(record).to_html())
    assert page.inner_text(".reading") == "Every weight of “one” is missing."


@pytest.mark.browser
def test_one_token_one_layer_one_head(open_page):
    page = open_page(layer_view(bare_record(["one"])).to_html())
    assert numbers(page) == [[1.0]]
    assert "attends most to “one” in layer 0 (1.00 in head 0)" in page.inner_text(".reading")


@pytest.mark.browser
@pytest.mark.parametrize("width", [600, 1280])
def test_96_layers_have_their_numbers_in_words(open_page, width):
    record = record_of(layers=96)
    page = open_page(layer_view(record, token=3).to_html(), width=width)
    assert page.locator(".layer-cells span").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.focus(".layer-name[data-token-index='5']")
    page.keyboard.press("ArrowLeft")
    weight = float(record.attentions[95, :, 3, 5].mean())
    assert f"“Bo” → “she”, layer 95: {weight:.2f}" in page.inner_text(".reading")


@pytest.mark.browser
def test_a_long_text_has_no_rollout_and_says_so(open_page):
    long = bare_record([f"t{i}" for i in range(LARGEST_SHOWN + 1)], layers=2)
    page = open_page(layer_view(long, token=9).to_html())
    assert page.locator('option[value="rollout"]').count() == 0
    assert "the text has 257 tokens" in page.inner_text(".matrix-note")
    assert_numbers(page, long.attentions[:, 0, 9])


@pytest.mark.browser
def test_nothing_jumps_when_another_token_is_chosen(open_page):
    page = open_page(layer_view(record_of(layers=4), token=3).to_html())
    places = """[...document.querySelectorAll('section *')]
      .filter((one) => !one.matches('.layer-mark, .reading, .reading *, option'))
      .map((one) => { const r = one.getBoundingClientRect(); return [r.left, r.top, r.height]; })"""
    before = page.evaluate(places)
    page.evaluate("document.querySelector('.layer-words [data-token-index=\"1\"]').click()")
    assert page.evaluate(places) == before


@pytest.mark.browser
def test_hostile_tokens_are_text(open_page):
    page = open_page(layer_view(bare_record(HOSTILE, layers=2)).to_html())
    assert page.locator("img[src=x]").count() == 0
    assert page.locator(".layer-words [data-side=query]").count() == len(HOSTILE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


@pytest.mark.browser
@pytest.mark.parametrize("format", ["svg", "png"])
def test_what_is_seen_can_be_saved(open_page, tmp_path, format):
    record = record_of(layers=3)
    page = open_page(layer_view(record, token=3).to_html())
    page.check('[name="special"]')
    with page.expect_download() as waiting:
        page.click(f'[name="export-{format}"]')
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.name == f"layer-view-mean-ann-saw-bo-so-she-left-1.{format}"
    if format == "png":
        assert path.read_bytes().startswith(b"\x89PNG")
        return
    text = path.read_text()
    assert f"{float(record.attentions[2, :, 3, 4].mean()):.2f}" in text
    assert "special tokens left out" in text and "[CLS]" not in text
    assert all(token in text for token in record.tokens[1:])


@pytest.mark.browser
def test_a_word_chosen_elsewhere_comes_into_the_text_and_the_page_stays(open_page):
    tokens = [f"word{i}" for i in range(300)]
    page = open_page(layer_view(bare_record(tokens), token=0).to_html())
    page.locator('[data-element="words"] [data-label="word250"]').click()
    page.wait_for_timeout(50)
    assert page.evaluate("scrollY") == 0
    frame = page.locator(".layer-text").bounding_box()
    box = page.locator('.layer-text [data-token-index="250"]').bounding_box()
    assert frame["y"] <= box["y"] <= frame["y"] + frame["height"]
