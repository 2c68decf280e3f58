"""Distances between rows: worked by hand, and against slow loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from introspect.functional import head_distance_sums, total_variation

A = [0.5, 0.3, 0.2]
B = [0.1, 0.3, 0.6]


def random_rows(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(2, n, generator=generator, dtype=torch.float64)).softmax(-1)


def jensen_shannon_distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The distance of each row from the other, as of two heads with that query alone."""
    rows = zip(a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1]), strict=True)
    of_heads = [head_distance_sums(torch.stack(pair)[None, :, None]) for pair in rows]
    return torch.stack([sums[0, 1] / n[0, 1] for sums, n in of_heads]).reshape(a.shape[:-1])


def slow_divergence(a: list[float], b: list[float]) -> float:
    """The mean of two Kullback–Leibler divergences from the middle, in bits."""
    total = 0.0
    for x, y in zip(a, b, strict=True):
        middle = (x + y) / 2
        total += (x * math.log2(x / middle) if x > 0 else 0) / 2
        total += (y * math.log2(y / middle) if y > 0 else 0) / 2
    return total


def test_three_tokens_by_hand():
    a, b = torch.tensor(A), torch.tensor(B)
    # (0.4 + 0 + 0.4) / 2
    assert float(total_variation(a, b)) == pytest.approx(0.4)
    # The middle is 0.3, 0.3, 0.4:
    # (0.5 log2 5/3 + 0.2 log2 1/2 + 0.1 log2 1/3 + 0.6 log2 3/2) / 2 = 0.180482
    by_hand = (0.5 * 0.7369656 - 0.2 - 0.1 * 1.5849625 + 0.6 * 0.5849625) / 2
    assert by_hand == pytest.approx(0.1804820, abs=1e-6)
    assert float(jensen_shannon_distance(a, b)) == pytest.approx(math.sqrt(by_hand), abs=1e-6)


@given(n=st.integers(1, 8), seed=st.integers(0, 1000))
def test_slow_loops_give_the_same(n, seed):
    a, b = random_rows(n, seed)
    moved = sum(max(x - y, 0) for x, y in zip(a.tolist(), b.tolist(), strict=True))
    assert float(total_variation(a, b)) == pytest.approx(moved, abs=1e-9)
    slow = math.sqrt(max(slow_divergence(a.tolist(), b.tolist()), 0))
    assert float(jensen_shannon_distance(a, b)) == pytest.approx(slow, abs=1e-6)


@pytest.mark.parametrize("distance", [total_variation, jensen_shannon_distance])
@given(n=st.integers(1, 8), seed=st.integers(0, 1000))
def test_a_distance_is_from_0_to_1_and_the_same_both_ways(distance, n, seed):
    a, b = random_rows(n, seed)
    assert 0 <= float(distance(a, b)) <= 1 + 1e-12
    assert float(distance(a, b)) == pytest.approx(float(distance(b, a)), abs=1e-12)
    assert float(distance(a, a)) == 0


@pytest.mark.parametrize("distance", [total_variation, jensen_shannon_distance])
def test_rows_without_a_key_in_common_are_1_apart_and_empty_keys_do_not_count(distance):
    a, b = torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0])
    assert float(distance(a, b)) == pytest.approx(1)
    assert float(distance(a, a)) == 0
    # A row without any weight is no distribution.
    empty = float(distance(torch.zeros(3), torch.zeros(3)))
    assert empty == 0 if distance is total_variation else math.isnan(empty)


@pytest.mark.parametrize("distance", [total_variation, jensen_shannon_distance])
def test_a_missing_weight_makes_the_distance_missing_in_its_row_only(distance):
    a = torch.tensor([A, [math.nan, 0.5, 0.5]])
    b = torch.tensor([A, [0.0, 0.5, 0.5]])
    for found in (distance(a, b), distance(b, a)):
        assert found.shape == (2,)
        assert float(found[0]) == 0
        assert math.isnan(float(found[1]))


@pytest.mark.parametrize("distance", [total_variation, jensen_shannon_distance])
def test_any_number_of_dimensions_comes_before_the_keys(distance):
    a = torch.rand(2, 3, 4, 5).softmax(-1)
    b = torch.rand(2, 3, 4, 5).softmax(-1)
    found = distance(a, b)
    assert found.shape == (2, 3, 4) and found.dtype == torch.float64
    assert float(found[1, 2, 3]) == pytest.approx(float(distance(a[1, 2, 3], b[1, 2, 3])))
