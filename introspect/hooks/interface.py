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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from introspect.errors import CaptureError
from introspect.hooks.borrowing import own_implementation

__all__ = ["IMPLEMENTATION", "Watcher", "watching"]

#: The name under which the watched attention is registered with transformers.
IMPLEMENTATION = "introspect"

_EAGER_NAME = "eager_attention_forward"

Watcher = Callable[[nn.Module, torch.Tensor], None]

# A context variable, not a global: each thread sees only the watcher it set itself.
_watcher: ContextVar[Watcher | None] = ContextVar("introspect_watcher", default=None)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Call ``watcher(attention_module, weights)`` for every attention of this thread.

    ``weights`` are ``(batch, num_heads, query_len, key_len)``.
    """
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def _watched_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *args: Any,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    watcher = _watcher.get()
    function = _own_eager(module) if watcher else _unwatched_attention(module)
    output, weights = function(module, query, key, value, attention_mask, *args, **kwargs)
    if watcher:
        watcher(module, weights)
    return output, weights


def _watched_mask(*args: Any, config: Any = None, **kwargs: Any) -> Any:
    name = "eager" if _watcher.get() else _unwatched_name(config)
    function = ALL_MASK_ATTENTION_FUNCTIONS.get(name)
    return None if function is None else function(*args, config=config, **kwargs)


def _unwatched_attention(module: nn.Module) -> Callable[..., tuple[torch.Tensor, Any]]:
    """What the module would have called if no other thread watched it."""
    name = _unwatched_name(getattr(module, "config", None))
    if name == "eager":
        return _own_eager(module)
    return ALL_ATTENTION_FUNCTIONS[name]  # type: ignore[no-any-return]


def _unwatched_name(config: Any) -> str:
    name = None if config is None else own_implementation(config)
    # A model that was itself loaded under our name runs eager where nobody watches.
    return "eager" if name in (None, IMPLEMENTATION) else str(name)


def _own_eager(module: nn.Module) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
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
