"""Attention renormalized without special tokens and the query itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["FLOOR", "renormalised", "renormalised_rows"]

#: A row with less attention than this left is missing.
FLOOR = 1e-6


def renormalised(
    attentions: torch.Tensor, special: Sequence[bool], *, is_self: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Drop special tokens and the query itself, and make the remaining weights sum to 1.

    .. math:: \alpha'_{ij} = \frac{\alpha_{ij}}{\sum_{k \notin D_i} \alpha_{ik}}, \quad j \notin D_i

    where :math:`D_i` are the special tokens and, in self-attention, *i* itself.

    Args:
        attentions: ``(..., query_len, key_len)``.
        special: which keys are special tokens.
        is_self: queries and keys are the same tokens.

    Returns:
        The weights, 0 where a key is dropped and NaN in a row with nothing left; and the removed
        mass of each row, ``(..., query_len)``.

    Example:
        >>> weights, removed = renormalised(
        ...     torch.tensor([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]),
        ...     [True, False, False],
        ...     is_self=True,
        ... )
        >>> weights[1], removed[1]
        (tensor([0., 0., 1.]), tensor(0.8000))
    """
    query_len, key_len = attentions.shape[-2:]
    dropped = torch.tensor(list(special), dtype=torch.bool).expand(query_len, key_len)
    if is_self:
        dropped = dropped | torch.eye(query_len, key_len, dtype=torch.bool)
    return renormalised_rows(attentions, dropped)


def renormalised_rows(
    attentions: torch.Tensor, dropped: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Drop the keys ``dropped`` from any rows, and make the remaining weights sum to 1.

    Args:
        attentions: ``(..., num_rows, key_len)``.
        dropped: which keys to drop, bool, broadcast to the shape of the attention.

    Returns:
        As for ``renormalised``.
    """
    kept = attentions.masked_fill(dropped, 0)
    left = kept.sum(-1, keepdim=True)
    weights = torch.where(left < FLOOR, torch.nan, kept / left)
    removed = attentions.masked_fill(~dropped, 0).sum(-1)
    return weights.masked_fill(dropped, 0), removed
