"""The page of two records, by acts in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from introspect.views import compare_view
from tests.views.compare.helpers import HOSTILE, LONGER, TIRED, WIDE, decoded, pair
from tests.views.samples import bare_record, record_of


def drawn(page, panel: str):
    return page.evaluate(
        f"""document.querySelector('[data-panel="{panel}"] .matrix-picture').data[0].z"""
    )


def reading(page) -> str:
    return page.inner_text('[data-view="compare"] .reading')


def value(page, row: int, name: str) -> str:
    return page.locator(f'.compare-row tbody tr >> nth={row} >> [data-value="{name}"]').inner_text()


def assert_drawn(page, view, layers: tuple[int, int], heads: tuple[int, int]) -> None:
    """The three maps are those of the record, within the error of their codes."""
    a, b = (
        decoded(record)[layer, head]
        for record, layer, head in zip((view.record, view.other), layers, heads, strict=True)
    )
    for row, (i, j) in enumerate(view.queries):
        for column, (k, m) in enumerate(view.keys):
            x = None if i is None or k is None else float(a[i, k])
            y = None if j is None or m is None else float(b[j, m])
            change = None if x is None or y is None else y - x
            for panel, expected in zip("abd", (x, y, change), strict=True):
                found = drawn(page, panel)[row][column]
                assert (found is None) == (expected is None)
                assert expected is None or found == pytest.approx(expected, abs=1e-4)


@pytest.mark.browser
@pytest.mark.parametrize("other", [WIDE, LONGER])
def test_the_page_draws_a_and_b_and_their_difference(open_page, other):
    view = compare_view(record_of(TIRED), record_of(other, seed=1), layer=1, head=2)
    page = open_page(view.to_html())
    assert_drawn(page, view, (1, 1), (2, 2))
    for row, (k, m) in enumerate(view.keys):
        i, j = view.queries[view.token]
        x = None if k is None else float(view.record.attentions[1, 2, i, k])
        y = None if m is None else float(view.other.attentions[1, 2, j, m])
        for name, expected in (("a", x), ("b", y)):
            text = value(page, row, name)
            assert (
                text == "–"
                if expected is None
                else float(text) == pytest.approx(expected, abs=0.0051)
            )
        change = value(page, row, "difference")
        if x is None or y is None:
            assert change == "–"
        else:
            assert float(change.replace("−", "-")) == pytest.approx(y - x, abs=0.0051)


@pytest.mark.browser
def test_tokens_that_differ_are_marked_and_named(open_page):
    view = compare_view(record_of(TIRED), record_of(LONGER, seed=1), labels=("plain", "long"))
    page = open_page(view.to_html())
    marked = page.locator('[data-panel="b"] [data-side="key"][data-noted]')
    assert marked.all_inner_texts() == ["really", "not"]
    assert "only in long" in marked.first.get_attribute("aria-label")
    assert page.locator('[data-panel="a"] [data-noted]').count() == 0
    assert page.locator(".compare-texts em").all_inner_texts() == ["really", "not"]
    assert page.locator(".compare-row th[data-differs]").all_inner_texts() == ["really", "not"]


def words_of(page, side: int):
    return page.locator(".compare-texts .words-block").nth(side)


@pytest.mark.browser
def test_words_of_both_texts_are_chosen_from_with_one_choice(open_page):
    a, b = record_of(TIRED), record_of(WIDE, seed=1)
    page = open_page(compare_view(a, b, head=(1, 1)).to_html())
    words_of(page, 1).locator('[data-label="was"]').click()
    words_of(page, 1).locator('[data-label="Ann"]').click()
    labels = list(a.tokens)
    was, ann = labels.index("was"), labels.index("Ann")
    selection = page.get_attribute("html", "data-selection")
    assert selection.endswith(f".q{was}.k{ann}")
    layer, head = int(selection[1]), int(selection[3])
    top = page.locator('[data-element="instrument"] .word[aria-pressed="true"]')
    assert sorted(top.evaluate_all("all => all.map((n) => n.dataset.label)")) == ["Ann", "was"]
    for side, record in enumerate((a, b)):
        pressed = words_of(page, side).locator('[aria-pressed="true"]')
        assert pressed.count() == 2
        name = words_of(page, side).locator('[data-label="Ann"]').get_attribute("aria-label")
        assert name.endswith(f"gets {record.attentions[layer, head, was, ann]:.2f}")
    assert reading(page).startswith("“was” → “Ann”: A ")
    # What is chosen above is chosen in both.
    page.locator('[data-element="instrument"] [data-label="tired"]').click()
    chosen = [words_of(page, side).locator(".chosen .word-text") for side in (0, 1)]
    assert [one.inner_text() for one in chosen] == ["tired", "wide"]


@pytest.mark.browser
def test_a_word_that_only_the_other_text_has_is_chosen_there(open_page):
    a, b = record_of(TIRED), record_of(LONGER, seed=1)
    page = open_page(compare_view(a, b).to_html())
    before = page.get_attribute("html", "data-selection")
    words_of(page, 1).locator('[data-label="not"]').click()  # a third word begins a new pair
    assert words_of(page, 1).locator(".chosen .word-text").inner_text() == "not"
    assert "“not” is only in B" in reading(page)
    assert words_of(page, 0).locator('[data-label="not"]').count() == 0
    assert page.get_attribute("html", "data-selection").split(".")[0] == before.split(".")[0]
    stops = page.locator('.compare-texts [tabindex="0"]')
    assert stops.count() == 2


@pytest.mark.browser
def test_a_token_says_its_changes_the_largest_first(open_page):
    a, b = record_of(TIRED, layers=1, heads=1), record_of(WIDE, layers=1, heads=1)
    a.attentions[0, 0, 2] = torch.tensor([0.1, 0.68, 0.01, 0.11, 0.1])
    b.attentions[0, 0, 2] = torch.tensor([0.1, 0.28, 0.12, 0.1, 0.4])
    page = open_page(compare_view(a, b).to_html())
    page.click('[data-panel="a"] [data-side="query"][data-token-index="2"]')
    page.mouse.move(0, 0)
    assert reading(page) == (
        "With “wide”, “was” gives “Ann” 0.28 instead of 0.68, “wide” 0.40 instead of “tired” 0.10 "
        "and “was” 0.12 instead of 0.01 (L0H0)."
    )
    pressed = page.locator('[data-side="query"][aria-pressed="true"]')
    assert pressed.all_inner_texts() == ["was"] * 3
    assert value(page, 1, "difference") == "−0.40"
    page.click('[data-panel="b"] [data-side="query"][data-token-index="4"]')
    assert reading(page).startswith("“wide” in place of “tired” gives")


@pytest.mark.browser
def test_a_token_that_only_one_has_says_so(open_page):
    view = compare_view(record_of(TIRED), record_of(LONGER, seed=1))
    page = open_page(view.to_html())
    page.click('[data-panel="b"] [data-side="query"][data-token-index="4"]')
    assert "“not” is only in B: there is no row to compare" in reading(page)
    assert {value(page, row, "a") for row in range(7)} == {"–"}
    page.wait_for_function("() => location.hash.includes('compare.token=b4')")


@pytest.mark.browser
def test_pointing_at_a_cell_reads_both_weights(open_page):
    view = compare_view(record_of(TIRED), record_of(LONGER, seed=1), layer=0, head=0)
    page = open_page(view.to_html())
    page.focus('[data-panel="d"] .matrix-field')
    for key in ("Shift+ArrowDown", "Shift+ArrowDown", "Shift+ArrowRight"):
        page.keyboard.press(key)
    a, b = (float(one.attentions[0, 0, 1, 1]) for one in (view.record, view.other))
    numbers = [float(n.replace("−", "-")) for n in re.findall(r"[−+]?\d\.\d\d", reading(page))]
    assert reading(page).startswith("“Ann” → “Ann”: A ")
    assert numbers == pytest.approx([a, b, b - a], abs=0.0051)
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
    assert "A –, B 0." in reading(page) and "no difference" in reading(page)
    page.keyboard.press("Enter")
    assert page.inner_text(".compare-row caption") == "What “Ann” gives"


@pytest.mark.browser
def test_a_cell_of_the_overview_opens_its_head(open_page):
    view = pair(layer=0, head=0)
    page = open_page(view.to_html())
    page.click('.compare-overview .cell[data-layer="1"][data-head="2"]')
    assert page.input_value("select[name=layer]") == "1"
    assert page.input_value("select[name=head]") == "2"
    assert_drawn(page, view, (1, 1), (2, 2))
    shown = page.evaluate("document.querySelector('.compare-overview .picture').data[0].z")
    table = view.changes().set_index(["layer", "head"])["total_variation"]
    for row in range(2):
        for head in range(3):
            assert shown[row][head] == pytest.approx(table[(row, head)])
    best = table.sort_values(ascending=False)
    first = page.locator(".compare-ranking button").first
    layer, head = best.index[0]
    assert first.inner_text().split() == [f"L{layer}H{head}", f"{best.iloc[0]:.2f}"]
    first.click()
    assert page.input_value("select[name=head]") == str(head)
    current = page.locator(".compare-overview .cell[aria-current]")
    assert current.get_attribute("data-head") == str(head)


@pytest.mark.browser
def test_the_address_opens_what_was_seen(open_page):
    view = pair(layer=0, head=0)
    source = view.to_html()
    page = open_page(source)
    page.select_option("select[name=layer]", "1")
    page.select_option("select[name=head]", "1")
    page.click('[data-panel="a"] [data-side="query"][data-token-index="1"]')
    page.select_option("select[name=scale]", "largest")
    page.wait_for_function("() => location.hash.includes('scale')")
    again = open_page(source, path_hash=page.evaluate("location.hash"))
    assert again.input_value("select[name=layer]") == "1"
    assert again.input_value("select[name=head]") == "1"
    assert again.inner_text(".compare-row caption") == "What “Ann” gives"
    assert_drawn(again, view, (1, 1), (1, 1))
    most = again.evaluate("document.querySelector('[data-panel=a] .matrix-picture').data[0].zmax")
    largest = max(float(one.attentions[1, 1].max()) for one in (view.record, view.other))
    assert most == pytest.approx(largest, abs=1e-4)


@pytest.mark.browser
def test_an_address_that_does_not_fit_changes_nothing(open_page):
    view = pair(layer=0, head=0)
    bad = ("layer=9", "head=1.5", "token=a99", "rows=3-99", "scale=x")
    link = "#" + "&".join(f"view-1-compare.{part}" for part in bad)
    page = open_page(view.to_html(), path_hash=link)
    assert_drawn(page, view, (0, 0), (0, 0))


@pytest.mark.browser
def test_arrows_change_layer_and_head(open_page):
    page = open_page(pair(layer=0, head=0).to_html())
    page.focus('[data-panel="a"] .matrix-field')
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    assert page.input_value("select[name=layer]") == "1"
    assert page.input_value("select[name=head]") == "1"
    assert page.inner_text("#announcements").startswith("L1H1.")
    # On the tokens of a side, its own arrows walk, the others still change the head.
    page.focus('[data-panel="a"] [data-side="query"][data-token-index="0"]')
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.tokenIndex") == "1"
    page.keyboard.press("ArrowRight")
    assert page.input_value("select[name=head]") == "2"
    assert page.evaluate("document.activeElement.dataset.tokenIndex") == "1"
    page.keyboard.press("Enter")
    assert page.inner_text(".compare-row caption") == "What “Ann” gives"


@pytest.mark.browser
def test_unequal_models_have_a_choice_for_each(open_page):
    view = compare_view(record_of(TIRED), record_of(WIDE, layers=4, heads=5))
    source = view.to_html()
    page = open_page(source)
    assert page.locator(".compare-overview").count() == 0
    assert "each side has its own choice" in page.inner_text("section")
    page.select_option("select[name=layer]", "1")
    page.select_option("select[name=layer-b]", "3")
    page.select_option("select[name=head-b]", "4")
    assert_drawn(page, view, (1, 3), (0, 4))
    assert "(A L1H0, B L3H4)" in reading(page)
    page.focus('[data-panel="b"] .matrix-field')
    page.keyboard.press("ArrowUp")
    assert page.input_value("select[name=layer-b]") == "2"
    page.wait_for_function("() => location.hash.includes('layer-b=2')")
    again = open_page(source, path_hash=page.evaluate("location.hash"))
    assert_drawn(again, view, (1, 2), (0, 4))


@pytest.mark.browser
def test_a_part_is_seen_larger_in_all_three_maps(open_page):
    words = [f"t{i}" for i in range(40)]
    view = compare_view(bare_record(words), bare_record(words, seed=1))
    page = open_page(
        view.to_html(), path_hash="#view-1-compare.rows=3-7&view-1-compare.columns=2-9"
    )
    for panel, record in (("a", view.record), ("b", view.other)):
        part = record.attentions[0, 0, 3:8, 2:10].tolist()
        assert len(drawn(page, panel)) == 5
        for ours, theirs in zip(part, drawn(page, panel), strict=True):
            assert theirs == pytest.approx(ours, abs=1e-4)
    page.click("button[name=whole]")
    assert len(drawn(page, "d")) == 40


@pytest.mark.browser
def test_hostile_tokens_are_text(open_page):
    other = [*HOSTILE[:-1], "<b>other</b>"]
    a, b = bare_record(HOSTILE), bare_record(other, seed=1)
    page = open_page(compare_view(a, b, labels=("<i>a</i>", "</script>b")).to_html())
    assert page.locator("section img, section b").count() == 0
    shown = page.locator('[data-panel="a"] [data-side="query"]').all_inner_texts()
    assert shown[:2] == HOSTILE[:2] and shown[3] == "␀" and shown[-1] == "&amp;"
    assert page.inner_text('[data-panel="a"] h3 bdi') == "<i>a</i>"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for index in range(len(HOSTILE)):
        page.click(f'[data-panel="d"] [data-side="query"][data-token-index="{index}"]')


@pytest.mark.browser
def test_missing_weights_are_called_missing(open_page):
    a, b = record_of(TIRED, heads=1), record_of(WIDE, heads=1, seed=1)
    b.attentions[0, 0, 1] = torch.nan
    b.attentions[0, 0, 2, 2] = torch.nan
    b.attentions[1] = torch.nan
    page = open_page(compare_view(a, b, layer=0).to_html())
    assert drawn(page, "d")[1] == [None] * 5
    assert drawn(page, "a")[1][0] is not None and drawn(page, "b")[2][2] is None
    assert "Hatched" in page.inner_text(".compare-legend")
    page.click('[data-panel="a"] [data-side="query"][data-token-index="1"]')
    assert "missing" in reading(page)
    assert value(page, 0, "b") == value(page, 0, "difference") == "missing"
    shown = page.evaluate("document.querySelector('.compare-overview .picture').data[0].z")
    assert shown[1] == [None]
    page.hover('.compare-overview .cell[data-layer="1"]')
    assert page.inner_text(".compare-overview .matrix-note") == "L1H0: change missing"


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, pytest.param(800, marks=pytest.mark.slow), 600])
def test_the_page_fits_and_nothing_jumps(open_page, width):
    text = "The animal did not cross the street because it was too "
    view = compare_view(record_of(text + "tired"), record_of(text + "wide", seed=1))
    page = open_page(view.to_html(), width=width)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    tops = "[...document.querySelectorAll('.compare-map, .compare-below')].map((n) => n.offsetTop)"
    before = page.evaluate(tops)
    columns = len(set(before[:3]))
    assert columns == (1 if width == 1280 else columns)
    page.select_option("select[name=layer]", "1")
    page.locator('[data-panel="a"] .matrix-field').hover()
    assert page.evaluate(tops) == before
    # Every token has its label.
    assert page.locator('[data-panel="a"] [data-side="key"]').count() == len(view.keys)


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_three_maps_are_saved(open_page, theme):
    page = open_page(pair(labels=("calm", "<b>")).to_html(), path_hash=f"#page.theme={theme}")
    with page.expect_download() as waiting:
        page.click('[name="export-svg"]')
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert text.count('class="hm"') == 3
    assert "calm" in text and "&#60;b&#62; − calm" in text and "tired" in text and "wide" in text
