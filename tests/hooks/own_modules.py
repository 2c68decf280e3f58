"""What the tests of modules that are none of transformers share."""

from __future__ import annotations

import torch
from torch import nn

from tests.own_modules_zoo import (
    BATCH,
    LENGTH,
    Batched,
    Block,
    Fused,
    Stack,
)

ONE_AT_A_TIME = (Fused, Batched)


def stack(kind: type[Block]) -> Stack:
    """Two layers of a form, whose heads do not attend evenly."""
    module = Stack(kind).eval()
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if "queries" in name or "keys" in name:
                weight.mul_(4)
    return module


def ids(length: int = LENGTH, kind: type[Block] = Block) -> torch.Tensor:
    """A batch of texts of tokens; one text for forms in which texts and heads are one dimension."""
    return torch.randint(0, 40, (1 if kind in ONE_AT_A_TIME else BATCH, length))


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference of two tensors of one shape."""
    assert one.shape == other.shape
    return float((one.detach().double() - other.detach().double()).abs().max())


def is_clean(module: nn.Module) -> bool:
    """Whether nothing is left on a module, nor in this thread."""
    hooks = [*module.modules()]
    return not any(part._forward_pre_hooks or part._forward_hooks for part in hooks) and not (
        torch.overrides._get_current_function_mode_stack()
    )
