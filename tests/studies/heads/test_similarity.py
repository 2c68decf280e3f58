"""Heads that do the same: distances over texts, clusters and the map."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from introspect.errors import InputError, SelectionError
from introspect.functional import head_distance_sums
from introspect.records import AttentionRecord, TokenSequence
from introspect.studies.heads import SimilarityAnalyzer
from tests.closeness import assert_close
from tests.synthetic import TEXT, record

TEXTS = [TEXT, "A rose is a rose.", "One", "No marks here at all"]


def analyzed(*records):
    analyzer = SimilarityAnalyzer()
    for item in records:
        analyzer.update(item)
    return analyzer


def some(**options):
    return [record(text, seed=i, **options) for i, text in enumerate(TEXTS)]


def families():
    """Heads 0 and 2 look at the token itself, 1 at the first, 3 and 4 at all alike."""
    n = 4
    own, first, even = torch.eye(n), torch.zeros(n, n), torch.full((n, n), 1 / n)
    first[:, 0] = 1
    tokens = TokenSequence(tokens=("a", "b", "c", "d"))
    return AttentionRecord(torch.stack([own, first, own, even, even])[None], tokens, tokens)


def test_three_tokens_by_hand():
    tokens = TokenSequence(tokens=("[CLS]", "a", "b"), special_tokens_mask=(True, False, False))
    one = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    two = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    # [CLS] is no query; "a" looks alike in both, "b" at different tokens.
    table = analyzed(AttentionRecord(torch.stack([one, two])[None], tokens, tokens)).compute()
    assert table.to_dict("records") == [
        {"head_a": "L0H0", "head_b": "L0H1", "distance": 0.5, "n": 2}
    ]


def test_the_mean_is_over_the_queries_of_all_texts():
    records = some()
    total = sum(
        head_distance_sums(r.attentions[:, :, ~torch.tensor(r.queries.special_tokens_mask)])[0]
        for r in records
    )
    n = sum(len(r.queries) - 2 for r in records)
    analyzer = analyzed(*records)
    assert_close(analyzer.matrix().to_numpy(), total / n)
    table = analyzer.compute()
    assert (table["n"] == n).all()
    assert list(table.columns) == ["head_a", "head_b", "distance", "n"]
    assert len(table) == 6 * 5 / 2
    matrix = analyzer.matrix()
    for row in table.itertuples():
        assert matrix.loc[row.head_a, row.head_b] == matrix.loc[row.head_b, row.head_a]
        assert matrix.loc[row.head_a, row.head_b] == row.distance


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), causal=st.booleans())
def test_distances_are_from_zero_to_one(seed, causal):
    matrix = analyzed(record("A cat sat.", seed=seed, causal=causal)).matrix().to_numpy()
    assert ((matrix >= 0) & (matrix <= 1)).all()
    assert (matrix.diagonal() == 0).all()


def test_parts_in_any_order_give_the_table_of_one_pass():
    records = some() + some(causal=True)
    parts = [SimilarityAnalyzer() for _ in range(3)]
    for number, item in enumerate(records):
        parts[number % 3].update(item)
    merged = SimilarityAnalyzer()
    for part in reversed(parts):
        merged.merge(part)
    merged.merge(SimilarityAnalyzer())
    once = analyzed(*records)
    pd.testing.assert_frame_equal(merged.compute(), once.compute(), check_exact=True)
    pd.testing.assert_frame_equal(merged.map(), once.map(), check_exact=True)


def test_cross_attention_has_distances_too():
    whole = record(TEXT)
    keys = whole.keys.at(range(3))
    cross = AttentionRecord(whole.attentions[..., :3], whole.queries, keys, kind="cross")
    assert analyzed(cross).compute()["distance"].between(0, 1).all()


# --- clusters -------------------------------------------------------------------------------------


def test_families_are_found_by_number_and_by_threshold():
    analyzer = analyzed(families())
    assert analyzer.clusters(3)["cluster"].tolist() == [0, 1, 0, 2, 2]
    assert analyzer.clusters(threshold=0)["cluster"].tolist() == [0, 1, 0, 2, 2]
    assert analyzer.clusters(1)["cluster"].tolist() == [0] * 5
    assert analyzer.clusters(5)["cluster"].tolist() == [0, 1, 2, 3, 4]
    assert analyzer.clusters(threshold=1)["cluster"].tolist() == [0] * 5
    assert list(analyzer.clusters(2).columns) == ["layer", "head", "cluster"]


def partition(labels):
    found: dict[object, set[int]] = {}
    for index, label in enumerate(labels):
        found.setdefault(label, set()).add(index)
    return {frozenset(members) for members in found.values()}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), threshold=st.floats(0, 1), n=st.integers(1, 6))
def test_clusters_are_those_of_scipy(seed, threshold, n):
    analyzer = analyzed(record(TEXT, seed=seed))
    tree = linkage(squareform(analyzer.matrix().to_numpy()), "average")
    by_height = fcluster(tree, threshold, "distance")
    found = analyzer.clusters(threshold=threshold)["cluster"]
    assert partition(found) == partition(by_height)
    found = analyzer.clusters(n)["cluster"]
    assert partition(found) == partition(fcluster(tree, n, "maxclust"))
    assert found.drop_duplicates().tolist() == list(range(n))


def slow_average_linkage(distances, n):
    groups = [[i] for i in range(len(distances))]
    while len(groups) > n:
        _, a, b = min(
            (np.mean([distances[i, j] for i in groups[a] for j in groups[b]]), a, b)
            for a in range(len(groups))
            for b in range(a + 1, len(groups))
        )
        groups[a] += groups.pop(b)
    return {frozenset(group) for group in groups}


@pytest.mark.parametrize("n", range(1, 7))
def test_clusters_are_those_of_a_slow_loop(n):
    analyzer = analyzed(*some())
    expected = slow_average_linkage(analyzer.matrix().to_numpy(), n)
    assert partition(analyzer.clusters(n)["cluster"]) == expected


# --- the map --------------------------------------------------------------------------------------


def test_the_map_keeps_the_distances_that_a_plane_can_hold():
    analyzer = analyzed(families())
    table = analyzer.map(3)
    assert list(table.columns) == ["layer", "head", "x", "y", "cluster"]
    points = table[["x", "y"]].to_numpy()
    between = np.linalg.norm(points[:, None] - points[None], axis=-1)
    # Three places, so a plane holds them exactly.
    assert between == pytest.approx(analyzer.matrix().to_numpy(), abs=1e-6)
    assert table.attrs["explained_share"] == pytest.approx(1)
    assert table["cluster"].tolist() == [0, 1, 0, 2, 2]


def test_the_map_is_the_same_every_time_and_says_its_share():
    table = analyzed(*some()).map(threshold=0.5)
    pd.testing.assert_frame_equal(table, analyzed(*some()).map(threshold=0.5), check_exact=True)
    assert 0 < table.attrs["explained_share"] < 1
    for axis in ("x", "y"):
        assert table[axis].max() >= -table[axis].min() - 1e-9


def test_one_head_is_a_map_of_one_point():
    table = analyzed(record(TEXT, layers=1, heads=1)).map()
    assert table[["x", "y", "cluster"]].to_numpy().tolist() == [[0, 0, 0]]
    assert math.isnan(table.attrs["explained_share"])


# --- errors ---------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused():
    analyzer = SimilarityAnalyzer()
    for ask in (analyzer.compute, analyzer.matrix, analyzer.map):
        with pytest.raises(InputError, match="at least one text"):
            ask()
    analyzer.update(record(TEXT))
    with pytest.raises(InputError, match="one model"):
        analyzer.update(record(TEXT, heads=2))
    for wrong in ({}, {"n": 2, "threshold": 0.5}):
        with pytest.raises(SelectionError, match="either `n` or `threshold`"):
            analyzer.clusters(**wrong)
    with pytest.raises(SelectionError, match="from 1 to 6"):
        analyzer.clusters(7)
    with pytest.raises(SelectionError, match="from 0 to 1"):
        analyzer.map(threshold=1.5)


def test_heads_without_a_common_query_are_named():
    whole = record(TEXT, layers=1, heads=2)
    attentions = whole.attentions.clone()
    attentions[0, 1] = torch.nan
    analyzer = analyzed(AttentionRecord(attentions, whole.queries, whole.keys))
    table = analyzer.compute()
    assert table["distance"].isna().all()
    assert table["n"].tolist() == [0]
    with pytest.raises(InputError, match="L0H0 and L0H1"):
        analyzer.clusters(2)
