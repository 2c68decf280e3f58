"""Numbers in figures: texts by the one way, and where Plotly writes them, its few named formats."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from plotly.graph_objects import Figure, Heatmap
from plotly.offline import get_plotlyjs

import introspect
from introspect.records import AttentionRecord
from introspect.text import CorefCase, decimal, percent, quantity, signed
from introspect.views import (
    causal_view,
    compare_view,
    coreference_view,
    evolution_view,
    flow_view,
    head_view,
    heatmap_view,
    layer_view,
    lens_view,
    logit_view,
    model_view,
    neuron_view,
    playback_view,
    steps_view,
)
from introspect.views.plotly_numbers import (
    HOVER_FORMATS,
    MOST_WRITTEN,
    NUMBER_TICKS,
    SHARE_TICKS,
    cell_hover,
    writing_of,
)

from .audio.helpers import view_of as audio_of
from .causal.helpers import table_of
from .image.helpers import view_of as image_of
from .samples import bare_record, record_of, record_with_parts
from .test_lens_view import table as lens_table
from .test_logit_view import table as logit_table

PACKAGE = Path(introspect.__file__).parent
LONG = [f"w{index}" for index in range(70)]
TEXT = "Ann saw Bo so she left"


def long_record(seed: int = 0) -> AttentionRecord:
    """A record with more cells than a figure has texts for."""
    return bare_record(LONG, seed=seed)


def of_case():
    case = CorefCase.from_words(TEXT, pronoun="she", antecedent="Ann", distractors=["Bo"])
    return coreference_view(record_of(TEXT), case)


VIEWS = {
    "head": lambda: head_view(record_of(), token=0),
    "model": lambda: model_view(record_of()),
    "heatmap": lambda: heatmap_view(record_of()),
    "long heatmap": lambda: heatmap_view(long_record()),
    "layer": lambda: layer_view(record_of()),
    "compare": lambda: compare_view(record_of(), record_of(seed=1)),
    "long compare": lambda: compare_view(long_record(), long_record(1)),
    "evolution": lambda: evolution_view([record_of(seed=seed) for seed in range(3)]),
    "long evolution": lambda: evolution_view([long_record(), long_record(1)]),
    "image": image_of,
    "audio": audio_of,
    "coreference": of_case,
    "neuron": lambda: neuron_view(record_with_parts(), token=0),
    "steps": lambda: steps_view(record_with_parts(), token=0),
    "lens": lambda: lens_view(lens_table()),
    "logits": lambda: logit_view(logit_table()),
    "causal": lambda: causal_view(table_of()),
    "causal margin": lambda: causal_view(table_of(), across="margin"),
    "flow": lambda: flow_view(record_of(), token=0),
    "playback": lambda: playback_view(record_with_parts(causal=True)),
}


def parts(drawn: Any) -> Iterator[tuple[str, Any]]:
    """Yield every property of a figure with its name."""
    if isinstance(drawn, dict):
        yield from drawn.items()
        for name, value in drawn.items():
            if name != "template":
                yield from parts(value)
    elif isinstance(drawn, list):
        for value in drawn:
            yield from parts(value)


@pytest.mark.parametrize("name", VIEWS)
def test_plotly_writes_numbers_by_the_named_formats_alone(name):
    drawn = json.loads(VIEWS[name]().figure.to_json(engine="json"))
    pointed = [trace for trace in drawn["data"] if trace.get("x") != [None]]
    assert all("hovertemplate" in trace or "hoverinfo" in trace for trace in pointed)
    for key, value in parts(drawn):
        if key == "hovertemplate":
            assert value in ("%{text}<extra></extra>", "%{z}<extra></extra>")
        elif key == "hoverinfo":
            assert value in ("text", "skip")
        elif key.endswith("hoverformat"):
            assert value in HOVER_FORMATS.values()
        elif key == "tickformat":
            assert value == SHARE_TICKS[key]
        elif key == "colorbar":
            assert NUMBER_TICKS.items() <= value.items()


@pytest.mark.parametrize("name", VIEWS)
def test_an_axis_of_numbers_writes_no_unit_letters(name):
    layout = VIEWS[name]().figure.to_plotly_json()["layout"]
    for key, axis in layout.items():
        if re.fullmatch(r"[xy]axis\d*", key) and axis.get("visible", True):
            is_named = "tickvals" in axis or not axis.get("showticklabels", True)
            is_named |= axis.get("type") == "category" or axis.get("dtick") == 1
            is_share = SHARE_TICKS.items() <= axis.items()
            assert is_named or is_share or NUMBER_TICKS.items() <= axis.items(), (name, key)


def test_maps_of_a_short_text_carry_their_numbers_in_words():
    a, b = record_of(), record_of(seed=1)
    view = compare_view(a, b)
    maps = view.figure.data
    for trace, pattern, write in zip(
        maps, view.patterns(), (decimal, decimal, signed), strict=True
    ):
        assert [list(line) for line in trace.text] == [
            [write(value) for value in line] for line in pattern.tolist()
        ]
    assert any("−" in text for line in maps[2].text for text in line)


def test_a_missing_weight_is_a_dash_and_a_number_of_any_size_keeps_its_digits():
    cells = torch.tensor([[torch.nan, 0.25]], dtype=torch.float64)
    assert cell_hover(cells)["text"] == [["–", "0.25"]]
    cells = torch.tensor([[0.000146, 1234.5]], dtype=torch.float64)
    assert cell_hover(cells, quantity)["text"] == [["1.5·10⁻⁴", "1,235"]]
    assert [writing_of(name) for name in ("raw", "rollout", "norm")] == [decimal, decimal, quantity]


def test_a_figure_of_many_cells_carries_no_texts():
    side = int(MOST_WRITTEN**0.5)
    assert "text" in cell_hover(torch.zeros(side, side))
    assert cell_hover(torch.zeros(side, side + 1)) == {
        "hovertemplate": "%{z}<extra></extra>",
        "zhoverformat": HOVER_FORMATS[decimal],
    }
    assert "text" not in cell_hover(torch.zeros(side, side), maps=2)


def test_a_patch_says_its_label_and_a_weight_that_small_keeps_its_digits():
    heatmap = image_of(patch=(2, 1)).figure.data[0]
    for words, line in zip(heatmap.text, heatmap.z, strict=True):
        for text, weight in zip(words, line, strict=True):
            assert text.split(": ")[1] == (quantity if 0 < weight < 0.1 else decimal)(weight)


# --- the sources ----------------------------------------------------------------------------------

# Of a float, or with commas between thousands; whole numbers may be padded.
SPEC = re.compile(r"[^}]*(?:[feg%]|,)")
OWN_WAY = {
    "text/english.py",  # the one way
    "progress.py",  # on a floor below it
    "views/palette.py",  # colors
    "interventions/ablation.py",  # a factor, as it was given
}


def format_specs(source: str) -> list[str]:
    """Return the formats that f-strings give to numbers."""
    return [
        spec
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FormattedValue) and isinstance(node.format_spec, ast.JoinedStr)
        if SPEC.fullmatch(spec := ast.unparse(node.format_spec).strip("f'\""))
    ]


def test_a_format_of_its_own_is_found():
    assert format_specs("f'{x:.3g} {n:,} {n:03d} {p:.0%} {name} {y:>8}'") == [".3g", ",", ".0%"]


def test_no_module_writes_numbers_its_own_way():
    specs = {
        path.relative_to(PACKAGE).as_posix(): format_specs(path.read_text(encoding="utf-8"))
        for path in PACKAGE.rglob("*.py")
    }
    assert {path for path, found in specs.items() if found} <= OWN_WAY


def test_d3_is_spoken_in_one_place():
    own = re.compile(r"%\{\w+:|[\"'][+,]*\.\d[fgrs%][\"']")
    speaking = [
        path.name for path in PACKAGE.rglob("*.py") if own.search(path.read_text(encoding="utf-8"))
    ]
    assert speaking == ["plotly_numbers.py"]


def test_no_script_writes_numbers_its_own_way():
    own = re.compile(
        r"toFixed|toPrecision|toExponential|toLocaleString|Intl\.(?!Segmenter)|%\{\w+:|tickformat"
    )
    lines = {
        (path.name, line.strip())
        for path in (PACKAGE / "page" / "assets").glob("*.js")
        for line in path.read_text(encoding="utf-8").splitlines()
        # A custom property is for a style sheet to read.
        if own.search(line) and "setProperty" not in line
    }
    assert {name for name, _ in lines} == {"numbers.js"}


# --- in a browser ---------------------------------------------------------------------------------


def pointed_at(page, row: int, column: int, shape: tuple[int, int], *, is_upward: bool) -> str:
    """Move to a cell of the first map of a figure; what is said there."""
    box = page.locator(".nsewdrag").first.bounding_box()
    line = shape[0] - 1 - row if is_upward else row
    page.mouse.move(0, 0)
    page.wait_for_selector(".hoverlayer .hovertext", state="detached")
    page.mouse.move(
        box["x"] + box["width"] * (column + 0.5) / shape[1],
        box["y"] + box["height"] * (line + 0.5) / shape[0],
    )
    page.wait_for_selector(".hoverlayer .hovertext")
    return page.text_content(".hoverlayer .hovertext text.nums")


@pytest.fixture(scope="module")
def plotly_script() -> str:
    return get_plotlyjs()


def page_of(figure: Figure, script: str) -> str:
    drawn = figure.to_json(engine="json").replace("<", "\\u003c")
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>f</title><main id=figure></main>"
        f"<script>{script}</script><script>const {{data, layout}} = {drawn};"
        "Plotly.newPlot('figure', data, layout).then("
        "() => { document.documentElement.dataset.ready = 'true'; });</script></html>"
    )


@pytest.mark.slow
@pytest.mark.browser
def test_plotlys_formats_write_as_the_one_way_does(open_page, plotly_script):
    """Where a figure is too large for texts, Plotly writes alike, but for what is said of it."""
    values = [0.678, 0.0, -0.2, -0.126, 0.994, 1.0, 0.01, 0.0512, 12.34]
    large = torch.zeros(len(values), MOST_WRITTEN, dtype=torch.float64)
    for write in HOVER_FORMATS:
        hover = cell_hover(large, write)
        cells = [[value] for value in values]
        figure = Figure(Heatmap(z=cells, **hover), layout={"width": 400, "height": 500})
        page = open_page(page_of(figure, plotly_script))
        for row, value in enumerate(values):
            said = pointed_at(page, row, 0, (len(values), 1), is_upward=True)
            known = {(signed, 0.0): "+0.00", (quantity, 0.0): "0.00"}
            assert said == known.get((write, value), write(value)), write.__name__


@pytest.mark.browser
def test_pointing_at_a_figure_reads_the_number(open_page, plotly_script):
    record = record_of()
    figure = heatmap_view(record, layer=1, head=2).figure
    page = open_page(page_of(figure, plotly_script))
    said = pointed_at(page, 2, 3, tuple(record.attentions.shape[2:]), is_upward=False)
    assert said == decimal(float(record.attentions[1, 2, 2, 3]))


@pytest.mark.browser
def test_ticks_have_the_minus_sign_percent_and_powers_of_ten(open_page, plotly_script):
    axes = {
        "xaxis": {"range": [0, 0.0004], **NUMBER_TICKS},
        "yaxis": {"range": [-0.5, 0.5], "dtick": 0.25, **SHARE_TICKS},
    }
    figure = Figure(Heatmap(z=[[-0.2, 0.2]], colorbar=NUMBER_TICKS), layout=axes)
    page = open_page(page_of(figure, plotly_script))
    y = page.locator(".ytick text").all_text_contents()
    assert "−50%" in y and percent(0.25, 0) in y
    x = page.locator(".xtick text").all_text_contents()
    assert all("μ" not in tick for tick in x) and any("×10" in tick for tick in x)
    bar = page.locator(".cbaxis text").all_text_contents()
    assert any(tick.startswith("−") for tick in bar) and not any("-" in tick for tick in bar)
