"""Attention knockout: a pattern in which some queries do not see some keys."""

from __future__ import annotations

import torch

__all__ = ["knocked_out"]

# A row whose sum is below 1 by more than this keeps the rest for a sink, which grows with the other
# weights. In half precision each weight is rounded, so a row sums to 1 only to within the type's
# own precision.
_NO_SINK = 1e-4


def knocked_out(
    weights: torch.Tensor, edges: torch.Tensor, *, renormalise: bool = True
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
        renormalise: whether the remaining weights are divided by their sum.

    Returns:
        The pattern, of the same shape; a row without a cut edge is unchanged, to the last bit.

    Source: Geva et al. 2023, https://arxiv.org/abs/2304.14767, section 4.

    Example:
        >>> row = torch.tensor([[0.5, 0.3, 0.2]])
        >>> knocked_out(row, torch.tensor([[True, False, False]]))
        tensor([[0.0000, 0.6000, 0.4000]])
        >>> knocked_out(row, torch.tensor([[True, False, False]]), renormalise=False)
        tensor([[0.0000, 0.3000, 0.2000]])
    """
    left = weights.masked_fill(edges, 0)
    if not renormalise:
        return left
    kind = torch.promote_types(weights.dtype, torch.float32)
    sink = 1 - weights.sum(-1, keepdim=True, dtype=kind)
    no_sink = max(_NO_SINK, torch.finfo(weights.dtype).eps)
    remaining = left.sum(-1, keepdim=True, dtype=kind) + sink.where(sink > no_sink, 0)
    grown = (left / remaining.where(remaining > 0, 1)).to(weights.dtype)
    is_cut = edges.expand_as(weights).any(-1, keepdim=True)
    return torch.where(is_cut, grown, weights)
