"""The summary in a page's head, for programs and for a folder's index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from introspect.page.embedding import as_json

__all__ = ["read_summary", "summary_block"]

_OPENING = '<script type="application/json" id="report-summary">'


def summary_block(summary: Mapping[str, Any] | None) -> str:
    """Return the element for the page's head; empty without a summary."""
    return "" if summary is None else f"{_OPENING}{as_json(summary)}</script>\n"


def read_summary(page: str) -> dict[str, Any] | None:
    """Return the summary in a page's head; ``None`` for a page not written by this package.

    Args:
        page: the page, or a beginning of it that includes the head.
    """
    _, found, rest = page.partition(_OPENING)
    block, closed, _ = rest.partition("</script>")
    if not (found and closed):
        return None
    try:
        summary = json.loads(block)
    except ValueError:
        return None
    return summary if isinstance(summary, dict) else None
