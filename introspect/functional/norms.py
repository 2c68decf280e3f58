"""Norm-weighted attention: the attention weight times the norm of the vector that a key adds."""

from __future__ import annotations

import torch

from introspect.errors import SelectionError

__all__ = ["norm_weights", "value_norms"]


def value_norms(values: torch.Tensor, projection: torch.Tensor) -> torch.Tensor:
    r"""Compute the norm of the vector that each key adds to each head's output at a weight of 1.

    .. math:: \lVert f^h(x_j) \rVert = \lVert v_j^h W_O^h \rVert,
              \qquad v_j^h = x_j W_V^h + b_V^h

    The bias of the output projection belongs to no head and no key, and is omitted.

    Args:
        values: ``(..., num_key_value_heads, key_len, head_dim)``; fewer than the heads where
            several heads share them.
        projection: the output projection by head, ``(num_heads, head_dim, hidden_size)``.

    Returns:
        ``(..., num_heads, key_len)``, at least 0, in the type of the values.

    Raises:
        SelectionError: the shapes do not fit.

    Source: Kobayashi et al. 2020, "Attention is Not Only a Weight: Analyzing Transformers with
    Vector Norms", section 2.2.

    Example:
        >>> values = torch.tensor([[[3.0, 0.0], [1.0, 1.0]]])
        >>> value_norms(values, torch.tensor([[[1.0, 0.0], [0.0, 2.0]]]))
        tensor([[3.0000, 2.2361]])
    """
    heads, size, _ = projection.shape
    if values.ndim < 3 or values.shape[-1] != size or heads % values.shape[-3]:
        raise SelectionError(
            f"Expected values of shape (..., key-value heads, key_len, {size}) for {heads} heads, "
            f"got {tuple(values.shape)}. Give values before they are repeated, and the output "
            "projection by head."
        )
    # ‖v W‖ is ‖v Rᵀ‖ with Wᵀ = Q R, a matrix of the head's own size, however wide the model is.
    factors = torch.linalg.qr(projection.double().transpose(-1, -2), mode="r").R
    repeated = values.repeat_interleave(heads // values.shape[-3], dim=-3)
    brought = repeated @ factors.transpose(-1, -2).to(values.dtype)
    norms: torch.Tensor = torch.linalg.vector_norm(brought, dim=-1)
    return norms


def norm_weights(attentions: torch.Tensor, norms: torch.Tensor) -> torch.Tensor:
    r"""Compute the norm that each key adds to each query: :math:`\alpha_{ij} \lVert f(x_j) \rVert`.

    Args:
        attentions: ``(..., num_heads, query_len, key_len)``.
        norms: ``(..., num_heads, key_len)``, as returned by ``value_norms``.

    Returns:
        Shaped like the attentions, at least 0; rows do not sum to 1.

    Example:
        >>> norm_weights(torch.tensor([[[0.25, 0.75]]]), torch.tensor([[8.0, 2.0]]))
        tensor([[[2.0000, 1.5000]]])
    """
    return attentions * norms.unsqueeze(-2)
