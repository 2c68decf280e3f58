"""How far apart two right computations of the same numbers may be, on any processor.

Another kernel, another batch or another processor adds the same products in another order. What
that may change follows from the type that they were computed in and from their size, so it is
written here once, and not as a number in a test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

#: Roundings that two ways of computing the same number may differ by.
_ROUNDINGS = 32


def tolerance(*compared: Any, dtype: torch.dtype = torch.float32) -> float:
    """The largest difference that says nothing: roundings of ``dtype`` at the largest size.

    Weights and shares are at most 1, and what is smaller was added up from those: sizes count
    from 1.
    """
    largest = max((_largest(values) for values in compared), default=1.0)
    return _ROUNDINGS * torch.finfo(dtype).eps * max(1.0, largest)


def assert_close(found: Any, expected: Any, *, dtype: torch.dtype = torch.float32) -> None:
    """Tensors, arrays or lists of one shape, computed in ``dtype`` in two ways; NaN is NaN."""
    np.testing.assert_allclose(
        _array(found), _array(expected), rtol=0, atol=tolerance(expected, dtype=dtype)
    )


def assert_same_table(
    found: pd.DataFrame, expected: pd.DataFrame, *, dtype: torch.dtype = torch.float32
) -> None:
    """Tables whose numbers come from ``dtype`` in two ways; everything else is equal."""
    sizes = tolerance(expected.select_dtypes("floating"), dtype=dtype)
    pd.testing.assert_frame_equal(found, expected, rtol=0, atol=sizes)


def _array(values: Any) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)


def _largest(values: Any) -> float:
    sizes = np.abs(_array(values))
    return float(np.max(sizes, initial=0.0, where=np.isfinite(sizes)))
