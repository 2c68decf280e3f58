"""Runs of compiled models as they were written: compiled code calls no hook that came after it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

_lock = threading.Lock()
# The setting is one for the process: the first run that needs it changes it, the last restores it.
_state: dict[str, Any] = {"runs": 0, "stance": None}


@contextmanager
def as_written(parts: Sequence[nn.Module]) -> Iterator[None]:
    """Let compiled parts of a model run without their compiled code."""
    if not any(map(_is_compiled, parts)):
        yield
        return
    with _lock:
        _state["runs"] += 1
        if _state["runs"] == 1:
            _state["stance"] = torch.compiler.set_stance("force_eager")
    try:
        yield
    finally:
        with _lock:
            _state["runs"] -= 1
            if not _state["runs"]:
                _state["stance"].__exit__(None, None, None)


def _is_compiled(part: nn.Module) -> bool:
    is_wrapped = "_orig_mod" in part._modules or part._compiled_call_impl is not None
    return is_wrapped or hasattr(vars(part).get("forward"), "_torchdynamo_orig_callable")
