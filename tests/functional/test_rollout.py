"""Attention rollout: worked by hand, against a slow loop, and what must always hold."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from introspect.errors import SelectionError
from introspect.functional import rollout


def random_attentions(layers: int, heads: int, n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(layers, heads, n, n, generator=generator)).softmax(-1)


def slow_rollout(attentions: torch.Tensor, residual: float) -> list[list[list[float]]]:
    """The same in plain Python: follow every path through every layer."""
    layers, heads, n, _ = attentions.shape
    flow = [[float(i == j) for j in range(n)] for i in range(n)]
    reached = []
    for layer in attentions.tolist():
        mixed = []
        for i in range(n):
            row = [
                (1 - residual) * sum(layer[h][i][j] for h in range(heads)) / heads
                + (residual if i == j else 0.0)
                for j in range(n)
            ]
            mixed.append([value / sum(row) for value in row])
        flow = [
            [sum(mixed[i][k] * flow[k][j] for k in range(n)) for j in range(n)] for i in range(n)
        ]
        reached.append(flow)
    assert len(reached) == layers
    return reached


def test_two_tokens_and_two_layers_by_hand():
    first = [[[1.0, 0.0], [0.4, 0.6]], [[1.0, 0.0], [0.8, 0.2]]]  # mean: 1 0, 0.6 0.4
    second = [[[0.5, 0.5], [0.0, 1.0]], [[0.1, 0.9], [1.0, 0.0]]]  # mean: 0.3 0.7, 0.5 0.5
    found = rollout(torch.tensor([first, second]))
    # A'_1 = 1 0, 0.3 0.7; A'_2 = 0.65 0.35, 0.25 0.75
    expected = [
        [[1.0, 0.0], [0.3, 0.7]],
        [[0.65 + 0.35 * 0.3, 0.35 * 0.7], [0.25 + 0.75 * 0.3, 0.75 * 0.7]],
    ]
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), atol=1e-7, rtol=0
    )


@settings(deadline=None)
@given(
    layers=st.integers(1, 4),
    heads=st.integers(1, 3),
    n=st.integers(1, 5),
    residual=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_it_is_the_slow_loop_and_rows_sum_to_one(layers, heads, n, residual, seed):
    attentions = random_attentions(layers, heads, n, seed)
    found = rollout(attentions, residual=residual)
    assert found.shape == (layers, n, n)
    expected = torch.tensor(slow_rollout(attentions, residual), dtype=torch.float64)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(found.sum(-1), torch.ones(layers, n, dtype=torch.float64))
    assert float(found.min()) >= 0 and float(found.max()) <= 1 + 1e-12


def test_with_everything_passing_by_a_token_stays_itself():
    found = rollout(random_attentions(3, 2, 4, seed=1), residual=1)
    assert torch.equal(found, torch.eye(4, dtype=torch.float64).expand(3, 4, 4))


def test_with_nothing_passing_by_one_layer_is_the_mean_of_its_heads():
    attentions = random_attentions(1, 3, 4, seed=2)
    mean = attentions[0].double().mean(0)
    torch.testing.assert_close(
        rollout(attentions, residual=0)[0], mean / mean.sum(-1, keepdim=True)
    )


def test_rows_that_sum_to_less_are_made_to_sum_to_one():
    # A head with a sink of its own: half of the attention goes to no token.
    found = rollout(torch.tensor([[[[0.25, 0.25], [0.0, 0.5]]]]), residual=0)
    torch.testing.assert_close(found[0], torch.tensor([[0.5, 0.5], [0.0, 1.0]]).double())


def test_an_empty_row_keeps_itself_or_is_missing():
    empty = torch.tensor([[[[0.0, 0.0], [0.5, 0.5]]]])
    assert rollout(empty)[0, 0].tolist() == [1, 0]
    found = rollout(empty, residual=0)[0]
    assert found[0].isnan().all()
    assert found[1].tolist() == [0.5, 0.5]


def test_a_missing_weight_reaches_only_those_who_look_at_its_token():
    # Token 2 looks at 1, and 1 at 0; 0 looks at itself.
    layer = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    attentions = layer.expand(3, 1, 3, 3).clone()
    attentions[0, 0, 1, 0] = math.nan
    missing = rollout(attentions)[:, :, 0].isnan()
    assert missing.tolist() == [[False, True, False], [False, True, True], [False, True, True]]
    assert rollout(attentions)[2, 0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("shape", [(2, 2, 3, 4), (2, 3, 3), (0, 2, 3, 3)])
def test_only_square_attention_has_a_rollout(shape):
    with pytest.raises(SelectionError, match="as many queries"):
        rollout(torch.rand(shape))


@pytest.mark.parametrize("residual", [-0.1, 1.1, math.nan])
def test_the_residual_part_is_a_part(residual):
    with pytest.raises(SelectionError, match="from 0 to 1"):
        rollout(torch.eye(2).expand(1, 1, 2, 2), residual=residual)
