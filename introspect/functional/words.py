"""Merging attention between token pieces into attention between words."""

from __future__ import annotations

from collections.abc import Sequence

import torch

Groups = Sequence[Sequence[int]]


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
