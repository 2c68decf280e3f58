"""Attention times its gradient: which weights and which input tokens a result depends on."""

from __future__ import annotations

import torch

from introspect.errors import SelectionError

__all__ = ["gradient_attention", "relevance"]


def gradient_attention(attentions: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    r"""Multiply each weight by the gradient of the result, and keep the positive products.

    .. math:: \bar A_h = \Bigl(A_h \odot \frac{\partial y}{\partial A_h}\Bigr)^+

    Args:
        attentions: ``(..., num_heads, query_len, key_len)``.
        gradients: the gradients of one number *y*, shaped like the attentions.

    Returns:
        Shaped like the attentions, at least 0, in units of *y*.

    Raises:
        SelectionError: the shapes differ.

    Source: Chefer et al. 2021, "Generic Attention-model Explainability for Interpreting Bi-Modal
    and Encoder-Decoder Transformers", equation 5 (before the mean over heads).

    Example:
        >>> gradient_attention(torch.tensor([[0.25, 0.75]]), torch.tensor([[2.0, -1.0]]))
        tensor([[0.5000, 0.0000]])
    """
    if attentions.shape != gradients.shape:
        raise SelectionError(
            f"Expected gradients shaped like the attention, {tuple(attentions.shape)}, got "
            f"{tuple(gradients.shape)}."
        )
    return (attentions * gradients).clamp(min=0)


def relevance(attentions: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    r"""Compute how relevant each input token is to each token after every layer.

    .. math:: R_0 = I, \qquad R_l = R_{l-1} + \frac{1}{H} \sum_h \bar A_{lh} \, R_{l-1}

    Args:
        attentions: self-attention, ``(num_layers, num_heads, n, n)``, of consecutive layers, the
            first layer first.
        gradients: the gradients of one number, shaped like the attentions.

    Returns:
        ``R_l`` for every layer, ``(num_layers, n, n)``, float64; at least 1 on the diagonal, and
        at least 0 elsewhere.

    Raises:
        SelectionError: the shapes differ, or are not those of self-attention.

    Source: Chefer et al. 2021, equations 5 and 6.

    Example:
        >>> weights, slope = torch.tensor([[[[0.5, 0.5], [0.0, 1.0]]]]), torch.ones(1, 1, 2, 2)
        >>> relevance(weights, slope)[-1]
        tensor([[1.5000, 0.5000],
                [0.0000, 2.0000]], dtype=torch.float64)
    """
    rising = gradient_attention(attentions.double(), gradients.double())
    if rising.ndim != 4 or rising.shape[-1] != rising.shape[-2]:
        raise SelectionError(
            "Expected self-attention of shape (num_layers, num_heads, n, n), got "
            f"{tuple(attentions.shape)}. Give the self-attention of one text, all its rows."
        )
    total = torch.eye(rising.shape[-1], dtype=torch.float64, device=rising.device)
    reached = []
    for layer in rising.mean(1):
        total = total + layer @ total
        reached.append(total)
    return torch.stack(reached)
