"""Attention rollout: how much each input token contributes to a token after several layers."""

from __future__ import annotations

import torch

from introspect.errors import SelectionError

__all__ = ["layer_product", "mixed_layers", "rollout"]


def rollout(attentions: torch.Tensor, *, residual: float = 0.5) -> torch.Tensor:
    r"""Compute the share of each input token in each token after every layer, by attention alone.

    .. math::

        A'_l = \operatorname{rows}\Bigl((1 - r) \frac{1}{H} \sum_h A_{lh} + r I\Bigr), \qquad
        R_l = A'_l A'_{l-1} \cdots A'_1

    where *r* is ``residual``, the part that bypasses the attention unchanged, and *rows* divides
    each row by its sum. Rollout is a model of the flow, not the flow itself: all heads count
    equally, and values, projections and feed-forward layers are ignored.

    Args:
        attentions: self-attention, ``(num_layers, num_heads, n, n)``, of consecutive layers, the
            first layer first.
        residual: from 0 to 1; 0.5 in the source.

    Returns:
        ``R_l`` for every layer, ``(num_layers, n, n)``, float64, from 0 to 1; rows sum to 1. A row
        of ``A'_l`` is missing if it contains NaN or is all zero (only possible with
        ``residual=0``). The same row of ``R_l`` is then NaN, and so is every row of a later layer
        that gives any weight to a missing one.

    Raises:
        SelectionError: the shape is wrong, the numbers of queries and keys differ, or
            ``residual`` is outside 0 to 1.

    Source: Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers", section 3.

    Example:
        >>> layer = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
        >>> rollout(torch.stack([layer, layer]))[-1]
        tensor([[1.0000, 0.0000],
                [0.4375, 0.5625]], dtype=torch.float64)
    """
    return layer_product(mixed_layers(attentions, residual))


def mixed_layers(attentions: torch.Tensor, residual: float) -> torch.Tensor:
    """Compute ``A'`` of each layer: the mean of its heads mixed with the residual.

    Args:
        attentions: ``(num_layers, num_heads, n, n)``.
        residual: from 0 to 1.

    Returns:
        ``(num_layers, n, n)``, float64; rows sum to 1 or are NaN.

    Raises:
        SelectionError: as for ``rollout``.
    """
    _check(attentions, residual)
    mean = attentions.double().mean(1)
    identity = torch.eye(mean.shape[-1], dtype=torch.float64, device=mean.device)
    mixed = (1 - residual) * mean + residual * identity
    return mixed / mixed.sum(-1, keepdim=True)


def layer_product(mixed: torch.Tensor) -> torch.Tensor:
    r"""Multiply the layers up to and including each one: :math:`M_l M_{l-1} \cdots M_1`.

    Args:
        mixed: ``(num_layers, n, n)``, the first layer first; a row may be missing (NaN).

    Returns:
        ``(num_layers, n, n)``, float64. A missing row is missing in the product too, and so is
        every row of a later layer that gives any weight to a missing one.

    Example:
        >>> layer_product(torch.tensor([[[1.0, 0.0], [0.5, 0.5]]] * 2))[-1]
        tensor([[1.0000, 0.0000],
                [0.7500, 0.2500]], dtype=torch.float64)
    """
    n = mixed.shape[-1]
    reached = []
    so_far = torch.eye(n, dtype=torch.float64, device=mixed.device)
    gone = torch.zeros(n, dtype=torch.bool, device=mixed.device)
    for layer in mixed.double():
        own = layer.isnan().any(-1)
        kept = layer.nan_to_num(0.0)
        # Track missing rows separately: in the product, 0 × NaN would spread them to all others.
        gone = own | (kept[:, gone] > 0).any(-1)
        so_far = (kept @ so_far).masked_fill(gone[:, None], 0.0)
        reached.append(so_far.masked_fill(gone[:, None], torch.nan))
    return torch.stack(reached)


def _check(attentions: torch.Tensor, residual: float) -> None:
    shape = tuple(attentions.shape)
    if len(shape) != 4 or shape[2] != shape[3] or 0 in shape:
        raise SelectionError(
            "Expected self-attention of shape (num_layers, num_heads, n, n), with as many queries "
            f"as keys, got {shape}. Give the self-attention of one text, all its rows."
        )
    if not 0 <= residual <= 1:
        raise SelectionError(
            f"Expected `residual` from 0 to 1, got {residual}. Give the part that goes past the "
            "attention, 0.5 in the paper."
        )
