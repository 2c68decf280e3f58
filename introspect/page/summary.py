"""What a page says of itself in its head, for programs and for the list of a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from introspect.page.embedding import as_json

__all__ = ["read_summary", "summary_block"]

_OPENING = '<script type="application/json" id="report-summary">'


def summary_block(summary: Mapping[str, Any] | None) -> str:
    """The element of the head; nothing without a summary."""
    return "" if summary is None else f"{_OPENING}{as_json(summary)}</script>\n"


def read_summary(page: str) -> dict[str, Any] | None:
    """What a page says of itself in its head; ``None`` for a page that is not of this package.

    Args:
        page: the page, or as much of its beginning as holds the head.
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
