"""A view's page in a frame of the app: it says how tall it is, and the frame follows."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

__all__ = ["measured"]

_POLICY = "script-src "

# The app has margins enough: the page takes the whole width of its frame, and no room at its end.
_STYLE = "<style>main { max-width: none; padding: 8px 2px 24px }</style>"

# Streamlit adds a script to the page that measures it. The policy would not let it run, and it
# never finds that a page has become shorter: within a template it is no script at all.
_REST_IS_NO_SCRIPT = "<template>"


def measured(page: str) -> str:
    """A page that tells its frame how tall it is, whenever that changes.

    Its policy lets the one script that does so run beside its own, by its hash; nothing else is
    allowed. The page itself, as it is downloaded, stays as it was.

    Args:
        page: as ``View.to_html`` gives it.
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
