"""What of a text is on the first screen: see ``views.py --screen``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import introspect as ix
from introspect.views import head_view, heatmap_view, layer_view, model_view

SHORT = "The animal didn't cross the street because it was too tired."
LONGER = (
    "The animal that the two children had seen near the old bridge in the morning didn't cross the "
    "wide street in front of the school because it was much too tired."
)
GAP = (
    "Kathleen first appears when Theresa visits her in a prison in London. Theresa says that she "
    "has been there for years, that her own mother, Marian, used to send letters until winter "
    "1949, and that nobody ever knew why they stopped, though Kathleen believed that she had moved."
)
#: Each text with its pronoun and its antecedent.
TEXTS = {
    "12 words": (SHORT, "it", "animal"),
    "30 words": (LONGER, "it", "animal"),
    "a GAP text": (GAP, "she#2", "Theresa#1"),
    "512 tokens": (f"{SHORT} " * 36, "it#18", "animal#18"),
}
WIDTHS = (1440, 1024, 640)
_TOP = "document.querySelector('[data-element={}]').getBoundingClientRect().top + scrollY"
#: Whether the two chosen words are seen: within the width, and in the frame of a long text.
_SEEN = """() => {
  const frame = document.querySelector('.instrument-text').getBoundingClientRect();
  return ['.word.chosen', '.word.sought'].every((name) => {
    const box = document.querySelector(name)?.getBoundingClientRect();
    return box && box.left >= 0 && box.right <= innerWidth
      && box.top >= frame.top - 1 && box.bottom <= frame.bottom + 1;
  }) && document.documentElement.scrollWidth <= innerWidth;
}"""
_A4 = (794, 1123)


def rows_of(browser: Any, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield, for each page, where its first figure is, and at which widths both words are seen."""
    model = ix.load("minilm")
    for name, (text, pronoun, antecedent) in TEXTS.items():
        record = model.capture(text, truncation=True)
        case = ix.CorefCase.from_words(text.strip(), pronoun=pronoun, antecedent=antecedent)
        path = folder / "page.html"
        path.write_text(ix.report(model, case, truncation=True).html, encoding="utf-8")
        yield f"report, {name}", _measured(browser, path)
        if name == "12 words":
            for make in (head_view, model_view, layer_view, heatmap_view):
                path = make(record).save(folder / "page.html")
                yield make.__name__.replace("_", " "), _measured(browser, path)


def _measured(browser: Any, path: Path) -> list[str]:
    page = browser.new_page(viewport={"width": WIDTHS[0], "height": 900})
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    top = max(page.evaluate(_TOP.format(name)) for name in ("words", "strip"))
    seen = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        seen.append("yes" if page.evaluate(_SEEN) else "no")
    page.set_viewport_size(dict(zip(("width", "height"), _A4, strict=True)))
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_timeout(200)
    seen.append("yes" if page.evaluate(_SEEN) else "no")
    page.close()
    return [f"{top:.0f}", *seen]
