"""Attention flow: worked by hand, against every cut, against another library, and its bounds."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from introspect.errors import SelectionError
from introspect.functional import flow, rollout
from introspect.functional.propagation import LARGEST_FLOW
from tests.functional.test_rollout import random_attentions


def mixed_by_hand(attentions: torch.Tensor, residual: float) -> list[list[list[float]]]:
    layers, heads, n, _ = attentions.shape
    mixed = []
    for at in range(layers):
        rows = []
        for i in range(n):
            means = [
                sum(float(attentions[at, h, i, j]) for h in range(heads)) / heads for j in range(n)
            ]
            row = [(1 - residual) * means[j] + residual * (i == j) for j in range(n)]
            rows.append([value / sum(row) for value in row])
        mixed.append(rows)
    return mixed


def smallest_cut(mixed: list[list[list[float]]], last: int, query: int, key: int) -> float:
    """The least that any division of the nodes lets through, by trying them all."""
    n = len(mixed[0])
    source, sink = (last + 1, query), (0, key)
    others = [(at, i) for at in range(last + 2) for i in range(n)]
    others = [node for node in others if node not in (source, sink)]
    best = float("inf")
    for choice in itertools.product((False, True), repeat=len(others)):
        near = {source, *(node for node, chosen in zip(others, choice, strict=True) if chosen)}
        through = sum(
            mixed[at][i][j]
            for at in range(last + 1)
            for i in range(n)
            for j in range(n)
            if (at + 1, i) in near and (at, j) not in near
        )
        best = min(best, through)
    return best


def test_two_tokens_and_two_layers_by_hand():
    first = [[[1.0, 0.0], [0.4, 0.6]], [[1.0, 0.0], [0.8, 0.2]]]  # mean: 1 0, 0.6 0.4
    second = [[[0.5, 0.5], [0.0, 1.0]], [[0.1, 0.9], [1.0, 0.0]]]  # mean: 0.3 0.7, 0.5 0.5
    found = flow(torch.tensor([first, second]))
    # A'_1 = 1 0, 0.3 0.7; A'_2 = 0.65 0.35, 0.25 0.75. From token 0 to token 0 two paths: over
    # itself min(0.65, 1), over token 1 min(0.35, 0.3).
    expected = [
        [[1.0, 0.0], [0.3, 0.7]],
        [[0.65 + 0.3, 0.35], [0.25 + 0.3, 0.7]],
    ]
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), atol=1e-7, rtol=0
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_maximum_flow_is_the_minimum_cut(seed):
    attentions = random_attentions(2, 2, 3, seed)
    found = flow(attentions, residual=0.3)
    mixed = mixed_by_hand(attentions, 0.3)
    for last, query, key in itertools.product(range(2), range(3), range(3)):
        cut = smallest_cut(mixed, last, query, key)
        assert float(found[last, query, key]) == pytest.approx(min(cut, 1.0), abs=1e-8)


def test_more_layers_and_tokens_agree_with_another_library():
    networkx = pytest.importorskip("networkx")
    layers, n = 4, 6
    attentions = random_attentions(layers, 3, n, 5)
    mixed = mixed_by_hand(attentions, 0.5)
    graph = networkx.DiGraph()
    for at, i, j in itertools.product(range(layers), range(n), range(n)):
        graph.add_edge((at + 1, i), (at, j), capacity=mixed[at][i][j])
    found = flow(attentions)
    for query, key in itertools.product(range(n), range(n)):
        value = networkx.maximum_flow_value(graph, (layers, query), (0, key))
        assert float(found[-1, query, key]) == pytest.approx(value, abs=1e-7)


@settings(deadline=None, max_examples=20)
@given(
    layers=st.integers(1, 3),
    n=st.integers(1, 5),
    residual=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    seed=st.integers(0, 10**6),
)
def test_what_a_path_carries_a_flow_carries_too(layers, n, residual, seed):
    attentions = random_attentions(layers, 2, n, seed)
    found = flow(attentions, residual=residual)
    assert float(found.min()) >= 0 and float(found.max()) <= 1
    assert (found >= rollout(attentions, residual=residual) - 1e-6).all()


def test_a_causal_model_has_no_flow_from_what_comes_later():
    attentions = torch.tril(torch.ones(2, 1, 4, 4))
    attentions = attentions / attentions.sum(-1, keepdim=True)
    found = flow(attentions)
    assert torch.equal(found, torch.tril(found))
    assert (found[-1].tril() > 0).sum() == 10


@pytest.mark.parametrize(
    ("attentions", "message"),
    [
        (torch.ones(1, 1, 2, 3), "as many queries"),
        (torch.full((1, 1, 2, 2), torch.nan), "without a missing weight"),
        (torch.full((1, 1, LARGEST_FLOW + 1, LARGEST_FLOW + 1), 0.1), "at most 64 tokens"),
    ],
)
def test_what_has_no_flow_is_refused(attentions, message):
    with pytest.raises(SelectionError, match=message):
        flow(attentions)


def test_a_residual_outside_its_range_is_refused():
    with pytest.raises(SelectionError, match="from 0 to 1, got 2"):
        flow(torch.ones(1, 1, 1, 1), residual=2)
