"""A module without what a run of transformers leaves on it, which cannot be pickled."""

from __future__ import annotations

import copy

from torch import nn

# transformers' own, put back by its next run.
_LEFT_BY = "transformers.utils.output_capturing"
_INSTALLED = "_output_capturing_hooks_installed"


def without_left_hooks(module: nn.Module, copies: dict[int, nn.Module] | None = None) -> nn.Module:
    """Return a module that shares all weights, without the hooks that a run has left on it.

    The module itself stays as it is, and other hooks are kept.
    """
    copies = {} if copies is None else copies
    if id(module) in copies:
        return copies[id(module)]
    bare: nn.Module = copy.copy(module)
    copies[id(module)] = bare
    state = vars(bare)
    state.pop(_INSTALLED, None)
    state["_forward_hooks"] = type(module._forward_hooks)(
        (key, hook)
        for key, hook in module._forward_hooks.items()
        if getattr(hook, "__module__", None) != _LEFT_BY
    )
    state["_modules"] = {
        name: None if part is None else without_left_hooks(part, copies)
        for name, part in module._modules.items()
    }
    return bare
