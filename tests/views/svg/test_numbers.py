"""Where things stand in an SVG, and in what color, against the numbers that they stand for."""

from __future__ import annotations

import base64
import io
import math
import re

import numpy as np
import pytest
import torch

from introspect.records import AttentionRecord
from introspect.views import (
    causal_view,
    compare_view,
    evolution_view,
    head_view,
    heatmap_view,
    model_view,
    neuron_view,
    steps_view,
)
from introspect.views.head import EDGES, THRESHOLD
from introspect.views.palette import DIVERGING, SEQUENTIAL, head_colors
from introspect.views.svg.ranges import reach

from ..causal.helpers import table_of
from ..image.helpers import view_of as image_of
from ..samples import bare_record, record_of, record_with_parts
from ..test_plotly_numbers import of_case
from .helpers import cells, color_at, elements, groups, parsed, places, polylines, words


def blended(scale, share: float) -> np.ndarray:
    """A color on a scale, by numpy's own interpolation."""
    stops = [place for place, _ in scale]
    channels = [[int(color[i : i + 2], 16) for _, color in scale] for i in (1, 3, 5)]
    return np.array([np.interp(share, stops, channel) for channel in channels])


def rgb(color: str) -> np.ndarray:
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])


def assert_map(root, pattern, scale, low, high, axes=("x", "y")):
    """Under each pair of labels lies the color of their number; where there is none, nothing."""
    columns, rows = places(root, axes[0]), places(root, axes[1])
    assert (len(rows), len(columns)) == tuple(pattern.shape)
    for (_, y, _), line in zip(rows, pattern.tolist(), strict=True):
        for (x, _, _), value in zip(columns, line, strict=True):
            # A label's base line is a third of its size below the middle of its row.
            color = color_at(root, x, y - 4)
            if math.isnan(value):
                assert color is None
            else:
                expected = blended(scale, (value - low) / (high - low))
                assert np.abs(rgb(color) - expected).max() <= 0.51


def test_a_heatmap_has_the_color_of_each_weight_under_its_two_tokens():
    view = heatmap_view(record_of(), layer=1, head=2)
    root = parsed(view.to_svg())
    assert [label for *_, label in places(root, "x")] == list(view.record.keys.tokens)
    assert [label for *_, label in places(root, "y")] == list(view.record.queries.tokens)
    xs = [x for x, *_ in places(root, "x")]
    assert xs == sorted(xs)
    assert np.diff(xs) == pytest.approx(np.diff(xs)[0], abs=0.03)
    assert_map(root, view.pattern(), SEQUENTIAL, 0, 1)


def test_cells_of_a_map_touch_and_do_not_overlap():
    root = parsed(heatmap_view(record_of()).to_svg())
    boxes = [box for box, _ in cells(root)]
    area = sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
    whole = [
        f(side) for f, side in zip((min, min, max, max), zip(*boxes, strict=True), strict=True)
    ]
    assert area == pytest.approx((whole[2] - whole[0]) * (whole[3] - whole[1]), rel=1e-3)


def test_a_missing_weight_is_an_empty_cell():
    record = record_of()
    attentions = record.attentions.clone()
    attentions[:, :, 2, 3] = torch.nan
    view = heatmap_view(AttentionRecord(attentions, record.queries, record.keys), head=0)
    assert_map(parsed(view.to_svg()), view.pattern(), SEQUENTIAL, 0, 1)
    assert len(list(cells(parsed(view.to_svg())))) == 7 * 7 - 1


def test_the_three_maps_of_a_comparison_stand_side_by_side():
    view = compare_view(record_of(), record_of(seed=1), layer=0, head=1)
    root = parsed(view.to_svg())
    reach = float(view.patterns()[2].abs().max())
    scales = ((SEQUENTIAL, 0, 1), (SEQUENTIAL, 0, 1), (DIVERGING, -reach, reach))
    for number, pattern, scale in zip(("", "2", "3"), view.patterns(), scales, strict=True):
        assert_map(root, pattern, *scale, axes=(f"x{number}", f"y{number}"))


def test_the_color_bar_has_the_scale_and_its_numbers_stand_where_they_belong():
    root = parsed(heatmap_view(record_of()).to_svg())
    stops = elements(root, "stop")
    assert [(s.attrib["offset"], s.attrib["stop-color"]) for s in stops] == [
        (f"{100 * place:g}%", color) for place, color in SEQUENTIAL
    ]
    (bar,) = groups(root, "colorbar")
    (box,) = elements(bar, "rect")
    top, height = float(box.attrib["y"]), float(box.attrib["height"])
    numbers = [text for text in elements(bar, "text") if text.text != "weight"]
    assert [text.text for text in numbers] == ["0", "0.5", "1"]
    for text in numbers:
        middle = float(text.attrib["y"]) - 0.35 * 12
        assert middle == pytest.approx(top + height * (1 - float(text.text)), abs=0.02)
    assert float(numbers[0].attrib["x"]) > float(box.attrib["x"]) + float(box.attrib["width"])


def test_the_map_of_a_model_has_each_heads_pattern_at_its_names():
    view = model_view(record_of())
    root = parsed(view.to_svg())
    by_place = sorted(cells(root), key=lambda cell: (round(cell[0][1]), cell[0][0]))
    tiles, _ = view.tiles()
    expected = [value for line in tiles.tolist() for value in line if not math.isnan(value)]
    assert len(by_place) == len(expected) == view.record.attentions.numel()
    for (_, color), value in zip(by_place, expected, strict=True):
        assert np.abs(rgb(color) - blended(SEQUENTIAL, value)).max() <= 0.51
    heads = places(root, "x")
    assert [label for *_, label in heads] == ["H0", "H1", "H2"]
    lefts = sorted({left for (left, *_), _ in cells(root)})
    for number, (x, *_) in enumerate(heads):
        own = lefts[7 * number : 7 * number + 7]
        assert (own[0] + own[-1]) / 2 < x < own[-1]


def test_lines_of_the_head_view_go_from_the_query_to_the_key_with_the_color_of_the_head():
    view = head_view(record_of(), layer=1, heads=[0, 2])
    root = parsed(view.to_svg())
    at = {}
    for text in elements(root, "text"):
        side = "query" if text.get("text-anchor") == "end" else "key"
        at[side, "".join(text.itertext())] = float(text.attrib["y"]) - 0.35 * 14
    tokens = view.record.tokens
    colors = head_colors(3)
    seen = set()
    for group in groups(root, "scatter"):
        (path,) = elements(group, "path")
        head = {colors[0]: 0, colors[2]: 2}[path.attrib["stroke"]]
        for (x0, y0), (x1, y1) in polylines(path):
            assert x0 < x1
            query = next(t for t in tokens if at["query", t] == pytest.approx(y0, abs=0.02))
            key = next(t for t in tokens if at["key", t] == pytest.approx(y1, abs=0.02))
            seen.add((head, tokens.index(query), tokens.index(key)))
    weights = view.record.attentions[1]
    assert seen == {
        (head, q, k)
        for head in (0, 2)
        for q in range(7)
        for k in range(7)
        if weights[head, q, k] >= THRESHOLD
    }


def test_lines_of_the_head_view_begin_and_end_just_beside_the_words():
    root = parsed(head_view(record_of(), layer=1, heads=[0]).to_svg())
    (left, right), *_ = [
        line for g in groups(root, "scatter") for p in elements(g, "path") for line in polylines(p)
    ]
    for text in elements(root, "text"):
        x = float(text.attrib["x"])
        if text.get("text-anchor") == "end":
            assert 0 < left[0] - x < 12
        elif text.text in record_of().tokens:
            assert 0 < x - right[0] < 12


@pytest.mark.parametrize(
    ("trace", "letter", "expected"),
    [
        ({"type": "bar", "orientation": "h", "x": [1, 19], "y": [0, 1]}, "x", (0, 20)),
        ({"type": "bar", "orientation": "h", "x": [-9, 9], "y": [0, 1]}, "x", (-10, 10)),
        ({"type": "bar", "orientation": "h", "x": [1, 19], "y": [0, 1]}, "y", (-0.5, 1.5)),
        ({"type": "scatter", "mode": "lines", "x": [1, 3], "y": [0, 9]}, "x", (1, 3)),
        ({"type": "scatter", "mode": "lines", "x": [1, 3], "y": [0, 9]}, "y", (-0.5, 9.5)),
        ({"type": "heatmap", "z": [[1, 2, 3]]}, "x", (-0.5, 2.5)),
        ({"type": "heatmap", "z": [[1, 2, 3]], "x": [0, 2, 4]}, "x", (-1, 5)),
    ],
)
def test_an_axis_without_a_range_shows_all_and_leaves_as_much_free_as_plotly(
    trace, letter, expected
):
    assert reach([trace], letter, {"categories": []}) == pytest.approx(expected)


def test_stronger_weights_have_wider_and_less_transparent_lines():
    root = parsed(head_view(record_of(), layer=0, heads=[0], token=2).to_svg())
    looks = [
        (float(p.attrib["stroke-width"]), float(p.get("stroke-opacity", 1)))
        for group in groups(root, "scatter")
        for p in elements(group, "path")
    ]
    assert looks == sorted(looks) and 1 < len(looks) <= len(EDGES)


def test_the_weights_of_a_pinned_token_stand_beside_the_keys():
    view = head_view(record_of(), layer=0, heads=[1], token=3)
    seen = words(parsed(view.to_svg()))
    for token, weight in zip(view.record.tokens, view.record.attentions[0, 1, 3], strict=True):
        assert f"{token}  {weight:.2f}" in seen


def test_bars_are_as_long_as_their_numbers_and_say_them():
    view = steps_view(record_with_parts(), layer=1, head=2, token=4)
    root = parsed(view.to_svg())
    for group, values, axis in zip(
        groups(root, "bar"), (view.scores, view.weights), ("x", "x2"), strict=True
    ):
        ticks = [(x, float(label.replace("−", "-"))) for x, _, label in places(root, axis)]
        slope, start = np.polyfit([value for _, value in ticks], [x for x, _ in ticks], 1)
        bars = elements(group, "rect")
        for bar, value in zip(bars, values.tolist(), strict=True):
            ends = start, start + slope * value
            left, width = float(bar.attrib["x"]), float(bar.attrib["width"])
            assert (left, left + width) == pytest.approx((min(ends), max(ends)), abs=0.1)
        said = ["".join(text.itertext()) for text in elements(group, "text")]
        assert said == [f"{value:.2f}".replace("-", "−") for value in values.tolist()]


def test_bars_stand_beside_their_tokens():
    view = neuron_view(record_with_parts(), token=0)
    root = parsed(view.to_svg())
    (group,) = groups(root, "bar")
    tokens = places(root, "y4")
    assert [label for *_, label in tokens] == list(view.record.tokens)
    for bar, (_, y, _) in zip(elements(group, "rect"), tokens, strict=True):
        middle = float(bar.attrib["y"]) + float(bar.attrib["height"]) / 2
        assert middle == pytest.approx(y - 0.35 * 12, abs=0.02)


def test_points_of_the_causal_view_stand_at_their_numbers():
    table = table_of()
    root = parsed(causal_view(table).to_svg())
    across = [(float(label.strip("%")) / 100, x) for x, _, label in places(root, "x")]
    upward = [(float(label.replace("−", "-")), y - 0.35 * 13) for _, y, label in places(root, "y")]
    to_x = np.polyfit(*zip(*across, strict=True), 1)
    to_y = np.polyfit(*zip(*upward, strict=True), 1)
    points = {
        (float(c.attrib["cx"]), float(c.attrib["cy"]))
        for group in groups(root, "scatter")
        for c in elements(group, "circle")
    }
    for row in table.itertuples():
        expected = np.polyval(to_x, row.attention_accuracy), np.polyval(to_y, row.effect)
        assert any(point == pytest.approx(expected, abs=0.2) for point in points)
    filled = [c for g in groups(root, "scatter") for c in elements(g, "circle")
              if c.attrib["fill"] != "none"]  # fmt: skip
    assert len(filled) == (table["p_adjusted"] < 0.05).sum()


def test_intervals_of_the_causal_view_reach_from_end_to_end():
    table = table_of()
    root = parsed(causal_view(table).to_svg())
    upward = [(float(label.replace("−", "-")), y - 0.35 * 13) for _, y, label in places(root, "y")]
    to_y = np.polyfit(*zip(*upward, strict=True), 1)
    lines = [
        tuple(map(float, re.fullmatch(r"M\S+ (\S+)V(\S+)", p.attrib["d"]).groups()))
        for group in groups(root, "scatter")
        for p in elements(group, "path")
        if "V" in p.attrib["d"]
    ]
    expected = [
        (np.polyval(to_y, r.ci_high), np.polyval(to_y, r.ci_low)) for r in table.itertuples()
    ]
    assert np.array(lines) == pytest.approx(np.array(expected), abs=0.2)


def test_arcs_go_from_the_pronoun_to_the_words():
    view = of_case()
    root = parsed(view.to_svg())
    at = {label: x for x, _, label in places(root, "x")}
    arcs = [polylines(path)[0] for g in groups(root, "scatter") for path in elements(g, "path")]
    ends = {frozenset((round(arc[0][0]), round(arc[-1][0]))) for arc in arcs}
    drawn = [word["label"] for word, weight in zip(
        view.words(), view._word_weights(view.words()), strict=True)
        if word["role"] != "pronoun" and weight >= 0.02]  # fmt: skip
    assert ends <= {frozenset((round(at["she"]), round(at[word]))) for word in at if word != "she"}
    assert len(arcs) == len(view.arc_traces()) <= len(drawn) + 1
    assert [label for *_, label in places(root, "y2")] == ["L0", "L1"]


def test_an_image_lies_under_its_weights():
    view = image_of(patch=(1, 2), layer=1)
    root = parsed(view.to_svg())
    (picture,) = elements(root, "image")
    left, top, width, height = (float(picture.attrib[k]) for k in ("x", "y", "width", "height"))
    assert 0 < float(picture.attrib["opacity"]) < 1
    paths = [p for group in groups(root, "heatmap") for p in elements(group, "path")]
    largest = max(paths, key=lambda p: float(p.get("fill-opacity", 1)))
    x, y = map(float, re.match(r"M(\S+) ([^hz]+)h", largest.attrib["d"]).groups())
    row, column = divmod(int(view.overlay().argmax()), 4)
    assert (x, y) == pytest.approx((left + width * column / 4, top + height * row / 3), abs=0.02)
    frames = [r for r in elements(root, "rect") if r.get("stroke")]
    assert [float(f.attrib["x"]) for f in frames] == pytest.approx([left + width / 2] * 2, abs=0.02)


def test_the_still_picture_of_an_evolution_says_its_time_and_has_no_slider():
    view = evolution_view([record_of(seed=s) for s in range(3)], losses=[3.0, 2, 1], place=1)
    root = parsed(view.to_svg())
    assert "L0H0, epoch 1: loss 2.00" in words(root)
    assert not view.still.layout.sliders and not view.still.layout.updatemenus
    assert not {"Play", "epoch 0: loss 3.00"} & set(words(root))
    assert_map(root, view.pattern(), SEQUENTIAL, 0, 1)
    assert view.figure.layout.sliders  # the figure for a notebook keeps it


@pytest.mark.slow
def test_very_many_cells_are_a_picture_of_them():
    image = pytest.importorskip("PIL.Image")
    record = bare_record([f"w{index}" for index in range(300)])
    view = heatmap_view(record, head=0, scale="largest")
    root = parsed(view.to_svg())
    (picture,) = elements(root, "image")
    data = picture.attrib["{http://www.w3.org/1999/xlink}href"].partition(",")[2]
    pixels = np.asarray(image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))
    times = pixels.shape[0] // 300
    assert pixels.shape == (300 * times, 300 * times, 4) and times > 1
    pattern = view.pattern()
    for row, column in ((0, 0), (3, 299), (299, 1), (150, 151)):
        share = float(pattern[row, column] / pattern.max())
        pixel = pixels[row * times, column * times + times - 1]
        assert pixel[3] == 255
        assert np.abs(pixel[:3] - blended(SEQUENTIAL, share)).max() <= 1
    labels = places(root, "x")
    first = float(picture.attrib["x"]) + float(picture.attrib["width"]) / 600
    assert labels[0][0] == pytest.approx(first, abs=0.05)
