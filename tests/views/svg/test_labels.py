"""Words in an SVG: Plotly's small HTML, any script, and numbers beside an axis."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from introspect.text import shortened, visible
from introspect.views import head_view
from introspect.views.base import plotly_text
from introspect.views.svg import plain_of
from introspect.views.svg.labels import label_element, lines_of, width_of
from introspect.views.svg.ticks import places, step_for
from introspect.views.svg.ticks import words as tick_words

from ..samples import bare_record
from .helpers import elements, parsed, words


def element(label: str, **options):
    markup = label_element(label, 10, 20, size=14, color="#000000", **options)
    return parsed(f'<svg xmlns="http://www.w3.org/2000/svg">{markup}</svg>')[0]


def test_a_plain_label_is_plain_text_and_two_spaces_stay_two():
    text = element("it  was")
    assert text.text == "it  was" and not list(text)
    assert text.attrib["{http://www.w3.org/XML/1998/namespace}space"] == "preserve"
    assert element("it was").keys() == ["x", "y", "font-size", "fill", "text-anchor"]


def test_lines_and_styles_of_a_label():
    text = element("one <b>two</b><br><i>three</i> x<sup>2</sup>y")
    first, second = text
    assert (first.attrib["y"], second.attrib["y"]) == ("20", "38.2")
    assert ["".join(line.itertext()) for line in text] == ["one two", "three x2y"]
    assert first[0].attrib == {"font-weight": "bold"}
    assert second[0].attrib == {"font-style": "italic"}
    raised, back = second[1], second[2]
    assert float(raised.attrib["dy"]) == -float(back.attrib["dy"]) == -5.6
    assert float(raised.attrib["font-size"]) == 9.8


def test_a_script_from_right_to_left_keeps_its_place_beside_a_number():
    text = element("שלום  <b>0.52</b>")
    assert text[0].attrib == {"style": "unicode-bidi:isolate"}
    assert "style" not in text[1].attrib
    assert not list(element("שלום"))


@pytest.mark.parametrize(
    ("label", "size", "expected"),
    [("iii", 10, 6.66), ("WWW", 10, 28.32), ("我爱你", 10, 30), ("e\u0301", 10, 5.56), ("", 9, 0)],
)
def test_the_width_of_a_label_is_that_of_its_letters(label, size, expected):
    assert width_of(label, size) == pytest.approx(expected)


def test_widths_are_those_of_the_font_that_is_named():
    """Against the letters of Liberation Sans, which has Arial's widths, where it is installed."""
    fonts = pytest.importorskip("PIL.ImageFont")
    try:
        font = fonts.truetype("LiberationSans-Regular.ttf", 1000)
    except OSError:
        pytest.skip("Liberation Sans is missing")
    for letter in map(chr, range(32, 127)):
        assert width_of(plotly_text(letter), 1000) == pytest.approx(font.getlength(letter), abs=2)


# What `visible` writes for characters that have no shape is tested with it.
TOKENS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12
)


@settings(max_examples=30, deadline=None)
@given(st.lists(TOKENS, min_size=1, max_size=4))
def test_any_token_is_in_the_picture_as_it_is_in_the_figure(tokens):
    view = head_view(bare_record(tokens))
    seen = words(parsed(view.to_svg()))
    for token in tokens:
        assert shortened(visible(token), 40) in seen


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_escaping_for_plotly_is_undone(text):
    assert plain_of(plotly_text(text)) == text.replace("\n", " ")
    assert len(lines_of(plotly_text(text))) == 1


@pytest.mark.parametrize(
    ("ends", "most", "options", "expected"),
    [
        ((0, 1), 6, {}, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ((-1.2, 1.2), 5, {}, ["−1", "−0.5", "0", "0.5", "1"]),
        ((0, 0.03), 4, {}, ["0", "0.01", "0.02", "0.03"]),
        ((0, 2500), 5, {"separatethousands": True}, ["0", "1,000", "2,000"]),
        ((0, 25000), 5, {}, ["0", "1×10<sup>4</sup>", "2×10<sup>4</sup>"]),
        ((0, 0.00002), 4, {}, ["0", "1×10<sup>−5</sup>", "2×10<sup>−5</sup>"]),
        ((1.0, 0.0), 4, {"tickformat": ".0%"}, ["0%", "50%", "100%"]),
    ],
)
def test_ticks_are_round_numbers_within_the_ends(ends, most, options, expected):
    step = step_for(abs(ends[1] - ends[0]), most)
    at = places(ends, step)
    assert [tick_words(value, step, ends, options) for value in at] == expected


@settings(max_examples=200, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(4, 10))
def test_ticks_are_never_more_than_there_is_room_for(low, span, most):
    step = step_for(span, most)
    at = places((low, low + span), step)
    assert 0 <= len(at) <= most + 1
    assert all(low - step / 100 <= value <= low + span + step / 100 for value in at)


def test_hostile_labels_cannot_end_an_element():
    text = element(plotly_text('</text><script>alert("x")</script> &lt;'), turned="rotate(1)")
    assert "".join(text.itertext()) == '</text><script>alert("x")</script> &lt;'
    assert not elements(text, "script")
