"""The heads whose rows are most like a head's, on the sampled texts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from introspect.studies.analyzer import Floats
from introspect.studies.atlas.analyzer import AtlasSums

#: The most heads that are named beside a head.
MOST = 5
#: The most weights of each head that are compared.
_WEIGHTS = 4096

SIMILAR_COLUMNS = ("layer", "head", "rank", "other_layer", "other_head", "distance")


def similar_heads(sums: AtlasSums) -> pd.DataFrame:
    """Return the heads with the smallest distance to each head.

    The distance is the total variation between two heads' weights, half the sum of differences, in
    the mean over one row of each sampled text: from 0 to 1.

    Args:
        sums: what was collected.
    """
    distances = _distances(sums)
    np.fill_diagonal(distances, np.inf)
    number = min(MOST, len(distances) - 1)
    heads = [(layer, head) for layer in sums.layers for head in range(sums.num_heads)]
    rows = [
        (*heads[one], rank, *heads[other], float(distances[one, other]))
        for one in range(len(heads))
        for rank, other in enumerate(
            np.argsort(distances[one], kind="stable")[:number].tolist(), start=1
        )
    ]
    return pd.DataFrame(rows, columns=list(SIMILAR_COLUMNS))


def _distances(sums: AtlasSums) -> Floats:
    """Return the distances between every two heads, ``(num_heads, num_heads)`` of all layers."""
    rows: list[Floats] = []
    size = 0
    for sampled in sums.kept.sample.values():
        flat = sampled.drawn_row.reshape(-1, sampled.drawn_row.shape[-1]).astype(np.float64)
        rows.append(flat / np.maximum(flat.sum(-1, keepdims=True), 1))
        size += flat.shape[-1]
        if size >= _WEIGHTS:
            break
    if not rows:
        count = len(sums.layers) * sums.num_heads
        return np.full((count, count), np.nan)
    together = np.concatenate(rows, axis=-1)
    return np.asarray(cdist(together, together, "cityblock") / (2 * len(rows)))
