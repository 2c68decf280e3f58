"""Long texts: a page holds the largest weights of each row, and says what it leaves out."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from introspect.errors import RecordError
from introspect.page import codec, kept_of
from introspect.page.codec import encode
from introspect.records import AttentionRecord
from introspect.views import head_view, model_view
from tests.page.decoding import decode

KEPT = 3


@pytest.fixture
def long_texts(monkeypatch):
    """As if anything were a long text, of which three weights a row are kept."""
    monkeypatch.setattr(codec, "LARGEST_DENSE", 0)
    monkeypatch.setattr(codec, "kept_of", lambda shape: min(KEPT, shape[-1]))
    monkeypatch.setattr("introspect.views.base.kept_of", lambda shape: KEPT)


def weights(length: int, seed: int = 0, layers: int = 2, heads: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(layers, heads, length, length, generator=generator)).softmax(-1)


@given(length=st.integers(1, 9), seed=st.integers(0, 500))
def test_the_largest_of_each_row_are_kept_and_the_rest_is_counted(length, seed):
    values = weights(length, seed).numpy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "LARGEST_DENSE", 0)
        patch.setattr(codec, "kept_of", lambda shape: min(KEPT, shape[-1]))
        encoded = encode(values)
    back = decode(encoded)
    worst = 0.0
    for row, found in zip(values.reshape(-1, length), back.reshape(-1, length), strict=True):
        largest = sorted(row, reverse=True)[:KEPT]
        kept = [w for w in found if w > 0]
        assert len(kept) <= KEPT
        for ours, theirs in zip(sorted(found, reverse=True), largest, strict=False):
            assert ours == pytest.approx(theirs, abs=0.004)
        worst = max(worst, 1 - sum(largest))
    assert encoded.largest_remainder == pytest.approx(worst, abs=1e-5)


def test_a_missing_weight_stays_missing(long_texts):
    values = weights(6).numpy()
    values[0, 1, 2, 4] = np.nan
    back = decode(encode(values))
    assert np.isnan(back[0, 1, 2, 4])
    assert np.isnan(back).sum() == 1


def test_how_many_are_kept():
    assert kept_of((12, 12, 512, 512)) is None
    kept = kept_of((12, 12, 2048, 2048))
    assert 20 < kept < 60
    assert kept_of((100, 100, 2_000, 3)) == 1
    assert kept_of((1000, 1000, 200, 2000)) == 1


def test_more_keys_than_a_code_can_name_are_refused(long_texts):
    with pytest.raises(RecordError, match="at most 65,536 keys to show, got 70,000"):
        encode(np.zeros((1, 1, 1, 70_000), dtype=np.float32))


@pytest.mark.browser
def test_a_page_of_a_long_text_reads_what_it_has_and_says_what_it_lacks(open_page, long_texts):
    values = weights(8)
    record = AttentionRecord.from_tensors(values, [f"t{i}" for i in range(8)])
    view = head_view(record, heads=[1], threshold=0)
    page = open_page(view.to_html())
    assert "of each row this page holds the 3 largest weights of 8" in page.inner_text(".notice")
    page.locator('[data-side="query"][data-token-index="5"]').hover()
    shown = [float(text) for text in page.locator(".tokens.key .number").all_inner_texts()]
    row = values[0, 1, 5]
    kept = set(row.topk(KEPT).indices.tolist())
    expected = [float(w) if i in kept else 0.0 for i, w in enumerate(row)]
    assert shown == pytest.approx(expected, abs=0.0091)
    left = float(row.sum() - row.topk(KEPT).values.sum())
    said = re.search(r"(0\.\d\d) lies in weights too small", page.inner_text(".reading"))
    assert float(said[1]) == pytest.approx(left, abs=0.0091)
    page.mouse.move(0, 0)
    page.wait_for_function("() => !document.querySelector('.token.focal')")
    traces = page.evaluate("document.querySelector('.lines').data")
    assert sum(trace["meta"]["count"] for trace in traces) == 8 * KEPT


@pytest.mark.browser
def test_the_maps_of_a_long_text_are_whole(open_page, long_texts):
    record = AttentionRecord.from_tensors(weights(8), [f"t{i}" for i in range(8)])
    view = model_view(record)
    page = open_page(view.to_html())
    drawn = page.evaluate("document.querySelector('[data-view=model] .picture').data[0].z")
    expected = view.tiles()[0].tolist()
    for ours, theirs in zip(drawn, expected, strict=True):
        missing = [None if np.isnan(value) else value for value in theirs]
        assert ours == pytest.approx(missing, abs=1e-4)
