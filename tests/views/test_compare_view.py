"""The compare view: its alignment and numbers as data, and its page by acts in a browser."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from introspect.errors import SelectionError
from introspect.page.codec import decode, encode
from introspect.records import AttentionRecord, TokenSequence
from introspect.views.compare import compare_view
from introspect.views.matching import align_tokens, join_pairs

from .samples import bare_record, record_of

TIRED = "Ann was too tired"
WIDE = "Ann was too wide"
LONGER = "Ann was really not too tired"

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\u2028",
    "\x00",
    "עברית",
    "\u202eabc",
    "x" * 300,
    "&amp;",
]


def pair(**options):
    return compare_view(record_of(TIRED), record_of(WIDE, seed=1), **options)


def missing(values) -> list:
    """Nested lists of numbers with ``None`` for NaN."""
    if isinstance(values, list):
        return [missing(value) for value in values]
    return None if values is None or math.isnan(values) else values


# Alignment


def test_equal_tokens_are_aligned_one_to_one():
    assert align_tokens("abc", "abc") == [(0, 0), (1, 1), (2, 2)]


def test_a_replaced_word_is_aligned_with_what_replaces_it():
    places = align_tokens(TIRED.split(), WIDE.split())
    assert places == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_inserted_words_stand_alone():
    places = align_tokens(TIRED.split(), LONGER.split())
    assert places == [(0, 0), (1, 1), (None, 2), (None, 3), (2, 4), (3, 5)]
    assert align_tokens(LONGER.split(), TIRED.split()) == [(j, i) for i, j in places]


def test_stretches_of_unequal_length_stand_alone_on_both_sides():
    assert align_tokens(["a", "x", "b"], ["a", "y", "z", "b"]) == [
        (0, 0), (1, None), (None, 1), (None, 2), (2, 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b"), [("abcde", "xbcdy"), ("aab", "ba"), ("", "ab"), ("abcab", "cabab")]
)
def test_no_token_is_dropped_or_named_twice(a, b):
    places = align_tokens(a, b)
    assert [i for i, _ in places if i is not None] == list(range(len(a)))
    assert [j for _, j in places if j is not None] == list(range(len(b)))


def test_pairs_of_the_caller_are_kept_and_the_rest_is_put_between_them():
    assert join_pairs([(0, 1), (2, 0)], 3, 3) == [(0, 1), (None, 2), (1, None), (2, 0)]
    view = pair(alignment=[(0, 0), (4, 3)])
    assert (4, 3) in view.queries and view.queries == view.keys
    assert (3, None) in view.keys and (None, 4) in view.keys


def test_texts_with_nothing_in_common_are_refused_unless_they_are_aligned():
    a, b = bare_record(["one", "two"]), bare_record(["drei", "vier"])
    with pytest.raises(SelectionError, match="tokens in common"):
        compare_view(a, b)
    assert compare_view(a, b, alignment=[(0, 1)]).keys == ((None, 0), (0, 1), (1, None))


def in_pieces(text: str, sizes: list[int], *, seed: int = 0) -> AttentionRecord:
    """A record of a text whose words are cut into pieces of at most so many characters."""
    tokens, offsets, word_ids = [], [], []
    position = 0
    for number, (word, size) in enumerate(zip(text.split(), sizes, strict=True)):
        for start in range(0, len(word), size):
            tokens.append(word[start : start + size])
            offsets.append((position + start, position + start + len(tokens[-1])))
            word_ids.append(number)
        position += len(word) + 1
    sequence = TokenSequence(
        tokens=tuple(tokens),
        offsets=tuple(offsets),
        word_ids=tuple(word_ids),
        words=tuple(text.split()),
        texts=(text,),
    )
    attentions = bare_record(tokens, layers=2, heads=2, seed=seed).attentions
    return AttentionRecord(attentions=attentions, queries=sequence, keys=sequence)


def test_two_tokenizers_are_compared_by_word_and_the_page_says_so():
    a = in_pieces("unhappy animals wandered", [9, 9, 9])
    b = in_pieces("unhappy animals wandered", [2, 3, 4], seed=1)
    view = compare_view(a, b)
    assert view.keys == ((0, 0), (1, 1), (2, 2))
    assert "by word" in view.sections()[0].state["notices"][0]
    torch.testing.assert_close(view.other.attentions, b.words().attentions)


def test_one_tokenizer_is_compared_by_token():
    # More words match than tokens, but "animals" is cut the same in both.
    a = in_pieces("big animals", [9, 2])
    b = in_pieces("extraordinary animals", [2, 2], seed=1)
    view = compare_view(a, b)
    assert view.notice == "" and len(view.record.keys) == len(a.keys)


def test_words_are_not_taken_where_the_tokens_match_better():
    # "animals" is cut differently, but the other words have only pieces in common.
    a = in_pieces("animals aabbccdde", [9, 2])
    b = in_pieces("animals aabbccddf", [4, 2], seed=1)
    assert compare_view(a, b).notice == ""


def test_queries_and_keys_of_two_texts_are_aligned_apart():
    def cross(queries, keys, seed):
        weights = torch.rand(1, 1, len(queries), len(keys)).softmax(-1)
        return AttentionRecord.from_tensors(weights, keys, query_tokens=queries, kind="cross")

    a, b = cross(["er", "ging"], ["he", "went"], 0), cross(["er", "lief"], ["he", "then", "ran"], 1)
    view = compare_view(a, b)
    assert view.queries == ((0, 0), (1, 1))
    assert view.keys == ((0, 0), (1, None), (None, 1), (None, 2))
    with pytest.raises(SelectionError, match='"query"'):
        compare_view(a, b, alignment=[(0, 0)])
    given = {"query": [(0, 0)], "key": [(1, 2)]}
    assert (1, 2) in compare_view(a, b, alignment=given).keys


# Numbers


def slow_change(view, layer: int, head: int) -> float:
    a, b = view.record.attentions[layer, head], view.other.attentions[layer, head]
    rows = []
    for i, j in view.queries:
        if i is None or j is None:
            continue
        shared = [(k, m) for k, m in view.keys if k is not None and m is not None]
        rows.append(sum(abs(float(a[i, k]) - float(b[j, m])) for k, m in shared) / 2)
    known = [row for row in rows if not math.isnan(row)]
    return sum(known) / len(known)


@pytest.mark.parametrize("other", [WIDE, LONGER])
def test_changes_are_the_slow_means_of_total_variation(other):
    view = compare_view(record_of(TIRED), record_of(other, seed=1))
    table = view.changes()
    assert list(table.columns) == ["layer", "head", "total_variation"]
    assert len(table) == 6
    for row in table.itertuples():
        assert row.total_variation == pytest.approx(slow_change(view, row.layer, row.head))
        assert 0 <= row.total_variation <= 1


def test_nothing_changes_between_a_record_and_itself():
    record = record_of()
    view = compare_view(record, record)
    assert (view.changes()["total_variation"] == 0).all()
    assert float(view.patterns()[2].abs().max()) == 0


def test_missing_rows_are_left_out_and_a_missing_head_is_missing():
    a, b = record_of(TIRED), record_of(WIDE, seed=1)
    b.attentions[0, 0, 2] = torch.nan
    b.attentions[1, 2] = torch.nan
    view = compare_view(a, b)
    changes = view.changes().set_index(["layer", "head"])["total_variation"]
    assert changes[(0, 0)] == pytest.approx(slow_change(view, 0, 0))
    assert math.isnan(changes[(1, 2)])
    assert view.sections()[0].state["changes"][1][2] is None


def test_the_head_and_the_token_that_change_most_come_first():
    a = record_of(TIRED)
    weights = a.attentions.clone()
    weights[1, 2] = weights[1, 2].roll(1, -1)
    weights[1, 2, 3] = torch.eye(5)[int(weights[1, 2, 3].argmin())]
    b = replace(a, attentions=weights)
    view = compare_view(a, b)
    assert (view.layers, view.heads) == ((1, 1), (2, 2))
    view = compare_view(a, b, layer=1, head=2)
    assert view.token == max(
        range(1, 5), key=lambda i: float((weights - a.attentions)[1, 2, i].abs().sum())
    )
    assert compare_view(a, b, layer=0).layers == (0, 0)
    assert compare_view(a, b, head=1).heads == (1, 1)


def test_the_figure_has_a_and_b_and_their_difference():
    view = compare_view(record_of(TIRED), record_of(LONGER, seed=1), layer=1, head=2)
    a, b, difference = (trace.z for trace in view.figure.data)
    ours, theirs = view.record.attentions[1, 2], view.other.attentions[1, 2]
    for row, (i, j) in enumerate(view.queries):
        for column, (k, m) in enumerate(view.keys):
            x = math.nan if i is None or k is None else float(ours[i, k])
            y = math.nan if j is None or m is None else float(theirs[j, m])
            found = [a[row][column], b[row][column], difference[row][column]]
            assert missing(list(map(float, found))) == pytest.approx(
                missing([x, y, y - x]), abs=1e-7
            )
    figure = view.figure
    assert [trace.zmin for trace in figure.data] == [0, 0, -1]
    assert list(figure.layout.yaxis.ticktext) == ["[CLS]", "Ann", "was", "", "", "too", "tired"]
    assert list(figure.layout.xaxis3.ticktext)[3] == "really"
    assert "L1H2" in figure.layout.xaxis.title.text


def test_a_label_is_text_in_the_figure():
    view = compare_view(bare_record(["<b>a"]), bare_record(["<b>a"]), labels=("<i>", "&"))
    assert view.figure.layout.xaxis.title.text.startswith("&lt;i&gt;")
    assert view.figure.layout.yaxis.ticktext[0] == "&lt;b&gt;a"


# What is refused


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"layer": 2}, "0–1, got 2.*about A"),
        ({"head": 3}, "0–2, got 3"),
        ({"layer": (0, 5)}, "got 5.*about B"),
        ({"layer": (0, 1, 1)}, "a number or a pair"),
        ({"alignment": [(0, 9)]}, "tokens of b in 0–4, got 9"),
        ({"alignment": [(-1, 0)]}, "tokens of a in 0–4, got -1"),
        ({"alignment": [(0, 0), (0, 1)]}, "each token of a once"),
        ({"alignment": []}, "at least one pair"),
        ({"alignment": {"key": [(0, 0)]}}, "query and key"),
    ],
)
def test_what_there_is_not_is_refused(options, expected):
    with pytest.raises(SelectionError, match=expected):
        pair(**options)


def test_kinds_must_be_the_same():
    a = record_of(TIRED)
    with pytest.raises(SelectionError, match="got self and encoder"):
        compare_view(a, replace(a, kind="encoder"))


def test_unequal_models_have_no_changes_but_a_choice_for_each():
    view = compare_view(
        record_of(TIRED), record_of(WIDE, layers=4, heads=5), layer=(1, 3), head=(0, 4)
    )
    with pytest.raises(SelectionError, match="2 layers of 3 heads and 4 layers of 5 heads"):
        view.changes()
    state = view.sections()[0].state
    assert state["changes"] is None and "no head of one" in state["note"]
    torch.testing.assert_close(view.patterns()[1][:, :], view.other.attentions[3, 4])


def test_layers_of_other_numbers_are_not_taken_for_each_other():
    a, b = record_of(TIRED), replace(record_of(WIDE), layers=(4, 9))
    assert compare_view(a, b).layers == (0, 4)
    with pytest.raises(SelectionError, match="the layers 4, 9"):
        compare_view(a, b).changes()


# The page


def drawn(page, panel: str):
    return page.evaluate(
        f"""document.querySelector('[data-panel="{panel}"] .matrix-picture').data[0].z"""
    )


def reading(page) -> str:
    return page.inner_text('[data-view="compare"] .reading')


def value(page, row: int, name: str) -> str:
    return page.locator(f'.compare-row tbody tr >> nth={row} >> [data-value="{name}"]').inner_text()


def decoded(record: AttentionRecord) -> torch.Tensor:
    return torch.from_numpy(decode(encode(record.attentions.numpy())).copy())


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
@pytest.mark.parametrize(
    "bad", ["layer=9", "head=-1", "head=1.5", "token=a99", "rows=3-99", "scale=x"]
)
def test_an_address_that_does_not_fit_changes_nothing(open_page, bad):
    view = pair(layer=0, head=0)
    page = open_page(view.to_html(), path_hash=f"#view-1-compare.{bad}")
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
@pytest.mark.parametrize("width", [1280, 800, 600])
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
    text = Path(waiting.value.path()).read_text()
    assert text.count('class="hm"') == 3
    assert "calm" in text and "&#60;b&#62; − calm" in text and "tired" in text and "wide" in text


def test_two_texts_are_named_and_one_text_is_the_heading():
    html = pair(labels=("calm", "b<r>oad")).to_html()
    opening = '<h1 class="shown-text" dir="auto">'
    assert f"{opening}calm / b&lt;r&gt;oad</h1>" in html
    record = record_of(TIRED)
    assert f"{opening}{TIRED}</h1>" in compare_view(record, replace(record)).to_html()
    assert compare_view(record, replace(record)).sections()[0].state["sentences"] == []


def test_notices_of_both_records_are_on_the_page():
    a, b = record_of(TIRED), record_of(WIDE, seed=1)
    view = compare_view(replace(a, notices=("cut <a>",)), replace(b, notices=("cut <b>",)))
    assert "cut &lt;a&gt;" in view.to_html() and "cut &lt;b&gt;" in view.to_html()


def test_the_state_is_json():
    json.dumps(pair().sections()[0].state, allow_nan=False)


def test_a_token_can_be_named():
    a, b = record_of("Ann saw Bo"), record_of("Ann met Bo")
    view = compare_view(a, b, token=2)
    assert view.queries[view.token][0] == 2
    with pytest.raises(SelectionError, match="`token` in 0"):
        compare_view(a, b, token=99)
