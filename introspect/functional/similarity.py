"""How alike heads are: the distance between their patterns, and a plane to draw it on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["classical_mds", "head_distance_sums", "head_distances"]

Floats = npt.NDArray[np.float64]

# So many numbers are worked on at a time (32 MB in float64).
_CHUNK = 4_000_000


def head_distances(attentions: torch.Tensor, queries: Sequence[bool] | None = None) -> torch.Tensor:
    r"""Jensen–Shannon distance between every two heads, in the mean over queries.

    .. math:: d(a, b) = \frac{1}{n} \sum_i \sqrt{H\!\left(\tfrac{\alpha^a_i + \alpha^b_i}{2}\right)
              - \frac{H(\alpha^a_i) + H(\alpha^b_i)}{2}}

    with the entropy *H* in bits. A metric: 0 for heads with the same rows, 1 for heads that never
    look at the same key.

    Args:
        attentions: ``(num_layers, num_heads, query_len, key_len)``.
        queries: over which queries; all by default.

    Returns:
        ``(num_layers * num_heads, num_layers * num_heads)`` in float64, symmetric, from 0 to 1;
        NaN for two heads without a query at which both have a row.

    Source: Endres & Schindelin 2003, "A new metric for probability distributions"; for heads,
    Clark et al. 2019, "What Does BERT Look At?", section 6, with divergences instead of distances.

    Example:
        >>> head_distances(torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 0.0]]]]))
        tensor([[0., 1., 0.],
                [1., 0., 1.],
                [0., 1., 0.]], dtype=torch.float64)
    """
    sums, counts = head_distance_sums(attentions, queries)
    return sums / counts


def head_distance_sums(
    attentions: torch.Tensor, queries: Sequence[bool] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed distances of every two heads, and over how many queries, for means over texts.

    A row with NaN, or with no weight at all, is no distribution: a pair leaves out the queries at
    which either head has one.

    Args:
        attentions: ``(num_layers, num_heads, query_len, key_len)``.
        queries: over which queries; all by default.

    Returns:
        Two of ``(num_layers * num_heads, num_layers * num_heads)``: float64 and int64.

    Example:
        >>> sums, counts = head_distance_sums(torch.tensor([[[[1.0, 0.0]] * 3, [[0.0, 1.0]] * 3]]))
        >>> sums[0, 1], counts[0, 1]
        (tensor(3., dtype=torch.float64), tensor(3))
    """
    rows = attentions.flatten(0, 1)
    if queries is not None:
        rows = rows[:, torch.tensor(list(queries), dtype=torch.bool)]
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
        # Against the heads after it: the other half is the same.
        middle = _entropies((rows[a] + rows[a + 1 :]) / 2)
        divergence = middle - (entropies[a] + entropies[a + 1 :]) / 2
        both = known[a] & known[a + 1 :]
        # Rounding may leave a divergence a little outside its range.
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
    r"""Points whose distances are as near as may be to those given.

    The eigenvectors of :math:`B = -\frac{1}{2} J D^2 J` with the largest eigenvalues, where *J*
    takes means away. Each axis is turned so that its number furthest from 0 is positive, which
    makes the result the same every time; where two eigenvalues are equal, the axes between them are
    arbitrary.

    Args:
        distances: ``(n, n)``, symmetric, with zeros on the diagonal.
        dimensions: of the points.

    Returns:
        ``(n, dimensions)``, and the share of the positive eigenvalues that the axes stand for, from
        0 to 1; NaN where all points are one.

    Source: Torgerson 1952, "Multidimensional scaling: I. Theory and method".

    Example:
        >>> points, share = classical_mds(np.array([[0.0, 2.0], [2.0, 0.0]]), dimensions=1)
        >>> np.abs(points).ravel().round(6).tolist(), round(share, 6)
        ([1.0, 1.0], 1.0)
    """
    squared = np.asarray(distances, dtype=np.float64) ** 2
    centred = squared - squared.mean(0) - squared.mean(1)[:, None] + squared.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    values, vectors = values[::-1], vectors[:, ::-1]
    # Eigenvalues that are 0 but for rounding would be axes of noise.
    values = np.where(values > 1e-12 * max(squared.max(), 1e-300) * len(values), values, 0.0)
    points = np.zeros((len(values), dimensions))
    used = min(dimensions, len(values))
    points[:, :used] = vectors[:, :used] * np.sqrt(values[:used])
    furthest = points[_furthest(points), np.arange(dimensions)]
    points *= np.where(furthest < 0, -1.0, 1.0)
    total = float(values.sum())
    return points, float(values[:used].sum()) / total if total else float("nan")


def _furthest(points: Floats) -> npt.NDArray[np.intp]:
    """The first point furthest from 0 on each axis; equal up to rounding is equal."""
    size = np.abs(points)
    first: npt.NDArray[np.intp] = (size >= size.max(0) * (1 - 1e-9)).argmax(0)
    return first
