"""Attention times its gradient: worked by hand, and the recursion against a product."""

from __future__ import annotations

import pytest
import torch

from introspect.errors import SelectionError
from introspect.functional import gradient_attention, relevance


def test_two_heads_and_two_layers_by_hand():
    weights = torch.tensor(
        [
            [[[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [0.25, 0.75]]],
            [[[1.0, 0.0], [0.2, 0.8]], [[1.0, 0.0], [0.6, 0.4]]],
        ]
    )
    slopes = torch.tensor(
        [
            [[[2.0, 9.0], [1.0, -1.0]], [[0.0, 9.0], [2.0, 4.0]]],
            [[[-1.0, 9.0], [5.0, 0.0]], [[1.0, 9.0], [0.0, 1.0]]],
        ]
    )
    rising = gradient_attention(weights, slopes)
    # Layer 0: heads (2 0, 0.5 0) and (0 0, 0.5 3); layer 1: (0 0, 1 0) and (1 0, 0 0.4).
    assert rising[0, 0].tolist() == [[2.0, 0.0], [0.5, 0.0]]
    assert rising[1, 1].tolist() == [[1.0, 0.0], [0.0, pytest.approx(0.4)]]
    found = relevance(weights, slopes)
    # Means: 1 0, 0.5 1.5; 0.5 0, 0.5 0.2. R_1 = 2 0, 0.5 2.5.
    # R_2 = R_1 + (0.5·2 0, 0.5·2 + 0.2·0.5 0.2·2.5).
    expected = [[[2.0, 0.0], [0.5, 2.5]], [[3.0, 0.0], [1.6, 3.0]]]
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), atol=1e-7, rtol=0
    )


def test_the_recursion_is_a_product_of_layers():
    generator = torch.Generator().manual_seed(3)
    weights = torch.randn(4, 3, 5, 5, generator=generator).softmax(-1).double()
    slopes = torch.randn(4, 3, 5, 5, generator=generator).double()
    product = torch.eye(5, dtype=torch.float64)
    for layer in range(4):
        mean = torch.zeros(5, 5, dtype=torch.float64)
        for head in range(3):
            for i in range(5):
                for j in range(5):
                    one = float(weights[layer, head, i, j]) * float(slopes[layer, head, i, j])
                    mean[i, j] += max(0.0, one) / 3
        product = (torch.eye(5, dtype=torch.float64) + mean) @ product
    torch.testing.assert_close(relevance(weights, slopes)[-1], product)


def test_without_a_rise_only_the_token_itself_is_left():
    weights = torch.full((2, 1, 3, 3), 1 / 3)
    found = relevance(weights, -torch.ones(2, 1, 3, 3))
    assert torch.equal(found, torch.eye(3, dtype=torch.float64).expand(2, 3, 3))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(SelectionError, match=r"\(1, 1, 2, 2\), got \(1, 2, 2, 2\)"):
        gradient_attention(torch.ones(1, 1, 2, 2), torch.ones(1, 2, 2, 2))
    with pytest.raises(SelectionError, match="self-attention of shape"):
        relevance(torch.ones(1, 1, 2, 3), torch.ones(1, 1, 2, 3))
