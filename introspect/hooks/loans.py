"""Change a model for the duration of a capture, and restore it afterwards.

A capture needs a different attention implementation in the model's configurations, and no dropout.
Both are attributes of objects that other threads may share, so they are borrowed: the first
borrower records the original, and the last one restores it, even after an exception.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from introspect.hooks.compiled import as_written

# The property without the underscore also writes to sub-configurations. Here every configuration is
# borrowed separately, so that models with mixed implementations are restored exactly.
_IMPLEMENTATION = "_attn_implementation_internal"


@dataclass
class _Loan:
    owner: Any  # keeps the object alive, so that its id is not reused
    original: Any
    #: The borrowed value and the thread that borrowed it; the last one is in effect.
    borrowers: list[tuple[Any, int]] = field(default_factory=list)


_Key = tuple[int, str]
_loans: dict[_Key, _Loan] = {}
_changed = threading.Condition()
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
    parts = list(module.modules())
    with (
        as_written(parts),
        _borrowed(_configs(parts), implementation, [] if keeps_training else parts),
    ):
        yield


@contextmanager
def without_dropout(module: nn.Module) -> Iterator[None]:
    """Run ``module`` without dropout, and with its current implementation.

    Use this for runs within an intervention, which has already borrowed the implementation.
    """
    parts = list(module.modules())
    with as_written(parts), _borrowed([], None, parts):
        yield


@contextmanager
def _borrowed(
    configs: Sequence[Any], implementation: str | None, parts: Sequence[nn.Module]
) -> Iterator[None]:
    """Borrow configurations for an implementation or their own, and parts for evaluation mode."""
    taken: list[_Key] = []
    try:
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
            _wait_for(wanted)
            for loan in wanted:
                # Recorded before it is taken, so that an interruption returns everything taken.
                taken.append((id(loan[0]), loan[1]))
                _take(*loan)
        yield
    finally:
        with _changed:
            for key in taken:
                _give_back(key)
            _changed.notify_all()


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
    _waiting.add(here)
    _changed.notify_all()  # a thread that waited for this one may go on
    try:
        _changed.wait_for(is_free)
    finally:
        _waiting.discard(here)


def _conflicts(owner: Any, attribute: str, value: Any) -> bool:
    loan = _loans.get((id(owner), attribute))
    if loan is None:
        return False
    is_shared = all(borrowed == value for borrowed, _ in loan.borrowers)
    # Two threads that share a loan, and each want a different one within it, would wait for each
    # other forever. A waiting thread runs nothing, so its loan does not count.
    idle = {threading.get_ident(), *_waiting}
    return not is_shared and any(thread not in idle for _, thread in loan.borrowers)


def _take(owner: Any, attribute: str, value: Any) -> None:
    key = (id(owner), attribute)
    loan = _loans.setdefault(key, _Loan(owner, getattr(owner, attribute)))
    loan.borrowers.append((value, threading.get_ident()))
    setattr(owner, attribute, value)


def _give_back(key: _Key) -> None:
    loan = _loans.get(key)
    if loan is None:
        return
    here = threading.get_ident()
    own = [place for place, (_, thread) in enumerate(loan.borrowers) if thread == here]
    del loan.borrowers[own[-1] if own else -1]
    if loan.borrowers:
        setattr(loan.owner, key[1], loan.borrowers[-1][0])
    else:
        setattr(loan.owner, key[1], loan.original)
        del _loans[key]


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
