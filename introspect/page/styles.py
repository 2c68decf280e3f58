"""The page's style sheet: several source files, joined into one sheet."""

from __future__ import annotations

from functools import cache

from introspect.page.scripts import read_asset

__all__ = ["ROOMS", "style_sheet"]

#: In cascade order: what all views share, then the views, then print styles, which take precedence.
ROOMS = (
    "base",
    "words",
    "tables",
    "chapters",
    "controls",
    "tokens",
    "grid",
    "matrix",
    "head",
    "model",
    "layer",
    "arithmetic",
    "evolution",
    "compare",
    "coreference",
    "image",
    "forest",
    "lens",
    "causal",
    "print",
)


@cache
def style_sheet() -> str:
    """Return all styles of the page as one sheet."""
    return "\n".join(read_asset(f"styles/{room}.css") for room in ROOMS)
