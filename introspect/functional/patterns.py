"""What a head's pattern looks like, whatever it means: spread, sinks, positions.

All functions take ``(..., query_len, key_len)`` and give float64. Those first named give one number
for each pattern, ``(...)``; rows that a model leaves empty (a mask that lets them look nowhere)
count as they are. Those named ``row_...`` give one for each query, ``(..., query_len)``, so that
means over many texts can leave rows out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

__all__ = [
    "entropy",
    "mass_on",
    "offset_keys",
    "offset_mass",
    "row_distance",
    "row_entropy",
    "row_masses",
    "visible_keys",
]


def entropy(attentions: torch.Tensor) -> torch.Tensor:
    r"""How widely a head spreads its attention, in bits, in the mean over queries.

    .. math:: -\frac{1}{n} \sum_i \sum_j \alpha_{ij} \log_2 \alpha_{ij}

    0 for heads that look at one token, :math:`\log_2` of the number of keys for even attention.

    Source: Clark et al. 2019, "What Does BERT Look At?", section 3.3.

    Example:
        >>> entropy(torch.tensor([[0.5, 0.5], [1.0, 0.0]]))
        tensor(0.5000, dtype=torch.float64)
    """
    return row_entropy(attentions).mean(-1)


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


def row_entropy(attentions: torch.Tensor) -> torch.Tensor:
    r"""How widely each query spreads its attention, in bits.

    .. math:: -\sum_j \alpha_{ij} \log_2 \alpha_{ij}

    Returns:
        ``(..., query_len)``, from 0 to :math:`\log_2` of the number of keys; NaN where the
        row has NaN.

    Example:
        >>> row_entropy(torch.tensor([[0.5, 0.5], [1.0, 0.0]])) + 0.0
        tensor([1., 0.], dtype=torch.float64)
    """
    weights = attentions.double()
    bits: torch.Tensor = -torch.special.xlogy(weights, weights).sum(-1) / math.log(2)
    return bits


def row_distance(attentions: torch.Tensor) -> torch.Tensor:
    r"""How far from itself each query looks, in tokens.

    .. math:: \sum_j \alpha_{ij} |i - j|

    Args:
        attentions: ``(..., length, length)``, of a text over itself.

    Returns:
        ``(..., length)``, from 0 to ``length - 1``.

    Example:
        >>> row_distance(torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]))
        tensor([0.0000, 1.0000, 1.5000], dtype=torch.float64)
    """
    query_len, key_len = attentions.shape[-2:]
    apart = (torch.arange(query_len)[:, None] - torch.arange(key_len)).abs().double()
    distance: torch.Tensor = (attentions.double() * apart).sum(-1)
    return distance


def row_masses(attentions: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """How much each query gives to the keys of each role.

    Args:
        attentions: ``(..., query_len, key_len)``.
        keys: ``(num_roles, query_len, key_len)``, bool: the keys of a role, seen from each query.

    Returns:
        ``(num_roles, ..., query_len)``, from 0 to 1; 0 where a role has no key for the query, and
        NaN for a row with NaN.

    Example:
        >>> row_masses(torch.tensor([[0.7, 0.3], [0.1, 0.9]]), torch.eye(2).bool()[None])
        tensor([[0.7000, 0.9000]], dtype=torch.float64)
    """
    return torch.einsum("...qk,rqk->r...q", attentions.double(), keys.double())


def offset_keys(query_len: int, key_len: int, offset: int) -> torch.Tensor:
    """The key that stands ``offset`` places after each query, as ``(query_len, key_len)`` bool.

    Example:
        >>> offset_keys(2, 2, -1).tolist()
        [[False, False], [True, False]]
    """
    places = torch.arange(key_len) - torch.arange(query_len)[:, None]
    return places == offset


def visible_keys(attentions: torch.Tensor) -> torch.Tensor:
    """Which keys the mask lets each query see.

    The mask is the same for all heads of a layer and gives weights of exactly 0. It is taken for a
    band, which causal masks and sliding windows are: the offsets from the furthest before to the
    furthest after a query at which any head of the layer gives any query's attention. Within it, 0
    is what a head gave, also where half precision has rounded a small weight down. Masks of other
    shapes (some keys that all can see, beside a window) are taken for the band around them.

    Args:
        attentions: ``(..., num_heads, length, length)``, all rows.

    Returns:
        ``(..., length, length)``, bool. A weight that is NaN shows nothing.

    Example:
        >>> visible_keys(torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]]))
        tensor([[ True, False, False],
                [ True,  True, False],
                [False,  True,  True]])
    """
    given = ((attentions != 0) & ~attentions.isnan()).any(dim=-3)
    query_len, key_len = given.shape[-2:]
    offsets = torch.arange(key_len) - torch.arange(query_len)[:, None]
    outside = query_len + key_len
    lowest = offsets.where(given, outside).flatten(-2).amin(-1)[..., None, None]
    highest = offsets.where(given, -outside).flatten(-2).amax(-1)[..., None, None]
    return (lowest <= offsets) & (offsets <= highest)
