"""The pages of an atlas in a browser: points, strip and table tell of one head; examples walk."""

from __future__ import annotations

import re

import pytest

import introspect as ix
from introspect.data import own_cases
from introspect.models.circuits import repeated
from tests.runs import sets

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    texts = [each.text for each in repeated(60)]
    folder = tmp_path_factory.mktemp("atlas") / "out"
    return ix.atlas("induction", texts, folder, examples=5, threads=1)


def test_the_index_tells_of_the_chosen_head(made, open_page, rules_broken):
    page = open_page(made.path / "index.html")
    assert page.locator('[data-view="atlas"] .atlas-point').count() == 8
    # The figure is the first thing below the headline; what bounds it comes before the long table.
    assert page.locator(".atlas-scatter").bounding_box()["y"] < 200
    order = page.eval_on_selector_all(
        ".finding, .atlas-scatter, .more, .heads-table", "all => all.map((e) => e.classList[0])"
    )
    assert order == ["finding", "atlas-scatter", "more", "data"]
    assert page.locator(".heads-table tbody tr").count() == 8
    page.click('.strip-cell[data-layer="1"][data-head="1"]')
    said = page.inner_text(".atlas-said")
    assert made.head("L1H1").sentence in said
    assert page.locator(".atlas-said a").get_attribute("href") == "heads/L1H1.html"
    page.keyboard.press("ArrowLeft")
    assert made.head("L1H0").sentence in page.inner_text(".atlas-said")
    page.wait_for_url(lambda url: "atlas.head=L1H0" in url)
    page.select_option('[name="x"]', "coverage")
    label = page.locator(".atlas-scatter").get_attribute("aria-label")
    assert label is not None
    assert re.search(r"8 heads: share covered by its rule across.*2 have no such number", label)
    for name in made.heads[made.heads["best_rule"].notna()].index:
        cell = page.locator(".heads-table tbody tr").nth(name).locator("td").nth(2).inner_text()
        assert cell.partition(" (")[2].rstrip(")") in made.heads["sentence"][name]
    page.fill('.table-tools [name="filter"]', "L0H0")
    assert page.locator(".heads-table tbody tr:visible").count() == 1
    assert rules_broken(page) == []


def test_an_address_opens_the_index_at_a_head(made, open_page):
    page = open_page(made.path / "index.html", path_hash="#atlas.head=L0H0&atlas.y=special")
    assert made.head("L0H0").sentence in page.inner_text(".atlas-said")
    assert page.input_value('[name="y"]') == "special"


def test_a_card_has_the_sentence_and_examples_to_walk(made, open_page, rules_broken):
    page = open_page(made.path / "heads" / "L1H1.html", width=640)
    assert page.inner_text(".finding") == made.head("L1H1").sentence
    assert page.locator(".example-stage").bounding_box()["y"] < 200
    line = page.locator(".example-line").first
    strongest = made.head("L1H1").examples.iloc[0]
    assert line.get_attribute("data-text-id") == strongest["text_id"]
    assert line.get_attribute("data-query") == str(strongest["query_index"])
    assert line.get_attribute("data-key") == str(strongest["key_index"])
    assert float(line.get_attribute("data-weight")) == pytest.approx(strongest["weight"], abs=1e-3)
    assert page.locator('.example-stage [data-element="words"] .chosen').count() == 1
    assert page.locator("h3", has_text="What it writes").count() == 1
    entries = page.locator(".written-token").all_inner_texts()
    assert entries == made.head("L1H1").writes["token"].tolist()
    line.focus()
    page.keyboard.press("ArrowDown")
    second = page.locator(".example-line").nth(1)
    assert second.get_attribute("aria-current") == "true"
    stops = page.eval_on_selector_all(
        ".example-line", "lines => lines.filter(line => line.tabIndex === 0).length"
    )
    assert stops == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert rules_broken(page) == []
    tables_of_rules_are_readable_and_whole_on_paper(page)


def tables_of_rules_are_readable_and_whole_on_paper(page):
    """The name of a rule is not a word to a line, and no column is over the edge of an A4 sheet."""
    name = page.locator("[data-name=rules] th", has_text="what followed the same token before")
    assert name.bounding_box()["height"] < 90
    page.set_viewport_size({"width": 718, "height": 1000})
    page.emulate_media(media="print")
    assert name.bounding_box()["height"] < 90
    wide = "table => table.scrollWidth - table.parentElement.clientWidth"
    assert page.locator("[data-name=rules]").evaluate(wide) <= 0


def test_texts_are_data_and_one_head_has_a_page(open_page, tmp_path):
    texts = [f"{HOSTILE} {case.text}" for case in own_cases("en")[:12]]
    made = ix.atlas(sets.model(), texts, tmp_path / "hostile", layers=[0], threads=1, long="window")
    page = open_page(made.path / "heads" / "L0H0.html")
    assert page.locator("img").count() == 0
    assert page.inner_text(".finding") == made.head("L0H0").sentence
