"""Every view passes the rules of axe-core, on a light page and on a dark one.

One page holds them all: the rules are read once for each theme, and a fault names its element.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files

import pytest

from introspect.page import Document
from introspect.text import CorefCase
from introspect.views import (
    Drawing,
    View,
    causal_view,
    compare_view,
    coreference_view,
    evolution_view,
    head_view,
    heatmap_view,
    layer_view,
    model_view,
    neuron_view,
    steps_view,
)

from .causal.helpers import table_of
from .samples import record_of, record_with_parts

axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is missing")

TEXT = "Ann saw Bo so she left"


def coreference() -> View:
    record = record_of(TEXT)
    return coreference_view(
        record, CorefCase.from_words(TEXT, pronoun="she", antecedent="Ann", distractors=["Bo"])
    )


VIEWS: dict[str, Callable[[], Drawing]] = {
    "causal": lambda: causal_view(table_of()),
    "head": lambda: head_view(record_of(), token=3),
    "head across": lambda: head_view(record_of(), layout="horizontal", token=2),
    "model": lambda: model_view(record_of(), framed=[(0, 1)]),
    "coreference": coreference,
    "evolution": lambda: evolution_view([record_of(seed=s) for s in range(3)], losses=[3.0, 2, 1]),
    "heatmap": lambda: heatmap_view(record_of()),
    "layer": lambda: layer_view(record_of()),
    "compare": lambda: compare_view(record_of("Ann saw Bo"), record_of("Ann met Bo")),
    "neuron": lambda: neuron_view(record_with_parts()),
    "steps": lambda: steps_view(record_with_parts()),
}


# What is said of the rules that hold would take longer to send than to find.
AXE = """async (rules) => {
  const found = await axe.run({ ...rules, resultTypes: ["violations"] });
  return { passes: found.passes.length, violations: found.violations.map(
    (v) => `${v.id}: ${v.help} (${v.nodes[0].html.slice(0, 120)})`) };
}"""
#: The rules that look at colors; the others find the same on a light page and a dark one.
OF_COLORS = ("color-contrast", "link-in-text-block")


def violations(page) -> list[str]:
    """What axe-core finds, a line for each rule, with the first element that breaks it.

    Every rule is read on a light page; on a dark one, those of colors.
    """
    page.evaluate(files(axe).joinpath("axe.min.js").read_text(encoding="utf-8"))
    is_dark = page.evaluate("document.documentElement.dataset.theme") == "dark"
    found = page.evaluate(AXE, {"runOnly": OF_COLORS} if is_dark else {})
    assert found["passes"] >= (1 if is_dark else 11)  # it did look
    return found["violations"]


def page_of_all() -> str:
    document = Document("All views")
    for name, make in VIEWS.items():
        for section in make().sections():
            # The head view stands here three times, and every landmark needs a name of its own.
            document.add_section(replace(section, title=f"{section.title} ({name})"))
    return document.to_html()


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_rule_is_broken_by_any_view(open_page, theme):
    page = open_page(page_of_all(), path_hash=f"#page.theme={theme}")
    kinds = {name.split()[0] for name in VIEWS}
    shown = page.locator("section[data-view]").evaluate_all("all => all.map((s) => s.dataset.view)")
    assert set(shown) >= kinds and len(shown) >= len(VIEWS)
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    page.click('[data-view="model"] .cell[data-layer="1"][data-head="1"]')
    assert violations(page) == []


@pytest.mark.browser
@pytest.mark.parametrize(
    ("theme", "fault"),
    [
        ("light", "button.textContent = ''"),
        ("light", "button.style.color = '#eee'"),
        ("dark", "button.style.color = '#333'"),
    ],
)
def test_a_rule_that_is_broken_is_named_with_its_element(open_page, theme, fault):
    page = open_page(VIEWS["heatmap"]().to_html(), path_hash=f"#page.theme={theme}")
    button = "const button = document.querySelector('[name=\"export-svg\"]')"
    page.evaluate(f"() => {{ {button}; button.removeAttribute('aria-label'); {fault}; }}")
    assert any("export-svg" in found for found in violations(page))
