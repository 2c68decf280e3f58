"""When two computations of one thing count as the same: up to the rounding of another kernel."""

from __future__ import annotations

import torch

__all__ = ["same_output"]

_SAME_OUTPUT = {torch.float32: 1e-4, torch.float64: 1e-8}
_SAME_OUTPUT_HALF = 3e-2


def same_output(dtype: torch.dtype) -> float:
    """How far apart they may be, in units of the largest value, or of 1 if that is smaller."""
    return _SAME_OUTPUT.get(dtype, _SAME_OUTPUT_HALF)
