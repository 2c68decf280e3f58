"""The page of a sound, by acts in a browser."""

from __future__ import annotations

import numpy as np
import pytest

from introspect.views.audio import OPACITY

from .helpers import COUNT, WORDS, record_of, view_of

TINTS = "tints => tints.map((tint) => Number(tint.style.opacity))"


def tints(page) -> np.ndarray:
    return np.array(page.locator(".sound-tint").evaluate_all(TINTS))


def expected(weights) -> np.ndarray:
    frames = weights[:COUNT].numpy()
    return OPACITY * frames / frames.max()


def selection(page) -> str:
    return page.evaluate("document.documentElement.dataset.selection")


@pytest.mark.browser
def test_a_word_and_a_moment_are_chosen_by_pointer_and_keyboard(open_page):
    record = record_of()
    page = open_page(view_of(head="L1H2", token="cat").to_html())
    assert np.allclose(tints(page), expected(record.attentions[1, 2, 2]), atol=6e-3)
    assert selection(page) == "L1H2.q2"
    row = record.attentions[1, 2, 2]
    strongest = int(row[:COUNT].argmax())
    reading = page.inner_text(".reading")
    assert reading.startswith(f"L1H2: “cat” gives most to {strongest * 0.1:.2f} s (")
    assert float(page.inner_text(".sound-padding b")) == pytest.approx(
        float(row[COUNT:].sum()), abs=6e-3
    )
    # Words, by click and by keyboard.
    page.click('[data-element="words"] [data-token-index="1"]')
    assert np.allclose(tints(page), expected(record.attentions[1, 2, 1]), atol=6e-3)
    page.keyboard.press("Tab")
    word = page.locator('[data-element="words"] [data-token-index="1"]')
    word.focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    assert selection(page) == f"L1H2.q{WORDS.index('slept')}"
    # Moments.
    slider = page.locator("[role=slider]")
    slider.focus()
    for key in ("Home", "PageUp", "ArrowLeft", "ArrowLeft"):
        slider.press(key)
    assert selection(page) == "L1H2.q3.k8"
    weight = float(record.attentions[1, 2, 3, 8])
    said = slider.get_attribute("aria-valuetext")
    assert said.startswith("0.80 s: gets ")
    assert float(said.split()[-1]) == pytest.approx(weight, rel=0.02, abs=1e-3)
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 4.5 / COUNT, box["y"] + 20)
    assert selection(page) == "L1H2.q3.k4"
    # Heads, and back.
    page.click('[data-element="strip"] [data-layer="0"][data-head="1"]')
    assert np.allclose(tints(page), expected(record.attentions[0, 1, 3]), atol=6e-3)
    page.keyboard.press("Escape")
    assert selection(page) == "L0H1.q3"


@pytest.mark.browser
def test_the_moment_attends_where_a_sound_attends_to_itself(open_page):
    record = record_of("self")
    page = open_page(view_of("self", head="L0H0", at=0.3).to_html())
    assert page.locator('[data-element="words"]').count() == 0
    assert page.locator(".sound-padding").count() == 0
    assert np.allclose(tints(page), expected(record.attentions[0, 0, 3]), atol=6e-3)
    page.locator("[role=slider]").press("ArrowRight")
    assert np.allclose(tints(page), expected(record.attentions[0, 0, 4]), atol=6e-3)
    assert page.inner_text(".reading").startswith("L0H0: 0.40 s gives most to ")


@pytest.mark.browser
def test_the_words_are_the_first_thing_and_take_no_more_lines_than_they_need(open_page):
    page = open_page(view_of().to_html(), width=385)
    top, bottom = "[data-element=words]", ".sound-stage"
    assert page.locator(top).bounding_box()["y"] < 100
    assert page.locator(bottom).bounding_box()["y"] < 200
    # The text is there once: as words. Without arcs and numbers its lines stand close.
    assert page.locator("h1").bounding_box()["height"] <= 1
    assert page.locator(".words-line").bounding_box()["height"] < 40
    # Nothing of it lies under the button for the theme.
    tool = page.locator("[name=theme]").bounding_box()
    assert page.locator(top).bounding_box()["y"] >= tool["y"] + tool["height"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
