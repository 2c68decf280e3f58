"""A pattern in which some queries do not see some keys."""

from __future__ import annotations

import torch

__all__ = ["knocked_out"]

# A row whose sum is so far below 1 keeps the rest for a sink, which grows with the others. In half
# precision each weight is rounded, and so a row sums to 1 only up to the type's own precision.
_NO_SINK = 1e-4


def knocked_out(
    weights: torch.Tensor, edges: torch.Tensor, *, renormalise: bool = True
) -> torch.Tensor:
    r"""The pattern without some of its edges.

    .. math:: \alpha'_{ij} = 0 \text{ for a cut edge}, \quad
              \alpha'_{ij} = \alpha_{ij} / (1 - \sum_{\text{cut } k} \alpha_{ik}) \text{ else}

    which is the softmax over the keys that are left. Of a row whose keys are all cut, or whose
    other weights are too small for their type, nothing is left: it is 0. What a row keeps for an
    attention sink counts as a key that is not cut, as far as the type's precision can tell it.

    Args:
        weights: ``(..., query_len, key_len)``, rows of at most 1.
        edges: bool, of a shape that fits; true where an edge is cut.
        renormalise: whether what is left is divided by its sum.

    Returns:
        Of the same shape; a row without a cut edge is as it was, to the last bit.

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
