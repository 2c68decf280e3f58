"""The sentence as an instrument: words, the strip of heads, and one choice for the whole page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

import introspect as ix
from introspect.records import AttentionRecord, TokenSequence
from introspect.reporting import report
from introspect.views import Choice, head_view, heatmap_view, instrument, model_view
from tests import models_zoo

pytestmark = pytest.mark.browser

TEXT = "The animal didn't cross the street because it was too tired."
WORDS = '[data-element="words"]'
STRIP = '[data-element="strip"]'
READING = ".live"


@pytest.fixture(scope="module")
def demo() -> str:
    case = ix.CorefCase.from_words(TEXT, pronoun="it", antecedent="animal", distractors=["street"])
    return report(models_zoo.minilm(), case).html


@pytest.fixture(scope="module")
def record() -> AttentionRecord:
    return models_zoo.minilm().capture(TEXT)


def selection(page) -> str:
    return page.get_attribute("html", "data-selection")


def word(page, label: str, number: int = 0):
    return page.locator(f'{WORDS} [data-label="{label}"]').nth(number)


def test_sentence_and_strip_stand_on_the_first_screen(open_page, demo):
    for width in (1440, 1024, 640):
        page = open_page(demo, width=width)
        words = page.locator(WORDS).bounding_box()
        assert words["y"] < 200
        for label in ("it", "animal"):
            box = word(page, label).bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width
        if width == 1440:
            assert page.locator(STRIP).bounding_box()["y"] < 200
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_number_of_each_word_is_in_its_name(open_page, demo, record):
    page = open_page(demo)
    row = record.words().attentions[3, 1]
    labels = record.words().queries.tokens
    source = labels.index("it")
    for number in range(len(labels)):
        name = page.get_attribute(f'{WORDS} [data-word-index="{number}"]', "aria-label")
        assert name.endswith(f"gets {row[source, number]:.2f}"), name
    assert "antecedent" in word(page, "animal").get_attribute("aria-label")


def test_everything_follows_one_choice(open_page, demo):
    page = open_page(demo)
    assert selection(page) == "L3H1.q10.k2"
    assert page.inner_text(READING) == (
        "L3H1: “it” gives “animal” 0.68; the other words give it 0.11."
    )
    page.click(f'{STRIP} [data-layer="5"][data-head="11"]')
    assert selection(page) == "L5H11.q10.k2"
    assert (
        page.get_attribute(f'{STRIP} [data-head="11"][data-layer="5"]', "aria-selected") == "true"
    )
    assert page.inner_text('[data-view="coreference"] .reading').startswith(
        "L5H11: “it” gives 0.67"
    )
    assert "(L5H11)" in page.inner_text('[data-view="head"] .reading')
    assert page.inner_text('[data-view="model"] .detail h3').startswith("L5H11")
    page.click('[data-view="model"] .cell[data-layer="2"][data-head="4"]')
    assert selection(page) == "L2H4.q10.k2"
    assert page.inner_text(READING).startswith("L2H4: ")
    # A second pin stands beside the first.
    page.click('[data-view="head"] [data-side="query"] >> text="street"')
    assert selection(page) == "L2H4.q10.k2"
    assert "“it” and “street” give “animal”" in page.inner_text(READING)


def test_two_words_are_chosen_one_after_the_other(open_page, demo):
    page = open_page(demo)
    word(page, "street").click()
    assert selection(page) == "L3H1.q8"
    word(page, "animal").click()
    assert selection(page) == "L3H1.q8.k2"
    page.keyboard.press("Escape")
    assert selection(page) == "L3H1.q8"
    word(page, "it").click(modifiers=["Shift"])
    assert "“street” and “it” give most" in page.inner_text(READING)


def test_pointing_is_no_choice(open_page, demo):
    page = open_page(demo)
    before = page.inner_text(READING)
    word(page, "because").hover()
    page.locator(READING, has_text="“because” gives").wait_for()
    assert selection(page) == "L3H1.q10.k2"
    assert "selection" not in page.url
    page.mouse.move(5, 890)
    page.wait_for_timeout(50)
    assert page.inner_text(READING) == before


def test_the_address_brings_the_choice_back_and_back_goes_back_a_chapter(open_page, demo):
    page = open_page(demo, path_hash="#selection.head=L5H3&selection.query=8&selection.key=2")
    assert selection(page) == "L5H3.q8.k2"
    assert "(L5H3)" in page.inner_text('[data-view="head"] .reading')
    page.click(".contents a >> nth=2")
    assert "page.at=3" in page.url
    page.wait_for_timeout(50)
    assert page.evaluate("scrollY") > 400
    page.go_back()
    page.wait_for_timeout(100)
    assert page.evaluate("scrollY") == 0
    assert selection(page) == "L5H3.q8.k2"


@pytest.mark.parametrize("first", [0, 3])
def test_an_address_that_fits_nothing_changes_nothing(open_page, demo, first):
    """Each name, and each value."""
    names = ("head", "query", "key", "pins", "weights", "granularity")
    values = ["-1", "L9H0", "constructor", "9.5", "99999999999", "L3H1,L3H2"]
    pairs = zip(names, values[first:] + values[:first], strict=True)
    address = "&".join(f"selection.{name}={value}" for name, value in pairs)
    page = open_page(demo, path_hash=f"#{address}")
    assert selection(page) == "L3H1.q10.k2"


def test_one_tab_stop_and_arrows(open_page, demo):
    page = open_page(demo)
    stops = f'{WORDS} [tabindex="0"], {STRIP} [tabindex="0"]'
    assert page.locator(stops).count() == 2
    word(page, "cross").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.label") == "the"
    page.keyboard.press("Enter")
    assert selection(page) == "L3H1.q7"
    page.locator(f'{STRIP} [tabindex="0"]').focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert selection(page) == "L4H2.q7"
    assert page.locator(stops).count() == 2


def test_heads_ranked_by_the_pair_are_those_of_pair_table(open_page, demo, record):
    page = open_page(demo)
    page.click(".ranked-pairs summary")
    table = ix.pair_table(record, "it", "animal")
    rows = page.locator(".ranked-pairs tbody tr")
    assert rows.count() == len(table)
    for number, row in enumerate(table.head(20).itertuples()):
        cells = rows.nth(number).inner_text().split("\t")
        assert cells[0] == f"L{row.layer}H{row.head}"
        numbers = [float(cell.replace("−", "-")) for cell in cells[1:]]
        # A difference is that of the numbers that stand beside it.
        difference = round(row.weight, 2) - round(row.others, 2)
        expected = (row.weight, row.others, difference, row.rank, row.without_special)
        assert numbers == pytest.approx(expected, abs=0.0051)
    page.click('.ranked-pairs th >> text="difference"')
    first = rows.first.inner_text().split("\t")[0]
    best = table.sort_values("difference", ascending=False).iloc[0]
    assert first == f"L{best['layer']:.0f}H{best['head']:.0f}"


def test_model_view_is_sorted_by_the_chosen_pair(open_page, demo, record):
    page = open_page(demo)
    page.select_option('[data-view="model"] [name="sort"]', "pair")
    names = page.locator('[data-view="model"] .cell-name')
    table = ix.pair_table(record, "it", "animal")
    best = [f"L{row.layer}H{row.head}" for row in table.head(5).itertuples()]
    assert [names.nth(number).inner_text() for number in range(5)] == best
    word(page, "tired").click()
    word(page, "street").click()
    table = ix.pair_table(record, "tired", "street")
    assert names.first.inner_text() == f"L{table['layer'][0]}H{table['head'][0]}"


def test_the_rank_of_every_head_is_that_of_pair_table(open_page, record):
    page = open_page(head_view(record, token="it").to_html())
    for label in ("it", "street"):
        word(page, label).click()
    page.click(".ranked-pairs summary")
    page.wait_for_selector(".ranked-pairs tbody tr")
    rows = page.locator(".ranked-pairs tbody tr").all_inner_texts()
    shown = {cells[0]: cells[4] for cells in (row.split("\t") for row in rows)}
    # A page holds weights in 16 bits: what differs by less is a tie there.
    held = replace(record, attentions=(record.attentions * 65534).round() / 65534)
    assert shown == ranks(ix.pair_table(held, "it", "street"))
    exact = ix.pair_table(record, "it", "street")
    large = ranks(exact[exact["weight"] > 0.001])
    assert large.items() <= shown.items()
    assert len(set(large.values())) > 3


def ranks(table) -> dict[str, str]:
    return {f"L{row.layer}H{row.head}": str(row.rank) for row in table.itertuples()}


def test_all_that_is_said_of_a_pair_is_by_the_chosen_weights(open_page, demo, record):
    page = open_page(demo)
    page.click(".ranked-pairs summary")
    page.select_option('[data-element="instrument"] [name="weights"]', "renormalized")
    words = record.words()
    tokens = words.queries.tokens
    it, animal = tokens.index("it"), tokens.index("animal")
    left = [i for i, special in enumerate(words.queries.special_tokens_mask) if not special]
    row = words.attentions[3, 1, it]
    share = f"{row[animal] / row[[i for i in left if i != it]].sum():.2f}"
    assert share != "0.68"
    assert f"“it” gives “animal” {share}" in page.inner_text(READING)
    assert page.get_attribute(f'{STRIP} [data-layer="3"][data-head="1"]', "title") == (
        f"L3H1: {share}"
    )
    ranked = page.locator('.ranked-pairs tr:has([data-layer="3"][data-head="1"])').inner_text()
    assert ranked.split("\t")[1] == share
    cell = page.locator('[data-view="model"] .cell[data-layer="3"][data-head="1"]')
    assert cell.get_attribute("aria-label").endswith(share)
    assert page.locator('[data-view="model"] .detail-facts td').first.inner_text() == share


def test_what_takes_all_heads_together_has_one_number_for_each_layer(open_page, demo, record):
    page = open_page(demo)
    page.click(".ranked-pairs summary")
    page.select_option('[data-element="instrument"] [name="weights"]', "rollout")
    assert page.locator(f"{STRIP} .strip-cell:visible").count() == record.num_layers
    assert page.inner_text(".strip-together") == "all heads together"
    rows = [text.split("\t") for text in page.locator(".ranked-pairs tbody tr").all_inner_texts()]
    assert sorted(row[0] for row in rows) == [f"L{layer}" for layer in record.layers]
    assert page.inner_text(".ranked-pairs summary").startswith("All 6 layers ranked")
    weights = {row[0]: row[1] for row in rows}
    for layer in record.layers:
        cell = page.locator(f'{STRIP} [data-layer="{layer}"][data-head="0"]')
        assert cell.get_attribute("title") == f"L{layer}, all heads: {weights[f'L{layer}']}"
    # A layer is chosen; which head was, stays.
    page.click(f'{STRIP} [data-layer="5"][data-head="0"]')
    assert selection(page).startswith("L5H1.")
    page.select_option('[data-element="instrument"] [name="weights"]', "raw")
    assert page.locator(f"{STRIP} .strip-cell:visible").count() == 72
    assert page.locator(".ranked-pairs tbody tr").count() == 72


@pytest.mark.parametrize("view", [head_view, model_view, heatmap_view])
def test_every_view_of_a_text_opens_with_its_words(open_page, record, view):
    page = open_page(view(record).to_html(), width=1440)
    assert page.locator(WORDS).bounding_box()["y"] < 200
    assert page.locator(STRIP).bounding_box()["y"] < 200
    page.click(f'{STRIP} [data-layer="1"][data-head="2"]')
    assert selection(page).startswith("L1H2")


def test_right_to_left_and_pairs_of_texts_have_lines_of_their_own(open_page):
    tokens = TokenSequence(
        tokens=("[CLS]", "הכלב", "ישן", "[SEP]", "It", "slept", "[SEP]"),
        special_tokens_mask=(True, False, False, True, False, False, True),
        word_ids=(None, 0, 1, None, 2, 3, None),
        sequence_ids=(None, 0, 0, None, 1, 1, None),
        words=("הכלב", "ישן", "It", "slept"),
        texts=("הכלב ישן", "It slept"),
        offsets=((0, 0), (0, 4), (5, 8), (0, 0), (0, 2), (3, 8), (0, 0)),
    )
    record = AttentionRecord.from_tensors(torch.full((1, 1, 7, 7), 1 / 7), tokens)
    page = open_page(head_view(record).to_html())
    lines = page.locator(f"{WORDS} .words-line")
    assert [lines.nth(i).get_attribute("dir") for i in range(2)] == ["rtl", "ltr"]
    boxes = [word(page, label).bounding_box()["x"] for label in ("הכלב", "ישן")]
    assert boxes[0] > boxes[1]


def test_a_long_text_is_whole_on_the_page(open_page):
    length = 300
    weights = torch.full((1, 2, length, length), 1 / length)
    weights[0, 1, 250] = 0
    weights[0, 1, 250, 3] = 1
    record = AttentionRecord.from_tensors(weights, [f"word{i}" for i in range(length)])
    page = open_page(head_view(record, head="L0H1", token=250).to_html(), width=640)
    assert page.locator(f"{WORDS} .word").count() == length
    assert word(page, "word3").inner_text().split() == ["word3", "1.00"]
    assert page.locator(f"{WORDS} path").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 640


def test_what_is_chosen_first_is_the_strongest_pair_that_is_no_neighbor():
    weights = torch.full((2, 2, 4, 4), 0.1)
    weights[1, 0, 3] = torch.tensor([0.5, 0.0, 0.5, 0.0])
    weights[0, 1, 3] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    record = AttentionRecord.from_tensors(weights / weights.sum(-1, keepdim=True), list("abcd"))
    made = instrument(record)
    assert (made.layer, made.head, made.query, made.key) == (1, 0, 3, 0)
    made = instrument(record, Choice(layer=0, head=1))
    assert (made.layer, made.head) == (0, 1)
    assert instrument(record, Choice(query=2, key=0)).query == 2


def test_of_one_token_there_is_no_pair():
    record = AttentionRecord.from_tensors(torch.ones(1, 1, 1, 1), ["a"])
    made = instrument(record)
    assert (made.query, made.key) == (0, None)


def test_the_sentence_is_saved_as_a_picture_that_stands_alone(open_page, demo):
    page = open_page(demo)
    with page.expect_download() as waiting:
        page.click('[data-element="instrument"] [name="save-svg"]')
    assert waiting.value.suggested_filename == "sentence-L3H1-q10-k2-the-animal-didnt-cross-1.svg"
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    tree = ElementTree.fromstring(text)
    words = [part.text for part in tree.iter("{http://www.w3.org/2000/svg}text")]
    for said in ("animal", "0.68", "L3", "H10", "L3H1: “it” gives “animal” 0.68"):
        assert any(word.startswith(said) for word in words), said
    assert any("all-MiniLM-L6-v2 · L3H1 · weights: raw" in word for word in words)
    assert len(list(tree.iter("{http://www.w3.org/2000/svg}path"))) == 3
    assert not any(tag in text for tag in ("<script", "<style", "http://www.w3.org/1999", "color("))
    alone = open_page(f"<!doctype html><html data-ready='true'>{text}", new=True)
    assert alone.locator("svg text").first.is_visible()
    with page.expect_download() as waiting:
        page.click('[data-element="instrument"] [name="save-png"]')
    assert Path(waiting.value.path()).read_bytes().startswith(b"\x89PNG")


def test_numbers_of_all_heads_together_are_no_heads(open_page, record):
    page = open_page(head_view(record, head="L3H1", token="it", weights="rollout").to_html())
    reading = page.inner_text(READING)
    assert "all heads together" in reading and "L3H1" not in reading


def test_what_a_word_gets_is_by_the_chosen_weights(open_page):
    tokens = TokenSequence(
        tokens=("[CLS]", "a", "b", "c"), special_tokens_mask=(True, False, False, False)
    )
    weights = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.5, 0.1, 0.3, 0.1]] * 2)
    record = AttentionRecord.from_tensors(weights[None, None], tokens)
    page = open_page(head_view(record, token=1, weights="renormalized").to_html())
    word(page, "a").click()
    page.select_option('[data-element="instrument"] [name="reading"]', "gets")
    # Of what b gives to neither the special token nor itself, a gets 0.1 of 0.2.
    assert word(page, "b").get_attribute("aria-label").endswith("gives 0.50")


def test_one_other_word_is_one(open_page):
    record = AttentionRecord.from_tensors(torch.full((1, 1, 3, 3), 1 / 3), ["a", "b", "c"])
    page = open_page(head_view(record, token=0).to_html())
    assert page.inner_text(READING).endswith("; the other word gives it 0.33.")


@pytest.mark.parametrize("width", [1440, 640, 480])
def test_no_number_and_no_special_token_is_cut_into_lines(open_page, width):
    text = "[CLS] a much longer sentence , with commas , and words , so … ! [SEP]"
    names = tuple(text.split())
    weights = torch.full((1, 1, len(names), len(names)), 1 / len(names))
    special = tuple(name.startswith("[") for name in names)
    tokens = TokenSequence(tokens=names, special_tokens_mask=special)
    page = open_page(
        head_view(AttentionRecord.from_tensors(weights, tokens), token=1).to_html(), width=width
    )
    lines = """all => all.filter((n) => {
        const range = document.createRange();
        range.selectNodeContents(n);
        const tops = [...range.getClientRects()].map((box) => Math.round(box.top));
        return new Set(tops).size > 1;
    }).map((n) => n.textContent)"""
    for part in (".word small", ".word[data-kind] .word-text"):
        assert page.locator(f"{WORDS} {part}").evaluate_all(lines) == []


def test_a_view_without_the_chosen_weights_shows_raw_ones(open_page):
    page = open_page(ix.report("induction", "a b c d a b c d").html)
    own = page.locator('[data-view="model"] select[name="weights"]')
    top = page.locator('[data-element="instrument"] select[name="weights"]')
    top.select_option("rollout")
    assert own.input_value() == "rollout"
    top.select_option("renormalized")
    assert own.input_value() == "raw"
    top.select_option("rollout")
    assert own.input_value() == "rollout"


def test_the_first_token_of_a_causal_model_has_no_second_word():
    record = ix.load("induction").capture("a b c d e a b c")
    opened = instrument(record, Choice(layer=0, head=0, query=0, granularity="token"))
    assert opened.query == 0
    assert opened.key is None
