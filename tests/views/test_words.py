"""The words of a text on the page: each number stands for itself, and none is dropped unsaid."""

from __future__ import annotations

import pytest
import torch

from introspect.records import AttentionRecord
from introspect.views import compare_view, head_view, model_view
from tests import models_zoo

pytestmark = pytest.mark.browser

STREET = "The animal didn't cross the street because it was too tired."
SHORT = ["I", "am", "as", "sad", "as", "a", "cat", "if", "it", "is", "at", "an", "inn"]
NUMBERS = """() => [...document.querySelectorAll('.word small')].filter((one) =>
  one.textContent !== '' && getComputedStyle(one).visibility === 'visible').map((one) => {
    const { left, right, top, bottom } = one.getBoundingClientRect();
    return [left, right, top, bottom];
  })"""


def even(queries: list[str], keys: list[str] | None = None) -> AttentionRecord:
    """Every word gives each the same."""
    weights = torch.full((1, 1, len(queries), len(keys or queries)), 1 / len(keys or queries))
    kind = {"query_tokens": queries, "kind": "cross"} if keys else {}
    return AttentionRecord.from_tensors(weights, keys or queries, **kind)


def overlapping(page) -> list:
    # Two rows of numbers are nearer to each other than lines of text: digits have no tails.
    numbers = page.evaluate(NUMBERS)
    return [
        (one, other)
        for place, one in enumerate(numbers)
        for other in numbers[:place]
        if one[0] < other[1]
        and other[0] < one[1]
        and one[2] + 3 < other[3]
        and other[2] + 3 < one[3]
    ]


@pytest.mark.parametrize("width", [1440, 640])
@pytest.mark.parametrize(
    "view",
    [
        lambda: head_view(even(SHORT)),
        lambda: head_view(even(SHORT[:4], SHORT)),
        lambda: head_view(even(list("小狗没有过马路因为它太累了"))),
        lambda: compare_view(even(SHORT), even([*SHORT[:-1], "ox"])),
    ],
    ids=["one text", "two texts", "characters", "compared"],
)
def test_numbers_below_short_words_never_overlap_and_all_are_there(open_page, view, width):
    page = open_page(view().to_html(), width=width)
    page.locator(".word").nth(2).click()
    page.wait_for_timeout(50)
    assert overlapping(page) == []
    # All of what is shown, the chosen word's own among them.
    shown = page.locator(".words-block").first.locator(".word small:not(:empty)")
    assert shown.count() == 13
    assert page.locator(".words-note:visible").count() == 0


def test_numbers_without_room_are_said_and_read_at_their_word(open_page):
    text = "i," * 9
    record = AttentionRecord.from_tensors(
        torch.full((1, 1, 18, 18), 1 / 18),
        list(text),
        text=text,
        offsets=[(place, place + 1) for place in range(18)],
    )
    page = open_page(head_view(record).to_html())
    page.locator(".word").nth(2).click()
    page.wait_for_timeout(50)
    assert overlapping(page) == []
    hidden = page.locator(".word:has(.unseen-number)")
    count = hidden.count()
    assert count > 0
    note = page.inner_text(".words-note")
    assert note.startswith(f"{count} numbers have no room below their words")
    assert hidden.first.get_attribute("title") == "0.06"


def test_arcs_between_texts_strike_no_word_and_no_label(open_page):
    words = [f"word{number}" for number in range(30)]
    page = open_page(head_view(even(words, words)).to_html(), width=640)
    page.locator(".word").nth(20).click()
    page.wait_for_timeout(50)
    struck = page.evaluate(
        """() => {
      const boxes = [...document.querySelectorAll('.word, .words-side .label')].flatMap((one) =>
        [...one.getClientRects()]);
      return [...document.querySelectorAll('.word-arcs path')].flatMap((path) => {
        const matrix = path.getScreenCTM();
        const length = path.getTotalLength();
        return Array.from({ length: 60 }, (_, at) =>
          path.getPointAtLength((length * at) / 59).matrixTransform(matrix));
      }).filter(({ x, y }) => boxes.some(({ left, right, top, bottom }) =>
        x > left + 1 && x < right - 1 && y > top + 4 && y < bottom - 4)).length;
    }"""
    )
    assert page.locator(".word-arcs path").count() == 5
    assert struck == 0


def test_a_special_token_never_stands_alone_on_a_line(open_page):
    words = ["[CLS]", *(f"word{number}" for number in range(9)), "[SEP]"]
    record = even(words)
    record = AttentionRecord.from_tensors(
        record.attentions, words, special_tokens=["[CLS]", "[SEP]"]
    )
    # By word a mark is text of its own, which could end a line before the token.
    for view, widths in (
        (head_view(record), range(640, 1440, 80)),
        (model_view(models_zoo.minilm().capture(STREET)), range(940, 1060, 12)),
    ):
        page = open_page(view.to_html(), width=1440)
        for width in widths:
            page.set_viewport_size({"width": width, "height": 900})
            first, last = (page.locator(".word").nth(place).bounding_box() for place in (-2, -1))
            assert first["y"] + first["height"] > last["y"]


@pytest.mark.parametrize("change", [0.3, 0.01])
def test_the_colors_of_a_difference_reach_as_far_as_it_does(open_page, change):
    words = ["a", "b", "c", "d"]
    a, b = (even(words).attentions for _ in range(2))
    b[0, 0, 1, :2] += torch.tensor([change, -change]) / 2
    records = (AttentionRecord.from_tensors(each, words) for each in (a, b))
    page = open_page(compare_view(*records).to_html())
    reach = max(change / 2, 0.05)
    legend = page.inner_text(".compare-scales")
    assert f"−{reach:.2f}" in legend and f"+{reach:.2f}" in legend
    assert f"reach to ±{reach:.2f}" in page.inner_text('[data-view="compare"] .matrix-note')


def test_on_paper_arcs_end_at_their_words(open_page):
    words = [f"word{number}" for number in range(24)]
    page = open_page(head_view(even(words)).to_html(), width=1440)
    page.locator(".word").nth(20).click()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    # The sheet is laid out only after the arcs were drawn.
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1047})
    far = page.evaluate(
        """() => {
      const middles = [...document.querySelectorAll('.word')].map((one) => {
        const { left, right } = one.getBoundingClientRect();
        return (left + right) / 2;
      });
      return [...document.querySelectorAll('.word-arcs path')].map((path) => {
        const last = path.getPointAtLength(path.getTotalLength());
        const end = last.matrixTransform(path.getScreenCTM());
        return Math.min(...middles.map((middle) => Math.abs(middle - end.x)));
      });
    }"""
    )
    assert len(far) >= 5 and max(far) < 2


def test_the_number_of_a_word_that_begins_a_line_stands_below_it(open_page):
    words = [f"w{number}" for number in range(40)]
    page = open_page(head_view(even(words)).to_html())
    page.locator(".word").nth(3).click()
    for width in range(640, 1440, 90):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(50)
        off = page.evaluate(
            """() => [...document.querySelectorAll('.word')].filter((word) => {
          const number = word.lastChild.getBoundingClientRect();
          const box = word.firstChild.getBoundingClientRect();
          return word.getClientRects().length !== 1
            || Math.abs((number.left + number.right - box.left - box.right) / 2) > 2;
        }).length"""
        )
        assert off == 0
