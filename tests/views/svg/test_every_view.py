"""What the SVG of any view is: one sound file of the figure's own words, which loads nothing."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from functools import cache

import pytest

from introspect import views
from introspect.text import CorefCase, shortened
from introspect.views import Drawing
from introspect.views.svg import plain_of

from ..samples import bare_record, record_of, record_with_parts
from ..test_every_view import HOSTILE, RECORDS, views_of
from .helpers import NAMESPACE, VIEWS, elements, groups, parsed, words

_ALLOWED = {
    "svg", "title", "desc", "defs", "linearGradient", "stop", "clipPath", "g", "path", "rect",
    "circle", "line", "image", "text", "tspan",
}  # fmt: skip


@cache
def drawn(name: str) -> str:
    return VIEWS[name]().to_svg()


def test_every_class_of_views_is_among_those_drawn_here():
    classes = {
        member
        for module in pkgutil.iter_modules(views.__path__)
        for _, member in inspect.getmembers(
            importlib.import_module(f"introspect.views.{module.name}"), inspect.isclass
        )
        if issubclass(member, Drawing) and not inspect.isabstract(member)
    }
    made = {type(make()) for make in VIEWS.values()}
    bases = {one for one in classes if any(one in other.__mro__[1:] for other in made)}
    assert classes - bases == made


@pytest.mark.parametrize("name", VIEWS)
def test_it_is_drawing_alone_without_script_style_sheet_or_address(name):
    svg = drawn(name)
    root = parsed(svg)
    assert {element.tag.removeprefix(NAMESPACE) for element in root.iter()} <= _ALLOWED
    attributes = [(key, value) for element in root.iter() for key, value in element.attrib.items()]
    assert not any(key.lower().startswith("on") for key, _ in attributes)
    addresses = [value for key, value in attributes if key.endswith("href")]
    assert all(value.startswith("data:image/png;base64,") for value in addresses)
    assert "://" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)
    assert not re.search(r"nan|inf|None|undefined", re.sub(r">[^<]*<|base64,[^\"]*", "", svg))


@pytest.mark.parametrize("name", VIEWS)
def test_it_is_the_same_whenever_it_is_made(name):
    assert VIEWS[name]().to_svg() == drawn(name)


@pytest.mark.parametrize("name", VIEWS)
def test_all_that_it_names_is_there_and_named_once(name):
    root = parsed(drawn(name))
    names = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(names)) == len(names)
    used = set(re.findall(r"url\(#([^)]*)\)", drawn(name)))
    assert used | set(root.attrib["aria-labelledby"].split()) == set(names)


def test_two_pictures_on_one_page_share_no_name():
    ids = [set(re.findall(r' id="([^"]*)"', drawn(name))) for name in ("heatmap", "layer")]
    assert ids[0] and not ids[0] & ids[1]


@pytest.mark.parametrize("name", VIEWS)
def test_it_says_what_it_is_to_those_who_do_not_see_it(name):
    view = VIEWS[name]()
    root = parsed(drawn(name))
    assert root.attrib["role"] == "img"
    assert elements(root, "title")[0].text == view.title
    described = elements(root, "desc")[0].text or ""
    assert view.heading in described
    assert plain_of(view.still.layout.title.text or "") in described


@pytest.mark.parametrize("name", VIEWS)
def test_it_has_a_group_for_each_trace_that_shows_something(name):
    figure = VIEWS[name]().still
    root = parsed(drawn(name))
    shown = [trace.type for trace in figure.data if trace.x is None or any(
        value is not None for value in trace.x)]  # fmt: skip
    for kind in ("heatmap", "bar", "scatter"):
        assert len(groups(root, kind)) == shown.count(kind)
    scales = [t for t in figure.data if t.type == "heatmap" and t.showscale is not False]
    assert len(groups(root, "colorbar")) == len(scales)


@pytest.mark.parametrize("name", VIEWS)
def test_every_label_of_the_figure_is_in_it(name):
    layout = json.loads(VIEWS[name]().still.to_json(engine="json"))["layout"]
    seen = [" ".join(text.split()) for text in words(parsed(drawn(name)))]
    axes = [value for key, value in layout.items() if re.fullmatch(r"[xy]axis\d*", key)]
    labels = [label for axis in axes if axis.get("showticklabels", True)
              and axis.get("visible", True) for label in axis.get("ticktext", [])]  # fmt: skip
    labels += [note["text"] for note in layout.get("annotations", [])]
    labels += [axis.get("title", {}).get("text", "") for axis in axes]
    for label in filter(None, labels):
        assert " ".join(plain_of(label).split()) in seen


@pytest.mark.parametrize("name", VIEWS)
def test_words_lie_within_the_picture(name):
    root = parsed(drawn(name))
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    assert (root.attrib["width"], root.attrib["height"]) == (f"{width:g}", f"{height:g}")
    for text in elements(root, "text"):
        assert left <= float(text.attrib["x"]) <= left + width
        assert top <= float(text.attrib["y"]) <= top + height


def test_hostile_tokens_are_words_and_nothing_else():
    for view in views_of(record_with_parts(HOSTILE)):
        svg = view.to_svg()
        root = parsed(svg)
        assert "<script" not in svg and "<img" not in svg, view.title
        assert {element.tag.removeprefix(NAMESPACE) for element in root.iter()} <= _ALLOWED
        if view.title == "Head view":
            assert shortened(HOSTILE[0], 40) in words(root)
            assert {"שלום", "我爱你", "👩‍👩‍👧", "&lt;b&gt;"} <= set(words(root))


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDS)
def test_any_record_has_a_picture_of_a_size_that_can_be_printed(name):
    for view in views_of(RECORDS[name]()):
        root = parsed(view.to_svg())
        is_large = name in ("64 heads", "96 layers")
        assert float(root.attrib["width"]) < (5000 if is_large else 1200), view.title
        assert words(root), view.title


def test_a_token_without_any_weight_has_a_picture_of_its_words():
    view = views.head_view(RECORDS["a row that is missing"](), token=0)
    root = parsed(view.to_svg())
    assert not groups(root, "scatter")
    assert "Ann  –" in words(root)


def test_labels_of_an_axis_are_turned_only_where_they_would_run_together():
    def turned(count: int) -> set[str]:
        text = " ".join(["Ann", "saw", "Bo", "so", "she", *["sentence"] * (count - 5)])
        case = CorefCase.from_words(text, pronoun="she", antecedent="Ann", distractors=["Bo"])
        (axis,) = groups(parsed(views.coreference_view(record_of(text), case).to_svg()), "x")
        transforms = [label.get("transform", "") for label in elements(axis, "text")]
        return {transform.partition("(")[2].partition(" ")[0] for transform in transforms}

    assert [turned(count) for count in (8, 35, 120)] == [{""}, {"30"}, {"90"}]


def test_what_xml_cannot_hold_is_replaced_even_in_the_description():
    view = views.heatmap_view(bare_record(["a\x00b", "c\ud800d", "e\x1bf"]))
    root = parsed(view.to_svg().encode("utf-8").decode("utf-8"))
    assert len(groups(root, "heatmap")) == 1
