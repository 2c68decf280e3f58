"""What a head's pattern looks like, whatever it means: spread, sinks, positions.

All functions take ``(..., query_len, key_len)`` and give one number for each pattern, ``(...)``, in
float64. Rows that a model leaves empty (a mask that lets them look nowhere) count as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

__all__ = ["entropy", "mass_on", "offset_mass"]


def entropy(attentions: torch.Tensor) -> torch.Tensor:
    r"""How widely a head spreads its attention, in bits, in the mean over queries.

    .. math:: -\frac{1}{n} \sum_i \sum_j \alpha_{ij} \log_2 \alpha_{ij}

    0 for heads that look at one token, :math:`\log_2` of the number of keys for even attention.

    Source: Clark et al. 2019, "What Does BERT Look At?", section 3.3.

    Example:
        >>> entropy(torch.tensor([[0.5, 0.5], [1.0, 0.0]]))
        tensor(0.5000, dtype=torch.float64)
    """
    weights = attentions.double()
    bits: torch.Tensor = -torch.special.xlogy(weights, weights).sum(-1).mean(-1) / math.log(2)
    return bits


def mass_on(
    attentions: torch.Tensor, keys: Sequence[bool], queries: Sequence[bool] | None = None
) -> torch.Tensor:
    """How much of a query's attention goes to some of the keys, in the mean over queries.

    Args:
        attentions: ``(..., query_len, key_len)``.
        keys: which keys, for example the special tokens.
        queries: over which queries; all by default.

    Returns:
        From 0 to 1; NaN without any query.

    Example:
        >>> mass_on(torch.tensor([[0.7, 0.3], [0.1, 0.9]]), [True, False])
        tensor(0.4000, dtype=torch.float64)
    """
    rows = attentions.double()
    if queries is not None:
        rows = rows[..., torch.tensor(list(queries), dtype=torch.bool), :]
    return rows[..., torch.tensor(list(keys), dtype=torch.bool)].sum(-1).mean(-1)


def offset_mass(attentions: torch.Tensor, offset: int) -> torch.Tensor:
    """How much a token gives to the one that stands ``offset`` places after it.

    -1 is the previous token, 0 the token itself, 1 the next one; the mean is over queries that have
    such a token.

    Returns:
        From 0 to 1; NaN where no query has one.

    Example:
        >>> offset_mass(torch.tensor([[1.0, 0.0], [0.8, 0.2]]), -1)
        tensor(0.8000, dtype=torch.float64)
    """
    return attentions.double().diagonal(offset, dim1=-2, dim2=-1).mean(-1)
