"""The page's style sheet: a file for each room while it is written, one sheet in the page."""

from __future__ import annotations

from functools import cache

from introspect.page.scripts import read_asset

__all__ = ["ROOMS", "style_sheet"]

#: In the order of the cascade: what all views share, the views, and paper, which has the last word.
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
    """All styles of the page as one sheet."""
    return "\n".join(read_asset(f"styles/{room}.css") for room in ROOMS)
