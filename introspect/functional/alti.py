"""ALTI: the contribution of each token to a layer's output, by the proximity of its vector."""

from __future__ import annotations

import torch

from introspect.functional.rollout import layer_product

__all__ = ["alti", "contributions"]


def contributions(vectors: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    r"""Compute the share of each key in an output that is the sum of the keys' vectors.

    .. math:: c_{ij} = \frac{\max(0, \lVert y_i \rVert_1 - \lVert y_i - T_{ij} \rVert_1)}
                            {\sum_k \max(0, \lVert y_i \rVert_1 - \lVert y_i - T_{ik} \rVert_1)}

    The nearer a vector is to the output, the larger its share; one that points away has none.

    Args:
        vectors: the vector that each key adds to each query, ``(num_rows, key_len, hidden_size)``.
        outputs: the whole output, including its biases, ``(num_rows, hidden_size)``.

    Returns:
        ``(num_rows, key_len)``, from 0 to 1; rows sum to 1. A row in which every vector points away
        is NaN.

    Source: Ferrando et al. 2022, "Measuring the Mixing of Contextual Information in the
    Transformer", section 3.

    Example:
        >>> parts = torch.tensor([[[3.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]])
        >>> contributions(parts, parts.sum(1))  # y = (2, 1), of length 3; distances 2, 2, 4
        tensor([[0.5000, 0.5000, 0.0000]])
    """
    lengths = torch.linalg.vector_norm(outputs, ord=1, dim=-1)
    distances = torch.linalg.vector_norm(vectors - outputs[:, None], ord=1, dim=-1)
    nearness = (lengths[:, None] - distances).clamp(min=0)
    total = nearness.sum(-1, keepdim=True)
    return torch.where(total > 0, nearness / total, torch.nan)


def alti(shares: torch.Tensor) -> torch.Tensor:
    r"""Multiply the contributions of the layers, from the first to each one.

    .. math:: M_l = C_l C_{l-1} \cdots C_1

    Args:
        shares: ``(num_layers, n, n)``, of consecutive layers, the first layer first.

    Returns:
        ``(num_layers, n, n)``, float64, from 0 to 1; rows sum to 1, or are missing as in
        ``rollout``.

    Source: Ferrando et al. 2022, section 3.3.

    Example:
        >>> alti(torch.tensor([[[1.0, 0.0], [0.5, 0.5]]] * 2))[-1]
        tensor([[1.0000, 0.0000],
                [0.7500, 0.2500]], dtype=torch.float64)
    """
    return layer_product(shares)
