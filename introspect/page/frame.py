"""A page in a notebook: in its own frame, so that several pages do not interfere."""

from __future__ import annotations

import html

__all__ = ["framed"]

_HEIGHT = 720


def framed(page: str, title: str) -> str:
    """Return the HTML of a frame that holds a whole page.

    Args:
        page: the page, as ``Document.to_html`` returns it.
        title: the title of the frame.

    Example:
        >>> framed("<p>a</p>", "A page").partition(' style')[0]
        '<iframe sandbox="allow-scripts allow-downloads" title="A page"'
    """
    return (
        f'<iframe sandbox="allow-scripts allow-downloads" title="{html.escape(title)}" '
        f'style="width:100%;height:{_HEIGHT}px;border:0" '
        f'srcdoc="{html.escape(page, quote=True)}"></iframe>'
    )
