"""Changes outside a call, which are undone wherever the call is interrupted.

Ctrl-C may come between any two steps of Python: between a change and the block that is to undo it,
at the end of a block, or while it undoes. So every change is noted here *before* it is made, with
a function that undoes it and may do so twice. Whatever a call has noted is undone when the
outermost call ends, and again if the first time is interrupted. What outlives its owner all the
same (an intervention that nobody holds any more, a thread that has ended) is undone when the next
call begins.
"""

from __future__ import annotations

import functools
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any, ParamSpec, TypeVar

__all__ = [
    "Call",
    "Changes",
    "begin",
    "change_setting",
    "current_task",
    "guarded",
    "lock",
    "locked_here",
    "scoped",
    "sweep",
    "unlock",
]

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Lock = TypeVar("_Lock")

#: Held while something is changed or undone that several threads share.
lock = threading.RLock()
# Locks that an interrupted call may have left locked.
_guarded: weakref.WeakSet[Any] = weakref.WeakSet()
# All changes that are not undone yet, by identity: adding to a dictionary cannot be half done.
_open: dict[int, Changes] = {}
_here = threading.local()


def guarded(lock: _Lock) -> _Lock:
    """Return a reentrant lock, which is unlocked at the latest when the outermost call ends.

    A call may be interrupted after it has locked it, and before the block that unlocks it.
    """
    _guarded.add(lock)
    return lock


guarded(lock)


def locked_here() -> list[Any]:
    """Return the locks that this thread holds."""
    return [each for each in _guarded if each._is_owned()]


def unlock(before: list[Any]) -> None:
    """Unlock what this thread has left locked when it was interrupted.

    Args:
        before: what it held before.
    """
    for each in locked_here():
        while each._is_owned() and not any(each is other for other in before):
            each.release()


class Changes:
    """Changes that are undone together, the last first, as a ``with`` block or by ``undo``.

    Args:
        holder: the object that the changes last as long as, where they outlast the call.

    Example:
        >>> names = {"a"}
        >>> with Changes() as changes:
        ...     changes.note(lambda: names.discard("b"))
        ...     names.add("b")
        >>> names
        {'a'}
    """

    def __init__(self, holder: object | None = None) -> None:
        self._undos: list[Callable[[], object]] = []
        self.thread = threading.current_thread()
        self.task = current_task()
        self._call = _call_here()
        self._is_abandoned = False
        self._finalizer = None if holder is None else weakref.finalize(holder, self._abandon)
        if self._finalizer is not None:
            self._finalizer.atexit = False
        _open[id(self)] = self

    @property
    def is_open(self) -> bool:
        """Return whether the changes last."""
        return id(self) in _open

    @property
    def is_of_here(self) -> bool:
        """Return whether the changes were made in this thread."""
        return self.thread is threading.current_thread()

    def note(self, undo: Callable[[], object]) -> None:
        """Note a change that is about to be made.

        Args:
            undo: undoes it. It may be called twice, or when the change was not made after all.
        """
        self._undos.append(undo)

    def undo(self) -> None:
        """Undo the changes, as far as they are not undone yet; Ctrl-C once does not prevent it."""
        if not self.is_open:
            return
        is_locked = lock._is_owned()  # type: ignore[attr-defined]
        try:
            try:
                self._undo()
            finally:
                self._undo()
        finally:
            while lock._is_owned() and not is_locked:  # type: ignore[attr-defined]
                lock.release()

    def _undo(self) -> None:
        with lock:
            while self._undos:
                self._undos[-1]()
                self._undos.pop()  # only now: if it is interrupted, it is called again
            _open.pop(id(self), None)
            if self._finalizer is not None:
                self._finalizer.detach()

    def __enter__(self) -> Changes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.undo()

    def is_stale(self) -> bool:
        """Return whether nobody is left who would undo the changes."""
        if self._is_abandoned or self.is_of_here:
            return self._is_abandoned
        # Thread.is_alive, when Ctrl-C interrupts it, takes a thread for ended ever after.
        return self.thread.ident not in sys._current_frames()

    def is_of(self, call: Call) -> bool:
        """Return whether the changes were made within a call."""
        return self._call is call

    def _abandon(self) -> None:
        """Undo the changes of a holder that is gone, now or when the next call begins.

        This may run between any two steps of any thread, so it must not wait, and must not enter
        what this very thread is in the middle of.
        """
        self._is_abandoned = True
        if lock._is_owned() or not lock.acquire(blocking=False):  # type: ignore[attr-defined]
            return
        try:
            self.undo()
        finally:
            lock.release()


def current_task() -> Any:
    """Return the asyncio task that runs, if one does."""
    events = sys.modules.get("asyncio.events")
    if events is None or events._get_running_loop() is None:
        return None
    return sys.modules["asyncio"].current_task()


class Call:
    """The outermost call in a thread, and what torch was set to when it began."""

    def __init__(self, frame: FrameType) -> None:
        self.frame: FrameType | None = frame
        torch = _torch()
        self._locked = locked_here()
        self._takes_gradients = True if torch is None else torch.is_grad_enabled()
        self._modes = 0 if torch is None else torch._C._len_torch_function_stack()

    def end(self) -> None:
        """Undo what the call has changed; a second time does nothing."""
        for changes in list(_open.values()):
            if changes.is_of(self):
                changes.undo()
        sweep()
        self._restore_torch()
        unlock(self._locked)
        if getattr(_here, "call", None) is self:
            _here.call = None
        self.frame = None

    def _restore_torch(self) -> None:
        """Restore torch's own settings, which its blocks may have been interrupted in."""
        torch = _torch()
        if torch is None:
            return
        while torch._C._len_torch_function_stack() > self._modes:
            torch.overrides._pop_mode()
        if torch.is_grad_enabled() != self._takes_gradients:
            torch.set_grad_enabled(self._takes_gradients)


class _Within:
    """A call within another, which ends nothing."""

    def end(self) -> None:
        """Do nothing."""


_WITHIN = _Within()


def begin() -> Call | _Within:
    """Begin a call: its ``end`` is to be called twice, the second time in case of an interruption.

    Calls within it, in the same thread, end nothing.
    """
    frame = sys._getframe(1)
    if _call_here() is not None:
        return _WITHIN
    call = Call(frame)
    _here.call = call
    sweep()
    return call


def scoped(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Let a function undo at its end what it has changed, wherever it is interrupted."""

    @functools.wraps(function)
    def call(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        scope = begin()
        try:
            try:
                return function(*args, **kwargs)
            finally:
                scope.end()
        finally:
            scope.end()

    return call


@dataclass
class _Setting:
    """A setting of the process: its value before the first change, and who needs it changed."""

    before: Any
    write: Callable[[Any], object]
    needed_by: list[Changes] = field(default_factory=list)


_settings: dict[str, _Setting] = {}


def change_setting(
    changes: Changes,
    name: str,
    value: Any,
    read: Callable[[], Any],
    write: Callable[[Any], object],
) -> None:
    """Change a setting of the process; the last of those that need it changed restores it.

    If each thread restored what it found, the setting could stay changed forever.

    Args:
        changes: what it lasts as long as.
        name: the name of the setting.
        value: its value meanwhile.
        read: returns its value.
        write: sets it.
    """
    with lock:
        changes.note(functools.partial(_restore_setting, changes, name))
        setting = _settings.setdefault(name, _Setting(read(), write))
        setting.needed_by.append(changes)
        write(value)


def _restore_setting(changes: Changes, name: str) -> None:
    with lock:
        setting = _settings.get(name)
        if setting is None:
            return
        setting.needed_by = [each for each in setting.needed_by if each is not changes]
        if not setting.needed_by:
            setting.write(setting.before)
            _settings.pop(name)


def sweep() -> None:
    """Undo changes whose owners are gone."""
    for changes in list(_open.values()):
        if changes.is_stale():
            changes.undo()


def _call_here() -> Call | None:
    """Return the outermost call in this thread, if it is still running."""
    call: Call | None = getattr(_here, "call", None)
    if call is None or call.frame is None:
        return None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame is call.frame:
            return call
        frame = frame.f_back
    return None


def _torch() -> Any:
    """Return torch, if it is loaded as a whole."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "overrides") and hasattr(torch, "set_grad_enabled") else None
