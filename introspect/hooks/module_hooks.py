"""Hooks of torch modules, found again by the function that they call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from torch import nn

from introspect.changes import Changes

# Where a module keeps its hooks, and what it notes about them, by number.
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
