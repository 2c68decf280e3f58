"""The SVG beside what Plotly draws of the same figure in a browser: the same words and places."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import introspect
from introspect.views.svg import plain_of

from .helpers import VIEWS, parsed, words

pytestmark = pytest.mark.browser

PLOTLY = Path(introspect.__file__).parent / "page/vendor/plotly/plotly-cartesian.min.js"
# Each text with the middle of its box, but what only a person could use.
DRAW = """
async (figure) => {
  const target = document.createElement('div');
  document.body.replaceChildren(target);
  await Plotly.newPlot(target, figure.data, figure.layout, { staticPlot: true });
  return [...target.querySelectorAll('svg text')].filter((n) => n.textContent).map((n) => {
    const box = n.getBoundingClientRect();
    return [n.textContent, box.x + box.width / 2, box.y + box.height / 2];
  });
}
"""
OURS = """
(source) => {
  document.body.innerHTML = source;
  const { left, top } = document.querySelector('svg').getBoundingClientRect();
  const [x, y] = document.querySelector('svg').getAttribute('viewBox').split(' ').map(Number);
  return [...document.querySelectorAll('svg text')].map((n) => {
    const box = n.getBoundingClientRect();
    return [n.textContent, box.x - left + x + box.width / 2, box.y - top + y + box.height / 2];
  });
}
"""
_FAR = 22


@pytest.fixture(scope="module")
def plotly(browser):
    page = browser.new_page(viewport={"width": 1700, "height": 1300})
    page.set_content("<body style='margin:0'></body>")
    page.add_script_tag(content=PLOTLY.read_text(encoding="utf-8"))
    yield page
    page.close()


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\u200b", "")).strip()


def is_note(text: str, note: str) -> bool:
    """Whether a text is the small print, or as much of it as there is room for."""
    shown = plain(text)
    return bool(note) and (shown == note or (shown.endswith("…") and note.startswith(shown[:-1])))


def without_note(parts: list[Any], note: str) -> list[Any]:
    """Drop the small print, which is drawn last."""
    last = [place for place, part in enumerate(parts) if is_note(part[0], note)][-1:]
    return [part for place, part in enumerate(parts) if place not in last]


@pytest.mark.slow
def test_it_has_the_words_that_plotly_draws_and_where_plotly_draws_them(plotly):
    for name, make in VIEWS.items():
        view = make()
        still = view.still
        figure = json.loads(still.to_json(engine="json"))
        theirs = plotly.evaluate(DRAW, {"data": figure["data"], "layout": figure["layout"]})
        # Below the figure stands small print, which Plotly knows nothing of.
        title = plain_of(still.layout.title.text or "")
        note = "" if view.small_print == title else plain(view.small_print)
        ours = without_note(plotly.evaluate(OURS, view.to_svg()), note)
        assert sorted(plain(text) for text, *_ in ours) == sorted(
            plain(text) for text, *_ in theirs
        ), name
        for text, x, y in ours:
            near = [
                max(abs(x - x2), abs(y - y2)) for t, x2, y2 in theirs if plain(t) == plain(text)
            ]
            assert min(near) < _FAR, (name, text, min(near))
    assert len(words(parsed(view.to_svg()))) > 5
