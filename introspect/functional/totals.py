r"""Statistics of patterns: means over one text, and sums over many that no order changes.

The means, at the end, take ``(..., query_len, key_len)`` and return one number for each pattern,
``(...)``, in float64; rows that a model leaves empty (because a mask hides all keys) count as they
are. The sums are the same in any order and with any padding.

Floating-point sums depend on the order of the additions, and so on the padded length of a text
and on the other texts in its batch. Here every number that is summed is a multiple of a grain
coarse enough to make the sum exact: :math:`2^{-23}` for weights, and :math:`2^{-24}` for values
computed from a row. A weight changes by at most :math:`2^{-24}` (6e-8), no more than the rounding
of a float32 weight near 1; totals are exact up to :math:`2^{29}`.

Texts are padded at their ends. Values in the padding, including NaN, never count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

_GRAINS = 2.0**24


def in_grains(values: torch.Tensor) -> torch.Tensor:
    r"""Convert values to float64 and round each to a multiple of :math:`2^{-24}`.

    Example:
        >>> float(in_grains(torch.tensor(0.1)) * 2**24).is_integer()
        True
    """
    return (values.double() * _GRAINS).round_() / _GRAINS


def countable_rows(
    attentions: torch.Tensor, is_query: torch.Tensor, is_token: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the rows that count, ready to be summed, with 0 everywhere else.

    Args:
        attentions: ``(batch, num_heads, query_len, key_len)``, weights in any floating type.
        is_query: ``(batch, query_len)``, bool: the rows that count.
        is_token: ``(batch, key_len)``, bool: the tokens that are not padding.

    Returns:
        The weights, float32, with 0 in all other rows, in padding, and in missing rows; and which
        rows are missing, ``(batch, num_heads, query_len)``: those that contain NaN or have no
        weight at all.

    Example:
        >>> both = torch.tensor([[True, True]])
        >>> weights, missing = countable_rows(torch.tensor([[[[0.5, 0.5], [0, 0]]]]), both, both)
        >>> weights.tolist(), missing.tolist()
        ([[[[0.5, 0.5], [0.0, 0.0]]]], [[[False, True]]])
    """
    counts = is_query[:, None, :, None] & is_token[:, None, None, :]
    weights = torch.where(counts, attentions.float(), 0.0)
    total = weights.sum(-1)
    missing = ((total == 0) | total.isnan()) & is_query[:, None]
    if missing.any():
        weights.masked_fill_(missing[..., None], 0)
    return weights, missing


def make_summable_(weights: torch.Tensor) -> torch.Tensor:
    r"""Round float32 weights from 0 to 1 to multiples of :math:`2^{-23}`, in place.

    Example:
        >>> float(make_summable_(torch.tensor(0.1))) * 2**23
        838861.0
    """
    # Between 1 and 2, float32 can represent only these multiples.
    return weights.add_(1).sub_(1)


def weighted_totals(weights: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    r"""Sum weight times factor over all rows and keys.

    .. math:: \sum_i \sum_j w_{ij} f_{ij}

    Args:
        weights: ``(batch, num_heads, query_len, key_len)``, from ``make_summable_``.
        factors: ``(batch, num_factors, query_len, key_len)``, float64, whole numbers: 1 for the
            keys of a role, or a distance.

    Returns:
        ``(batch, num_heads, num_factors)``, float64.

    Example:
        >>> weights = torch.tensor([[[[0.5, 0.5], [0.25, 0.75]]]])
        >>> weighted_totals(weights, torch.tensor([[[[0, 1], [1, 0]]]]).double())
        tensor([[[0.7500]]], dtype=torch.float64)
    """
    return weights.double().flatten(2) @ factors.flatten(2).transpose(1, 2)


def offset_totals(weights: torch.Tensor, offsets: Sequence[int]) -> torch.Tensor:
    """Sum the weights that rows give to the key at each offset after them.

    Args:
        weights: ``(batch, num_heads, length, length)``, from ``make_summable_``.
        offsets: -1 for the previous token, 0 for the token itself, 1 for the next.

    Returns:
        ``(batch, num_heads, num_offsets)``, float64.

    Example:
        >>> offset_totals(torch.tensor([[[[0.5, 0.5], [0.25, 0.75]]]]), [-1, 0])
        tensor([[[0.2500, 1.2500]]], dtype=torch.float64)
    """
    sums = [
        weights.diagonal(offset, dim1=-2, dim2=-1).sum(-1, dtype=torch.float64)
        for offset in offsets
    ]
    return torch.stack(sums, dim=-1)


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
