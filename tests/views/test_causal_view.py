"""The causal view: the numbers of a study as points with intervals, and the page by its use."""

from __future__ import annotations

import math

import pandas as pd
import pytest

import introspect as ix
from introspect.views.causal_labels import label_places
from introspect.views.causal_scales import across_range, effect_range
from introspect.views.head_tables import map_of
from introspect.views.palette import layer_colours

# Layer, head, effect, control, adjusted p, attention accuracy, its adjusted p, attention margin.
ROWS = [
    (0, 0, 2.0, 0.1, 0.001, 0.50, 1.0, 0.01),  # matters, and does not look
    (0, 1, 0.1, 2.0, 1.0, 0.52, 1.0, 0.02),  # neither
    (3, 0, 1.5, -0.2, 0.004, 0.96, 0.001, 0.41),  # both
    (3, 1, -0.2, 1.5, 1.0, 0.90, 0.001, 0.30),  # looks, and does not matter
]
NAN = math.nan


def table_of(rows=ROWS, **attrs) -> pd.DataFrame:
    made = [
        {
            "layer": layer,
            "head": head,
            "effect": effect,
            "ci_low": effect - 0.3,
            "ci_high": effect + 0.2,
            "control": control,
            "difference": effect - control,
            "difference_low": effect - control - 0.4,
            "difference_high": effect - control + 0.4,
            "p_value": p,
            "p_adjusted": p,
            "accuracy": 0.9,
            "accuracy_without": 0.6,
            "n": 40,
            "num_controls": 1,
            "attention_accuracy": looks,
            "attention_weight": looks / 2,
            "attention_margin": margin,
            "attention_p_adjusted": looks_p,
        }
        for layer, head, effect, control, p, looks, looks_p, margin in rows
    ]
    table = pd.DataFrame(made)
    table.attrs = {
        "metric": "pseudo-likelihood",
        "metric_words": "the mean log-probability of the candidate’s tokens",
        "unit": "nats",
        "is_surrogate": False,
        "method": "zero",
        "chance": 0.5,
        "model": "a model",
        **attrs,
    }
    return table


SURROGATE = {
    "metric": "surrogate",
    "metric_words": "a surrogate, not the model’s answer: a cosine",
    "unit": "cosine",
    "is_surrogate": True,
}


def without_tests(rows=ROWS) -> pd.DataFrame:
    """As of too few groups: no intervals, no p-values."""
    table = table_of(rows)
    for name in ("ci_low", "ci_high", "difference_low", "difference_high"):
        table[name] = NAN
    table[["p_value", "p_adjusted", "attention_p_adjusted"]] = NAN
    return table


# --- the figure, as data ----------------------------------------------------------------------


def traces_of(figure):
    """The trace of controls, and those of layers by their colours."""
    control = next(t for t in figure.data if t.name == "other heads of its layer")
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
    assert [first.marker.color, last.marker.color] == layer_colours(2)
    legend = [t.name for t in figure.data if t.showlegend is not False]
    assert legend == ["layer 0", "layer 3", "other heads of its layer"]


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
    assert layout.yaxis.title.text == "effect of taking the head out, in nats"
    assert "a model, 40 cases; each head’s output set to zero" in layout.title.text
    assert "metric: pseudo-likelihood" in layout.title.text
    words = {(a.x, a.y): a.text for a in layout.annotations}
    assert words == {
        (1, 1): "<i>looks and matters</i>",
        (0, 1): "<i>matters, does not look here</i>",
        (0, 0): "<i>neither looks nor matters</i>",
        (1, 0): "<i>looks, does not matter</i>",
    }
    assert [(s.x0, s.y0) for s in layout.shapes] == [(0.5, 0), (0, 0.0)]


def test_all_numbers_are_in_the_words_of_a_point():
    _, (first, _) = traces_of(ix.causal_view(table_of()).figure)
    for number in ("L0H0", "2 (1.7 to 2.2) nats", "0.1", "1.9 (1.5 to 2.3)", "0.001", "90.0%",
                   "60.0%", "n = 40", "50.0%", "0.25", "0.01"):  # fmt: skip
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


def test_the_section_holds_every_number_of_the_table():
    table = table_of()
    scatter, effects = ix.causal_view(table).sections()
    assert (scatter.kind, effects.kind) == ("causal", "effect-map")
    third = scatter.state["heads"][2]
    row = table.iloc[2]
    for name, key in (("effect", "effect"), ("ci_low", "ciLow"), ("p_adjusted", "pAdjusted"),
                      ("attention_weight", "attentionWeight"), ("control", "control")):  # fmt: skip
        assert third[key] == pytest.approx(row[name]), name
    assert effects.state["values"]["effect"] == [[2.0, 0.1], [1.5, -0.2]]
    assert effects.state["largest"] == 2.0
    assert effects.state["first"] == {"layer": 0, "head": 0}


def test_nothing_is_said_where_there_is_no_number():
    scatter, effects = ix.causal_view(without_tests()).sections()
    assert all(
        head["ciLow"] is None and head["pAdjusted"] is None for head in scatter.state["heads"]
    )
    assert scatter.state["labels"] == {"accuracy": {}, "margin": {}}
    assert effects.state["values"]["p_adjusted"] == [[None, None], [None, None]]


def test_a_head_without_a_number_across_is_left_out_of_the_labels():
    table = table_of()
    table.loc[0, "attention_accuracy"] = NAN
    state = ix.causal_view(table).sections()[0].state
    assert set(state["labels"]["accuracy"]) == {2}
    assert set(state["labels"]["margin"]) == {0, 2}


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


# --- the page ---------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 800, 600])
def test_the_page_is_walked_by_keys_and_says_all_numbers(open_page, width):
    page = open_page(ix.causal_view(table_of()).to_html(), width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    section = page.locator('[data-view="causal"]')
    assert section.locator(".causal-point").count() == 4
    stops = section.locator('.causal-point[tabindex="0"]')
    assert stops.count() == 1 and stops.get_attribute("data-layer") == "0"
    stops.focus()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
        seen.append(section.locator(".reading").inner_text())
    assert seen == [
        "L0H1: no evidence that it looks here, or matters.",
        "L3H1: looks; no evidence that it matters.",
        "L3H0: looks and matters.",
        "L3H0: looks and matters.",  # the last one
        "L0H1: no evidence that it looks here, or matters.",
        "L3H0: looks and matters.",
    ]
    said = section.locator(".causal-numbers").inner_text()
    for number in ("1.50 nats", "1.20 to 1.70", "−0.200", "1.70", "1.30 to 2.10", "0.004",
                   "90.0 %", "60.0 %", "40", "96.0 %", "0.001", "0.480", "0.410"):  # fmt: skip
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
    for button in page.locator(".causal-point").all():
        box = button.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        assert any(abs(x - a) <= 2 and abs(y - b) <= 2 for a, b in drawn)
    point = page.locator('.causal-point[data-layer="3"][data-head="1"]')
    box = point.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 8)  # near it, not on it
    assert page.locator('[data-view="causal"] .reading').inner_text().startswith("L3H1: looks;")
    page.mouse.move(5, 5)
    assert page.locator('[data-view="causal"] .reading').inner_text().startswith("L0H0: matters;")


@pytest.mark.browser
def test_the_address_keeps_the_choice_and_the_head(open_page):
    source = ix.causal_view(table_of()).to_html()
    page = open_page(source)
    page.select_option('[name="across"]', "margin")
    page.locator('.causal-point[data-layer="3"][data-head="0"]').click()
    axis = "document.querySelector('.causal-picture').layout.xaxis.title.text"
    assert "margin" in page.evaluate(axis)
    page.wait_for_timeout(400)  # the address is written in a pause
    again = open_page(source, path_hash=page.evaluate("location.hash"))
    assert again.input_value('[name="across"]') == "margin"
    assert "margin" in again.evaluate(axis)
    current = again.locator('.causal-point[aria-current="true"]')
    assert current.get_attribute("aria-label").startswith("L3H0: effect 1.50 nats")


@pytest.mark.browser
def test_the_file_is_saved_with_legend_and_titles_and_the_theme_changes_the_colours(open_page):
    page = open_page(ix.causal_view(table_of(**SURROGATE)).to_html())
    for name in ("causal", "effect-map"):
        with page.expect_download() as waiting:
            page.locator(f'[data-view="{name}"] [name="export-svg"]').click()
        text = waiting.value.path().read_text()
        assert "surrogate" in text and "undefined" not in text
        assert ("layer 3" if name == "causal" else "L3") in text
    colour = "document.querySelector('.causal-picture').data[1].marker.color"
    light = page.evaluate(colour)
    page.click('[name="theme"]')
    assert page.evaluate(colour) != light


@pytest.mark.browser
def test_a_surrogate_is_seen_on_the_page(open_page):
    page = open_page(ix.causal_view(table_of(**SURROGATE)).to_html())
    assert "surrogate" in page.inner_text('[role="alert"]')
    for name in ("causal", "effect-map"):
        assert "surrogate" in page.inner_text(f'[data-view="{name}"]').lower()
    svg = page.locator(".causal-picture").inner_html()
    assert "surrogate: not the model’s answer" in svg
    labels = page.eval_on_selector_all(".causal-point", "ns => ns.map((n) => n.ariaLabel)")
    assert all("on a surrogate" in label for label in labels)


@pytest.mark.browser
def test_very_small_numbers_are_written_by_powers_of_ten(open_page):
    table = table_of(**SURROGATE)
    table[["effect", "ci_low", "ci_high", "control"]] *= 1e-5
    page = open_page(ix.causal_view(table).to_html())
    said = page.inner_text(".causal-numbers")
    assert "2.0·10⁻⁵ cosine" in said and "1.7·10⁻⁵ to 2.2·10⁻⁵" in said and "1.0·10⁻⁶" in said


@pytest.mark.browser
def test_without_tests_the_page_says_so(open_page):
    page = open_page(ix.causal_view(without_tests()).to_html())
    assert "too few groups" in page.inner_text('[data-view="causal"] .reading')
    assert page.locator('.causal-point[data-significant="true"]').count() == 0
    assert page.locator('.cell[data-framed="true"]').count() == 0
    assert "NaN" not in page.inner_text("main")


@pytest.mark.browser
def test_the_map_frames_what_stands_out_and_names_what_was_not_measured(open_page):
    rows = [row for row in ROWS if row[:2] != (3, 0)]
    page = open_page(ix.causal_view(table_of(rows)).to_html())
    section = page.locator('[data-view="effect-map"]')
    framed = section.locator('.cell[data-framed="true"]')
    assert [
        (n.get_attribute("data-layer"), n.get_attribute("data-head")) for n in framed.all()
    ] == [("0", "0")]
    assert section.locator(".reading").inner_text() == (
        "L0H0: effect 2.00 nats (95 %: 1.70 to 2.20), other heads of its layer 0.100, adjusted p "
        "0.001, 40 cases."
    )
    section.locator('.cell[data-layer="3"][data-head="0"]').hover()
    assert section.locator(".reading").inner_text() == "L3H0: not measured."
    z = page.evaluate("document.querySelector('[data-view=effect-map] .js-plotly-plot').data[0]")
    assert z["z"] == [[2.0, 0.1], [None, -0.2]] and (z["zmin"], z["zmax"]) == (-2.0, 2.0)


@pytest.mark.browser
def test_nothing_moves_while_heads_are_pointed_at(open_page):
    page = open_page(ix.causal_view(table_of()).to_html(), width=800)
    places = """
    [...document.querySelectorAll('section, h2, .controls, dl, .causal-legend, .head-grid')]
      .map((n) => [n.offsetTop, n.offsetLeft, n.offsetWidth].join())"""
    before = page.evaluate(places)
    for point in page.locator(".causal-point").all():
        point.hover()
        assert page.evaluate(places) == before


@pytest.mark.browser
def test_a_dark_page_is_printed_light_and_fits_the_sheet(open_page):
    page = open_page(ix.causal_view(table_of()).to_html(), path_hash="#page.theme=dark")
    colour = "document.querySelector('.causal-picture').data[1].marker.color"
    dark = page.evaluate(colour)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(colour) != dark
    assert page.locator(".controls:visible, .tools:visible").count() == 0
    right = page.evaluate(
        "Math.max(...[...document.querySelectorAll('.main-svg, .causal-numbers')].map((n) => "
        "n.getBoundingClientRect().right - document.querySelector('main')"
        ".getBoundingClientRect().left))"
    )
    assert 600 <= right <= 700
    assert page.locator(".causal-picture").bounding_box()["width"] > 600
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(colour) == dark
