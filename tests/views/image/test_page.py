"""The page of a picture, by acts in a browser."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from introspect.views.image import OPACITY
from tests.views.image.helpers import COLUMNS, FIRST, ROWS, TOKENS, place, record_of, view_of


def button(page, index: int):
    return page.locator(f'[data-token-index="{index}"]')


def painted(page) -> np.ndarray:
    """The color and opacity of each patch, ``(rows, columns, 4)``, by way of a copy."""
    points = page.evaluate(
        """() => {
          const canvas = document.querySelector("canvas");
          const { width, height } = canvas;
          const copy = new OffscreenCanvas(width, height);
          const brush = copy.getContext("2d", { willReadFrequently: true });
          brush.drawImage(canvas, 0, 0);
          return [...brush.getImageData(0, 0, width, height).data];
        }"""
    )
    return np.array(points).reshape(ROWS, COLUMNS, 4)


def opacities(page) -> np.ndarray:
    return painted(page)[..., 3] / 255


def expected_opacities(weights: torch.Tensor) -> np.ndarray:
    patches = weights[FIRST:].reshape(ROWS, COLUMNS).numpy()
    return OPACITY * patches / patches.max()


def shown_weight(page) -> float:
    return float(page.inner_text(".reading").split(": ")[1].split(";")[0].split(",")[0].rstrip("."))


@pytest.mark.browser
def test_pointing_at_a_patch_shows_where_it_looks(open_page):
    record = record_of()
    page = open_page(view_of(record, layer=1, head=2).to_html())
    button(page, place(2, 0)).hover()
    weights = record.attentions[1, 2, place(2, 0)]
    assert np.allclose(opacities(page), expected_opacities(weights), atol=0.005)
    best = FIRST + int(weights[FIRST:].argmax())
    reading = page.inner_text(".reading")
    assert reading.startswith(f"r2c0 → {TOKENS[best]}: ")
    assert shown_weight(page) == pytest.approx(float(weights[best]), abs=0.0051)
    assert "the largest among patches; weight to [CLS]: " in reading
    to_first = float(reading.split("[CLS]: ")[1].rstrip("."))
    assert to_first == pytest.approx(float(weights[0]), abs=0.0051)
    assert page.locator(".focal").get_attribute("data-token-index") == str(place(2, 0))


@pytest.mark.browser
def test_the_overlay_has_the_accent_and_lies_over_the_picture(open_page):
    page = open_page(view_of(patch=(1, 2)).to_html())
    points = painted(page).reshape(-1, 4)
    assert np.allclose(points[points[:, 3].argmax()], (24, 88, 168, 255 * OPACITY), atol=2)
    image, canvas = (page.locator(name).bounding_box() for name in ("img", "canvas"))
    assert image == canvas
    assert image["width"] / image["height"] == pytest.approx(32 / 24, rel=0.01)
    last = button(page, place(2, 3)).bounding_box()
    assert last["x"] + last["width"] == pytest.approx(image["x"] + image["width"], abs=1)
    assert last["width"] == pytest.approx(image["width"] / COLUMNS, abs=1)
    assert page.evaluate("document.querySelector('img').naturalWidth") == 32


@pytest.mark.browser
def test_another_theme_paints_in_its_accent(open_page):
    page = open_page(view_of(patch=(1, 2)).to_html())
    before = opacities(page)
    page.click('button[name="theme"]')
    points = painted(page).reshape(-1, 4)
    assert np.allclose(points[points[:, 3].argmax(), :3], (125, 180, 240), atol=2)
    assert np.array_equal(opacities(page), before)


@pytest.mark.browser
def test_a_kept_patch_stays_and_others_say_the_weight_between_the_two(open_page):
    record = record_of()
    page = open_page(view_of(record, layer=0, head=1).to_html())
    button(page, place(0, 1)).click()
    assert button(page, place(0, 1)).get_attribute("aria-pressed") == "true"
    kept = opacities(page)
    button(page, place(2, 3)).hover()
    assert np.array_equal(opacities(page), kept)
    assert page.inner_text(".reading").startswith("r0c1 → r2c3: ")
    expected = float(record.attentions[0, 1, place(0, 1), place(2, 3)])
    assert shown_weight(page) == pytest.approx(expected, abs=0.0051)
    page.keyboard.press("Escape")
    button(page, place(2, 2)).hover()
    assert np.allclose(
        opacities(page), expected_opacities(record.attentions[0, 1, place(2, 2)]), atol=0.005
    )


@pytest.mark.browser
def test_arrows_walk_over_the_patches_and_tab_leaves_them(open_page):
    page = open_page(view_of(head=0).to_html())
    focused = "document.activeElement.dataset.tokenIndex"
    patches = page.locator(".patch")
    assert patches.count() == ROWS * COLUMNS
    assert page.locator('.patch[tabindex="0"]').count() == 1
    page.locator('.patch[tabindex="0"]').focus()
    for key, expected in [
        ("Home", (0, 0)),
        ("ArrowUp", (0, 0)),
        ("ArrowLeft", (0, 0)),
        ("ArrowRight", (0, 1)),
        ("ArrowDown", (1, 1)),
        ("End", (2, 3)),
        ("ArrowRight", (2, 3)),
        ("ArrowDown", (2, 3)),
        ("ArrowUp", (1, 3)),
        ("ArrowRight", (1, 3)),
    ]:
        page.keyboard.press(key)
        assert page.evaluate(focused) == str(place(*expected)), key
        assert page.locator(".focal").get_attribute("data-token-index") == str(place(*expected))
    page.keyboard.press("Enter")
    assert button(page, place(1, 3)).get_attribute("aria-pressed") == "true"
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "0"
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == "1"


@pytest.mark.browser
def test_layer_and_head_and_side_are_chosen(open_page):
    record = record_of(layers=(4, 9))
    page = open_page(view_of(record, layer=4, patch=(1, 1)).to_html())
    token = place(1, 1)
    patterns = record.attentions
    assert np.allclose(opacities(page), expected_opacities(patterns[0].mean(0)[token]), atol=0.005)
    page.select_option('select[name="layer"]', "9")
    assert np.allclose(opacities(page), expected_opacities(patterns[1].mean(0)[token]), atol=0.005)
    assert "mean of 3 heads of layer 9" in page.inner_text(".image-legend")
    page.select_option('select[name="head"]', "2")
    assert np.allclose(opacities(page), expected_opacities(patterns[1, 2, token]), atol=0.005)
    assert "(L9H2)" in page.inner_text(".image-legend")
    page.select_option('select[name="side"]', "key")
    assert np.allclose(opacities(page), expected_opacities(patterns[1, 2, :, token]), atol=0.005)
    assert button(page, token).get_attribute("data-side") == "key"
    reading = page.inner_text(".reading")
    assert " → r1c1: " in reading and "weight from [CLS]" in reading
    page.select_option('select[name="head"]', "mean")
    assert np.allclose(
        opacities(page), expected_opacities(patterns[1].mean(0)[:, token]), atol=0.005
    )


@pytest.mark.browser
def test_tokens_beside_the_picture_have_their_weights_and_look_too(open_page):
    record = record_of()
    page = open_page(view_of(record, layer=1, head=0, patch=(0, 0)).to_html())
    beside = page.locator(".beside .number")
    for index in range(FIRST):
        expected = float(record.attentions[1, 0, place(0, 0), index])
        assert float(beside.nth(index).inner_text()) == pytest.approx(expected, abs=0.0051)
    assert page.locator(".beside button").all_inner_texts() == ["[CLS]", "[REG1]"]
    page.keyboard.press("Escape")
    page.focus("select")
    page.locator("section").first.press("Escape")
    button(page, 0).hover()
    assert np.allclose(opacities(page), expected_opacities(record.attentions[1, 0, 0]), atol=0.005)
    assert page.inner_text(".reading").startswith("[CLS] → ")
    assert "weight to [REG1]" in page.inner_text(".reading")


@pytest.mark.browser
def test_the_scale_is_said_in_words_with_its_number(open_page):
    record = record_of()
    page = open_page(view_of(record, layer=0, head=1, patch=(1, 0)).to_html())
    largest = float(record.attentions[0, 1, place(1, 0), FIRST:].max())
    words = page.inner_text(".scale-words")
    assert words.startswith("Full color is ") and "largest weight from r1c0 to a patch" in words
    assert float(words.split()[3].rstrip(",")) == pytest.approx(largest, abs=0.0051)


@pytest.mark.browser
def test_small_weights_keep_three_digits(open_page):
    record = record_of(heads=1)
    record.attentions[0, 0] = 0.0034
    page = open_page(view_of(record, layer=0, patch=(0, 0)).to_html())
    assert "0.0034" in page.inner_text(".scale-words")
    record.attentions[0, 0] = 0.00003
    page = open_page(view_of(record, layer=0, patch=(0, 0)).to_html())
    assert "Full color is under 1.0·10⁻⁴" in page.inner_text(".scale-words")


@pytest.mark.browser
def test_missing_weights_are_named_and_unpainted(open_page):
    record = record_of(heads=1)
    record.attentions[0, 0, place(0, 0), place(1, 1)] = float("nan")
    record.attentions[0, 0, place(0, 0), 0] = float("nan")
    page = open_page(view_of(record, layer=0, patch=(0, 0)).to_html())
    assert opacities(page)[1, 1] == 0 and opacities(page).max() > 0.8
    assert page.locator(".beside .number").first.inner_text() == "missing"
    button(page, place(1, 1)).hover()
    assert page.inner_text(".reading").startswith("r0c0 → r1c1: missing")


@pytest.mark.browser
def test_the_picture_is_grey_until_its_colors_are_asked_for(open_page):
    page = open_page(view_of().to_html())
    shown = "getComputedStyle(document.querySelector('img')).filter"
    assert "grayscale(1)" in page.evaluate(shown)
    page.check('input[name="colors"]')
    assert page.evaluate(shown) == "none"


@pytest.mark.browser
def test_hostile_labels_are_text_and_nothing_runs(open_page):
    tokens = ("<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", *TOKENS[2:])
    page = open_page(view_of(record_of(tokens=tokens)).to_html())
    assert page.locator(".beside button").all_inner_texts() == list(tokens[:2])
    assert page.locator("img").count() == 1
    assert f"weight to {tokens[0]}: " in page.inner_text(".reading")


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 420])
def test_nothing_moves_and_nothing_scrolls_sideways(open_page, width):
    page = open_page(view_of().to_html(), width=width)
    top = "document.querySelector('.image-stage').getBoundingClientRect().top + scrollY"
    before = page.evaluate(top)
    assert before < 200
    for index in (place(0, 0), place(2, 3), 0):
        button(page, index).hover()
        assert page.evaluate(top) == before
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.browser
def test_a_model_without_tokens_beside_its_patches(open_page):
    record = record_of(tokens=TOKENS[2:], first=0)
    page = open_page(view_of(record, head=0).to_html())
    page.locator(".patch").first.hover()
    assert page.inner_text(".reading").endswith("the largest among patches.")
    assert page.locator(".beside button").count() == 0


@pytest.mark.browser
def test_a_link_opens_what_was_seen(open_page):
    page = open_page(view_of().to_html())
    page.select_option('select[name="layer"]', "0")
    page.select_option('select[name="head"]', "2")
    page.select_option('select[name="side"]', "key")
    page.click(f'[data-token-index="{place(2, 3)}"]')
    page.wait_for_function(
        "() => location.hash.includes('token=17')".replace("17", str(place(2, 3)))
    )
    said = page.inner_text(".image-legend")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.inner_text(".image-legend") == said
    chosen = page.locator('.patch[aria-pressed="true"]')
    assert chosen.get_attribute("data-token-index") == str(place(2, 3))


@pytest.mark.browser
def test_saved_figure_has_picture_and_weights(open_page):
    page = open_page(view_of().to_html())
    with page.expect_download() as waiting:
        page.click('button[name="export-svg"]')
    svg = waiting.value.path().read_text(encoding="utf-8")
    assert waiting.value.suggested_filename == "image-1.svg"
    assert svg.count("<image") == 2  # the picture, and the weights over it
    assert "what r1c2 attends to" in svg
