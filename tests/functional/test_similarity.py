"""Distances between heads and points for them: by hand, and against slow loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from introspect.functional import classical_mds, head_distance_sums, similarity


def random_heads(seed: int, layers: int = 2, heads: int = 2, n: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(layers, heads, n, n, generator=generator)).softmax(-1)


def head_distances(pattern: torch.Tensor) -> torch.Tensor:
    sums, counts = head_distance_sums(pattern)
    return sums / counts


def test_three_keys_by_hand():
    # (1, 0, 0) against (0.5, 0.5, 0): the middle (0.75, 0.25, 0) has 0.8113 bits, the two 0 and 1.
    pattern = torch.tensor([[[[1.0, 0.0, 0.0]], [[0.5, 0.5, 0.0]], [[0.0, 0.0, 1.0]]]])
    found = head_distances(pattern)
    entropy = -0.75 * math.log2(0.75) - 0.25 * math.log2(0.25)
    assert float(found[0, 1]) == pytest.approx(math.sqrt(entropy - 0.5))
    assert float(found[0, 2]) == float(found[1, 2]) == 1
    assert found.diagonal().tolist() == [0, 0, 0]


def slow(pattern: torch.Tensor) -> np.ndarray:
    """By the two divergences from the middle, from Python floats."""

    def divergence(p: list[float], m: list[float]) -> float:
        return sum(a * math.log2(a / b) for a, b in zip(p, m, strict=True) if a > 0)

    heads = pattern.flatten(0, 1).tolist()
    found = np.zeros((len(heads), len(heads)))
    for a, first in enumerate(heads):
        for b, second in enumerate(heads):
            per_query = []
            for p, q in zip(first, second, strict=True):
                m = [(x + y) / 2 for x, y in zip(p, q, strict=True)]
                per_query.append(math.sqrt(max(divergence(p, m) + divergence(q, m), 0) / 2))
            found[a, b] = sum(per_query) / len(per_query)
    return found


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 6))
def test_distances_are_those_of_the_slow_loop(seed, n):
    pattern = random_heads(seed, n=n)
    assert head_distances(pattern).numpy() == pytest.approx(slow(pattern), abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000))
def test_it_is_a_metric_from_zero_to_one(seed):
    found = head_distances(random_heads(seed, heads=3)).numpy()
    assert (found >= 0).all()
    assert (found <= 1).all()
    assert np.array_equal(found, found.T)
    through = (found[:, :, None] + found[None]).min(1)
    assert (found <= through + 1e-9).all()


def test_rows_that_are_no_distribution_are_left_out_of_their_pairs_only():
    pattern = random_heads(3)
    whole = head_distances(pattern)
    pattern[0, 0, 1] = torch.nan
    pattern[0, 1, 2] = 0
    sums, counts = head_distance_sums(pattern)
    assert counts.tolist() == [[4, 3, 4, 4], [3, 4, 4, 4], [4, 4, 5, 5], [4, 4, 5, 5]]
    assert float((sums / counts)[2, 3]) == float(whole[2, 3])
    kept = head_distances(pattern[:, :, [0, 3, 4]])
    assert float((sums / counts)[0, 1]) == pytest.approx(float(kept[0, 1]))
    nothing = head_distances(torch.full((1, 2, 3, 3), torch.nan))
    assert nothing.isnan().all()


def test_the_size_of_the_chunks_changes_nothing(monkeypatch):
    pattern = random_heads(5, n=7)
    whole = head_distances(pattern)
    monkeypatch.setattr(similarity, "_CHUNK", 50)
    assert head_distances(pattern).numpy() == pytest.approx(whole.numpy(), abs=1e-12)


# --- points ---------------------------------------------------------------------------------------


def between(points):
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def test_three_points_by_hand():
    # A triangle of sides 3, 4 and 5 fits a plane exactly.
    distances = np.array([[0.0, 3.0, 4.0], [3.0, 0.0, 5.0], [4.0, 5.0, 0.0]])
    points, share = classical_mds(distances)
    assert between(points) == pytest.approx(distances)
    assert share == pytest.approx(1)
    assert points.mean(0) == pytest.approx([0, 0])
    assert (points.max(0) >= -points.min(0) - 1e-9).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(3, 9))
def test_points_in_a_plane_are_found_again(seed, n):
    true = np.random.default_rng(seed).normal(size=(n, 2))
    points, share = classical_mds(between(true))
    assert between(points) == pytest.approx(between(true), abs=1e-6)
    assert share == pytest.approx(1)
    again, _ = classical_mds(between(true))
    assert np.array_equal(points, again)


def test_the_share_is_that_of_the_eigenvalues():
    # Four points, all 1 apart: three equal eigenvalues, of which two are drawn.
    _, share = classical_mds(1 - np.eye(4))
    assert share == pytest.approx(2 / 3)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_points_that_are_one_have_no_share(n):
    points, share = classical_mds(np.zeros((n, n)))
    assert (points == 0).all()
    assert points.shape == (n, 2)
    assert math.isnan(share)
