"""The tolerance within which two computations count as equal: the rounding of another kernel."""

from __future__ import annotations

import torch

__all__ = ["same_output"]

_SAME_OUTPUT = {torch.float32: 1e-4, torch.float64: 1e-8}
_SAME_OUTPUT_HALF = 3e-2


def same_output(dtype: torch.dtype) -> float:
    """Return the largest difference allowed, in units of the larger of 1 and the largest value."""
    return _SAME_OUTPUT.get(dtype, _SAME_OUTPUT_HALF)
