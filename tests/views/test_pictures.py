"""Figures that are drawn once: their colors, and what the page makes of them."""

from __future__ import annotations

import json
import re

import pytest

import introspect as ix
from introspect.page.bundle import read_asset
from introspect.views import SEQUENTIAL
from introspect.views.palette import (
    ACCENT,
    DARK,
    EDGE,
    INK,
    LINE,
    MUTED,
    PAPER,
    RIVAL,
    scale_partners,
)
from introspect.views.pictures import (
    Picture,
    color_bar,
    head_map,
    names_axis,
    picture_section,
    recoloring,
)

from .causal.helpers import SURROGATE, table_of


def map_section(values=((0.25, None),), **options):
    figure = head_map(
        values,
        [7],
        [["<b> & more"] * 2],
        title="A <map>",
        limits=(0, 1),
        scale=SEQUENTIAL,
        bar=color_bar("share"),
        **options,
    )
    return picture_section(
        "role-map", "T", "L", {"one": Picture(figure)}, file="f",
        partners=scale_partners(SEQUENTIAL),
    )  # fmt: skip


def test_the_palette_has_the_colors_of_the_style_sheet():
    sheet = read_asset("styles/base.css")
    names = {"ink": INK, "muted": MUTED, "accent": ACCENT, "rival": RIVAL, "paper": PAPER,
             "line": LINE, "edge": EDGE}  # fmt: skip
    for name, light in names.items():
        pair = re.search(rf"--{name}: light-dark\((#\w+), (#\w+)\)", sheet)
        assert pair is not None and pair.groups() == (light, DARK[light]), name
    assert set(names.values()) == set(DARK)


def test_every_color_has_a_partner_and_words_are_no_colors():
    state = map_section(framed=[(0, 0)]).state
    assert state["colors"][INK] == DARK[INK] and state["colors"]["#0b3266"] == "#e4f0ff"
    with pytest.raises(KeyError, match="#123456"):
        recoloring({"line": {"color": "#123456"}})
    assert recoloring({"text": ["#123456"], "hovertext": "#123456"}) == {}


def test_a_map_names_and_describes_each_head():
    figure = map_section(framed=[(0, 1)]).state["pictures"][0]["figure"]
    (trace,) = figure["data"]
    assert trace["customdata"] == [["L7H0", "L7H1"]] and trace["z"] == [[0.25, None]]
    assert trace["hovertext"][0][0] == "L7H0: &lt;b&gt; &amp; more"
    assert figure["layout"]["title"]["text"] == "A &lt;map&gt;"
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [0.52]
    assert figure["layout"]["yaxis"]["range"] == [0.5, -0.5]  # the first layer on top


def test_of_many_names_some_are_shown():
    names = [str(number) for number in range(40)]
    assert names_axis(names, thin=True)["ticktext"] == names[::3]
    assert names_axis(names)["ticktext"] == names


def test_hostile_words_end_no_script():
    view = ix.causal_view(table_of(model="</script><b>"))
    assert "</script><b>" not in view.to_html()


@pytest.mark.browser
def test_the_page_draws_the_figure_of_python_and_recolors_it(open_page):
    view = ix.causal_view(table_of(**SURROGATE))
    drawn = json.loads(view.figure.to_json())
    page = open_page(view.to_html())
    canvas = "document.querySelector('[data-view=causal] .drawn-canvas')"
    assert page.evaluate(f"{canvas}.data") == drawn["data"]
    layout = page.evaluate(f"{canvas}.layout")
    for name in ("xaxis", "yaxis", "shapes", "annotations", "font"):
        assert layout[name] == drawn["layout"][name], name
    page.click('[name="theme"]')
    dark = page.evaluate(f"{canvas}.data")
    colors = view.sections()[0].state["colors"]
    for before, after in zip(drawn["data"], dark, strict=True):
        assert after["marker"]["color"] == colors[before["marker"]["color"]]
        assert (after["x"], after["y"]) == (before["x"], before["y"])
