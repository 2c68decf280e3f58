"""Distances between the patterns of heads, and multidimensional scaling to plot them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float64]

# The number of values to process at a time (32 MB in float64).
_CHUNK = 4_000_000


def head_distance_sums(attentions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Sum the Jensen–Shannon distances of every two heads over queries, and count these.

    .. math:: d_i(a, b) = \sqrt{H\!\left(\tfrac{\alpha^a_i + \alpha^b_i}{2}\right)
              - \frac{H(\alpha^a_i) + H(\alpha^b_i)}{2}}

    with the entropy *H* in bits. The distance is a metric: 0 for heads with the same rows, 1 for
    heads that never attend to the same key. A row with NaN, or with no weight at all, is not a
    distribution: a pair skips the queries at which either head has such a row.

    Args:
        attentions: ``(num_layers, num_heads, query_len, key_len)``.

    Returns:
        Sums in float64 and counts in int64, ``(num_layers * num_heads, num_layers * num_heads)``
        each, symmetric.

    Source: Endres & Schindelin 2003, "A new metric for probability distributions"; for heads,
    Clark et al. 2019, "What Does BERT Look At?", section 6, with divergences instead of distances.

    Example:
        >>> sums, counts = head_distance_sums(torch.tensor([[[[1.0, 0.0]] * 3, [[0.0, 1.0]] * 3]]))
        >>> sums[0, 1], counts[0, 1]
        (tensor(3., dtype=torch.float64), tensor(3))
    """
    rows = attentions.flatten(0, 1)
    num_heads, num_queries, key_len = rows.shape
    sums = torch.zeros(num_heads, num_heads, dtype=torch.float64)
    counts = torch.zeros(num_heads, num_heads, dtype=torch.int64)
    step = max(_CHUNK // (num_heads * key_len), 1)
    for start in range(0, num_queries, step):
        _add_chunk(rows[:, start : start + step].double(), sums, counts)
    return sums, counts


def _add_chunk(rows: torch.Tensor, sums: torch.Tensor, counts: torch.Tensor) -> None:
    """Add the distances at some queries, ``(num_heads, some, key_len)``, in place."""
    known = ~rows.isnan().any(-1) & (rows.sum(-1) > 0)
    rows = rows.masked_fill(~known[..., None], 0)
    entropies = _entropies(rows)
    for a in range(len(rows)):
        # Compare only with the heads after it, because the matrix is symmetric.
        middle = _entropies((rows[a] + rows[a + 1 :]) / 2)
        divergence = middle - (entropies[a] + entropies[a + 1 :]) / 2
        both = known[a] & known[a + 1 :]
        # Rounding can put a divergence slightly outside its range.
        distance = divergence.clamp(0, 1).sqrt().masked_fill(~both, 0).sum(-1)
        n = both.sum(-1)
        counts[a, a] += known[a].sum()
        sums[a, a + 1 :] += distance
        sums[a + 1 :, a] += distance
        counts[a, a + 1 :] += n
        counts[a + 1 :, a] += n


def _entropies(rows: torch.Tensor) -> torch.Tensor:
    bits: torch.Tensor = -torch.special.xlogy(rows, rows).sum(-1) / math.log(2)
    return bits


def classical_mds(distances: Floats, dimensions: int = 2) -> tuple[Floats, float]:
    r"""Find points whose distances are as close as possible to those given.

    The points are the eigenvectors of :math:`B = -\frac{1}{2} J D^2 J` with the largest
    eigenvalues, where *J* subtracts means. Each axis is oriented so that its value furthest from 0
    is positive, which makes the result reproducible; where two eigenvalues are equal, their axes
    are arbitrary.

    Args:
        distances: ``(n, n)``, symmetric, with zeros on the diagonal.
        dimensions: the number of dimensions of the points.

    Returns:
        ``(n, dimensions)``, and the share of the positive eigenvalues that the axes account for,
        from 0 to 1; NaN where all points coincide.

    Source: Torgerson 1952, "Multidimensional scaling: I. Theory and method".

    Example:
        >>> points, share = classical_mds(np.array([[0.0, 2.0], [2.0, 0.0]]), dimensions=1)
        >>> np.abs(points).ravel().round(6).tolist(), round(share, 6)
        ([1.0, 1.0], 1.0)
    """
    squared = np.asarray(distances, dtype=np.float64) ** 2
    centered = squared - squared.mean(0) - squared.mean(1)[:, None] + squared.mean()
    values, vectors = np.linalg.eigh(-centered / 2)
    values, vectors = values[::-1], vectors[:, ::-1]
    # Eigenvalues that are 0 except for rounding would give axes of noise.
    values = np.where(values > 1e-12 * max(squared.max(), 1e-300) * len(values), values, 0.0)
    points = np.zeros((len(values), dimensions))
    used = min(dimensions, len(values))
    points[:, :used] = vectors[:, :used] * np.sqrt(values[:used])
    furthest = points[_furthest(points), np.arange(dimensions)]
    points *= np.where(furthest < 0, -1.0, 1.0)
    total = float(values.sum())
    return points, float(values[:used].sum()) / total if total else float("nan")


def _furthest(points: Floats) -> npt.NDArray[np.intp]:
    """Return the first point furthest from 0 on each axis, with ties up to rounding."""
    size = np.abs(points)
    return np.asarray((size >= size.max(0) * (1 - 1e-9)).argmax(0))


def total_variation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    r"""Compute the share of attention that must be moved to turn one row into the other.

    .. math:: \frac{1}{2} \sum_j |a_j - b_j|

    Args:
        a: ``(..., keys)``.
        b: the same shape, or one that broadcasts with ``a``.

    Returns:
        From 0 (the same) to 1 (no key in common), dimensionless; NaN where a weight is missing.

    Source: Levin, Peres and Wilmer 2009, "Markov Chains and Mixing Times", proposition 4.2.

    Example:
        >>> total_variation(torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.5, 0.0, 0.5]))
        tensor(0.5000, dtype=torch.float64)
    """
    distance: torch.Tensor = (a.double() - b.double()).abs().sum(-1) / 2
    return distance
