"""Weights that accelerate keeps elsewhere until a module runs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def own_parameter(module: nn.Module, name: str) -> torch.Tensor | None:
    """Return a parameter of a module, brought into memory if it is kept elsewhere.

    Args:
        module: the module.
        name: the name of the parameter.
    """
    tensor: Any = getattr(module, name, None)
    if not torch.is_tensor(tensor):
        return None
    hook: Any = getattr(module, "_hf_hook", None)
    if tensor.device.type != "meta" or hook is None:
        return tensor.detach()
    hook.pre_forward(module)
    try:
        loaded: torch.Tensor = getattr(module, name).detach().clone()
        return loaded
    finally:
        hook.post_forward(module, torch.empty(0))
