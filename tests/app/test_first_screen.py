"""The first figure of a page is on the first screen: its fields stand beside it, not above."""

from __future__ import annotations

import pytest

from introspect.app.entries import EXAMPLES
from tests.app.test_pages import errors


@pytest.mark.parametrize(
    "page", ["removal.py", "comparison.py", "lens.py", "playback.py", "picture.py", "sets.py"]
)
def test_fields_stand_beside_the_first_figure_not_above_it(app, page):
    page = app(page, model="pronoun", text=EXAMPLES["pronoun"].text)
    assert errors(page) == []
    kinds = ("selectbox", "multiselect", "text_input", "text_area", "file_uploader", "number_input")
    assert [field for kind in kinds for field in page.main.get(kind)] == []
    assert any(page.sidebar.get(kind) for kind in kinds)
