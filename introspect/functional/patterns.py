"""A head's pattern: the keys its mask lets it see, means over its rows, and its pieces as words.

All functions take ``(..., query_len, key_len)``. The means return one number for each pattern,
``(...)``, in float64; rows that a model leaves empty (because a mask hides all keys) count as they
are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

Groups = Sequence[Sequence[int]]

_GRAINS = 2.0**24
#: Sums of half-precision weights deviate from 1 by up to about this much.
ROUNDING = 0.02


def offsets_between(query_len: int, key_len: int) -> torch.Tensor:
    """Return how many positions each key is after each query, ``(query_len, key_len)``.

    Example:
        >>> offsets_between(2, 2).tolist()
        [[0, 1], [-1, 0]]
    """
    return torch.arange(key_len) - torch.arange(query_len)[:, None]


def visible_offsets(
    attentions: torch.Tensor, lengths: Sequence[int] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find how far before and after itself a layer's mask lets a query see.

    The mask is the same for all heads of a layer and produces weights of exactly 0. It is assumed
    to be a band, as causal masks and sliding windows are: the offsets from the furthest before to
    the furthest after a query at which any head of the layer gives attention from any query. Within
    the band, a weight of 0 is what a head gave, even where half precision has rounded a small
    weight down. A mask of another shape (such as a window plus some keys that all queries see) is
    replaced by the band around it.

    Args:
        attentions: ``(..., num_heads, length, length)``, all rows; with ``lengths``
            ``(batch, num_heads, length, length)``.
        lengths: the length of each text, where the rest is padding.

    Returns:
        Lowest and highest offset, ``(...)`` each, on the CPU; the lowest is above the highest where
        nothing is visible. Weights that are NaN are ignored.

    Example:
        >>> visible_offsets(torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]]))
        (tensor(-1), tensor(0))
    """
    length = attentions.shape[-1]
    if lengths is None:
        inside = torch.tensor(True)
    else:
        last = torch.tensor(lengths) - 1
        text = torch.arange(len(lengths))
        corners = torch.stack([attentions[text, :, last, 0], attentions[text, :, 0, last]])
        if bool(((corners != 0) & ~corners.isnan()).any(-1).all()):
            # The last token sees the first and the first sees the last: the mask has no limits.
            return -last, last
        is_token = torch.arange(length) <= last[:, None]
        inside = is_token[:, :, None] & is_token[:, None, :]
    given = ((attentions != 0) & ~attentions.isnan()).any(dim=-3).cpu() & inside
    offsets = offsets_between(length, length)
    lowest = offsets.where(given, 2 * length).flatten(-2).amin(-1)
    highest = offsets.where(given, -2 * length).flatten(-2).amax(-1)
    return lowest, highest


def visible_keys(attentions: torch.Tensor) -> torch.Tensor:
    """Return which keys the mask lets each query see: those within ``visible_offsets``.

    Args:
        attentions: ``(..., num_heads, length, length)``, all rows.

    Returns:
        ``(..., length, length)``, bool.

    Example:
        >>> visible_keys(torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]]))
        tensor([[ True, False, False],
                [ True,  True, False],
                [False,  True,  True]])
    """
    lowest, highest = (limit[..., None, None] for limit in visible_offsets(attentions))
    offsets = offsets_between(attentions.shape[-1], attentions.shape[-1])
    return (lowest <= offsets) & (offsets <= highest)


def assumed_mask(attentions: torch.Tensor) -> torch.Tensor:
    """Return which keys each query sees, for patterns whose mask is not known.

    Masks of four shapes are recognized: none, a causal one, a causal one after a prefix that all
    queries see, and a window of either. A key after the query is hidden if neither it nor any later
    key gets attention from an earlier query. A window is believed only if every key inside it gets
    attention from some head: where half precision rounds small weights to 0, the pattern has holes,
    and what lies outside of it may have been rounded as well.

    Args:
        attentions: ``(..., num_heads, query_len, key_len)``, all rows of one text.

    Returns:
        ``(..., query_len, key_len)``, bool. Attention from one text to another hides nothing.

    Example:
        >>> decisive = torch.tensor([[[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
        >>> assumed_mask(decisive)
        tensor([[ True, False, False],
                [ True,  True, False],
                [ True,  True,  True]])
    """
    query_len, key_len = attentions.shape[-2:]
    missing = attentions.isnan()
    seen = ((attentions != 0) & ~missing).any(-3)
    unknown = missing.all(-3)
    if query_len != key_len:
        return torch.ones_like(seen)
    offsets = offsets_between(query_len, key_len).to(seen.device)
    ahead = (seen & (offsets > 0)).any(-2)
    prefix = (ahead * torch.arange(1, key_len + 1, device=seen.device)).amax(-1)
    allowed = (offsets <= 0) | (torch.arange(key_len, device=seen.device) < prefix[..., None, None])
    lowest = offsets.where(seen, key_len).flatten(-2).amin(-1)[..., None, None]
    highest = offsets.where(seen, -key_len).flatten(-2).amax(-1)[..., None, None]
    window = allowed & (lowest <= offsets) & (offsets <= highest)
    is_dense = (seen | unknown | ~window).flatten(-2).all(-1)[..., None, None]
    return torch.where(is_dense & window.flatten(-2).any(-1)[..., None, None], window, allowed)


def even_attention(attentions: torch.Tensor) -> torch.Tensor:
    """Return the pattern of a head that attends equally to all that the mask lets each query see.

    Args:
        attentions: ``(..., num_heads, length, length)``, all rows.

    Returns:
        ``(..., length, length)``, float64; rows sum to 1, or are 0 where nothing is visible.

    Example:
        >>> even_attention(torch.tensor([[[1.0, 0.0], [0.9, 0.1]]]))
        tensor([[1.0000, 0.0000],
                [0.5000, 0.5000]], dtype=torch.float64)
    """
    visible = visible_keys(attentions).double()
    return visible / visible.sum(-1, keepdim=True).clamp(min=1)


def sole_maximum(attentions: torch.Tensor) -> torch.Tensor:
    """Return the key with the most attention from each query; -1 if it is tied or there is none.

    Args:
        attentions: ``(..., query_len, key_len)``; a row of zeros or with NaN has no maximum.

    Returns:
        ``(..., query_len)``, positions of keys.

    Example:
        >>> sole_maximum(torch.tensor([[0.2, 0.8], [0.5, 0.5]]))
        tensor([ 1, -1])
    """
    best = attentions.amax(-1, keepdim=True)
    is_sole = ((attentions == best).sum(-1) == 1) & (best[..., 0] > 0)
    return attentions.argmax(-1).masked_fill(~is_sole, -1)


def in_grains(values: torch.Tensor) -> torch.Tensor:
    r"""Convert values to float64 and round each to a multiple of :math:`2^{-24}`.

    Example:
        >>> float(in_grains(torch.tensor(0.1)) * 2**24).is_integer()
        True
    """
    return (values.double() * _GRAINS).round_() / _GRAINS


def row_entropy(attentions: torch.Tensor) -> torch.Tensor:
    r"""Compute the entropy of the attention of each query, in bits, to within 1e-6.

    .. math:: -\sum_j \alpha_{ij} \log_2 \alpha_{ij}

    Args:
        attentions: ``(..., query_len, key_len)``, weights. A key that adds less than
            :math:`2^{-25}` (3e-8), as a weight below 1.6e-9 does, counts as 0.

    Returns:
        ``(..., query_len)``, from 0 to :math:`\log_2` of the number of keys; NaN where the
        row contains NaN or a negative number. The values are multiples of :math:`2^{-24}` and do
        not depend on how far a row is padded with zeros.

    Example:
        >>> row_entropy(torch.tensor([[0.5, 0.5], [1.0, 0.0]]))
        tensor([1., 0.], dtype=torch.float64)
    """
    weights = attentions.float()
    # The added constant keeps the logarithm of 0 finite and is negligible for any larger weight.
    terms = (weights + 2.0**-40).log_().mul_(weights).neg_()
    # The other terms are multiples of 2⁻⁴⁸ in float32, so a row's sum, below 2⁵, is exact in
    # float64.
    torch.nn.functional.threshold(terms, 2.0**-25, 0.0, inplace=True)
    return in_grains(terms.sum(-1, dtype=torch.float64) / math.log(2))


def entropy(attentions: torch.Tensor) -> torch.Tensor:
    r"""Compute the entropy of a head's attention, in bits, averaged over queries.

    .. math:: -\frac{1}{n} \sum_i \sum_j \alpha_{ij} \log_2 \alpha_{ij}

    It is 0 for heads that attend to one token, and :math:`\log_2` of the number of keys for uniform
    attention.

    Source: Clark et al. 2019, "What Does BERT Look At?", section 3.3.

    Example:
        >>> entropy(torch.tensor([[0.5, 0.5], [1.0, 0.0]]))
        tensor(0.5000, dtype=torch.float64)
    """
    return row_entropy(attentions).mean(-1)


def mass_on(
    attentions: torch.Tensor, keys: Sequence[bool], queries: Sequence[bool] | None = None
) -> torch.Tensor:
    """Compute the share of attention that goes to some of the keys, averaged over queries.

    Args:
        attentions: ``(..., query_len, key_len)``.
        keys: which keys, for example the special tokens.
        queries: which queries to average over; all by default.

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
    """Compute the mean attention of a token to the one ``offset`` positions after it.

    -1 is the previous token, 0 the token itself, 1 the next one; the mean is over queries that have
    such a token.

    Returns:
        From 0 to 1; NaN where no query has such a token.

    Example:
        >>> offset_mass(torch.tensor([[1.0, 0.0], [0.8, 0.2]]), -1)
        tensor(0.8000, dtype=torch.float64)
    """
    return attentions.double().diagonal(offset, dim1=-2, dim2=-1).mean(-1)


def readable_heads(attentions: torch.Tensor) -> torch.Tensor:
    """Return which heads have only finite weights, ``(num_layers, num_heads)``.

    Example:
        >>> readable_heads(torch.tensor([[[[1.0]], [[float("nan")]]]]))
        tensor([[ True, False]])
    """
    return attentions.isfinite().all(-1).all(-1)


def max_row_sum_error(attentions: torch.Tensor) -> float:
    """Return the largest distance of a row's sum from 1; NaN if a weight is not finite."""
    return float((attentions.sum(-1) - 1).abs().max())


def are_shares(attentions: torch.Tensor) -> bool:
    """Return whether weights are finite shares that sum to 1 in each row, but for rounding.

    Example:
        >>> are_shares(torch.tensor([[0.5, 0.5]])), are_shares(torch.tensor([[2.0, -1.0]]))
        (True, False)
    """
    sums_to_one = max_row_sum_error(attentions) <= ROUNDING  # false where one is not finite
    return sums_to_one and not bool((attentions < -ROUNDING).any())


def merge_pieces(attentions: torch.Tensor, queries: Groups, keys: Groups) -> torch.Tensor:
    r"""Compute the attention between groups of tokens.

    .. math:: A_{IJ} = \frac{1}{|I|} \sum_{i \in I} \sum_{j \in J} \alpha_{ij}

    A group receives the sum of what its pieces receive and gives the mean of what they give, so
    rows that sum to 1 over tokens sum to 1 over any partition of the keys.

    Args:
        attentions: ``(..., query_len, key_len)``.
        queries: the query indices in each group.
        keys: the key indices in each group.

    Returns:
        ``(..., len(queries), len(keys))``; NaN exactly where a weight between the two groups is
        NaN.

    Source: Clark et al. 2019, "What Does BERT Look At?", section 4.1.

    Example:
        >>> merge_pieces(torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.2, 0.6], [0.0, 0.4, 0.6]]),
        ...              queries=[[0], [1, 2]], keys=[[0], [1, 2]])
        tensor([[0.5000, 0.5000],
                [0.1000, 0.9000]])
    """
    to_keys = _membership(keys, attentions.shape[-1], attentions)
    to_queries = _membership(queries, attentions.shape[-2], attentions)
    averaging = to_queries / to_queries.sum(dim=0, keepdim=True)
    missing = attentions.isnan()
    if not missing.any():
        return averaging.T @ (attentions @ to_keys)
    # In a product, 0 × NaN is NaN, so one missing weight would spread to every group.
    merged = averaging.T @ (attentions.nan_to_num(0.0) @ to_keys)
    touched = to_queries.T @ (missing.to(attentions.dtype) @ to_keys)
    return merged.masked_fill(touched > 0, torch.nan)


def _membership(groups: Groups, length: int, like: torch.Tensor) -> torch.Tensor:
    """Build a matrix ``(length, num_groups)`` with 1 where the token is in the group."""
    matrix = torch.zeros(length, len(groups), dtype=like.dtype, device=like.device)
    for column, group in enumerate(groups):
        matrix[list(group), column] = 1
    return matrix
