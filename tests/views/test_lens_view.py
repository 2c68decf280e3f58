"""The lens view: its table as data, and what a reader does with it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from introspect.errors import SelectionError
from introspect.views import lens_view
from introspect.views.palette import DARK, INK, PAPER, SEQUENTIAL_DARK

TOKENS = ["<s>", "it", "was"]
HOSTILE = "</script><script>window.hacked=1</script>"


def table(tokens: list[str] = TOKENS, *, layers: int = 2, note: str | None = None) -> pd.DataFrame:
    """Cell (layer, position) reads ``w<layer>.<position>.<rank>``, surer with each layer."""
    rows = [
        (layer, place, token, rank, f"w{layer}.{place}.{rank}", 0.1 * (layer + 2) + 0.05 * place)
        for layer in range(-1, layers)
        for place, token in enumerate(tokens)
        for rank in (1, 2)
    ]
    columns = ["layer", "position", "token", "rank", "predicted", "probability"]
    made = pd.DataFrame(rows, columns=columns)
    made.loc[made["rank"] == 2, "probability"] /= 4
    made.attrs["note"] = note
    return made


def test_the_figure_has_the_first_reading_of_each_cell():
    figure = lens_view(table()).figure
    trace, *labels = figure.data
    assert {(x, y): text for t in labels for x, y, text in zip(t.x, t.y, t.text, strict=True)} == {
        (place, layer + 1): f"w{layer}.{place}.1" for place in range(3) for layer in (-1, 0, 1)
    }
    assert list(map(list, trace.z))[2] == pytest.approx([0.3, 0.35, 0.4])
    assert (trace.zmin, trace.zmax) == (0, 1)
    assert list(figure.layout.xaxis.ticktext) == ["&lt;s&gt;", "it", "was"]
    assert list(figure.layout.yaxis.ticktext) == ["embeddings", "L0", "L1"]


def test_the_section_has_all_readings():
    view = lens_view(table(note="Mind this."))
    (section,) = view.sections()
    (picture,) = section.state["pictures"]
    trace = picture["figure"]["data"][0]
    assert trace["hovertext"][2][1] == (
        "After L1, at “it” (token 1): “w1.1.1”, 35.0%<br>1. w1.1.1: 35.0%<br>2. w1.1.2: 8.8%"
    )
    assert trace["hovertext"][0][0].startswith("Before L0, at “&lt;s&gt;” (token 0):")
    assert trace["z"][2][1] == pytest.approx(0.35) and picture["first"] == "L1T2"
    assert picture["figure"] == json.loads(view.figure.to_json())
    assert view.notices == ("Mind this.",) and "Mind this." in view.to_html()
    assert repr(view) == "<LensView: 3 layers of 3 tokens>"


@pytest.mark.parametrize(
    "given",
    [
        pd.DataFrame({"layer": [1]}),
        table().iloc[:0],
        table().iloc[1:],
        table().query("rank == 2"),
        table().sort_values("rank"),
    ],
)
def test_a_part_of_a_table_is_refused(given):
    with pytest.raises(SelectionError, match=r"ix\.logit_lens"):
        lens_view(given)


# --- in a browser ---------------------------------------------------------------------------------


def cell(page, layer: int, place: int):
    name = f"L{layer - 1}T{place}" if layer else f"ET{place}"
    return page.locator(f'[data-view="lens"] [data-mark="{name}"]')


@pytest.mark.browser
def test_a_reader_points_walks_and_links(open_page):
    source = lens_view(table()).to_html()
    page = open_page(source)
    reading = page.locator('[data-view="lens"] .reading')
    assert reading.inner_text() == "After L1, at “was” (token 2): “w1.2.1”, 40.0%."
    names = page.locator(".ytick text").all_text_contents()
    assert names == ["embeddings", "L0", "L1"]
    assert cell(page, 2, 0).bounding_box()["y"] < cell(page, 1, 0).bounding_box()["y"]  # on top
    cell(page, 0, 1).hover()
    assert reading.inner_text() == "Before L0, at “it” (token 1): “w-1.1.1”, 15.0%."
    listed = page.locator(".drawn-facts div").all_inner_texts()
    assert [line.split() for line in listed] == [
        ["1.", "w-1.1.1", "15.0%"], ["2.", "w-1.1.2", "3.8%"],
    ]  # fmt: skip
    assert page.locator('.mark[tabindex="0"]').count() == 1
    page.locator('.mark[tabindex="0"]').focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    assert reading.inner_text().startswith("After L0, at “it” (token 1): “w0.1.1”")
    assert page.locator('.mark[tabindex="0"]').count() == 1
    page.wait_for_timeout(400)  # the address is written in a pause
    again = open_page(source, path_hash=page.evaluate("location.hash"))
    said = again.locator('[data-view="lens"] .reading').inner_text()
    assert said.startswith("After L0, at “it” (token 1): “w0.1.1”")


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 600])
def test_any_tokens_stay_text_and_within_the_page(open_page, width):
    tokens = [HOSTILE, "<img src=x onerror=window.hacked=1>", "a" * 300, "我", "שלום"] * 5
    made = table(tokens, layers=12)
    made.loc[0, "predicted"] = HOSTILE
    page = open_page(lens_view(made).to_html(), width=width)
    assert page.evaluate("window.hacked") is None and page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cell(page, 0, 0).hover()
    assert "</script>" in page.locator('[data-view="lens"] .drawn-facts').inner_text()


@pytest.mark.browser
def test_colors_follow_the_theme_and_the_figure_is_saved(open_page):
    page = open_page(lens_view(table()).to_html())
    drawn = "document.querySelector('.drawn-canvas').data"
    light = page.evaluate(drawn)
    assert light == json.loads(lens_view(table()).figure.to_json())["data"]
    page.click('[name="theme"]')
    dark = page.evaluate(drawn)
    assert dark[0]["colorscale"] == [list(stop) for stop in SEQUENTIAL_DARK]
    assert [t["textfont"]["color"] for t in dark[1:]] == [DARK[INK], "#000000", DARK[PAPER]]
    assert [t["text"] for t in dark[1:]] == [t["text"] for t in light[1:]]
    with page.expect_download() as waiting:
        page.click('[name="export-svg"]')
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert "w1.2.1" in text and "embeddings" in text and "undefined" not in text


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_breaks_no_rule_of_accessibility(open_page, theme, rules_broken):
    page = open_page(lens_view(table()).to_html(), path_hash=f"#page.theme={theme}")
    assert rules_broken(page) == []


@pytest.mark.browser
def test_the_names_of_layers_stay_in_sight_of_a_long_text(open_page):
    page = open_page(lens_view(table(TOKENS * 8)).to_html(), width=600)
    names = page.locator(".drawn-names")
    assert names.locator("span").all_inner_texts() == ["embeddings", "L0", "L1"]
    scroller = page.locator(".drawn-scroller")
    assert scroller.evaluate("n => n.scrollLeft") > 0  # the last token is shown first
    assert names.bounding_box()["x"] == pytest.approx(scroller.bounding_box()["x"], abs=1)
    top = names.locator("span").last.bounding_box()
    row = cell(page, 2, 0).bounding_box()
    assert row["y"] < top["y"] + top["height"] / 2 < row["y"] + row["height"]
