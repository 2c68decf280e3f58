"""ALTI: worked by hand, against a slow loop, and rows that sum to 1."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from introspect.functional import contributions, layer_product


def slow_contributions(vectors: torch.Tensor, outputs: torch.Tensor) -> list[list[float]]:
    rows = []
    for i, output in enumerate(outputs.tolist()):
        length = sum(abs(value) for value in output)
        near = []
        for part in vectors[i].tolist():
            distance = sum(abs(y - t) for y, t in zip(output, part, strict=True))
            near.append(max(0.0, length - distance))
        rows.append([value / sum(near) for value in near])
    return rows


def test_three_parts_by_hand():
    parts = torch.tensor([[[2.0, 0.0], [1.0, 1.0], [0.0, -1.0]]])
    # y = (3, 0), of length 3; distances 1, 3 and 4: 2, 0 and 0 are left.
    assert contributions(parts, torch.tensor([[3.0, 0.0]])).tolist() == [[1.0, 0.0, 0.0]]
    # With a bias, y = (3, 2), of length 5: distances 3, 3 and 6.
    assert contributions(parts, torch.tensor([[3.0, 2.0]])).tolist() == [[0.5, 0.5, 0.0]]


@pytest.mark.parametrize("seed", range(3))
def test_against_a_slow_loop(seed):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(4, 5, 6, generator=generator, dtype=torch.float64)
    outputs = vectors.sum(1) + 0.1 * torch.randn(4, 6, generator=generator, dtype=torch.float64)
    expected = torch.tensor(slow_contributions(vectors, outputs), dtype=torch.float64)
    torch.testing.assert_close(contributions(vectors, outputs), expected)


def test_a_row_that_every_part_leads_away_from_is_missing():
    parts = torch.tensor([[[-1.0, 0.0], [0.0, -1.0]], [[1.0, 0.0], [0.0, 0.0]]])
    found = contributions(parts, torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
    assert found[0].isnan().all()
    assert found[1].tolist() == [1.0, 0.0]


def test_two_layers_by_hand():
    first = [[0.8, 0.2], [0.5, 0.5]]
    second = [[1.0, 0.0], [0.25, 0.75]]
    found = layer_product(torch.tensor([first, second]))
    expected = torch.tensor([[0.8, 0.2], [0.25 * 0.8 + 0.75 * 0.5, 0.25 * 0.2 + 0.75 * 0.5]])
    torch.testing.assert_close(found[0].float(), torch.tensor(first))
    torch.testing.assert_close(found[1].float(), expected)


@settings(deadline=None)
@given(layers=st.integers(1, 4), n=st.integers(1, 6), seed=st.integers(0, 10**6))
def test_rows_sum_to_1(layers, n, seed):
    generator = torch.Generator().manual_seed(seed)
    shares = []
    for _ in range(layers):
        vectors = torch.randn(n, n, 8, generator=generator, dtype=torch.float64)
        shares.append(contributions(vectors, vectors.sum(1)))
    found = layer_product(torch.stack(shares))
    kept = found[~found.isnan().any(-1)]
    torch.testing.assert_close(kept.sum(-1), torch.ones(len(kept), dtype=torch.float64))
    assert (kept >= 0).all()
