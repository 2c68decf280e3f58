"""transformers without progress bars and chatter, for programs whose own output is the answer."""

from __future__ import annotations

import os

__all__ = ["hush"]


def hush() -> None:
    """Silence what transformers and the hub's client print while a model is loaded."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
