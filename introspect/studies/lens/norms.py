"""Norms as linear maps at the scale of one run, by what they were given and what they gave."""

from __future__ import annotations

import math
from itertools import product

import torch
from torch import nn

from introspect.hooks import own_parameter


def norm_form(
    norm: nn.Module | None, given: torch.Tensor, normed: torch.Tensor, close: float
) -> tuple[torch.Tensor, bool, torch.Tensor] | None:
    """Return the gain at this token's own scale, whether the mean is subtracted, and the bias."""
    zero = torch.zeros_like(given)
    if norm is None:
        return torch.ones_like(given), False, zero
    own, added = (own_parameter(norm, name) for name in ("weight", "bias"))
    weight = torch.ones_like(given) if own is None else own.double()
    shift = zero if added is None else added.double()
    if weight.shape != given.shape or shift.shape != given.shape:
        return None
    nearest = close
    found = None
    # Some count their weight from 1 (Gemma). In half precision several forms come close: a state
    # whose mean is small is normalized nearly alike with it and without it.
    for gain, is_centered in product((weight, 1 + weight), (True, False)):
        centered = given - given.mean() if is_centered else given
        scale, distance = _fitted(normed - shift, gain * centered)
        if distance <= nearest and (found is None or distance < nearest):
            nearest, found = distance, (gain * scale, is_centered, shift)
    return found


def ratio(one: torch.Tensor, other: torch.Tensor, close: float) -> float | None:
    """Return the factor between two tensors; ``None`` where there is none, up to ``close``."""
    factor, distance = _fitted(one, other)
    return factor if distance <= close else None


def _fitted(one: torch.Tensor, other: torch.Tensor) -> tuple[float, float]:
    """Return the best-fitting factor, and its deviation in units of the largest number."""
    square, largest = float((other * other).sum()), float(one.abs().max())
    if not square:
        return 0.0, math.inf
    factor = float((one * other).sum()) / square
    distance = float((one - factor * other).abs().max())
    return factor, 0.0 if not distance else distance / largest if largest else math.inf
