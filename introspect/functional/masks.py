"""Attention renormalized without special tokens and the query itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch

#: A row with less attention than this left is missing, and a head with less on all candidates
#: gives no evidence.
FLOOR = 1e-6


def renormalized(
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
        >>> weights, removed = renormalized(
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
    return renormalized_rows(attentions, dropped)


def renormalized_rows(
    attentions: torch.Tensor, dropped: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Drop the keys ``dropped`` from any rows, and make the remaining weights sum to 1.

    Args:
        attentions: ``(..., num_rows, key_len)``.
        dropped: which keys to drop, bool, broadcast to the shape of the attention.

    Returns:
        As for ``renormalized``.
    """
    kept = attentions.masked_fill(dropped, 0)
    left = kept.sum(-1, keepdim=True)
    weights = torch.where(left < FLOOR, torch.nan, kept / left)
    removed = attentions.masked_fill(~dropped, 0).sum(-1)
    return weights.masked_fill(dropped, 0), removed


# A row whose sum is below 1 by more than this keeps the rest for a sink, which grows with the other
# weights. In half precision each weight is rounded, so a row sums to 1 only to within the type's
# own precision.
_NO_SINK = 1e-4


def knocked_out(
    weights: torch.Tensor, edges: torch.Tensor, *, renormalize: bool = True
) -> torch.Tensor:
    r"""Remove some edges from a pattern.

    .. math:: \alpha'_{ij} = 0 \text{ for a cut edge}, \quad
              \alpha'_{ij} = \alpha_{ij} / (1 - \sum_{\text{cut } k} \alpha_{ik}) \text{ else}

    which is the softmax over the remaining keys. A row whose keys are all cut, or whose other
    weights are too small for their type, becomes 0. The part that a row keeps for an attention
    sink counts as a key that is not cut, as far as the type's precision can resolve it.

    Args:
        weights: ``(..., query_len, key_len)``, rows with a sum of at most 1.
        edges: bool, of a shape that broadcasts; true where an edge is cut.
        renormalize: whether the remaining weights are divided by their sum.

    Returns:
        The pattern, of the same shape; a row without a cut edge is unchanged, to the last bit.

    Source: Geva et al. 2023, https://arxiv.org/abs/2304.14767, section 4.

    Example:
        >>> row = torch.tensor([[0.5, 0.3, 0.2]])
        >>> knocked_out(row, torch.tensor([[True, False, False]]))
        tensor([[0.0000, 0.6000, 0.4000]])
        >>> knocked_out(row, torch.tensor([[True, False, False]]), renormalize=False)
        tensor([[0.0000, 0.3000, 0.2000]])
    """
    left = weights.masked_fill(edges, 0)
    if not renormalize:
        return left
    kind = torch.promote_types(weights.dtype, torch.float32)
    sink = 1 - weights.sum(-1, keepdim=True, dtype=kind)
    no_sink = max(_NO_SINK, torch.finfo(weights.dtype).eps)
    remaining = left.sum(-1, keepdim=True, dtype=kind) + sink.where(sink > no_sink, 0)
    grown = (left / remaining.where(remaining > 0, 1)).to(weights.dtype)
    is_cut = edges.expand_as(weights).any(-1, keepdim=True)
    return torch.where(is_cut, grown, weights)
