"""Runs of compiled models as they were written: compiled code calls no hook that came after it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from introspect.changes import Changes, lock

# The setting is one for the process: the first run that needs it changes it, the last restores it.
_runs: set[Changes] = set()
_stances: list[Any] = []


def run_as_written(changes: Changes, parts: Sequence[nn.Module]) -> None:
    """Run compiled parts of a model as they were written, as long as the changes last."""
    if not any(map(_is_compiled, parts)):
        return
    with lock:
        changes.note(partial(_end, changes))
        _runs.add(changes)
        if not _stances:
            _stances.append(torch.compiler.set_stance("force_eager"))


def _end(changes: Changes) -> None:
    """Restore the setting after the last run."""
    with lock:
        _runs.discard(changes)
        while _stances and not _runs:
            _stances[-1].__exit__(None, None, None)
            _stances.pop()


def _is_compiled(part: nn.Module) -> bool:
    is_wrapped = "_orig_mod" in part._modules or part._compiled_call_impl is not None
    return is_wrapped or hasattr(vars(part).get("forward"), "_torchdynamo_orig_callable")
