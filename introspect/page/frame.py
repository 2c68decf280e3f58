"""A page in a notebook: in a frame of its own, so that several do not disturb each other."""

from __future__ import annotations

import html

__all__ = ["framed"]

_HEIGHT = 720


def framed(page: str, title: str) -> str:
    """The HTML of a frame that holds a whole page.

    Args:
        page: the page, as ``Document.to_html`` gives it.
        title: what the frame is called.

    Example:
        >>> framed("<p>a</p>", "A page").partition(' style')[0]
        '<iframe sandbox="allow-scripts allow-downloads" title="A page"'
    """
    return (
        f'<iframe sandbox="allow-scripts allow-downloads" title="{html.escape(title)}" '
        f'style="width:100%;height:{_HEIGHT}px;border:0" '
        f'srcdoc="{html.escape(page, quote=True)}"></iframe>'
    )
