"""Change a model for the duration of a capture, and restore it afterwards.

A capture needs a different attention implementation in the model's configurations, and no dropout.
Both are attributes of objects that other threads may share, so they are borrowed: the first
borrower records the original, and the last one restores it, even after an exception or Ctrl-C.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.overrides import (
    TorchFunctionMode,
    _get_current_function_mode_stack,
    _pop_mode,
    _push_mode,
)

from introspect.changes import Changes, guarded, lock, sweep

# The property without the underscore also writes to sub-configurations. Here every configuration is
# borrowed separately, so that models with mixed implementations are restored exactly.
_IMPLEMENTATION = "_attn_implementation_internal"


@dataclass(frozen=True, eq=False)
class _Borrower:
    """One who has borrowed a value, and the thread in which."""

    value: Any
    thread: int
    changes: Changes


@dataclass
class _Loan:
    owner: Any  # keeps the object alive, so that its id is not reused
    original: Any
    #: The value of the last one is in effect.
    borrowers: list[_Borrower] = field(default_factory=list)


_Key = tuple[int, str]
_loans: dict[_Key, _Loan] = {}
_changed = guarded(threading.Condition(lock))
# A thread may end without giving back what it has borrowed; the others look for that so often.
_PATIENCE_SECONDS = 1.0
#: Threads that are waiting for a loan, and so run nothing in the meantime.
_waiting: set[int] = set()


@contextmanager
def borrowed_attention(
    module: nn.Module, implementation: str | None = None, *, keeps_training: bool = False
) -> Iterator[None]:
    """Run ``module`` without dropout, and with the named attention implementation or its own.

    Several threads may borrow the same module for the same implementation at once. A thread that
    wants another implementation, including the module's own, waits until they are done: a mask made
    for one implementation is wrong for another, so the implementation must not change during a run.
    A thread that is the only borrower may borrow another implementation within the first loan, and
    so may a thread whose fellow borrowers are all waiting.

    Args:
        module: the model.
        implementation: the attention implementation to run; by default the module's own.
        keeps_training: leave the module in training mode, with dropout, if it is in that mode.
    """
    with Changes() as changes:
        borrow_attention(changes, module, implementation, keeps_training=keeps_training)
        yield


def borrow_attention(
    changes: Changes,
    module: nn.Module,
    implementation: str | None = None,
    *,
    keeps_training: bool = False,
) -> None:
    """Change a module as ``borrowed_attention`` does, for as long as the changes last."""
    parts = list(module.modules())
    _run_as_written(changes, parts)
    _borrow(changes, _configs(parts), implementation, [] if keeps_training else parts)


@contextmanager
def without_dropout(module: nn.Module) -> Iterator[None]:
    """Run ``module`` without dropout, and with its current implementation.

    Use this for runs within an intervention, which has already borrowed the implementation.
    """
    parts = list(module.modules())
    with Changes() as changes:
        _run_as_written(changes, parts)
        _borrow(changes, [], None, parts)
        yield


def _borrow(
    changes: Changes, configs: Sequence[Any], implementation: str | None, parts: Sequence[nn.Module]
) -> None:
    """Borrow configurations for an implementation or their own, and parts for evaluation mode."""
    with _changed:
        wanted: list[tuple[Any, str, Any]] = [
            (config, _IMPLEMENTATION, implementation or _original(config)) for config in configs
        ]
        # Most models are in evaluation mode already, and need no loan.
        wanted += [
            (part, "training", False)
            for part in parts
            if part.training or (id(part), "training") in _loans
        ]
        changes.note(partial(_give_back, changes, wanted))
        _wait_for(wanted)
        for loan in wanted:
            _take(changes, *loan)


def attention_implementation(module: nn.Module) -> str | None:
    """Return the implementation the module runs when it is not watched, for example ``sdpa``."""
    # The module's own configuration names it; only a bare container has to ask its parts.
    asked = [module] if hasattr(module, "config") else list(module.modules())
    for config in _configs(asked):
        if (name := own_implementation(config)) is not None:
            return name
    return None


def own_implementation(config: Any) -> str | None:
    """Return the implementation that a configuration names when it is not borrowed."""
    with _changed:
        name = _original(config)
    return None if name is None else str(name)


def _original(config: Any) -> Any:
    loan = _loans.get((id(config), _IMPLEMENTATION))
    return loan.original if loan else getattr(config, _IMPLEMENTATION)


def _wait_for(wanted: Sequence[tuple[Any, str, Any]]) -> None:
    """Wait until no run uses what these loans would change."""

    def is_free() -> bool:
        return not any(_conflicts(*loan) for loan in wanted)

    if is_free():
        return
    here = threading.get_ident()
    with Changes() as changes:
        changes.note(partial(_waiting.discard, here))
        _waiting.add(here)
        _changed.notify_all()  # a thread that waited for this one may go on
        while not _changed.wait_for(is_free, _PATIENCE_SECONDS):
            sweep()


def _conflicts(owner: Any, attribute: str, value: Any) -> bool:
    loan = _loans.get((id(owner), attribute))
    if loan is None:
        return False
    is_shared = all(borrower.value == value for borrower in loan.borrowers)
    # Two threads that share a loan, and each want a different one within it, would wait for each
    # other forever. A waiting thread runs nothing, so its loan does not count.
    idle = {threading.get_ident(), *_waiting}
    return not is_shared and any(borrower.thread not in idle for borrower in loan.borrowers)


def _take(changes: Changes, owner: Any, attribute: str, value: Any) -> None:
    key = (id(owner), attribute)
    loan = _loans.setdefault(key, _Loan(owner, getattr(owner, attribute)))
    loan.borrowers.append(_Borrower(value, threading.get_ident(), changes))
    setattr(owner, attribute, value)


def _give_back(changes: Changes, wanted: Sequence[tuple[Any, str, Any]]) -> None:
    """Return what was borrowed of these loans, in whatever order others return theirs."""
    with _changed:
        for owner, attribute, _ in wanted:
            loan = _loans.get((id(owner), attribute))
            if loan is None:
                continue
            loan.borrowers = [each for each in loan.borrowers if each.changes is not changes]
            rest = loan.borrowers
            setattr(owner, attribute, rest[-1].value if rest else loan.original)
            if not rest:
                del _loans[id(owner), attribute]
        _changed.notify_all()


def _configs(parts: Iterable[nn.Module]) -> list[Any]:
    """Return every configuration that any of the parts reads, each once."""
    configs: dict[int, Any] = {}
    pending: list[Any] = [part.__dict__.get("config") for part in parts]
    while pending:
        config = pending.pop()
        if id(config) in configs or not hasattr(config, _IMPLEMENTATION):
            continue
        configs[id(config)] = config
        pending += [getattr(config, name, None) for name in getattr(config, "sub_configs", {})]
    return list(configs.values())


# The setting of torch.compile is one for the process: the first run that needs it changes it, the
# last restores it.
_runs: set[Changes] = set()
_stances: list[Any] = []


def _run_as_written(changes: Changes, parts: Sequence[nn.Module]) -> None:
    """Run compiled parts of a model as they were written, as long as the changes last.

    Compiled code calls no hook that came after it.
    """
    if not any(map(_is_compiled, parts)):
        return
    with lock:
        changes.note(partial(_end_run, changes))
        _runs.add(changes)
        if not _stances:
            _stances.append(torch.compiler.set_stance("force_eager"))


def _end_run(changes: Changes) -> None:
    """Restore the setting after the last run."""
    with lock:
        _runs.discard(changes)
        while _stances and not _runs:
            _stances[-1].__exit__(None, None, None)
            _stances.pop()


def _is_compiled(part: nn.Module) -> bool:
    is_wrapped = "_orig_mod" in part._modules or part._compiled_call_impl is not None
    return is_wrapped or hasattr(vars(part).get("forward"), "_torchdynamo_orig_callable")


def push_mode(changes: Changes, mode: TorchFunctionMode) -> None:
    """Let a mode see what this thread computes with torch, as long as the changes last."""
    changes.note(partial(_remove_mode, mode))
    _push_mode(mode)  # type: ignore[no-untyped-call]


def _remove_mode(mode: TorchFunctionMode) -> None:
    """Take a mode from among those of this thread, wherever it stands: others may end later."""
    modes = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    for _ in modes[modes.index(mode) :] if mode in modes else ():
        _pop_mode()  # type: ignore[no-untyped-call]
    for later in modes[modes.index(mode) + 1 :] if mode in modes else ():
        _push_mode(later)  # type: ignore[no-untyped-call]


# Where a module of torch keeps its hooks, and what it notes about them, by number.
_HOOKS = {
    "_forward_hooks": ("_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
    "_forward_pre_hooks": ("_forward_pre_hooks_with_kwargs",),
}


def hook_before(changes: Changes, parts: Iterable[nn.Module], function: Callable[..., Any]) -> None:
    """Let modules call a function before they run, with all of their arguments.

    Args:
        changes: what the hooks last as long as.
        parts: the modules.
        function: is called with the module, its arguments and its named arguments.
    """
    modules = list(parts)
    changes.note(partial(unhook, modules, function))
    for part in modules:
        part.register_forward_pre_hook(function, with_kwargs=True)


def hook_after(
    changes: Changes,
    parts: Iterable[nn.Module],
    function: Callable[..., Any],
    *,
    with_kwargs: bool = False,
    always_call: bool = False,
) -> None:
    """Let modules call a function after they have run.

    Args:
        changes: what the hooks last as long as.
        parts: the modules.
        function: is called with the module, its arguments and what it returns.
        with_kwargs: call it with the named arguments too, before what the module returns.
        always_call: call it also when the module has failed.
    """
    modules = list(parts)
    changes.note(partial(unhook, modules, function))
    for part in modules:
        part.register_forward_hook(function, with_kwargs=with_kwargs, always_call=always_call)


def unhook(parts: Sequence[nn.Module], function: Callable[..., Any]) -> None:
    """Remove a function from the hooks of modules, also one that is registered in part only."""
    for part in parts:
        for name, notes in _HOOKS.items():
            for number, hook in list(vars(part)[name].items()):
                if hook is function:
                    for note in notes:
                        vars(part)[note].pop(number, None)
                    # Last: by the hook its number is found again after an interruption.
                    vars(part)[name].pop(number, None)
