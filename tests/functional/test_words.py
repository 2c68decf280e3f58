"""From pieces to words: by hand, against a slow loop, and what must not change on the way."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from introspect.functional import merge_pieces

THREE = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.2, 0.6], [0.0, 0.4, 0.6]])


def test_three_tokens_worked_by_hand():
    merged = merge_pieces(THREE, [[0], [1, 2]], [[0], [1, 2]])
    torch.testing.assert_close(merged, torch.tensor([[0.5, 0.5], [0.1, 0.9]]))


def test_queries_are_averaged_and_keys_are_summed():
    torch.testing.assert_close(
        merge_pieces(THREE, [[0, 1]], [[0], [1], [2]]), torch.tensor([[0.35, 0.35, 0.3]])
    )
    torch.testing.assert_close(
        merge_pieces(THREE, [[0], [1], [2]], [[0, 1]]), torch.tensor([[1.0], [0.4], [0.4]])
    )


def test_words_of_one_piece_change_nothing():
    assert torch.equal(merge_pieces(THREE, [[0], [1], [2]], [[0], [1], [2]]), THREE)


def test_leading_dimensions_are_kept():
    merged = merge_pieces(THREE.expand(4, 5, 3, 3), [[0], [1, 2]], [[0, 1, 2]])
    assert merged.shape == (4, 5, 2, 1)


def test_the_given_tensor_is_not_changed():
    before = THREE.clone()
    merge_pieces(THREE, [[0], [1, 2]], [[0], [1, 2]])
    assert torch.equal(THREE, before)


@st.composite
def partitions(draw, length):
    cuts = sorted({0, length} | draw(st.sets(st.integers(0, length), max_size=length)))
    return [list(range(a, b)) for a, b in zip(cuts, cuts[1:], strict=False)]


@st.composite
def merges(draw):
    queries, keys = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    scores = 2 * torch.randn(2, queries, keys, generator=generator, dtype=torch.float64)
    return scores.softmax(-1), draw(partitions(queries)), draw(partitions(keys))


@given(merges())
def test_rows_still_sum_to_one(merge):
    sums = merge_pieces(*merge).sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))


@given(merges())
def test_merging_equals_a_slow_loop(merge):
    attentions, queries, keys = merge
    merged = merge_pieces(*merge).tolist()
    for layer, matrix in enumerate(attentions.tolist()):
        for row, group in enumerate(queries):
            for column, pieces in enumerate(keys):
                slow = sum(sum(matrix[i][j] for j in pieces) for i in group) / len(group)
                assert abs(merged[layer][row][column] - slow) < 1e-12


@given(merges())
def test_merging_in_two_steps_equals_merging_keys_and_queries_apart(merge):
    attentions, queries, keys = merge
    each_query = [[i] for i in range(attentions.shape[-2])]
    each_word = [[j] for j in range(len(keys))]
    in_steps = merge_pieces(merge_pieces(attentions, each_query, keys), queries, each_word)
    torch.testing.assert_close(merge_pieces(*merge), in_steps)


def test_missing_weight_stays_where_it_is():
    weights = torch.full((3, 3), 1 / 3)
    weights[1, 2] = torch.nan
    merged = merge_pieces(weights, [[0], [1, 2]], [[0, 1], [2]])
    assert merged.isnan().tolist() == [[False, False], [False, True]]
    assert merged[1, 0] == pytest.approx(2 / 3)
