"""Records for the head view, and how its page is read."""

from __future__ import annotations

from dataclasses import replace

import torch

from introspect.records import AttentionRecord, TokenSequence
from introspect.views.head import ROW_HEIGHT
from tests.views.samples import record_of

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
    """Query and key of each line, with its color."""
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


def pressed(page) -> list[int]:
    chips = page.locator('button[name="head"][aria-pressed="true"]')
    return [int(chip.get_attribute("data-head")) for chip in chips.all()]


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


def record_with_norms() -> AttentionRecord:
    """Lengths of values of up to 4, other ones for each layer, head and key."""
    record = record_of(layers=2, heads=3)
    generator = torch.Generator().manual_seed(9)
    norms = 4 * torch.rand(2, 3, len(record.keys), generator=generator)
    return replace(record, parts={"value_norms": norms})
