"""The route through transformers' attention interface.

Most models ask ``ALL_ATTENTION_FUNCTIONS`` for the function that computes attention. A function
registered there under a name of our own receives each attention module with its queries, keys,
values and mask. It calls the eager function of the model's *own* file, so soft-capping, sinks,
position bias and sliding windows are the model's, and hands the weights to whoever is watching.

Configurations are shared between threads, so a run in a thread that watches nothing can come here
too, begun before or ended after a capture elsewhere. It gets the mask and the attention function
of the model's own implementation, always both: a mask of one is wrong for another, and a causal
model's sdpa mask is often none at all.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from introspect.errors import CaptureError
from introspect.hooks.borrowing import own_implementation

__all__ = [
    "IMPLEMENTATION",
    "Attended",
    "AttentionCall",
    "Editor",
    "Watcher",
    "active_editors",
    "edited_by",
    "unedited",
    "watching",
]

#: The name under which the watched attention is registered with transformers.
IMPLEMENTATION = "introspect"

_EAGER_NAME = "eager_attention_forward"


@dataclass(frozen=True, eq=False)
class AttentionCall:
    """What one attention module hands to the function that computes attention.

    Args:
        module: the attention module.
        queries: ``(batch, num_heads, query_len, head_dim)``, after rotary embedding.
        keys: ``(batch, num_key_value_heads, key_len, head_dim)``, before they are repeated.
        values: ``(batch, num_key_value_heads, key_len, value_dim)``, before they are repeated.
        mask: as the mask function of the watcher's choice made it.
        arguments: what else was given by position, and by name.
    """

    module: nn.Module
    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    mask: torch.Tensor | None
    arguments: tuple[tuple[Any, ...], Mapping[str, Any]]

    @property
    def is_edited(self) -> bool:
        """Whether an intervention changes what is computed."""
        return False

    @property
    def is_eager(self) -> bool:
        """Whether the model computes eagerly when nobody watches."""
        return _unwatched_name(getattr(self.module, "config", None)) == "eager"

    def eager(self) -> Attended:
        """Compute it with the eager function of the model's own file."""
        return self._with(own_eager(self.module))

    def plain(self) -> Attended:
        """Compute it as the model does when nobody watches."""
        return self._with(_unwatched_attention(self.module))

    def _with(self, function: Callable[..., Attended]) -> Attended:
        positional, named = self.arguments
        parts = (self.queries, self.keys, self.values, self.mask)
        return function(self.module, *parts, *positional, **named)


# The output per head, (batch, query_len, num_heads, value_dim), and the weights if there are any.
Attended = tuple[torch.Tensor, torch.Tensor | None]


class Watcher(Protocol):
    """Computes attention in the model's place, and takes what it wants to see of it."""

    #: Whether masks are to be made for eager attention, or as the model's own implementation
    #: wants them.
    needs_eager_masks: bool

    def attend(self, call: AttentionCall) -> Attended:
        """Compute the attention of one module."""
        ...


class Editor(Protocol):
    """Changes what attention modules compute, whoever watches."""

    def edited(self, call: AttentionCall) -> AttentionCall:
        """The call as it is to be computed."""
        ...


# Context variables, not globals: each thread sees only what it set itself.
_watcher: ContextVar[Watcher | None] = ContextVar("introspect_watcher", default=None)
_editors: ContextVar[tuple[Editor, ...]] = ContextVar("introspect_editors", default=())


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Let ``watcher`` compute every attention of this thread."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


@contextmanager
def edited_by(editor: Editor) -> Iterator[None]:
    """Let ``editor`` change every attention of this thread, after those that do so already."""
    token = _editors.set((*_editors.get(), editor))
    try:
        yield
    finally:
        _editors.reset(token)


@contextmanager
def unedited() -> Iterator[None]:
    """Let every attention of this thread be computed as the model would."""
    token = _editors.set(())
    try:
        yield
    finally:
        _editors.reset(token)


def active_editors() -> tuple[Editor, ...]:
    """Who changes the attention of this thread."""
    return _editors.get()


def _watched_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *args: Any,
    **kwargs: Any,
) -> Attended:
    call = AttentionCall(module, query, key, value, attention_mask, (args, kwargs))
    for editor in _editors.get():
        call = editor.edited(call)
    watcher = _watcher.get()
    return watcher.attend(call) if watcher else call.plain()


def _watched_mask(*args: Any, config: Any = None, **kwargs: Any) -> Any:
    watcher = _watcher.get()
    is_eager = watcher is not None and watcher.needs_eager_masks
    name = "eager" if is_eager else _unwatched_name(config)
    function = ALL_MASK_ATTENTION_FUNCTIONS.get(name)
    return None if function is None else function(*args, config=config, **kwargs)


def _unwatched_attention(module: nn.Module) -> Callable[..., Attended]:
    """What the module would have called if no other thread watched it."""
    name = _unwatched_name(getattr(module, "config", None))
    if name == "eager":
        return own_eager(module)
    return ALL_ATTENTION_FUNCTIONS[name]  # type: ignore[no-any-return]


def _unwatched_name(config: Any) -> str:
    name = None if config is None else own_implementation(config)
    # A model that was itself loaded under our name runs eager where nobody watches.
    return "eager" if name in (None, IMPLEMENTATION) else str(name)


def own_eager(module: nn.Module) -> Callable[..., Attended]:
    """The eager attention function of the file in which the module's class is written.

    Raises:
        CaptureError: that file has none.
    """
    for cls in type(module).__mro__:
        forward = cls.__dict__.get("forward")
        places = [getattr(inspect.unwrap(forward), "__globals__", {})] if forward else []
        places.append(getattr(sys.modules.get(cls.__module__), "__dict__", {}))
        for place in places:
            if function := place.get(_EAGER_NAME):
                return function  # type: ignore[no-any-return]
    raise CaptureError(
        f"Expected an eager attention function beside {type(module).__name__}, but "
        f"{type(module).__module__} has none named {_EAGER_NAME}. "
        "This architecture cannot be captured through the attention interface."
    )


AttentionInterface.register(IMPLEMENTATION, _watched_attention)
# Without an entry here transformers passes no mask at all, and a causal model attends to the
# future without a word.
AttentionMaskInterface.register(IMPLEMENTATION, _watched_mask)
