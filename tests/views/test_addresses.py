"""What an address says and no view has leaves every kind of view as it is.

``tests/scripts/address.test.mjs`` reads a thousand hashes; here every kind of view is opened.
"""

from __future__ import annotations

import pytest

from introspect.page import Document
from introspect.views import logit_view

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
SEEN = """() => [...document.querySelectorAll('section, details')].map((part) => [
  part.id,
  part.innerText,
  [...part.querySelectorAll('input, select')].map((each) => [each.name, each.value, each.checked]),
  [...part.querySelectorAll('[aria-pressed]')].map((each) => each.ariaPressed),
])"""


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
