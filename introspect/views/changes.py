"""Changes of heads and rows from one record to another, and the choice of what to show first."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch

from introspect.errors import SelectionError
from introspect.functional.distances import total_variation
from introspect.records import AttentionRecord
from introspect.views.base import head_number, layer_row
from introspect.views.matching import Place, differs

__all__ = [
    "Pair",
    "extent",
    "first_heads",
    "first_query",
    "head_changes",
    "is_same_shape",
    "pair_of",
    "placed",
]

#: One number for both records, or one for each.
Pair = int | tuple[int, int]


def head_changes(
    a: AttentionRecord, b: AttentionRecord, queries: Sequence[Place], keys: Sequence[Place]
) -> torch.Tensor:
    """Compute the mean total variation of each head, ``(num_layers, num_heads)``."""
    changes = torch.empty(a.num_layers, a.num_heads, dtype=torch.float64)
    # One head at a time: for a long text, all heads in double precision might not fit in memory.
    for row in range(a.num_layers):
        for head in range(a.num_heads):
            rows = (
                _both(record.attentions[row, head], queries, keys, side)
                for side, record in enumerate((a, b))
            )
            changes[row, head] = total_variation(*rows).nanmean()
    return changes


def _both(
    pattern: torch.Tensor, queries: Sequence[Place], keys: Sequence[Place], side: int
) -> torch.Tensor:
    """Select from one record's pattern the tokens that both records have."""
    chosen = (
        torch.tensor([place[side] for place in places if None not in place])
        for places in (queries, keys)
    )
    rows, columns = chosen
    return pattern[rows][:, columns]


def placed(
    pattern: torch.Tensor, queries: Sequence[Place], keys: Sequence[Place], side: int
) -> torch.Tensor:
    """Return one record's pattern at the places of both records, NaN where it has no token."""
    whole = torch.full((len(queries), len(keys)), torch.nan)
    rows = [row for row, place in enumerate(queries) if place[side] is not None]
    columns = [column for column, place in enumerate(keys) if place[side] is not None]
    sources = [queries[row][side] for row in rows], [keys[c][side] for c in columns]
    own = pattern[torch.tensor(sources[0])][:, torch.tensor(sources[1])]
    whole[torch.tensor(rows)[:, None], torch.tensor(columns)] = own
    return whole


def is_same_shape(a: AttentionRecord, b: AttentionRecord) -> bool:
    """Return whether each head of one record corresponds to a head of the other."""
    return a.layers == b.layers and a.num_heads == b.num_heads


def extent(record: AttentionRecord) -> str:
    """Describe the number of layers and heads in words."""
    numbers = record.layers
    heads = f"{record.num_heads} head{'s' if record.num_heads > 1 else ''}"
    if numbers == tuple(range(len(numbers))):
        return f"{len(numbers)} layer{'s' if len(numbers) > 1 else ''} of {heads}"
    return f"the layer{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))} of {heads}"


def pair_of(name: str, given: Pair | None) -> tuple[int, int] | None:
    """Return one number for each record, from a pair or from one number for both.

    Raises:
        SelectionError: it is neither a number nor a pair.
    """
    if given is None or isinstance(given, int):
        return None if given is None else (given, given)
    pair = tuple(given)
    if len(pair) != 2:
        raise SelectionError(f"Expected `{name}` as a number or a pair, got {given!r}.")
    return pair


def first_heads(
    a: AttentionRecord,
    b: AttentionRecord,
    places: tuple[tuple[Place, ...], tuple[Place, ...]],
    layers: tuple[int, int] | None,
    heads: tuple[int, int] | None,
    labels: tuple[str, str],
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the layers and heads shown first; by default, those that change most."""
    records = (a, b)
    for side, (record, label) in enumerate(zip(records, labels, strict=True)):
        try:
            if layers is not None:
                layer_row(record, layers[side])
            if heads is not None:
                head_number(record, heads[side])
        except SelectionError as error:
            raise SelectionError(f"{error} This is about {label}.") from error
    if layers is None or heads is None:
        found = (a.layers[0], b.layers[0]), (0, 0)
        if is_same_shape(a, b):
            found = _most_changed(a, head_changes(a, b, *places), layers, heads)
        layers, heads = layers or found[0], heads or found[1]
    return layers, heads


def _most_changed(
    record: AttentionRecord,
    changes: torch.Tensor,
    layers: tuple[int, int] | None,
    heads: tuple[int, int] | None,
) -> tuple[tuple[int, int], tuple[int, int]]:
    known = changes.nan_to_num(-1.0).clone()
    if layers is not None:
        chosen = record.layers.index(layers[0])
        known[[row for row in range(len(known)) if row != chosen]] = -2
    if heads is not None:
        known[:, [head for head in range(known.shape[1]) if head != heads[0]]] = -2
    row, head = divmod(int(known.argmax()), known.shape[1])
    layer = record.layers[row]
    return (layer, layer), (head, head)


def first_query(
    a: AttentionRecord,
    b: AttentionRecord,
    places: tuple[tuple[Place, ...], tuple[Place, ...]],
    layers: tuple[int, int],
    heads: tuple[int, int],
) -> int:
    """Return the place of the query whose row changes most, preferably a word that both have."""
    queries, keys = places
    shared = [place for place, (i, j) in enumerate(queries) if i is not None and j is not None]
    rows_a, rows_b = (
        _both(record.attentions[layer_row(record, layer), head], queries, keys, side)
        for side, (record, layer, head) in enumerate(zip((a, b), layers, heads, strict=True))
    )
    changes = total_variation(rows_a, rows_b).nan_to_num(-1.0)
    special = [a.queries.special_tokens_mask[queries[place][0] or 0] for place in shared]
    same = [not differs(queries[place], a.queries.tokens, b.queries.tokens) for place in shared]
    ranked = zip(map(operator.not_, special), same, changes.tolist(), shared, strict=True)
    return max(ranked, key=lambda one: (*one[:3], -one[3]))[3]
