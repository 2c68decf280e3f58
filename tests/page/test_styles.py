"""The page's style sheet: all files of the folder, in the order that is named."""

from __future__ import annotations

from importlib.resources import files

import pytest

from introspect.page.bundle import STYLES, STYLES_OF_ONE, plain_styles, style_sheet
from introspect.views import head_view, layer_view

from ..views.samples import record_of


def test_no_file_is_forgotten():
    folder = files("introspect.page") / "assets" / "styles"
    assert sorted(f"{name}.css" for name in STYLES) == sorted(
        file.name for file in folder.iterdir()
    )


@pytest.mark.parametrize("view", [head_view, layer_view])
def test_the_page_has_all_of_them_in_order_but_those_of_other_views(view):
    page = view(record_of()).to_html()
    assert page.count("<style>") == 2  # the second is for readers without scripts
    others = STYLES_OF_ONE - {"layer" if view is layer_view else ""}
    places = [page.index(plain_styles(name)) for name in STYLES if name not in others]
    assert places == sorted(places)
    assert not any(plain_styles(name) in page for name in others)


def test_the_sheet_holds_nothing_that_ends_it():
    assert "</" not in style_sheet()


def test_the_sheet_carries_no_comment_and_no_indentation():
    assert "/*" not in style_sheet()
    assert "\n " not in style_sheet()
