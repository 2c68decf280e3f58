"""The figure of causal effects, as data: points, words, axes, labels, maps."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import introspect as ix
from introspect.text import quantity
from introspect.views.base import map_of
from introspect.views.causal_figure import (
    across_range,
    effect_range,
    effect_words,
    label_places,
    verdict,
)
from introspect.views.palette import layer_colors
from tests.views.causal.helpers import NAN, SURROGATE, table_of, without_tests

# --- the figure, as data ----------------------------------------------------------------------


def traces_of(figure):
    """The trace of controls, and those of layers by their colors."""
    control = next(t for t in figure.data if t.name == "other heads of the same layer")
    layers = [t for t in figure.data if t.mode == "markers+text"]
    return control, layers


def test_the_figure_has_a_point_for_each_head_with_its_interval_and_control():
    figure = ix.causal_view(table_of()).figure
    control, layers = traces_of(figure)
    first, last = layers
    assert (first.name, last.name) == ("layer 0", "layer 3")
    assert list(first.x) == [0.5, 0.52] and list(first.y) == [2.0, 0.1]
    assert list(last.x) == [0.96, 0.9] and list(last.y) == [1.5, -0.2]
    assert list(first.error_y.array) == pytest.approx([0.2, 0.2])
    assert list(first.error_y.arrayminus) == pytest.approx([0.3, 0.3])
    assert list(control.x) == [0.5, 0.52, 0.96, 0.9]
    assert list(control.y) == [0.1, 2.0, -0.2, 1.5]
    assert [first.marker.color, last.marker.color] == layer_colors(2)
    legend = [t.name for t in figure.data if t.showlegend is not False]
    assert legend == ["layer 0", "layer 3", "other heads of the same layer"]


def test_heads_that_stand_out_are_filled_and_named():
    _, (first, last) = traces_of(ix.causal_view(table_of()).figure)
    assert list(first.text) == ["L0H0", ""] and list(last.text) == ["L3H0", ""]
    assert list(first.marker.symbol) == ["circle", "circle-open"]
    assert list(last.marker.symbol) == ["circle", "circle-open"]


def test_the_other_choice_is_drawn_across():
    view = ix.causal_view(table_of(), across="margin")
    control, (first, _) = traces_of(view.figure)
    assert list(first.x) == [0.01, 0.02] and list(control.x) == [0.01, 0.02, 0.41, 0.3]
    assert "margin" in view.figure.layout.xaxis.title.text
    assert [(s.x0, s.y0) for s in view.figure.layout.shapes] == [(0.0, 0), (0, 0.0)]


def test_the_axes_say_what_they_are_and_the_corners_what_they_mean():
    layout = ix.causal_view(table_of()).figure.layout
    assert layout.xaxis.title.text == (
        "how often the pronoun attends most to the antecedent (chance: 50%)"
    )
    assert layout.yaxis.title.text == "effect of ablating the head, in nats"
    assert "a model, 40 cases; each head’s output set to zero" in layout.title.text
    assert "metric: pseudo-likelihood" in layout.title.text
    words = {(a.x, a.y): a.text for a in layout.annotations}
    assert words == {
        (1, 1): "<i>helps, attends to it</i>",
        (0, 1): "<i>helps, attends elsewhere</i>",
        (0, 0): "<i>hinders, attends elsewhere</i>",
        (1, 0): "<i>hinders, attends to it</i>",
    }
    assert [(s.x0, s.y0) for s in layout.shapes] == [(0.5, 0), (0, 0.0)]


def test_all_numbers_are_in_the_words_of_a_point():
    _, (first, _) = traces_of(ix.causal_view(table_of()).figure)
    for number in ("L0H0", "2.00 nats", "1.70 to 2.20", "0.100", "1.90", "1.50 to 2.30", "0.001",
                   "90.0%", "60.0%", "Cases: 40", "50.0%", "0.250", "0.0100"):  # fmt: skip
        assert number in first.hovertext[0], number


def test_a_surrogate_is_called_one_everywhere():
    view = ix.causal_view(table_of(**SURROGATE))
    assert view.notices == ("Effects are on a surrogate, not the model’s answer: a cosine.",)
    layout = view.figure.layout
    assert "surrogate" in layout.title.text and "surrogate" in layout.yaxis.title.text
    assert any("surrogate" in a.text for a in layout.annotations)
    assert all("surrogate" in text for t in traces_of(view.figure)[1] for text in t.hovertext)
    assert "surrogate" in view.sections()[1].lead
    plain = ix.causal_view(table_of())
    assert plain.notices == () and "surrogate" not in str(plain.figure)


def test_hostile_names_stay_text():
    figure = ix.causal_view(table_of(model="<b>&")).figure
    assert "&lt;b&gt;&amp;, 40 cases" in figure.layout.title.text


def pictures_of(section) -> dict[str, dict]:
    return {picture["name"]: picture for picture in section.state["pictures"]}


def heads_on(picture) -> dict[str, str]:
    """What is said of each head of the scatter plot, in order."""
    traces = [t for t in picture["figure"]["data"] if t.get("customdata")]
    return {
        name: words
        for trace in traces
        for name, words in zip(trace["customdata"], trace["hovertext"], strict=True)
    }


def labels_on(picture) -> set[str]:
    return {text for t in picture["figure"]["data"] for text in t.get("text", ()) if text}


def test_the_section_holds_every_number_of_the_table():
    table = table_of()
    scatter, effects = ix.causal_view(table).sections()
    assert (scatter.kind, effects.kind) == ("causal", "effect-map")
    lines = heads_on(pictures_of(scatter)["accuracy"])["L3H0"].split("<br>")
    row = table.iloc[2]
    for name, words in (("effect", "Effect: {} nats"),
                        ("control", "Other heads of the same layer: {}"),
                        ("attention_weight", "Attention to the antecedent: {}"),
                        ("difference", "Difference: {}")):  # fmt: skip
        assert words.format(quantity(row[name])) in lines, name
    assert "95% CI of the effect: 1.20 to 1.70" in lines and "Adjusted p: 0.004" in lines
    picture = pictures_of(effects)["effect"]
    (trace,) = picture["figure"]["data"]
    assert trace["z"] == [[2.0, 0.1], [1.5, -0.2]]
    assert (trace["zmin"], trace["zmax"]) == (-2.0, 2.0)
    assert picture["first"] == "L0H0"


def test_the_page_has_the_figure_of_python():
    for across in ("accuracy", "margin"):
        view = ix.causal_view(table_of(), across=across)
        state = view.sections()[0].state
        assert state["first"] == across
        figure = json.loads(view.figure.to_json())
        assert pictures_of(view.sections()[0])[across]["figure"] == figure


def test_nothing_is_said_where_there_is_no_number():
    scatter, effects = ix.causal_view(without_tests()).sections()
    for picture in pictures_of(scatter).values():
        assert labels_on(picture) == set()
        for words in heads_on(picture).values():
            assert "95% CI of the effect: –" in words and "Adjusted p: –" in words
        assert "NaN" not in json.dumps(picture)
    picture = pictures_of(effects)["effect"]
    assert picture["figure"]["layout"].get("shapes", []) == []
    (trace,) = picture["figure"]["data"]
    assert all("adjusted p" not in words for line in trace["hovertext"] for words in line)


def test_a_head_without_a_number_across_is_left_out_of_the_labels():
    table = table_of()
    table.loc[0, "attention_accuracy"] = NAN
    pictures = pictures_of(ix.causal_view(table).sections()[0])
    assert labels_on(pictures["accuracy"]) == {"L3H0"}
    assert labels_on(pictures["margin"]) == {"L0H0", "L3H0"}
    # It has no place either, so that the page makes no mark of it.
    trace = next(t for t in pictures["accuracy"]["figure"]["data"] if t.get("customdata"))
    assert (trace["customdata"][0], trace["x"][0]) == ("L0H0", None)


def test_what_is_missing_is_named():
    with pytest.raises(ix.IntrospectError, match="attention_accuracy, attention_weight"):
        ix.causal_view(table_of().drop(columns=["attention_accuracy", "attention_weight"]))
    bare = table_of()
    bare.attrs = {}
    with pytest.raises(ix.IntrospectError, match="metric, metric_words, unit, is_surrogate"):
        ix.causal_view(bare)
    with pytest.raises(ix.IntrospectError, match="accuracy, margin, got 'weight'"):
        ix.causal_view(table_of(), across="weight")
    with pytest.raises(ix.IntrospectError, match="at least one head"):
        ix.causal_view(table_of().head(0))


@pytest.mark.parametrize(
    ("p", "effect", "looks_p", "words"),
    [
        (0.001, 2.0, 1.0, "supports; no evidence that it attends"),
        (1.0, 0.1, 1.0, "no evidence of an effect, or that it attends"),
        (0.004, 1.5, 0.001, "supports; attends"),
        (1.0, -0.2, 0.001, "attends; no evidence of an effect"),
        (0.001, -0.2, 1.0, "opposes; no evidence that it attends"),
        (NAN, 2.0, 0.001, "too few groups of cases for a verdict"),
    ],
)
def test_a_verdict_follows_from_the_effect_and_both_tests(p, effect, looks_p, words):
    (row,) = table_of([(0, 0, effect, 0.0, p, 0.5, looks_p, 0.0)]).itertuples()
    assert verdict(row) == words


def test_all_numbers_of_a_head_are_named_and_what_is_not_known_has_a_dash():
    table = table_of([(3, 0, 2e-5, 1e-6, 0.0004, NAN, NAN, 0.41)], **SURROGATE)
    table["verdict"] = "supports"
    table[["ci_low", "ci_high"]] = [[1.7e-5, 2.2e-5]]
    table[["difference_low", "difference_high"]] = NAN
    (row,) = table.itertuples()
    first, *others = effect_words(row, table.attrs).split("<br>")
    assert first.startswith("L3H0: effect on a surrogate 2.0·10⁻⁵ cosine; supports;")
    said = dict(line.split(": ") for line in others)
    assert said == {
        "Effect (surrogate)": "2.0·10⁻⁵ cosine",
        "95% CI of the effect": "1.7·10⁻⁵ to 2.2·10⁻⁵",
        "Other heads of the same layer": "1.0·10⁻⁶",
        "Difference": "1.9·10⁻⁵",
        "95% CI of the difference": "–",
        "Adjusted p": "&lt; 0.001",
        "Right with it (surrogate)": "90.0%",
        "Right without it (surrogate)": "60.0%",
        "Cases": "40",
        "Attends most to the antecedent": "–",
        "Its adjusted p": "–",
        "Antecedent to best distractor, median": "4.00",
        "Attention to the antecedent": "–",
        "Attention margin": "0.410",
    }


# --- scales, labels and maps ------------------------------------------------------------------


def test_axes_leave_room_on_both_sides_of_what_they_divide():
    low, high = across_range([0.5, 0.5], 0.5)
    assert low == pytest.approx(0.384) and high == pytest.approx(0.616)
    assert across_range([NAN], 0.5) == pytest.approx([low, high])
    low, high = effect_range(table_of())
    # The least is an end of an interval, −0.5, the most 2.2; 8 % of their distance to each side.
    assert (low, high) == pytest.approx((-0.5 - 0.216, 2.2 + 0.216))
    low, high = effect_range(table_of([(0, 0, 9.0, 1.0, 1.0, 0.5, 1.0, 0.0)]))
    assert low < -0.16 * 9.2 and high > 9.2
    nothing = table_of([(0, 0, 0.0, 0.0, 1.0, 0.5, 1.0, 0.0)])
    nothing[["ci_low", "ci_high"]] = 0.0
    assert effect_range(nothing)[0] < 0 < effect_range(nothing)[1]


def test_labels_keep_off_points_and_one_another():
    ranges = ([0, 1], [0, 1])
    assert label_places([(0.5, 0.5)], [0], ranges) == {0: "middle right"}
    assert label_places([(0.99, 0.5)], [0], ranges) == {0: "middle left"}
    # A point to the right; another with a name to the left of both.
    assert label_places([(0.5, 0.5), (0.56, 0.5)], [0], ranges) == {0: "middle left"}
    crowd = [(0.5, 0.5), (0.5, 0.51), (0.5, 0.49)]
    assert len(set(label_places(crowd, [0, 1, 2], ranges).values())) == 3


def test_a_map_has_a_place_for_heads_that_were_not_measured():
    table = pd.DataFrame({"layer": [1, 1, 4], "head": [2, 0, 1], "x": [0.5, NAN, 1.0]})
    assert map_of(table, ["x"], [1, 4], 3) == {"x": [[None, None, 0.5], [None, 1.0, None]]}
