"""The route through transformers' attention interface.

Most models look up the function that computes attention in ``ALL_ATTENTION_FUNCTIONS``. A function
registered there under our own name receives each attention module with its queries, keys, values
and mask. It calls the eager function of the model's *own* file, so soft-capping, sinks, position
bias and sliding windows are the model's, and passes the weights to the active watcher.

Configurations are shared between threads, so a run in a thread without a watcher can arrive here
too, if it overlaps with a capture in another thread. It gets both the mask and the attention
function of the model's own implementation: a mask made for one implementation is wrong for another,
and the sdpa mask of a causal model is often ``None``.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, Protocol

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from introspect.changes import Changes
from introspect.errors import CaptureError
from introspect.hooks.loans import own_implementation
from introspect.hooks.running import Sign

#: The name under which the watched attention is registered with transformers.
IMPLEMENTATION = "introspect"

_EAGER_NAME = "eager_attention_forward"


@dataclass(frozen=True, eq=False)
class OwnFunctions:
    """The functions that compute an attention that is not called through the interface.

    Args:
        plain: computes it as it is computed unwatched, from a module, queries, keys, values, a mask
            and the remaining arguments.
        eager: computes it with its weights.
        sign: by what it is told from the module's other attentions.
        is_eager: whether it is computed with its weights when it is not watched.
        is_cross: whether the keys are of another sequence than the queries.
    """

    plain: Callable[..., Attended]
    eager: Callable[..., Attended]
    sign: Sign
    is_eager: bool = False
    is_cross: bool = False


@dataclass(frozen=True, eq=False)
class AttentionCall:
    """What one attention module passes to the function that computes attention.

    Args:
        module: the attention module.
        queries: ``(batch, num_heads, query_len, head_dim)``, after rotary embedding.
        keys: ``(batch, num_key_value_heads, key_len, head_dim)``, before they are repeated.
        values: ``(batch, num_key_value_heads, key_len, value_dim)``, before they are repeated.
        mask: the mask, made by the mask function that the watcher selects.
        arguments: the remaining positional and keyword arguments.
        own: what computes it, where it is not called through the interface.
    """

    module: nn.Module
    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    mask: torch.Tensor | None
    arguments: tuple[tuple[Any, ...], Mapping[str, Any]]
    own: OwnFunctions | None = None

    @property
    def is_edited(self) -> bool:
        """Return whether an intervention changes what is computed."""
        return False

    @property
    def is_eager(self) -> bool:
        """Return whether the model computes attention eagerly when it is not watched."""
        if self.own is not None:
            return self.own.is_eager
        return _unwatched_name(getattr(self.module, "config", None)) == "eager"

    def eager(self) -> Attended:
        """Compute the attention with the eager function of the model's own file.

        That adds the mask to the scores. What the model runs unwatched reads a mask of bool as the
        keys that may be seen, so one is made additive first; a model that runs eagerly anyway adds
        it as it is, and is shown as it is.
        """
        if self.own is not None:
            return self._with(self.own.eager)
        mask = self.mask
        if torch.is_tensor(mask) and mask.dtype == torch.bool and not self.is_eager:
            lowest = torch.finfo(self.queries.dtype).min
            mask = torch.zeros_like(mask, dtype=self.queries.dtype).masked_fill_(~mask, lowest)
            return replace(self, mask=mask)._with(own_eager(self.module))
        return self._with(own_eager(self.module))

    def plain(self) -> Attended:
        """Compute the attention as the model does when it is not watched."""
        return self._with(_unwatched_attention(self.module) if self.own is None else self.own.plain)

    def _with(self, function: Callable[..., Attended]) -> Attended:
        positional, named = self.arguments
        parts = (self.queries, self.keys, self.values, self.mask)
        return function(self.module, *parts, *positional, **named)


# The output per head, (batch, query_len, num_heads, value_dim), and the weights if there are any.
Attended = tuple[torch.Tensor, torch.Tensor | None]


class Watcher(Protocol):
    """Computes attention in the model's place, and keeps the parts it needs."""

    #: Whether masks must be made for eager attention, and not for the model's own implementation.
    needs_eager_masks: bool

    def attend(self, call: AttentionCall) -> Attended:
        """Compute the attention of one module."""
        ...


class Editor(Protocol):
    """Changes what attention modules compute, with any watcher or none."""

    def edited(self, call: AttentionCall) -> AttentionCall:
        """Return the call with the edits applied."""
        ...


@dataclass(frozen=True, eq=False)
class _OpenEditor:
    """An editor, and what it lasts as long as."""

    editor: Editor
    changes: Changes

    @property
    def is_active(self) -> bool:
        # A context may be copied into a task or a thread that outlasts the intervention.
        return self.changes.is_open and self.changes.is_of_here


# Context variables, not globals: each thread sees only what it set itself.
_watcher: ContextVar[Watcher | None] = ContextVar("introspect_watcher", default=None)
_editors: ContextVar[tuple[_OpenEditor, ...]] = ContextVar("introspect_editors", default=())


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Let ``watcher`` compute every attention of this thread while the context is open."""
    before = _watcher.get()
    with Changes() as changes:
        changes.note(partial(_look_away, watcher, before))
        _watcher.set(watcher)
        yield


def _look_away(watcher: Watcher, before: Watcher | None) -> None:
    """Give the attention back to the watcher before; another context has its own."""
    if _watcher.get() is watcher:
        _watcher.set(before)


def edit_by(changes: Changes, editor: Editor) -> None:
    """Let ``editor`` change every attention of this thread, after the editors already active.

    Args:
        changes: what it lasts as long as. Editors may end in any order.
        editor: the editor.
    """
    own = _OpenEditor(editor, changes)
    changes.note(partial(_end_editor, own))
    _editors.set((*_active(), own))


def _end_editor(own: _OpenEditor) -> None:
    if own in _editors.get():
        _editors.set(tuple(each for each in _editors.get() if each is not own))


@contextmanager
def unedited() -> Iterator[None]:
    """Compute every attention of this thread without edits while the context is open."""
    before = _editors.get()
    with Changes() as changes:
        changes.note(partial(_editors.set, before))
        _editors.set(())
        yield


def active_editors() -> tuple[Editor, ...]:
    """Return the editors that change the attention of this thread."""
    return tuple(each.editor for each in _active())


def _active() -> tuple[_OpenEditor, ...]:
    return tuple(each for each in _editors.get() if each.is_active)


def _watched_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *args: Any,
    **kwargs: Any,
) -> Attended:
    return attended(AttentionCall(module, query, key, value, attention_mask, (args, kwargs)))


def attended(call: AttentionCall) -> Attended:
    """Compute an attention with the edits of this thread, by its watcher if there is one."""
    watcher, editors = _watcher.get(), active_editors()
    if watcher is not None or editors:
        check_readable(type(call.module).__name__, (call.queries, call.keys, call.values))
    for editor in editors:
        call = editor.edited(call)
    return watcher.attend(call) if watcher else call.plain()


def unreadable(given: Iterable[Any]) -> str:
    """Return the form of tensors that cannot be kept or changed by text and head, or ``""``."""
    for each in given:
        if torch.is_tensor(each):
            if each.is_nested:
                return "nested tensors"
            if torch._C._functorch.is_batchedtensor(each):
                return "vmap"
    return ""


def check_readable(name: str, given: Iterable[Any]) -> None:
    """Check that what attention is given can be kept and changed.

    Args:
        name: the name of what attends, for the error.
        given: what it is given.

    Raises:
        CaptureError: it is nested, or of a function that torch maps over a batch.
    """
    if form := unreadable(given):
        raise not_readable(name, form)


def not_readable(name: str, form: str) -> CaptureError:
    """Return the error of attention over tensors in a form that cannot be kept or changed.

    Args:
        name: the name of what attends.
        form: the form, as ``unreadable`` names it.
    """
    return CaptureError(
        f"Expected a batch of tensors of one length in the attention of {name}, got "
        f"{_UNREADABLE[form]}"
    )


# What a reader is told of each form.
_UNREADABLE = {
    "nested tensors": "nested ones. Pad them (torch.nested.to_padded_tensor) and give a mask of "
    "the padding.",
    "vmap": "one item at a time, within torch.func.vmap, whose tensors do not outlast it. Give the "
    "attention the whole batch instead.",
}


def _watched_mask(*args: Any, config: Any = None, **kwargs: Any) -> Any:
    watcher = _watcher.get()
    is_eager = watcher is not None and watcher.needs_eager_masks
    name = "eager" if is_eager else _unwatched_name(config)
    function = ALL_MASK_ATTENTION_FUNCTIONS.get(name)
    return None if function is None else function(*args, config=config, **kwargs)


def _unwatched_attention(module: nn.Module) -> Callable[..., Attended]:
    """Return the function that the module would call if no other thread watched it."""
    name = _unwatched_name(getattr(module, "config", None))
    if name == "eager":
        return own_eager(module)
    return ALL_ATTENTION_FUNCTIONS[name]  # type: ignore[no-any-return]


def _unwatched_name(config: Any) -> str:
    name = None if config is None else own_implementation(config)
    # A model that was loaded under our own name runs eagerly when it is not watched.
    return "eager" if name in (None, IMPLEMENTATION) else str(name)


def own_eager(module: nn.Module) -> Callable[..., Attended]:
    """Return the eager attention function of the file that defines the module's class.

    Raises:
        CaptureError: that file has none.
    """
    for cls in type(module).__mro__:
        forward = cls.__dict__.get("forward")
        plain = inspect.unwrap(forward) if forward else None
        # A file may have one for each of its towers (Llama 4): its code names the one it takes.
        code = getattr(plain, "__code__", None)
        named = [] if code is None else [n for n in code.co_names if n.endswith(_EAGER_NAME)]
        places = [getattr(plain, "__globals__", {})] if forward else []
        places.append(getattr(sys.modules.get(cls.__module__), "__dict__", {}))
        for place in places:
            for name in (*named, _EAGER_NAME):
                if function := place.get(name):
                    return function  # type: ignore[no-any-return]
    raise CaptureError(
        f"Expected an eager attention function beside {type(module).__name__}, but "
        f"{type(module).__module__} has none named {_EAGER_NAME}. "
        "This architecture cannot be captured through the attention interface."
    )


@cache
def uses_interface(forward: Callable[..., Any]) -> bool:
    """Return whether a `forward` computes attention through transformers' attention interface."""
    code = getattr(inspect.unwrap(forward), "__code__", None)
    return code is not None and "ALL_ATTENTION_FUNCTIONS" in code.co_names


AttentionInterface.register(IMPLEMENTATION, _watched_attention)
# Without an entry here transformers passes no mask at all, and a causal model silently attends to
# the future.
AttentionMaskInterface.register(IMPLEMENTATION, _watched_mask)
