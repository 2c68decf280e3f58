"""Data and scripts inside HTML: no data can end its element, and no other scripts run."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from functools import cache
from typing import Any

__all__ = ["as_json", "binary_block", "packed", "policy_for"]


def as_json(data: Any) -> str:
    """Return JSON that cannot end the script element around it, and holds no NUL."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def binary_block(name: str, base64_gzip: str) -> str:
    """Return an element that holds compressed data for the scripts to unpack."""
    return f'<script type="application/octet-stream" id="{name}">{base64_gzip}</script>'


@cache
def packed(text: str) -> str:
    """Return a text compressed, in characters that HTML leaves alone."""
    return base64.b64encode(gzip.compress(text.encode("utf-8"), 9, mtime=0)).decode("ascii")


def policy_for(*scripts: str) -> str:
    """Return the Content-Security-Policy that allows these scripts and no network requests."""
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; "
        # Plotly sets styles on the elements it draws.
        "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
