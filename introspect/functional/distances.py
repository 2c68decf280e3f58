"""Distances between attention rows: total variation and Jensen–Shannon.

All functions take two tensors of the same shape ``(..., keys)`` and return one number for each pair
of rows, ``(...)``, in float64. A row with a missing weight (NaN) has a missing distance: a sum over
the other keys would underestimate it.

Rows of attention sum to 1. Where only some of their keys can be compared, they sum to less; the
distances are then over these keys, and still range from 0 to 1.
"""

from __future__ import annotations

import math

import torch

__all__ = ["jensen_shannon_distance", "total_variation"]


def total_variation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    r"""Compute the share of attention that must be moved to turn one row into the other.

    .. math:: \frac{1}{2} \sum_j |a_j - b_j|

    Args:
        a: ``(..., keys)``.
        b: the same shape, or one that broadcasts with ``a``.

    Returns:
        From 0 (the same) to 1 (no key in common), dimensionless; NaN where a weight is missing.

    Source: Levin, Peres and Wilmer 2009, "Markov Chains and Mixing Times", proposition 4.2.

    Example:
        >>> total_variation(torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.5, 0.0, 0.5]))
        tensor(0.5000, dtype=torch.float64)
    """
    distance: torch.Tensor = (a.double() - b.double()).abs().sum(-1) / 2
    return distance


def jensen_shannon_distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    r"""Compute the square root of the Jensen–Shannon divergence to base 2, which is a metric.

    .. math:: \sqrt{\frac{1}{2} \sum_j \left( a_j \log_2 \frac{a_j}{m_j}
              + b_j \log_2 \frac{b_j}{m_j} \right)}, \quad m = \frac{a + b}{2}

    Unlike total variation, it gives more importance to a change of a small weight than to the same
    change of a large one.

    Args:
        a: ``(..., keys)``.
        b: the same shape, or one that broadcasts with ``a``.

    Returns:
        From 0 (the same) to 1 (no key in common), the square root of bits; NaN where a weight is
        missing.

    Source: Endres and Schindelin 2003, "A new metric for probability distributions".

    Example:
        >>> jensen_shannon_distance(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
        tensor(1., dtype=torch.float64)
    """
    left, right = a.double(), b.double()
    middle = (left + right) / 2
    bits = (_relative(left, middle) + _relative(right, middle)).sum(-1) / 2
    # Rounding can make the divergence of equal rows slightly negative.
    distance: torch.Tensor = bits.clamp(min=0).sqrt()
    return distance


def _relative(row: torch.Tensor, middle: torch.Tensor) -> torch.Tensor:
    """Compute ``row × log2(row / middle)``, 0 where the row is 0; NaN stays NaN."""
    # The middle is 0 only where the row is 0, and any other divisor gives the same result there.
    ratio = row / torch.where(middle == 0, 1.0, middle)
    bits: torch.Tensor = torch.special.xlogy(row, ratio) / math.log(2)
    return bits
