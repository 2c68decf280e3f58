"""The page's style sheet: all files of the folder, in the order that is named."""

from __future__ import annotations

from importlib.resources import files

from introspect.page.bundle import STYLES, plain_styles, style_sheet
from introspect.views import head_view

from ..views.samples import record_of


def test_no_file_is_forgotten():
    folder = files("introspect.page") / "assets" / "styles"
    assert sorted(f"{name}.css" for name in STYLES) == sorted(
        file.name for file in folder.iterdir()
    )


def test_the_page_has_all_of_them_in_order():
    page = head_view(record_of()).to_html()
    assert page.count("<style>") == 2  # the second is for readers without scripts
    places = [page.index(plain_styles(name)) for name in STYLES]
    assert places == sorted(places)


def test_the_sheet_holds_nothing_that_ends_it():
    assert "</" not in style_sheet()


def test_the_sheet_carries_no_comment_and_no_indentation():
    assert "/*" not in style_sheet()
    assert "\n " not in style_sheet()
