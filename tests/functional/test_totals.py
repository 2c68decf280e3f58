"""Sums that are exact: by hand, against slow loops, and whatever the order and the padding."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from introspect.functional import (
    countable_rows,
    in_grains,
    make_summable_,
    offset_totals,
    row_entropy,
    weighted_totals,
)


def patterns(n: int, seed: int, heads: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(1, heads, n, n, generator=generator)).softmax(-1)


def everything(n: int) -> torch.Tensor:
    return torch.ones(1, n, dtype=torch.bool)


@given(n=st.integers(1, 7), seed=st.integers(0, 1000))
def test_totals_are_the_slow_sums(n, seed):
    pattern = patterns(n, seed)
    weights = make_summable_(countable_rows(pattern, everything(n), everything(n))[0])
    factors = torch.randint(0, 5, (1, 3, n, n), generator=torch.Generator().manual_seed(seed))
    found = weighted_totals(weights, factors.double())
    offsets = (-1, 0, 2, 9)
    places = offset_totals(weights, offsets)
    for head, rows in enumerate(pattern[0].tolist()):
        for number, table in enumerate(factors[0].tolist()):
            slow = sum(
                weight * factor
                for row, line in zip(rows, table, strict=True)
                for weight, factor in zip(row, line, strict=True)
            )
            assert float(found[0, head, number]) == pytest.approx(slow, abs=5e-6)
        for number, offset in enumerate(offsets):
            slow = sum(rows[i][i + offset] for i in range(n) if 0 <= i + offset < n)
            assert float(places[0, head, number]) == pytest.approx(slow, abs=1e-6)


@given(n=st.integers(1, 60), seed=st.integers(0, 1000))
def test_entropy_of_a_row_is_the_slow_sum(n, seed):
    pattern = patterns(n, seed)[0, 0]
    for found, row in zip(row_entropy(pattern).tolist(), pattern.tolist(), strict=True):
        assert found == pytest.approx(-sum(w * math.log2(w) for w in row if w > 0), abs=1e-6)


def test_entropy_of_rows_by_hand():
    rows = torch.tensor([[1.0, 0, 0, 0], [0.25, 0.5, 0.25, 0], [0, 0.5, 0.5, 0], [0.25] * 4])
    assert row_entropy(rows).tolist() == [0, 1.5, 1, 2]
    assert math.isnan(row_entropy(torch.tensor([0.5, math.nan])))
    assert row_entropy(torch.full((4096,), 1 / 4096)).item() == pytest.approx(12, abs=1e-6)


def test_rows_that_count_by_hand():
    nan = math.nan
    pattern = torch.tensor([[[[1, 0, nan], [0.25, 0.75, nan], [nan, nan, nan]]]])
    counts = torch.tensor([[False, True, False]])
    weights, missing = countable_rows(pattern, counts, torch.tensor([[True, True, False]]))
    assert weights.tolist() == [[[[0, 0, 0], [0.25, 0.75, 0], [0, 0, 0]]]]
    assert not missing.any()
    # With the third key a token, the row's weight on it is missing, and with it the row.
    weights, missing = countable_rows(pattern, counts, everything(3))
    assert missing.tolist() == [[[False, True, False]]]
    assert not weights.any()


@settings(deadline=None)
@given(n=st.integers(1, 40), more=st.integers(1, 90), seed=st.integers(0, 999))
def test_no_sum_depends_on_padding_or_on_its_neighbors(n, more, seed):
    pattern = patterns(n, seed)
    length = n + more
    beside = torch.full((3, 2, length, length), torch.nan)
    beside[0] = patterns(length, seed + 1)[0]
    beside[1, :, :n, :n] = pattern[0]
    tokens = torch.arange(length) < torch.tensor([[length], [n], [n]])
    alone, _ = countable_rows(pattern, everything(n), everything(n))
    batch, missing = countable_rows(beside, tokens, tokens)
    assert missing[2, :, :n].all()
    assert torch.equal(batch[1, :, :n, :n], alone[0])
    assert torch.equal(row_entropy(batch)[1, :, :n], row_entropy(alone)[0])
    alone, batch = make_summable_(alone), make_summable_(batch)
    factors = torch.arange(length).expand(3, 2, length, length).double()
    for values, other in (
        (weighted_totals(batch, factors), weighted_totals(alone, factors[:1, :, :n, :n])),
        (offset_totals(batch, (-1, 3)), offset_totals(alone, (-1, 3))),
    ):
        assert torch.equal(values[1], other[0])


@given(st.lists(st.floats(0, 16), min_size=1, max_size=50), st.randoms(use_true_random=False))
def test_grains_have_one_sum(values, generator):
    grains = in_grains(torch.tensor(values, dtype=torch.float64)).tolist()
    assert np.abs(np.array(grains) - np.array(values)).max() <= 2**-25
    total = sum(grains)
    generator.shuffle(grains)
    assert sum(grains) == total == math.fsum(grains)


def test_tiny_weights_take_next_to_nothing_from_entropy():
    row = torch.tensor([1 - 1e-6] + [1e-10] * 10_000, dtype=torch.float64)
    exact = float(torch.special.entr(row).sum()) / math.log(2)
    assert float(row_entropy(row)) == pytest.approx(exact, abs=1e-4)
    # Those that could make a sum inexact are left out whole; weights of 2e-9 and more are there.
    assert float(row_entropy(torch.tensor([1.0] + [1e-10] * 10_000))) == 0
    row = torch.tensor([1 - 1e-6] + [2e-9] * 1000, dtype=torch.float64)
    exact = float(torch.special.entr(row).sum()) / math.log(2)
    assert float(row_entropy(row)) == pytest.approx(exact, abs=1e-7)


def test_what_is_no_weight_has_no_entropy():
    assert math.isnan(row_entropy(torch.tensor([-0.5, 1.5])))


def test_a_logarithm_is_the_same_wherever_it_stands():
    # Vectorised code has another path for the last few numbers; entropy counts on one result.
    weights = torch.rand(3000, generator=torch.Generator().manual_seed(0)) ** 4
    whole = row_entropy(weights[:, None])
    for start, length in ((s, n) for s in range(0, 64, 5) for n in range(1, 70, 3)):
        part = weights[start : start + length].clone()
        assert torch.equal(row_entropy(part[:, None]), whole[start : start + length])
