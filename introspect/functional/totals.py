r"""Sums over the patterns of many texts that no order of the texts and no padding changes.

Floating-point sums depend on the order of the additions, and so on the padded length of a text
and on the other texts in its batch. Here every number that is summed is a multiple of a grain
coarse enough to make the sum exact: :math:`2^{-23}` for weights, and :math:`2^{-24}` for values
computed from a row (``in_grains``). A weight changes by at most :math:`2^{-24}` (6e-8), no more
than the rounding of a float32 weight near 1; totals are exact up to :math:`2^{29}`.

Texts are padded at their ends. Values in the padding, including NaN, never count.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


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
