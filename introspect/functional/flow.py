"""Attention flow: the maximum flow between each token and each input token, through all layers."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch

from introspect.errors import SelectionError
from introspect.functional.rollout import mixed_layers

__all__ = ["LARGEST_FLOW", "RESOLUTION", "flow"]

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
    _check(mixed)
    capacities = torch.round(mixed / RESOLUTION).to(torch.int32).cpu().numpy()
    found = np.empty((layers, n, n))
    for last in range(layers):
        network = _network(capacities[: last + 1])
        for query, key in product(range(n), range(n)):
            found[last, query, key] = _largest_flow(network, (last + 1) * n + query, key)
    # The edges out of a token sum to 1, except for their rounding.
    return torch.from_numpy(found * RESOLUTION).clamp(max=1.0)


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


def _check(mixed: torch.Tensor) -> None:
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
