"""Paths through layers: how much of a token passes over each edge, and by which way it comes.

An edge of a layer leads from a token before it (the key) to a token after it (the query). Its share
is the part of the query that comes from that key; the shares of a query sum to 1.
"""

from __future__ import annotations

import torch


def passing(shares: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    r"""Compute how much of the tokens after the last layer passes over each edge below them.

    .. math:: c_{lij} = a_{li} \, S_{lij}, \qquad a_{l-1,j} = \sum_i c_{lij}

    Args:
        shares: ``(num_layers, n, n)``, the first layer first; rows sum to 1, or are missing (NaN).
            What reaches a token whose row is missing goes no further.
        last: how much of each token after the last layer is followed, ``(n,)``; one token is 1 in
            its place.

    Returns:
        ``(num_layers, n, n)``, float64; each layer sums to the sum of ``last``, less what ended in
        missing rows above.

    Example:
        >>> layer = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
        >>> passing(torch.stack([layer, layer]), torch.tensor([0.0, 1.0]))
        tensor([[[0.5000, 0.0000],
                 [0.2500, 0.2500]],
        <BLANKLINE>
                [[0.0000, 0.0000],
                 [0.5000, 0.5000]]], dtype=torch.float64)
    """
    amounts = last.double()
    layers = []
    for layer in reversed(shares.double().nan_to_num(0.0)):
        layers.append(amounts[:, None] * layer)
        amounts = layers[-1].sum(0)
    return torch.stack(layers[::-1])


def largest_passing(shares: torch.Tensor) -> torch.Tensor:
    """Compute the largest amount of any one token after the last layer that reaches each token.

    Args:
        shares: as for ``passing``.

    Returns:
        ``(num_layers, n)``, float64: after each layer; 1 after the last.

    Example:
        >>> layer = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
        >>> largest_passing(torch.stack([layer, layer]))
        tensor([[1.0000, 0.5000],
                [1.0000, 1.0000]], dtype=torch.float64)
    """
    n = shares.shape[-1]
    below = torch.eye(n, dtype=torch.float64, device=shares.device)
    largest = []
    for layer in reversed(shares.double().nan_to_num(0.0)):
        largest.append(below.amax(0))
        below = below @ layer
    return torch.stack(largest[::-1])


def widest_paths(amounts: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Compute the smallest amount on the widest path from the end tokens to and over each edge.

    An edge lies on a path whose every edge carries at least *t* exactly if this is at least *t*.

    Args:
        amounts: how much each edge carries, ``(num_layers, n, n)``.
        ends: the tokens after the last layer from which paths begin, ``(n,)``, bool.

    Returns:
        ``(num_layers, n, n)``, float64; 0 where no path leads.

    Example:
        >>> amounts = torch.tensor([[[0.4, 0.2], [0.1, 0.3]], [[0.0, 0.0], [0.2, 0.8]]])
        >>> widest_paths(amounts, torch.tensor([False, True]))[0]  # all that pass token 0 carry 0.2
        tensor([[0.2000, 0.2000],
                [0.1000, 0.3000]], dtype=torch.float64)
    """
    reached = torch.where(ends, torch.inf, 0.0).double()
    layers = []
    for layer in reversed(amounts.double()):
        layers.append(torch.minimum(reached[:, None], layer))
        reached = layers[-1].amax(0)
    return torch.stack(layers[::-1])
