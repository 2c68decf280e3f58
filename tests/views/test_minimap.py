"""The map beside a long text: it shows where weight is and what is seen, and a drag goes there."""

from __future__ import annotations

import pytest
import torch

from introspect.records import AttentionRecord
from introspect.views import head_view, layer_view, neuron_view, steps_view

from .samples import record_with_parts

pytestmark = pytest.mark.browser

LENGTH = 600
HEAD_MAP = '[data-view="head"] .minimap'
WORDS_MAP = '[data-element="instrument"] .minimap'


@pytest.fixture(scope="module")
def long_page() -> str:
    """A text in which the last word gives all to one in its middle."""
    weights = torch.full((1, 1, LENGTH, LENGTH), 1 / LENGTH)
    weights[0, 0, -1] = 0
    weights[0, 0, -1, 300] = 1
    record = AttentionRecord.from_tensors(weights, [f"word{i}" for i in range(LENGTH)])
    return head_view(record, token=LENGTH - 1).to_html()


def rows(page, side: str) -> list[str]:
    return page.locator(f'[data-view="head"] [data-side="{side}"] bdi').all_inner_texts()


def press(page, selector: str, across: float, down: float) -> None:
    """Press a map at a part of its width and height."""
    box = page.locator(selector).bounding_box()
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
    page.mouse.down()


def is_seen(page, selector: str, name: str) -> bool:
    box = page.locator(selector, has_text=name).first.bounding_box()
    return box["y"] >= 0 and box["y"] + box["height"] <= page.evaluate("innerHeight")


@pytest.mark.parametrize("width", [1440, 640])
def test_a_drag_brings_a_folded_part_into_sight(open_page, long_page, width):
    page = open_page(long_page, width=width)
    page.locator('[data-view="head"] .head-view').scroll_into_view_if_needed()
    page.locator('[data-view="head"] .reading').scroll_into_view_if_needed()
    assert "word90" not in rows(page, "query")
    press(page, HEAD_MAP, 0.25, 90.5 / LENGTH)
    assert {"word80", "word90", "word100"} <= set(rows(page, "query"))
    assert is_seen(page, '[data-view="head"] [data-side="query"]', "word90")
    assert "word90" not in rows(page, "key")  # the other side stays as it is
    box = page.locator(HEAD_MAP).bounding_box()
    # To the side of the lane it is still the one that was pressed.
    page.mouse.move(box["x"] + box["width"] + 90, box["y"] + box["height"] * 450.5 / LENGTH)
    assert "word450" in rows(page, "query") and "word90" not in rows(page, "query")
    assert is_seen(page, '[data-view="head"] [data-side="query"]', "word450")
    page.mouse.up()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    assert "word450" in rows(page, "query")
    page.locator('[data-view="head"] [data-side="query"]:has-text("word450")').focus()
    page.keyboard.press("Escape")
    assert "word450" not in rows(page, "query")


def test_a_finger_drags_too(open_page, long_page):
    page = open_page(long_page, width=640)
    page.locator(HEAD_MAP).evaluate(
        """map => {
          const { left, top, width, height } = map.getBoundingClientRect();
          map.dispatchEvent(new PointerEvent('pointerdown', {
            pointerId: 1, pointerType: 'touch', clientX: left + width * 0.75,
            clientY: top + height / 2, bubbles: true, button: 0 }));
        }"""
    )
    assert "word300" in rows(page, "key")
    assert page.locator(HEAD_MAP).evaluate("map => getComputedStyle(map).touchAction") == "none"


#: The places of a lane's left edge and middle that are painted with an accent, as shares.
TICKS = """([map, lane]) => {
  const canvas = document.querySelector(map).firstElementChild;
  const copy = Object.assign(document.createElement('canvas'), { height: canvas.height });
  const pen = copy.getContext('2d', { willReadFrequently: true });
  pen.drawImage(canvas, 0, 0);
  const sharp = devicePixelRatio;
  const { data } = pen.getImageData(Math.floor((lane * 21 + 9) * sharp), 0, 1, canvas.height);
  const found = [];
  for (let y = 0; y < canvas.height; y += 1) {
    const [r, , b] = data.slice(4 * y);
    if (b - r > 60) found.push(y / canvas.height);
  }
  return found;
}"""


def ticks(page, selector: str, lane: int) -> list[float]:
    page.wait_for_timeout(100)
    return page.evaluate(TICKS, [selector, lane])


def test_the_map_marks_where_the_weight_is(open_page, long_page):
    page = open_page(long_page)
    assert ticks(page, HEAD_MAP, 0) == []
    found = ticks(page, HEAD_MAP, 1)
    assert found and all(place == pytest.approx(300 / LENGTH, abs=0.01) for place in found)
    page.click('[name="theme"]')
    page.locator('[data-view="head"] [data-side="query"][aria-pressed="true"]').click()
    assert ticks(page, HEAD_MAP, 1) == []


def test_the_words_scroll_by_their_map_and_the_page_stays(open_page, long_page):
    page = open_page(long_page)
    assert ticks(page, WORDS_MAP, 0)[0] == pytest.approx(300 / LENGTH, abs=0.01)
    frame = page.locator(".instrument-text").bounding_box()
    word = page.locator('[data-element="words"] [data-label="word50"]')
    assert word.bounding_box()["y"] < frame["y"]
    press(page, WORDS_MAP, 0.5, 50.5 / LENGTH)
    page.mouse.up()
    assert frame["y"] < word.bounding_box()["y"] < frame["y"] + frame["height"]
    assert page.evaluate("scrollY") == 0


def test_the_chosen_words_of_a_long_text_are_in_its_frame(open_page, long_page):
    page = open_page(long_page)

    def is_in_frame(label: str) -> bool:
        frame = page.locator(".instrument-text").bounding_box()
        box = page.locator(f'[data-element="words"] [data-label="{label}"]').bounding_box()
        return frame["y"] <= box["y"] and box["y"] + box["height"] <= frame["y"] + frame["height"]

    assert is_in_frame("word599")
    page.locator('[data-view="head"] [data-side="query"]:has-text("word0")').first.click()
    assert page.get_attribute("html", "data-selection").startswith("L0H0.q599")  # a second pin
    page.locator('[data-view="head"] [data-side="query"][aria-pressed="true"]').last.click()
    assert page.get_attribute("html", "data-selection").startswith("L0H0.q0")
    assert is_in_frame("word0") and not is_in_frame("word599")


def test_on_paper_a_long_text_is_whole(open_page, long_page):
    page = open_page(long_page)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    heights = "n => [n.scrollHeight, n.clientHeight]"
    whole, shown = page.locator(".instrument-text").evaluate(heights)
    assert whole == shown


def test_the_map_is_nothing_to_read_or_to_tab_to_and_not_on_paper(open_page, long_page):
    page = open_page(long_page)
    maps = page.locator(".minimap")
    assert maps.count() == 2
    for one in maps.all():
        assert one.is_visible() and one.get_attribute("aria-hidden") == "true"
        assert one.evaluate("map => map.querySelector('[tabindex], button, a') === null")
    # Every word is there to be walked to without it.
    assert page.locator('[data-element="words"] .word').count() == LENGTH
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not any(one.is_visible() for one in maps.all())


def test_a_short_text_has_no_map(open_page):
    page = open_page(head_view(record_with_parts(), token=1).to_html())
    assert [one.is_visible() for one in page.locator(".minimap").all()] == [False, False]


@pytest.mark.parametrize("view", [neuron_view, steps_view, layer_view])
def test_other_lists_of_many_tokens_have_a_map_too(open_page, view):
    record = record_with_parts([f"word{i}" for i in range(200)], layers=2, heads=1)
    page = open_page(view(record, token=5).to_html())
    own = "section[data-view] .minimap"
    assert page.locator(own).is_visible()
    page.locator(own).scroll_into_view_if_needed()
    press(page, own, 0.5, 150.5 / 200)
    page.mouse.up()
    assert is_seen(page, 'section[data-view] [data-side="key"]', "word150")
