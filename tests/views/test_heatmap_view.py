"""The heatmap view: its figure as data, and its page by acts in a browser."""

from __future__ import annotations

import pytest
import torch

from introspect.errors import SelectionError
from introspect.views.heatmap import heatmap_view

from .samples import bare_record, record_of


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


def test_the_page_opens_and_changes_head(open_page):
    record = record_of()
    page = open_page(heatmap_view(record, layer=0, head=1).to_html())
    assert page.locator("[data-side=key]").count() == len(record.keys)
    page.hover("[data-side=query][data-token-index='1']")
    page.select_option("select[name=head]", "2")
    page.wait_for_function("() => location.hash.includes('head')")


def test_hostile_tokens_are_text(open_page):
    tokens = ["<img src=x onerror=alert(1)>", "</script>", "שלום", "x" * 300]
    page = open_page(heatmap_view(bare_record(tokens)).to_html())
    assert page.locator("img[src=x]").count() == 0


def test_one_token_and_missing_weights(open_page):
    record = bare_record(["one"])
    record.attentions[0, 0, 0, 0] = torch.nan
    page = open_page(heatmap_view(record).to_html())
    assert "missing" in page.inner_text("section").lower()
