"""Interruptions between any two steps of the package, and what must be as it was after them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

import introspect
from introspect import changes
from introspect.hooks import interface

HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
)
ROOT = str(Path(introspect.__file__).parent)


class Interrupter:
    """Counts the steps of Python in the package's code, and raises an error before one of them."""

    def __init__(self, at: int = 0, error: type[BaseException] = KeyboardInterrupt) -> None:
        self.steps = 0
        self._at = at
        self._error = error

    def run(self, job: Callable[[], Any]) -> bool:
        """Whether the job was interrupted."""
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            job()
        except self._error:
            return True
        finally:
            sys.settrace(before)
        return False

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not frame.f_code.co_filename.startswith(ROOT):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "opcode":
            self.steps += 1
            if self.steps == self._at:
                raise self._error
        return self._step


def steps_of(job: Callable[[], Any]) -> int:
    counter = Interrupter()
    counter.run(job)
    return counter.steps


@dataclass(frozen=True)
class Traces:
    """All that an interrupted call may leave on a model, in its thread or in the process."""

    hooks: tuple[Any, ...]
    modes: tuple[Any, ...]
    configs: tuple[Any, ...]
    settings: tuple[Any, ...]

    @classmethod
    def of(cls, *models: nn.Module) -> Traces:
        parts = [part for model in models for part in model.modules()]
        return cls(
            hooks=tuple(
                tuple(tuple(each) for name, each in vars(part).items() if name in HOOKS)
                for part in parts
            ),
            modes=tuple((part.training, "forward" in vars(part)) for part in parts),
            configs=tuple(
                (model.config._attn_implementation, model.config._attn_implementation_internal)
                for model in models
            )
            + tuple(each.requires_grad for model in models for each in model.parameters()),
            settings=(
                interface._watcher.get(),
                interface._editors.get(),
                torch.is_grad_enabled(),
                torch._C._len_torch_function_stack(),
                torch.get_num_threads(),
                changes.locked_here(),
                list(changes._open),
            ),
        )
