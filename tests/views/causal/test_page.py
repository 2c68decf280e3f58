"""The page of causal effects, by acts in a browser."""

from __future__ import annotations

import pytest

import introspect as ix
from tests.views.causal.helpers import ROWS, SURROGATE, table_of, without_tests


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, pytest.param(800, marks=pytest.mark.slow), 600])
def test_the_page_is_walked_by_keys_and_says_all_numbers(open_page, width):
    page = open_page(ix.causal_view(table_of()).to_html(), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    section = page.locator('[data-view="causal"]')
    assert section.locator(".mark").count() == 4
    stops = section.locator('.mark[tabindex="0"]')
    assert stops.count() == 1 and stops.get_attribute("data-layer") == "0"
    stops.focus()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
        seen.append(section.locator(".reading").inner_text())
    assert seen == [
        "L0H1: effect 0.100 nats; no evidence of an effect, or that it attends.",
        "L3H1: effect −0.200 nats; attends; no evidence of an effect.",
        "L3H0: effect 1.50 nats; supports; attends.",
        "L3H0: effect 1.50 nats; supports; attends.",  # the last one
        "L0H1: effect 0.100 nats; no evidence of an effect, or that it attends.",
        "L3H0: effect 1.50 nats; supports; attends.",
    ]
    said = section.locator(".drawn-facts >> nth=0").inner_text()
    for number in ("1.50 nats", "1.20 to 1.70", "−0.200", "1.70", "1.30 to 2.10", "0.004",
                   "90.0%", "60.0%", "40", "96.0%", "0.001", "0.480", "0.410"):  # fmt: skip
        assert number in said, number
    assert "NaN" not in section.inner_text() and "undefined" not in section.inner_text()


@pytest.mark.browser
def test_points_stand_where_the_figure_has_them_and_the_pointer_finds_them(open_page):
    page = open_page(ix.causal_view(table_of()).to_html())
    drawn = page.evaluate(
        """() => [...document.querySelectorAll('[data-view="causal"] .point')].map((n) => {
          const box = n.getBoundingClientRect();
          return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)];
        })"""
    )
    for button in page.locator('[data-view="causal"] .mark').all():
        box = button.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        assert any(abs(x - a) <= 2 and abs(y - b) <= 2 for a, b in drawn)
    point = page.locator('[data-view="causal"] .mark[data-layer="3"][data-head="1"]')
    box = point.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 8)  # near it, not on it
    assert (
        page.locator('[data-view="causal"] .reading')
        .inner_text()
        .startswith("L3H1: effect −0.200 nats; attends;")
    )
    page.mouse.move(5, 5)
    assert (
        page.locator('[data-view="causal"] .reading')
        .inner_text()
        .startswith("L0H0: effect 2.00 nats; supports;")
    )


@pytest.mark.browser
def test_the_address_keeps_the_choice_and_the_head(open_page):
    source = ix.causal_view(table_of()).to_html()
    page = open_page(source)
    page.select_option('[name="across"]', "margin")
    page.locator('[data-view="causal"] .mark[data-layer="3"][data-head="0"]').click()
    axis = "document.querySelector('.drawn-canvas').layout.xaxis.title.text"
    assert "margin" in page.evaluate(axis)
    page.wait_for_timeout(400)  # the address is written in a pause
    again = open_page(source, path_hash=page.evaluate("location.hash"))
    assert again.input_value('[name="across"]') == "margin"
    assert "margin" in again.evaluate(axis)
    current = again.locator('[data-view="causal"] .mark[aria-current="true"]')
    assert current.get_attribute("aria-label").startswith("L3H0: effect 1.50 nats")


@pytest.mark.browser
def test_the_file_is_saved_with_legend_and_titles_and_the_theme_changes_the_colors(open_page):
    page = open_page(ix.causal_view(table_of(**SURROGATE)).to_html())
    for name in ("causal", "effect-map"):
        with page.expect_download() as waiting:
            page.locator(f'[data-view="{name}"] [name="export-svg"]').click()
        text = waiting.value.path().read_text()
        assert "surrogate" in text and "undefined" not in text
        assert ("layer 3" if name == "causal" else "L3") in text
    color = "document.querySelector('.drawn-canvas').data.at(-1).marker.color"
    light = page.evaluate(color)
    page.click('[name="theme"]')
    assert page.evaluate(color) != light


@pytest.mark.browser
def test_a_surrogate_is_seen_on_the_page(open_page):
    page = open_page(ix.causal_view(table_of(**SURROGATE)).to_html())
    assert "surrogate" in page.inner_text('[role="alert"]')
    for name in ("causal", "effect-map"):
        assert "surrogate" in page.inner_text(f'[data-view="{name}"]').lower()
    svg = page.locator(".drawn-canvas").first.inner_html()
    assert "surrogate: not the model’s answer" in svg
    labels = page.eval_on_selector_all(
        '[data-view="causal"] .mark', "ns => ns.map((n) => n.ariaLabel)"
    )
    assert all("on a surrogate" in label for label in labels)


@pytest.mark.browser
def test_without_tests_the_page_says_so(open_page):
    page = open_page(ix.causal_view(without_tests()).to_html())
    assert "too few groups" in page.inner_text('[data-view="causal"] .reading')
    filled = "document.querySelectorAll('.drawn-canvas')[0].data.flatMap((t) => t.marker.symbol)"
    assert "circle" not in page.evaluate(filled)
    frames = "document.querySelectorAll('.drawn-canvas')[1].layout.shapes ?? []"
    assert page.evaluate(frames) == []
    assert "NaN" not in page.inner_text("main")


@pytest.mark.browser
def test_the_map_frames_what_stands_out_and_names_what_was_not_measured(open_page):
    rows = [row for row in ROWS if row[:2] != (3, 0)]
    page = open_page(ix.causal_view(table_of(rows)).to_html())
    section = page.locator('[data-view="effect-map"]')
    frames = "document.querySelectorAll('.drawn-canvas')[1].layout.shapes ?? []"
    assert [(s["x0"], s["y0"]) for s in page.evaluate(frames)] == [(-0.48, -0.48)]
    assert section.locator(".reading").inner_text() == (
        "L0H0: effect 2.00 nats (95% CI 1.70–2.20), the other heads of layer 0: 0.100 nats, "
        "adjusted p 0.001, 40 cases."
    )
    section.locator('.cell[data-layer="3"][data-head="0"]').hover()
    assert section.locator(".reading").inner_text() == "L3H0: not measured."
    z = page.evaluate("document.querySelector('[data-view=effect-map] .js-plotly-plot').data[0]")
    assert z["z"] == [[2.0, 0.1], [None, -0.2]] and (z["zmin"], z["zmax"]) == (-2.0, 2.0)


@pytest.mark.browser
def test_nothing_moves_while_heads_are_pointed_at(open_page):
    page = open_page(ix.causal_view(table_of()).to_html(), width=800)
    places = """
    [...document.querySelectorAll('section, h2, .controls, dl, .drawn-field, .mark')]
      .map((n) => [n.offsetTop, n.offsetLeft, n.offsetWidth].join())"""
    before = page.evaluate(places)
    for point in page.locator('[data-view="causal"] .mark').all():
        point.hover()
        assert page.evaluate(places) == before


@pytest.mark.browser
def test_a_dark_page_is_printed_light_and_fits_the_sheet(open_page):
    page = open_page(ix.causal_view(table_of()).to_html(), path_hash="#page.theme=dark")
    color = "document.querySelector('.drawn-canvas').data.at(-1).marker.color"
    dark = page.evaluate(color)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(color) != dark
    assert page.locator(".controls:visible, .tools:visible").count() == 0
    right = page.evaluate(
        "Math.max(...[...document.querySelectorAll('.main-svg, .drawn-facts')].map((n) => "
        "n.getBoundingClientRect().right - document.querySelector('main')"
        ".getBoundingClientRect().left))"
    )
    assert 600 <= right <= 700
    assert page.locator(".drawn-canvas").first.bounding_box()["width"] > 600
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(color) == dark
