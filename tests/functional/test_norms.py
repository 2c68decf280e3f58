"""Norm-weighted attention: by hand, by a slow loop, and by its own identity."""

from __future__ import annotations

import math

import pytest
import torch

from introspect.errors import SelectionError
from introspect.functional import norm_weights, value_norms


def test_a_case_worked_by_hand():
    """Two keys, one head of size 2, into a width of 3.

    v₀ = (1, 2) becomes (1, 2, 2) of length 3, and v₁ = (0, 1) becomes (0, 1, 1) of length √2.
    """
    values = torch.tensor([[[1.0, 2.0], [0.0, 1.0]]])
    projection = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]])
    norms = value_norms(values, projection)
    assert norms.tolist()[0] == pytest.approx([3, math.sqrt(2)])
    weights = norm_weights(torch.tensor([[[0.5, 0.5], [0.1, 0.9]]]), norms)
    expected = [[1.5, math.sqrt(2) / 2], [0.3, 0.9 * math.sqrt(2)]]
    for row, by_hand in zip(weights[0].tolist(), expected, strict=True):
        assert row == pytest.approx(by_hand)


@pytest.mark.parametrize("shared", [1, 2, 6])
def test_a_slow_loop_gives_the_same(shared):
    torch.manual_seed(shared)
    values, projection = torch.randn(2, shared, 5, 4), torch.randn(6, 4, 7)
    attentions = torch.rand(2, 6, 3, 5).softmax(-1)
    weights = norm_weights(attentions, value_norms(values, projection))
    for item in range(2):
        for head in range(6):
            for query in range(3):
                for key in range(5):
                    brought = [
                        sum(
                            float(attentions[item, head, query, key])
                            * float(values[item, head * shared // 6, key, d])
                            * float(projection[head, d, m])
                            for d in range(4)
                        )
                        for m in range(7)
                    ]
                    length = math.sqrt(sum(b * b for b in brought))
                    assert float(weights[item, head, query, key]) == pytest.approx(length, abs=1e-5)


def test_what_is_nearly_nothing_keeps_its_digits():
    """Two columns that cancel: squares of lengths would lose all of them in single precision."""
    projection = torch.tensor([[[1.0, 0.0], [1.0, 1e-4]]])
    norms = value_norms(torch.tensor([[[1.0, -1.0]]]), projection)
    assert float(norms) == pytest.approx(1e-4, rel=1e-3)


def test_a_head_wider_than_the_model():
    torch.manual_seed(0)
    values, projection = torch.randn(1, 4, 6), torch.randn(1, 6, 2)
    expected = (values @ projection).norm(dim=-1)
    torch.testing.assert_close(value_norms(values, projection), expected)


@pytest.mark.parametrize("shape", [(5, 4), (4, 5, 4), (6, 5, 3)])
def test_values_that_do_not_fit_are_refused(shape):
    with pytest.raises(SelectionError, match="Expected values of shape"):
        value_norms(torch.ones(shape), torch.ones(6, 4, 7))
