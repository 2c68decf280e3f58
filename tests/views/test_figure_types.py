"""What a type checker knows of a view's figure."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

from introspect import views
from introspect.views import Drawing


def test_every_view_says_that_its_figure_is_a_plotly_figure():
    classes = {
        member
        for module in pkgutil.iter_modules(views.__path__)
        for _, member in inspect.getmembers(
            importlib.import_module(f"introspect.views.{module.name}"), inspect.isclass
        )
        if issubclass(member, Drawing)
    }
    assert len(classes) > 12
    for one in classes:
        assert one.figure.fget.__annotations__["return"] == "Figure", one.__name__
