"""What all views have in common: any record, any width, the address, the theme, paper, files.

A page holds all of them at once, made of one record, so each act is done in every view.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from introspect.page import Document
from introspect.records import AttentionRecord
from introspect.text import CorefCase
from introspect.views import (
    Choice,
    View,
    causal_view,
    compare_view,
    coreference_view,
    evolution_view,
    flow_view,
    head_view,
    heatmap_view,
    instrument,
    layer_view,
    logit_view,
    model_view,
    neuron_view,
    playback_view,
    steps_view,
)

from .audio.helpers import view_of as audio_view_of
from .causal.helpers import table_of as table_of_effects
from .image.helpers import view_of as image_view_of
from .samples import record_of, record_with_parts
from .test_logit_view import table as table_of_logits

pytestmark = pytest.mark.browser

HOSTILE = [
    "</script><script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "&lt;b&gt;",
    "שלום",
    "我爱你",
    "👩‍👩‍👧",
    "Ġa\u202eb",
]


def views_of(record: AttentionRecord) -> list[View]:
    """All views of a record that has parts."""
    other = replace(record, attentions=record.attentions.flip(-1))
    return [
        head_view(record, token=0),
        head_view(record, layout="horizontal", token=0),
        model_view(record),
        layer_view(record, token=0),
        heatmap_view(record, head=0),
        flow_view(record, token=0),
        compare_view(record, other),
        neuron_view(record, token=0),
        steps_view(record, token=0),
    ]


def page_of(views: Sequence[View]) -> str:
    """One page with the first section of each."""
    document = Document("All views")
    for view in views:
        document.add_section(view.sections()[0])
    return document.to_html()


def everything() -> list[View]:
    """All views, of records of two layers, and the arcs of a case."""
    text = "Ann saw Bo so she left"
    case = CorefCase.from_words(text, pronoun="she", antecedent="Ann", distractors=["Bo"])
    own = [view for view in views_of(record_with_parts()) if view.title != "Compare view"]
    compared = compare_view(record_of(text), record_of(text, seed=1))
    return [*own, compared, coreference_view(record_of(text), case)]


def with_missing(record: AttentionRecord) -> AttentionRecord:
    attentions = record.attentions.clone()
    attentions[:, :, 0] = torch.nan
    return replace(record, attentions=attentions)


def with_empty_row(record: AttentionRecord) -> AttentionRecord:
    attentions = record.attentions.clone()
    attentions[:, :, 0] = 0
    return replace(record, attentions=attentions)


RECORDS = {
    "one token": lambda: record_with_parts(["one"]),
    "one layer, one head": lambda: record_with_parts(heads=1, layers=1),
    "64 heads": lambda: record_with_parts(heads=64),
    "96 layers": lambda: record_with_parts(heads=2, layers=96),
    "tokens of 300 characters": lambda: record_with_parts(["a" * 300, "b c " * 75, "d"]),
    "hostile tokens": lambda: record_with_parts(HOSTILE),
    "a row that is missing": lambda: with_missing(record_with_parts()),
    "a row of nothing": lambda: with_empty_row(record_with_parts()),
}


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, pytest.param(600, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", RECORDS)
def test_every_view_stands_any_record(open_page, name, width):
    record = RECORDS[name]()
    page = open_page(page_of(views_of(record)), width=width)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for section in page.locator("section[data-view]").all():
        kind = section.get_attribute("data-view")
        assert section.locator("svg.main-svg, .layer-cells, canvas").count() > 0, kind
        if kind == "model":
            assert section.locator(".cell").count() == record.num_layers * record.num_heads
            continue
        shown = section.locator('[data-side="query"]:not([hidden])').first
        assert shown.locator("bdi").text_content() == page.evaluate(
            "JSON.parse(document.getElementById('page-data').textContent)"
            ".records[0].queries.labels[0]"
        )
        section.locator('[data-side="query"]:visible').first.hover()
        said = section.inner_text() + str(
            section.evaluate(
                "s => [...s.querySelectorAll('[aria-label]')].map((n) => n.ariaLabel).join()"
            )
        )
        assert "NaN" not in said and "undefined" not in said, kind
        if name == "a row that is missing":
            assert "missing" in said.lower(), kind


STATE = """
[...document.querySelectorAll('section[data-view]')].map((section) => [
  section.id,
  ...[...section.querySelectorAll('.controls input, .controls select')].map((n) => n.value),
  ...[...section.querySelectorAll('[aria-pressed=true], [aria-current=true]')].map(
    (n) => (n.ariaLabel ?? n.textContent).split(':')[0]),
  ...[...section.querySelectorAll('.number.strong, ol.numbers li, .layer-cells span, tr.strong')]
    .map((n) => n.textContent),
])
"""
ACTS = {
    "head": ('[name="layer"]', "1"),
    "model": ('[name="sort"]', "-entropy"),
    "layer": ('[name="combine"]', "max"),
    "heatmap": ('[name="head"]', "2"),
    "flow": ('[name="into"]', "every"),
    "compare": ('[name="head"]', "2"),
    "coreference": ('[name="direction"]', "candidate_to_pronoun"),
    "neuron": ('[name="head"]', "2"),
    "steps": ('[name="head"]', "2"),
}


@pytest.mark.slow
def test_the_address_opens_what_was_seen_in_every_view(open_page):
    source = page_of(everything())
    page = open_page(source)
    first = page.evaluate(STATE)
    for section in page.locator("section[data-view]").all():
        selector, value = ACTS[section.get_attribute("data-view")]
        control = section.locator(selector).first
        if control.evaluate("n => n.tagName") == "SELECT":
            control.select_option(value)
        else:
            control.fill(value)
        if section.get_attribute("data-view") != "heatmap":  # there a click begins a range
            section.locator('.cell, [data-side="query"]:not([tabindex="-1"])').first.click()
    page.wait_for_timeout(400)  # the address is written in a pause
    seen = page.evaluate(STATE)
    again = open_page(source, path_hash=page.evaluate("location.hash"))
    assert again.evaluate(STATE) == seen
    assert all(now != before for now, before in zip(seen, first, strict=True))


def test_the_switch_changes_the_colors_of_every_view(open_page):
    page = open_page(page_of(everything()))
    pictures = """
    [...document.querySelectorAll('section[data-view]')].map((section) => JSON.stringify([
      ...[...section.querySelectorAll('.js-plotly-plot')].map(
        (plot) => plot.data.map((t) => [t.colorscale, t.line?.color])),
      ...[...section.querySelectorAll('.layer-cells')].map((n) => n.style.backgroundImage),
      ...[...section.querySelectorAll('canvas')].map((n) => n.toDataURL()),
    ]))
    """
    light = page.evaluate(pictures)
    page.click('[name="theme"]')
    dark = page.evaluate(pictures)
    assert all(a != b for a, b in zip(light, dark, strict=True))
    page.click('[name="theme"]')
    assert page.evaluate(pictures) == light


def png_size(data: bytes) -> tuple[int, int]:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


# Chromium holds back the eleventh download that a page asks for in a short time.
_SAVED_AT_ONCE = 5


@pytest.mark.slow
def test_every_view_is_saved_as_svg_and_as_png_for_print(open_page):
    html = page_of(everything())
    kinds = [each.get_attribute("data-view") for each in sections_of(open_page(html))]
    for first in range(0, len(kinds), _SAVED_AT_ONCE):
        page = open_page(html)
        for section in sections_of(page)[first : first + _SAVED_AT_ONCE]:
            assert_is_saved(page, section)


def sections_of(page):
    return page.locator("section[data-view]").all()


def assert_is_saved(page, section) -> None:
    kind = section.get_attribute("data-view")
    sizes = {}
    for ending in ("svg", "png"):
        with page.expect_download() as waiting:
            section.locator(f'[name="export-{ending}"]').click()
        assert waiting.value.suggested_filename.startswith(f"{kind}-view")
        assert waiting.value.suggested_filename.endswith(ending)
        sizes[ending] = Path(waiting.value.path()).read_bytes()
    text = sizes["svg"].decode()
    assert text.startswith("<svg") and "undefined" not in text, kind
    assert ("H0" if kind == "model" else "she") in text, kind
    width = float(text.split('width="')[1].split('"')[0])
    assert png_size(sizes["png"])[0] == pytest.approx(3 * width, abs=2), kind


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, pytest.param(600, marks=pytest.mark.slow)])
def test_nothing_moves_while_tokens_are_pointed_at(open_page, width):
    tokens = ["a" * 300, "the", "x" * 40, "word", "she", "left"]
    views = views_of(record_with_parts(tokens))
    page = open_page(page_of(views), width=width)
    # From the top of the page, whatever chapter or list has its own measures or was scrolled.
    places = """(() => {
      const from = (n, edge, border) => n.offsetParent === null ? n[edge]
        : n[edge] + n.offsetParent[border] + from(n.offsetParent, edge, border);
      const named = 'section, h2, .controls, .token, .matrix, .layer-table, .legend';
      return [...document.querySelectorAll(named)].map((n) => [n.tagName,
        from(n, 'offsetTop', 'clientTop'), from(n, 'offsetLeft', 'clientLeft'), n.offsetWidth,
      ]);
    })()
    """
    for section in page.locator("section[data-view]").all():
        kind = section.get_attribute("data-view")
        targets = section.locator(".cell" if kind == "model" else ".token:visible").all()[:7]
        before = page.evaluate(places)
        for target in targets:
            target.hover()
            # The sum of rounded offsets may differ by one.
            assert page.evaluate(places) == [
                [name, *(pytest.approx(number, abs=1) for number in numbers)]
                for name, *numbers in before
            ], kind


def test_every_view_has_one_stop_for_its_tokens_and_answers_to_keys(open_page):
    page = open_page(page_of(everything()))
    for section in page.locator("section[data-view]").all():
        kind = section.get_attribute("data-view")
        stops = section.locator('[data-side="query"][tabindex="0"], .cell[tabindex="0"]')
        stop = stops.first
        stop.focus()
        before = page.evaluate("document.activeElement.ariaLabel") + section.inner_text()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        after = page.evaluate("document.activeElement.ariaLabel") + section.inner_text()
        assert after != before, kind


# What Tab comes by in each part of a page, with all that folds unfolded.
STOPS = """() => {
  for (const folded of document.querySelectorAll('details')) folded.open = true;
  const parts = [...document.querySelectorAll('section[data-view], [data-element=instrument]')];
  const selector = 'a[href], button, input, select, summary, [tabindex]';
  const isStop = (each) => each.tabIndex >= 0 && !each.disabled && each.checkVisibility();
  return new Promise((done) => setTimeout(() => done(parts.map((part) => [
    part.dataset.view ?? part.dataset.element,
    [...part.querySelectorAll(selector)].filter(isStop).length,
  ])), 300));
}"""
# Controls, and one for each list, map and table: however many tokens and heads there are.
MOST_STOPS = 26


def test_no_list_is_more_than_one_stop_of_the_tab_key(open_page):
    record = record_with_parts([f"word{i}" for i in range(128)], heads=16)
    text = "Ann saw Bo so she left"
    case = CorefCase.from_words(text, pronoun="she", antecedent="Ann", distractors=["Bo"])
    document = Document("All views")
    views = [
        *views_of(record),
        playback_view(record_with_parts([f"word{i}" for i in range(128)], causal=True)),
        coreference_view(record_of(text, heads=16), case),
        image_view_of(),
        audio_view_of(),
        logit_view(table_of_logits()),
        evolution_view([record_of(seed=seed) for seed in range(3)]),
        causal_view(table_of_effects()),
    ]
    document.add_instrument(instrument(record, Choice(query=3, key=1)))
    for view in views:
        document.add_section(view.sections()[0])
    page = open_page(document.to_html())
    assert page.locator(".ranked-pairs").is_visible()
    stops = page.evaluate(STOPS)
    assert len(stops) == len(views) + 1
    assert [kind for kind, count in stops if count > MOST_STOPS] == [], stops


@pytest.mark.parametrize("view", [neuron_view, steps_view])
def test_arrows_walk_the_tokens_of_a_list(open_page, view):
    page = open_page(view(record_with_parts(), token=2).to_html())
    tokens = page.locator('section [data-side="query"]')
    assert page.locator('section [data-side="query"][tabindex="0"]').count() == 1
    tokens.nth(2).focus()
    for key, place in [("ArrowDown", 3), ("ArrowUp", 2), ("End", 5), ("ArrowDown", 5), ("Home", 0)]:
        page.keyboard.press(key)
        assert tokens.nth(place).evaluate("node => node === document.activeElement"), key
        assert tokens.nth(place).get_attribute("aria-pressed") == "true"
    assert page.get_attribute("html", "data-selection").startswith("L0H0.q0")
    page.keyboard.press("ArrowRight")  # across the list they still change the head
    assert page.get_attribute("html", "data-selection").startswith("L0H1.q0")


def test_rows_of_a_table_of_heads_are_walked_as_they_are_sorted(open_page):
    page = open_page(head_view(record_of(), token=3).to_html())
    page.click(".ranked-pairs summary")
    page.click('.ranked-pairs th >> text="head"')
    page.click('.ranked-pairs th >> text="head"')
    heads = page.locator(".ranked-pairs button[data-head]")
    names = heads.all_inner_texts()
    assert names == sorted(names)
    heads.first.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == names[1]
    page.keyboard.press("Enter")
    assert page.get_attribute("html", "data-selection").startswith(names[1])


def test_the_chosen_row_of_heads_keeps_the_focus(open_page):
    text = "Ann saw Bo so she left"
    case = CorefCase.from_words(text, pronoun="she", antecedent="Ann", distractors=["Bo"])
    page = open_page(coreference_view(record_of(text), case).to_html())
    rows = page.locator(".ranking tbody button")
    rows.nth(2).focus()
    name = rows.nth(2).inner_text()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == name
    assert page.locator('.ranking tbody button[tabindex="0"]').inner_text() == name


def test_columns_of_numbers_do_not_run_into_each_other(open_page):
    views = views_of(record_with_parts(["tokenization", "is", "hard"]))[-2:]
    page = open_page(page_of(views), width=600)
    for section in page.locator("section[data-view]").all():
        boxes = [step.bounding_box() for step in section.locator(".step").all()]
        ends = [box["x"] + box["width"] for box in boxes]
        assert all(end <= box["x"] for end, box in zip(ends, boxes[1:], strict=False))
        names = section.locator(".step .token").all()
        assert all(name.evaluate("n => n.scrollWidth <= n.clientWidth") for name in names)


@pytest.mark.slow
def test_a_dark_page_is_printed_light_and_without_its_controls(open_page):
    page = open_page(page_of(everything()), path_hash="#page.theme=dark")
    scale = "document.querySelector('[data-view=heatmap] .js-plotly-plot').data[0].colorscale[0][1]"
    dark = page.evaluate(scale)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    ink = page.evaluate("getComputedStyle(document.body).color")
    assert ink == "rgb(27, 31, 36)"
    assert page.evaluate(scale) != dark
    assert page.locator(".controls:visible, .tools:visible").count() == 0
    # Drawn for the width of a sheet (A4 and Letter have 718 and 740 pixels between their margins).
    assert (
        page.evaluate(
            "Math.max(...[...document.querySelectorAll('.main-svg')].map((n) => "
            "n.getBoundingClientRect().right - document.querySelector('main')"
            ".getBoundingClientRect().left))"
        )
        <= 700
    )
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(scale) == dark
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.slow
def test_one_view_does_not_disturb_that_of_another_record(open_page):
    """Two of each on one page, of equal records: an act in one leaves its twin as it was."""
    page = open_page(page_of([*everything(), *everything()]))
    state = page.evaluate(STATE)
    half = len(state) // 2
    for section in page.locator("section[data-view]").all()[:half]:
        selector, value = ACTS[section.get_attribute("data-view")]
        control = section.locator(selector).first
        if control.evaluate("n => n.tagName") == "SELECT":
            control.select_option(value)
        else:
            control.fill(value)
    changed = page.evaluate(STATE)
    assert all(now != before for now, before in zip(changed[:half], state[:half], strict=True))
    assert changed[half:] == state[half:]
