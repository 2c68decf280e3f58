"""The queries and keys of each head on one map, and the tokens of their strongest direction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from introspect.records import AttentionRecord
from introspect.studies.analyzer import Floats

#: The most tokens that are drawn on a map.
MOST_TOKENS = 500
#: The most tokens of either end of the strongest direction.
MOST_PAIRED = 8

MAP_COLUMNS = ("layer", "head", "side", "token", "x", "y", "strength")


def query_key_maps(records: Iterable[AttentionRecord]) -> pd.DataFrame:
    r"""Return the places of sampled queries and keys of each head.

    Keys are centered, which changes no weight of attention, and so are queries, for the picture
    alone; then both are scaled to one spread, queries by *c* and keys by 1/*c*, which changes no
    product. ``x`` and ``y`` are the first two principal components of both together. ``strength``
    is a token's part of the first pair of singular vectors of :math:`Q K^\top`, the products of all
    queries and keys, times the root of the singular value: a query and a key whose strengths have
    one sign attract each other.

    Source: Yeh et al. 2023 (AttentionViz), whose scaling this is.

    Args:
        records: texts with the parts ``queries`` and ``keys``, captured on one model; tokens that
            are not special are taken until there are 500.
    """
    read = list(_until(records))
    if not read:
        return pd.DataFrame(columns=list(MAP_COLUMNS))
    labels = [record.keys.tokens[place] for record, places in read for place in places]
    first = read[0][0]
    parts = []
    for row, layer in enumerate(first.layers):
        for head in range(first.num_heads):
            queries, keys = (_vectors(read, name, row, head) for name in ("queries", "keys"))
            parts.append(_map(queries, keys).assign(layer=layer, head=head, token=labels * 2))
    return pd.concat(parts, ignore_index=True)[list(MAP_COLUMNS)]


def _until(records: Iterable[AttentionRecord]) -> Iterator[tuple[AttentionRecord, list[int]]]:
    """Yield records with the places that are taken of them, until there are enough."""
    left = MOST_TOKENS
    for record in records:
        special = record.keys.special_tokens_mask
        places = [place for place in range(len(record.keys)) if not special[place]][:left]
        left -= len(places)
        if places:
            yield record, places
        if left <= 0:
            return


def _vectors(
    read: Sequence[tuple[AttentionRecord, list[int]]], name: str, row: int, head: int
) -> Floats:
    """Return the vectors of a head, ``(num_tokens, head_dim)``; heads may share keys."""
    rows = []
    for record, places in read:
        part = record.parts[name]
        own = head * part.shape[1] // record.num_heads
        rows.append(part[row, own, places].double().numpy())
    return np.concatenate(rows)


def _map(queries: Floats, keys: Floats) -> pd.DataFrame:
    queries, keys = queries - queries.mean(0), keys - keys.mean(0)
    spread = [max(float(np.sqrt((part**2).mean())), 1e-12) for part in (queries, keys)]
    scale = np.sqrt(spread[1] / spread[0])
    both = np.concatenate([queries * scale, keys / scale])
    axes = _directions(both.T @ both)[:, :2]
    if axes.shape[1] < 2:
        axes = np.concatenate([axes, np.zeros_like(axes)], axis=1)
    places = both @ axes
    strength = _first_pair(queries, keys)
    size = len(queries)
    # Digits that no picture shows would differ between machines.
    return pd.DataFrame(
        {
            "side": ["query"] * size + ["key"] * size,
            "x": places[:, 0].round(3),
            "y": places[:, 1].round(3),
            "strength": strength.round(3),
        }
    )


def _first_pair(queries: Floats, keys: Floats) -> Floats:
    """Return the first pair of singular vectors of all products, queries before keys."""
    (of_queries, left), (of_keys, right) = (np.linalg.qr(part) for part in (queries, keys))
    one, values, other = np.linalg.svd(left @ right.T)
    pair = np.concatenate([of_queries @ one[:, 0], of_keys @ other[0]]) * np.sqrt(values[0])
    return np.asarray(pair * (-1.0 if pair[np.abs(pair).argmax()] < 0 else 1.0))


def _directions(products: Floats) -> Floats:
    """Return the principal directions, the largest first, each with its largest part positive."""
    _, vectors = np.linalg.eigh(products)
    found = vectors[:, ::-1]
    largest = np.take_along_axis(found, np.abs(found).argmax(0)[None], axis=0)
    return np.asarray(found * np.where(largest < 0, -1.0, 1.0))
