"""View pages that report their height, so that the app's frame can follow it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

__all__ = ["measured"]

_POLICY = "script-src "

# The app has its own margins, so the page fills its frame's width and adds no space at the end.
_STYLE = "<style>main { max-width: none; padding: 8px 2px 24px }</style>"

# Streamlit adds a measuring script to the page. The policy would block it, and it never notices
# that a page has become shorter, so it goes into a template, where it does not run.
_REST_IS_NO_SCRIPT = "<template>"


def measured(page: str) -> str:
    """Return a page that reports its height to its frame whenever the height changes.

    Its policy allows the reporting script by its hash, beside the page's own script, and nothing
    else. The page that is downloaded does not change.

    Args:
        page: the page, as ``View.to_html`` returns it.
    """
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    before, found, after = page.partition(_POLICY)
    assert found, "a page without a policy"
    allowed = f"{before}{found}'sha256-{digest}' {after}"
    return f"{allowed}{_STYLE}<script>{script}</script>{_REST_IS_NO_SCRIPT}"


@cache
def _script() -> str:
    return (files("introspect.app") / "measure.js").read_text(encoding="utf-8")
