"""Every view passes the rules of axe-core, on a light page and on a dark one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import pytest

from introspect.text import CorefCase
from introspect.views import (
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
from introspect.views.base import Drawing

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


def violations(page) -> list[str]:
    """What axe-core finds, a line for each rule, with the first element that breaks it."""
    page.evaluate(files(axe).joinpath("axe.min.js").read_text(encoding="utf-8"))
    result = page.evaluate("axe.run()")
    assert len(result["passes"]) > 10  # it did look
    found = result["violations"]
    return [f"{v['id']}: {v['help']} ({v['nodes'][0]['html'][:120]})" for v in found]


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", VIEWS)
def test_no_rule_is_broken(open_page, name, theme):
    page = open_page(VIEWS[name]().to_html(), path_hash=f"#page.theme={theme}")
    if name == "model":
        page.click('.cell[data-layer="1"][data-head="1"]')
    assert violations(page) == []
