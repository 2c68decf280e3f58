"""Spread, sinks and positions of a pattern: worked by hand, and against slow loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from introspect.functional import (
    entropy,
    mass_on,
    offset_mass,
    renormalized,
    visible_keys,
    visible_offsets,
)


def random_pattern(n: int, seed: int) -> torch.Tensor:
    return (3 * torch.randn(n, n, generator=torch.Generator().manual_seed(seed))).softmax(-1)


@given(n=st.integers(1, 7), seed=st.integers(0, 1000))
def test_entropy_is_the_slow_sum(n, seed):
    pattern = random_pattern(n, seed)
    slow = sum(-w * math.log2(w) for w in pattern.flatten().tolist() if w > 0) / n
    assert float(entropy(pattern)) == pytest.approx(slow, abs=1e-6)


def test_entropy_of_even_attention_is_the_logarithm_of_its_keys():
    assert float(entropy(torch.full((4, 8), 1 / 8))) == pytest.approx(3)
    assert float(entropy(torch.eye(5))) == 0


@given(n=st.integers(1, 7), offset=st.integers(-8, 8), seed=st.integers(0, 1000))
def test_offset_mass_is_the_slow_mean(n, offset, seed):
    pattern = random_pattern(n, seed)
    inside = [pattern[i, i + offset].item() for i in range(n) if 0 <= i + offset < n]
    found = float(offset_mass(pattern, offset)) if abs(offset) < n else math.nan
    if not inside:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(sum(inside) / len(inside), abs=1e-6)


def test_mass_on_counts_only_the_queries_asked_for():
    pattern = torch.tensor([[0.7, 0.3], [0.1, 0.9]])
    assert float(mass_on(pattern, [True, False], queries=[False, True])) == pytest.approx(0.1)
    assert torch.isnan(mass_on(pattern, [True, False], queries=[False, False]))


@given(n=st.integers(2, 7), seed=st.integers(0, 1000), is_self=st.booleans())
def test_renormalized_rows_sum_to_one_and_keep_their_ratios(n, seed, is_self):
    pattern = random_pattern(n, seed)
    special = [i == 0 for i in range(n)]
    weights, removed = renormalized(pattern, special, is_self=is_self)
    for i in range(n):
        kept = [j for j in range(n) if not special[j] and not (is_self and i == j)]
        if not kept:
            assert torch.isnan(weights[i]).any() or float(removed[i]) == pytest.approx(1)
            continue
        left = sum(float(pattern[i, j]) for j in kept)
        assert float(removed[i]) == pytest.approx(1 - left, abs=1e-5)
        for j in range(n):
            expected = float(pattern[i, j]) / left if j in kept else 0
            assert float(weights[i, j]) == pytest.approx(expected, abs=1e-5)


def test_a_row_with_nothing_left_is_missing():
    weights, removed = renormalized(torch.tensor([[1.0, 0.0]]), [True, False], is_self=False)
    assert torch.isnan(weights[0, 1])
    assert float(removed[0]) == 1


# --- what a mask lets a query see ----------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(9, 9), (9, 0), (2, 0), (1, 1), (0, 9), (0, 0)])
@pytest.mark.parametrize("n", [1, 2, 6])
def test_the_mask_of_a_softmax_is_found(before, after, n):
    mask = torch.tensor([[-before <= j - i <= after for j in range(n)] for i in range(n)])
    scores = torch.randn(2, 3, n, n, generator=torch.Generator().manual_seed(n))
    weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
    assert visible_keys(weights).tolist() == [mask.tolist()] * 2
    # Layers are apart: another one's mask is another one's.
    full = torch.full((1, 3, n, n), 1 / n)
    assert visible_keys(torch.cat([weights, full]))[2].all()


@given(n=st.integers(1, 6), seed=st.integers(0, 1000))
def test_a_key_is_visible_between_offsets_that_any_head_uses(n, seed):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(3, n, n, generator=generator)
    weights = weights * (torch.rand(weights.shape, generator=generator) > 0.8)
    used = [j - i for head in weights.tolist() for i in range(n) for j in range(n) if head[i][j]]
    found = visible_keys(weights)
    for i in range(n):
        for j in range(n):
            expected = bool(used) and min(used) <= j - i <= max(used)
            assert bool(found[i, j]) == expected


def test_a_missing_weight_shows_nothing():
    assert not visible_keys(torch.full((2, 1, 1), torch.nan)).any()


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    limits=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    seed=st.integers(0, 999),
)
def test_limits_of_padded_texts_are_those_of_each_alone(lengths, limits, seed):
    before, after = limits
    longest = max(lengths)
    batch = torch.full((len(lengths), 2, longest, longest), torch.nan)
    alone = []
    for row, n in enumerate(lengths):
        places = torch.arange(n) - torch.arange(n)[:, None]
        scores = torch.randn(2, n, n, generator=torch.Generator().manual_seed(seed + row))
        hidden = (places < -before) | (places > after)
        weights = scores.masked_fill(hidden, -torch.inf).softmax(-1)
        weights[0, 0] = torch.nan
        batch[row, :, :n, :n] = weights
        alone.append(tuple(int(limit) for limit in visible_offsets(weights)))
    found = visible_offsets(batch, lengths)
    assert list(zip(*(limit.tolist() for limit in found), strict=True)) == alone
