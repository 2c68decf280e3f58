"""The map of queries and keys: products survive it, and a planted direction is found."""

from __future__ import annotations

import numpy as np
import torch

from introspect.records import AttentionRecord
from introspect.studies.atlas.maps import MAP_COLUMNS, query_key_maps
from tests.synthetic import sequence

TEXT = "red cat blue dog red fish blue bird red cow blue ant"


def record(queries: torch.Tensor, keys: torch.Tensor) -> AttentionRecord:
    tokens = sequence(TEXT)
    n = len(tokens)
    weights = torch.full((1, 2, n, n), 1 / n)
    return AttentionRecord(weights, tokens, tokens, parts={"queries": queries, "keys": keys})


def test_a_planted_direction_parts_the_tokens():
    """Queries of colors attract keys of animals, along one direction among noise."""
    n = len(sequence(TEXT))
    torch.manual_seed(0)
    is_color = torch.tensor([word in ("red", "blue") for word in sequence(TEXT).tokens])
    queries, keys = (0.1 * torch.randn(1, size, n, 6) for size in (2, 1))
    queries[0, 1, is_color, 2] += 3
    keys[0, 0, ~is_color, 2] += 3
    table = query_key_maps([record(queries, keys)])
    assert tuple(table.columns) == MAP_COLUMNS
    own = table[table["head"] == 1]
    of_queries = own[own["side"] == "query"].set_index("token")["strength"]
    of_keys = own[own["side"] == "key"].set_index("token")["strength"]
    colors = of_queries.index.isin(["red", "blue"])
    sign = np.sign(of_queries[colors].mean())
    assert (sign * of_queries[colors]).min() > (sign * of_queries[~colors]).max()
    assert (sign * of_keys[~colors]).min() > (sign * of_keys[colors]).max()


def test_special_tokens_are_not_drawn_and_no_record_gives_no_row():
    n = len(sequence(TEXT))
    table = query_key_maps([record(torch.randn(1, 2, n, 6), torch.randn(1, 1, n, 6))])
    assert len(table) == 2 * 2 * (n - 2)
    assert query_key_maps([]).empty


def test_only_so_many_tokens_are_drawn(monkeypatch):
    monkeypatch.setattr("introspect.studies.atlas.maps.MOST_TOKENS", 15)
    n = len(sequence(TEXT))
    one = record(torch.randn(1, 2, n, 6), torch.randn(1, 1, n, 6))
    assert len(query_key_maps([one, one, one])) == 2 * 2 * 15
