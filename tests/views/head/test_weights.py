"""Which weights a head view shows: pinned, by word, renormalized, put together, by norms."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import introspect as ix
from introspect.errors import SelectionError
from introspect.functional import renormalized
from introspect.records import AttentionRecord
from introspect.views import head_view
from tests.views.head.helpers import (
    drawn,
    lines,
    number_beside,
    numbers,
    pair_record,
    record_with_norms,
    shown_labels,
    token,
)
from tests.views.samples import record_of


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
def test_renormalized_weights_are_those_of_the_figure(open_page):
    record = pair_record()
    view = head_view(record, heads=[0], weights="renormalized", token=3)
    page = open_page(view.to_html())
    expected, removed = renormalized(
        record.attentions, record.keys.special_tokens_mask, is_self=True
    )
    assert numbers(page, "key") == pytest.approx(expected[0, 0, 3].tolist(), abs=0.0051)
    assert f"{float(removed[0, 0, 3]):.2f} went to special tokens" in page.inner_text(".reading")
    assert lines(drawn(page)) == lines(view.traces())


@pytest.mark.browser
@pytest.mark.parametrize(
    ("combine", "expected"),
    [("mean", lambda a: a[0].mean(0)), ("max-layers", lambda a: a.amax((0, 1)))],
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
    for options in page.evaluate(
        """[...document.querySelectorAll('[name="weights"]')]
          .map((select) => [...select.options].map((option) => option.value))"""
    ):
        assert set(options) <= {"raw", "renormalized", "rollout", "even_rollout"}
    with pytest.raises(SelectionError, match="value_norms"):
        head_view(record_of(), weights="norm")
