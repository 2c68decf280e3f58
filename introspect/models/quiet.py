"""Suppress transformers' progress bars and messages, for programs whose output is the answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["barless", "hush", "silent"]

_lock = threading.Lock()
# Restores each setting to its value before the first change; how many still need it changed.
_before: dict[str, Callable[[], None]] = {}
_needed: dict[str, int] = {}


def hush() -> None:
    """Silence the output of transformers and the hub client while a model is loaded."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def silent() -> Iterator[None]:
    """Suppress transformers' messages, except errors, for the duration of the block."""
    from transformers.utils import logging

    def change() -> Callable[[], None]:
        verbosity = logging.get_verbosity()
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        return lambda: logging.set_verbosity(verbosity)

    with _changed("verbosity", change):
        yield


@contextmanager
def barless() -> Iterator[None]:
    """Suppress transformers' progress bars for the duration of the block."""
    from transformers.utils import logging

    def change() -> Callable[[], None]:
        if not logging.is_progress_bar_enabled():
            return lambda: None
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        return logging.enable_progress_bar

    with _changed("bars", change):
        yield


@contextmanager
def _changed(name: str, change: Callable[[], Callable[[], None]]) -> Iterator[None]:
    """Change a process-wide setting for the first thread that needs it; the last one restores it.

    If each thread restored what it found, the setting could stay changed forever.
    """
    with _lock:
        if not _needed.get(name):
            _before[name] = change()
        _needed[name] = _needed.get(name, 0) + 1
    try:
        yield
    finally:
        with _lock:
            _needed[name] -= 1
            if not _needed[name]:
                _before.pop(name)()
