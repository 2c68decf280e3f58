"""An attention block as a sum over its keys: by hand, by a slow loop, and the norm of a sum."""

from __future__ import annotations

import pytest
import torch

from introspect.errors import SelectionError
from introspect.functional import block_vectors, brought_by_head, linearized_norm


def test_two_heads_that_share_a_value_by_hand():
    values = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])  # one key-value head, two keys
    projection = torch.tensor([[[1.0], [0.0]], [[0.0], [10.0]]])  # head 0 takes the first number
    brought = brought_by_head(values, projection)
    assert brought[..., 0].tolist() == [[1.0, 3.0], [20.0, 40.0]]
    weights = torch.tensor([[[0.5, 0.5]], [[1.0, 0.0]]])
    found = block_vectors(weights, brought, torch.tensor([[100.0]]), first=1)
    # Key 0: 0.5·1 + 1·20; key 1, the query itself: 0.5·3 + 0·40 + 100.
    assert found[0, :, 0].tolist() == [20.5, 101.5]


def test_against_a_slow_loop():
    generator = torch.Generator().manual_seed(1)
    heads, n, size = 2, 3, 4
    weights = torch.randn(heads, n, n, generator=generator).softmax(-1).double()
    brought = torch.randn(heads, n, size, generator=generator).double()
    residual = torch.randn(n, size, generator=generator).double()
    found = block_vectors(weights, brought, residual)
    for i in range(n):
        for j in range(n):
            for m in range(size):
                expected = sum(
                    float(weights[h, i, j]) * float(brought[h, j, m]) for h in range(heads)
                )
                expected += float(residual[i, m]) if i == j else 0.0
                assert float(found[i, j, m]) == pytest.approx(expected)


@pytest.mark.parametrize("is_centered", [True, False])
def test_the_parts_of_a_norm_sum_to_the_norm(is_centered):
    generator = torch.Generator().manual_seed(2)
    parts = torch.randn(5, 3, 8, generator=generator, dtype=torch.float64)
    whole = parts.sum(1)
    weight = torch.randn(8, generator=generator, dtype=torch.float64)
    found = linearized_norm(parts, whole, weight, epsilon=1e-5, is_centered=is_centered)
    norm = torch.nn.LayerNorm(8) if is_centered else torch.nn.RMSNorm(8, eps=1e-5)
    norm = norm.double()
    norm.weight.data = weight
    torch.testing.assert_close(found.sum(1), norm(whole).detach())


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(SelectionError, match=r"\(1, 2, size\) brought"):
        block_vectors(torch.ones(1, 2, 2), torch.ones(1, 3, 4), torch.ones(2, 4))
