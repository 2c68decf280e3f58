"""What a notebook keeps of a view: a frame as tall as its page, a picture, and one line."""

from __future__ import annotations

import base64
import html
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import pytest
import torch

import introspect as ix
from introspect.errors import SelectionError
from introspect.records import AttentionRecord
from introspect.views import head_view, heatmap_view, layer_view, model_view
from introspect.views.svg import svg_of

from .samples import record_of

SOURCE = re.compile(r'src="data:image/svg\+xml;base64,([^"]*)"')
HIGHEST_FIRST_FIGURE = 200


def held(shown: str) -> str:
    """The page inside a frame."""
    found = re.search(r'srcdoc="([^"]*)"', shown)
    assert found is not None
    return html.unescape(found[1])


def large_record(layers: int, heads: int, length: int) -> AttentionRecord:
    scores = torch.randn(layers, heads, length, length, generator=torch.Generator().manual_seed(0))
    return AttentionRecord.from_tensors((2 * scores).softmax(-1), [f"w{n}" for n in range(length)])


# --- what is kept ----------------------------------------------------------------------------


def test_it_is_a_page_a_picture_and_a_line():
    view = head_view(record_of())
    kept = view._repr_mimebundle_(include=None, exclude=None)
    assert list(kept) == ["text/html", "text/plain", "image/svg+xml"]
    assert kept["text/plain"] == repr(view)
    assert ElementTree.fromstring(kept["image/svg+xml"]).tag.endswith("svg")
    # A host that prefers HTML and takes frames and scripts out of it still has the picture.
    (source,) = SOURCE.findall(kept["text/html"])
    assert base64.b64decode(source).decode() == kept["image/svg+xml"]
    assert view._repr_html_() == kept["text/html"]


def test_the_page_is_the_saved_one_but_for_its_mark():
    view = head_view(record_of())
    assert 'data-frame="compact"' in held(view._repr_html_())
    assert held(view._repr_html_()).replace(' data-frame="compact"', "", 1) == view.to_html()


@pytest.mark.parametrize("make", [head_view, model_view, heatmap_view, layer_view])
def test_a_picture_runs_and_loads_nothing(make):
    picture = make(record_of())._repr_mimebundle_()["image/svg+xml"]
    assert "<script" not in picture and "http://" not in picture.replace("http://www.w3.org", "")


def test_a_model_view_of_many_cells_has_a_small_picture():
    view = model_view(large_record(6, 12, 24))
    picture = view.light_picture()
    assert picture is not None
    assert len(picture) < 80_000 < len(view.to_svg())
    assert picture.count("<image") == 1


def test_a_small_picture_has_the_cells_where_the_large_one_has_them():
    image_module = pytest.importorskip("PIL.Image")
    import io

    import plotly.graph_objects as go

    values = torch.zeros(40, 50)
    values[0, 49] = 1
    values[39, 0] = 0.5
    values[20, 20] = torch.nan
    grey = [[0, "#ffffff"], [1, "#000000"]]
    figure = go.Figure(go.Heatmap(z=values.tolist(), zmin=0, zmax=1, colorscale=grey))
    figure.update_layout(yaxis={"autorange": "reversed"})
    picture = svg_of(figure, "a map", is_light=True)
    (source,) = re.findall(r'href="data:image/png;base64,([^"]*)"', picture)[:1]
    pixels = image_module.open(io.BytesIO(base64.b64decode(source))).convert("RGBA")
    assert pixels.size == (50, 40)
    assert pixels.getpixel((49, 0)) == (0, 0, 0, 255)
    assert pixels.getpixel((0, 39))[0] in range(124, 132)
    assert pixels.getpixel((20, 20))[3] == 0
    assert pixels.getpixel((10, 10)) == (255, 255, 255, 255)


def test_a_picture_that_would_be_large_is_left_out():
    view = head_view(large_record(2, 12, 128))
    kept = view._repr_mimebundle_()
    assert "image/svg+xml" not in kept
    assert "<img" not in kept["text/html"].partition("</iframe>")[2]


def test_the_height_is_estimated_from_tokens_and_layers():
    short, long = (head_view(large_record(2, 2, length)) for length in (4, 40))
    assert short.frame_height < long.frame_height - 30 * 26
    deep = head_view(large_record(24, 2, 4))
    assert short.frame_height < deep.frame_height
    assert head_view(large_record(1, 1, 1024)).frame_height == 3000


# --- options ---------------------------------------------------------------------------------


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is displayed below a cell."""
    display = pytest.importorskip("IPython.display")
    shown: list[Any] = []
    monkeypatch.setattr("introspect.views.base.is_in_notebook", lambda: True)
    monkeypatch.setattr(display, "display", lambda thing, raw=False: shown.append((thing, raw)))
    return shown


def test_a_height_that_is_given_stays(displayed):
    head_view(record_of()).show(height=333)
    ((kept, raw),) = displayed
    assert raw and "height:333px" in kept["text/html"] and "introspect-fixed" in kept["text/html"]


def test_it_can_be_shown_whole(displayed):
    view = head_view(record_of())
    view.show(compact=False)
    view.show()
    (whole, raw), (own, is_raw) = displayed
    assert raw and 'data-frame="whole"' in held(whole["text/html"])
    assert own is view and not is_raw


@pytest.mark.parametrize("height", [0, 99, 10_001, -5])
def test_a_height_that_cannot_be_is_refused(displayed, height):
    with pytest.raises(SelectionError, match=f"`height` from 100 to 10,000 pixels, got {height}"):
        head_view(record_of()).show(height=height)
    assert displayed == []


def test_a_height_that_is_no_number_is_refused(displayed):
    with pytest.raises(ix.IntrospectError, match="height"):
        head_view(record_of()).show(height="tall")


# --- in a browser ----------------------------------------------------------------------------


@pytest.fixture
def open_output(open_page: Callable[..., Any]) -> Callable[..., Any]:
    """Open outputs below each other, as in a notebook; all their pages are ready."""

    def open_(*outputs: str) -> Any:
        page = open_page(
            '<!doctype html><html lang="en" data-ready="true"><title>A notebook</title>'
            f'<body style="margin:0">{"".join(outputs)}</body></html>'
        )
        for number in range(len(outputs)):
            frame = page.frame_locator(f"iframe >> nth={number}")
            frame.locator("html[data-ready=true]").wait_for(state="attached")
        return page

    return open_


def heights(page: Any) -> list[tuple[float, float]]:
    """Of each frame, how tall it is and how tall its page."""
    page.wait_for_timeout(300)
    return [
        (
            frame.bounding_box()["height"],
            frame.content_frame.locator("html").bounding_box()["height"],
        )
        for frame in page.locator("iframe").all()
    ]


@pytest.mark.slow
@pytest.mark.browser
def test_frames_are_as_tall_as_their_pages_and_stay_so(open_output):
    fixed = head_view(record_of())._in_notebook(height=300)["text/html"]
    page = open_output(head_view(record_of())._repr_html_(), model_view(record_of())._repr_html_())
    before = heights(page)
    assert all(frame == pytest.approx(inner, abs=1) for frame, inner in before)
    page.frame_locator("iframe >> nth=0").locator(".ranked-pairs summary").click()
    after = heights(page)
    assert after[0][0] > before[0][0] + 50 and after[1] == before[1]
    assert after[0][0] == pytest.approx(after[0][1], abs=1)
    assert heights(open_output(fixed))[0][0] == 300


@pytest.mark.browser
def test_no_other_frame_may_say_how_tall_it_is(open_output):
    page = open_output(head_view(record_of())._repr_html_())
    before = heights(page)
    page.evaluate("window.postMessage({ introspectHeight: 5 }, '*')")
    # From the frame itself, but no height.
    (frame,) = page.frames[1:]
    for height in ("'5px'", "-1", "1e9", "Number.NaN", "{}"):
        frame.evaluate(f"window.parent.postMessage({{ introspectHeight: {height} }}, '*')")
    assert heights(page) == before


@pytest.mark.browser
@pytest.mark.parametrize("make", [head_view, model_view, heatmap_view])
def test_words_and_strip_stand_at_the_top(open_output, make):
    page = open_output(make(record_of())._repr_html_())
    frame = page.frame_locator("iframe")
    for element in ("words", "strip"):
        box = frame.locator(f'[data-element="{element}"]').bounding_box()
        assert box["y"] < HIGHEST_FIRST_FIGURE, element
    assert page.locator("img").is_hidden()
    assert not frame.locator(".lead").first.is_visible()


@pytest.mark.browser
def test_what_the_words_choose_is_not_offered_twice(open_output):
    frame = open_output(head_view(record_of())._repr_html_()).frame_locator("iframe")
    shown = frame.locator('select[name="weights"]').all()
    assert len(shown) == 2
    assert [select.is_visible() for select in shown] == [True, False]


@pytest.mark.browser
def test_without_scripts_the_picture_is_seen(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(head_view(record_of())._repr_html_())
    picture = page.locator("img")
    picture.wait_for(state="visible")
    assert picture.bounding_box()["height"] > 50
    assert picture.get_attribute("alt") == "Head view"
    context.close()


@pytest.mark.browser
def test_a_report_is_folded(open_output):
    model = ix.load("pronoun")
    text = "The fox did not cross the river because it was too tired."
    page = open_output(ix.report(ix.coreference_study(model, text))._repr_html_())
    frame = page.frame_locator("iframe")
    assert frame.locator("details.chapter").count() > 2
    assert frame.locator("details.chapter[open]").count() == 0
    assert frame.locator('[data-element="words"]').first.bounding_box()["y"] < 200
    first = frame.locator("details.chapter > summary").first
    first.click()
    frame.locator("details.chapter[open] section[data-mounted]").first.wait_for()
    ((height, inner),) = heights(page)
    assert height == pytest.approx(inner, abs=1)
