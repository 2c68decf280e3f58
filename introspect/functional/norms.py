"""Norm-weighted attention: the attention weight times the norm of the vector that a key adds."""

from __future__ import annotations

import torch

from introspect.errors import SelectionError


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


def brought_by_head(values: torch.Tensor, projection: torch.Tensor) -> torch.Tensor:
    r"""Compute the vector that each key adds to each head at a weight of 1: :math:`v_j^h W_O^h`.

    Args:
        values: ``(num_key_value_heads, key_len, head_dim)``; fewer than the heads where several
            heads share them.
        projection: the output projection by head, ``(num_heads, head_dim, hidden_size)``.

    Returns:
        ``(num_heads, key_len, hidden_size)``, float64.

    Example:
        >>> brought_by_head(torch.tensor([[[3.0, 1.0]]]), torch.tensor([[[1.0], [2.0]]]))
        tensor([[[5.]]], dtype=torch.float64)
    """
    repeated = values.double().repeat_interleave(projection.shape[0] // values.shape[0], dim=0)
    return repeated @ projection.double()


def block_vectors(
    attentions: torch.Tensor, brought: torch.Tensor, residual: torch.Tensor, first: int = 0
) -> torch.Tensor:
    r"""Compute the vector that each key adds to each query: by all heads, and by the residual.

    .. math:: T_{ij} = \sum_h \alpha^h_{ij} \, v_j^h W_O^h + [i = j] \, x_i

    Args:
        attentions: ``(num_heads, num_rows, key_len)``, some queries of self-attention.
        brought: ``(num_heads, key_len, hidden_size)``, as returned by ``brought_by_head``.
        residual: the hidden states that are added to the heads' output, ``(num_rows,
            hidden_size)``.
        first: the position of the first of these queries.

    Returns:
        ``(num_rows, key_len, hidden_size)``, float64. The sum over keys, plus the bias of the
        output projection, equals the sum of the residual and the heads' output.

    Raises:
        SelectionError: the shapes do not fit.

    Source: Kobayashi et al. 2021, "Incorporating Residual and Normalization Layers into Analysis of
    Masked Language Models", section 3.

    Example:
        >>> weights, brought = torch.tensor([[[0.25, 0.75]]]), torch.tensor([[[4.0], [8.0]]])
        >>> block_vectors(weights, brought, torch.tensor([[10.0]]), first=1).flatten()
        tensor([ 1., 16.], dtype=torch.float64)
    """
    heads, rows, keys = attentions.shape
    if brought.shape[:2] != (heads, keys) or residual.shape != (rows, brought.shape[-1]):
        raise SelectionError(
            f"Expected ({heads}, {keys}, size) brought and ({rows}, size) as residual for weights "
            f"of shape {tuple(attentions.shape)}, got {tuple(brought.shape)} and "
            f"{tuple(residual.shape)}."
        )
    vectors = torch.einsum("hqk,hkm->qkm", attentions.double(), brought.double())
    own = torch.arange(rows, device=vectors.device)
    vectors[own, first + own] += residual.double()
    return vectors


def linearized_norm(
    vectors: torch.Tensor,
    given: torch.Tensor,
    weight: torch.Tensor,
    *,
    epsilon: float,
    is_centered: bool,
) -> torch.Tensor:
    r"""Apply the normalization of a sum to each part of the sum.

    .. math:: g_z(u) = \frac{u - \operatorname{mean}(u)}{s(z)} \odot \gamma, \qquad
              \operatorname{LN}(z) = g_z(z) + \beta

    The deviation *s* is that of the whole sum *z*, so *g* is linear in *u* and the parts add up.
    Without centering (RMS norm) the mean is not subtracted, and *s* is the root mean square.

    Args:
        vectors: the parts, ``(num_rows, ..., hidden_size)``.
        given: the input of the norm, the whole sum *z*, ``(num_rows, hidden_size)``.
        weight: γ, ``(hidden_size,)``.
        epsilon: added to the variance.
        is_centered: whether the mean is subtracted.

    Returns:
        Shaped like the vectors, float64.

    Source: Kobayashi et al. 2021, equation 8.

    Example:
        >>> given = torch.tensor([[1.0, 3.0]])
        >>> linearized_norm(given, given, torch.ones(2), epsilon=0.0, is_centered=True)
        tensor([[-1.,  1.]], dtype=torch.float64)
    """
    whole, parts = given.double(), vectors.double()
    if is_centered:
        whole = whole - whole.mean(-1, keepdim=True)
        parts = parts - parts.mean(-1, keepdim=True)
    deviation = (whole.square().mean(-1) + epsilon).sqrt()
    return parts / deviation.view(-1, *[1] * (parts.ndim - 1)) * weight.double()
