"""The scores: the input of the softmax in an attention function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["SOFTMAX", "SoftmaxInputs", "softmax_input"]

#: All functions by which a model may call it; calls nested inside one of them are not seen again.
SOFTMAX = (torch.softmax, torch.nn.functional.softmax, torch.Tensor.softmax)


class SoftmaxInputs(TorchFunctionMode):
    """Records the input and output of every softmax of this thread while it is open.

    Example:
        >>> with SoftmaxInputs() as seen:
        ...     _ = torch.softmax(torch.tensor([1.0, 2.0]), dim=-1)
        >>> seen.pairs[0][0]
        tensor([1., 2.])
    """

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run ``function``, and record it if it is a softmax."""
        result = function(*args, **(kwargs or {}))
        if function in SOFTMAX:
            self.pairs.append((softmax_input(args, kwargs).detach(), result.detach()))
        return result


def softmax_input(args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> torch.Tensor:
    """Return the tensor among the arguments of a softmax."""
    given: torch.Tensor = args[0] if args else (kwargs or {})["input"]
    return given
