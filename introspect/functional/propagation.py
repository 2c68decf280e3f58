"""Propagation of attention over layers: rollout, flow, ALTI and relevance."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch

from introspect.errors import SelectionError


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


#: Capacities are integer multiples of this value.
RESOLUTION = 2.0**-30
#: Each pair of tokens in each layer takes its own search, so longer texts are refused.
LARGEST_FLOW = 64


def flow(attentions: torch.Tensor, *, residual: float = 0.5) -> torch.Tensor:
    r"""Compute the maximum flow from each token after each layer to each input token.

    The network has a node for each token before the first layer and after every layer. From token
    *i* after layer *l* an edge of capacity :math:`A'_l[i, j]` leads to token *j* before it, with

    .. math:: A'_l = \operatorname{rows}\Bigl((1 - r) \frac{1}{H} \sum_h A_{lh} + r I\Bigr)

    as in rollout. Where rollout multiplies along a path and adds up the paths, the flow along a
    path is limited by its narrowest edge, and paths share the capacity of an edge.

    Args:
        attentions: self-attention, ``(num_layers, num_heads, n, n)``, of consecutive layers, the
            first layer first; at most 64 tokens.
        residual: from 0 to 1; 0.5 in the source.

    Returns:
        ``(num_layers, n, n)``, float64, from 0 to 1. Rows do not sum to 1 (the authors' program
        divides them by their sum). Capacities are rounded to a multiple of 2⁻³⁰, so a flow is off
        by at most 2⁻³¹ for each edge of its minimum cut, which has at most n² of them.

    Raises:
        SelectionError: the shape is wrong, ``residual`` is outside 0 to 1, a weight is missing
            (NaN), or there are more than 64 tokens.

    Source: Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers", section 3.

    Example:
        >>> layer = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
        >>> flow(torch.stack([layer, layer]))[-1]
        tensor([[1.0000, 0.0000],
                [0.5000, 0.7500]], dtype=torch.float64)
    """
    mixed = mixed_layers(attentions, residual)
    layers, n, _ = mixed.shape
    _check_size_of_flow(mixed)
    capacities = torch.round(mixed / RESOLUTION).to(torch.int32).cpu().numpy()
    flows = np.empty((layers, n, n))
    for last in range(layers):
        network = _network(capacities[: last + 1])
        for query, key in product(range(n), range(n)):
            flows[last, query, key] = _largest_flow(network, (last + 1) * n + query, key)
    # The edges out of a token sum to 1, except for their rounding.
    return torch.from_numpy(flows * RESOLUTION).clamp(max=1.0)


def _network(capacities: np.ndarray) -> object:
    """Build the edges from each token after a layer to the tokens before it, as a sparse matrix."""
    from scipy.sparse import csr_matrix

    layers, n, _ = capacities.shape
    layer, query, key = capacities.nonzero()
    places = ((layer + 1) * n + query, layer * n + key)
    nodes = (layers + 1) * n
    return csr_matrix((capacities[layer, query, key], places), shape=(nodes, nodes))


def _largest_flow(network: object, source: int, sink: int) -> int:
    from scipy.sparse.csgraph import maximum_flow

    return int(maximum_flow(network, source, sink, method="dinic").flow_value)


def _check_size_of_flow(mixed: torch.Tensor) -> None:
    if mixed.isnan().any():
        raise SelectionError(
            "Expected attention without a missing weight for a flow, got NaN. Choose layers whose "
            "rows are all there."
        )
    if mixed.shape[-1] > LARGEST_FLOW:
        raise SelectionError(
            f"Expected at most {LARGEST_FLOW} tokens for a flow, got {mixed.shape[-1]}: it is a "
            "search for each pair of them. Shorten the text, or take record.words() or rollout."
        )


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
