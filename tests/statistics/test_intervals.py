"""Intervals by groups of cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from introspect.statistics import (
    drawn_counts,
    grouped_bootstrap,
)
from tests.statistics.helpers import coin_flips, pairs


def test_the_interval_of_independent_coin_flips_is_the_binomials():
    credits = coin_flips(400, 1, seed=1)
    low, high = grouped_bootstrap(credits, range(400))
    mean = float(credits.mean())
    half = 1.96 * math.sqrt(mean * (1 - mean) / 400)
    assert low[0] == pytest.approx(mean - half, abs=0.006)
    assert high[0] == pytest.approx(mean + half, abs=0.006)


def test_groups_of_equal_cases_have_the_interval_of_so_many_groups():
    """100 pages with four cases of the same answer each say no more than 100 cases."""
    pages = coin_flips(100, 1, seed=2)
    repeated = np.repeat(pages, 4, axis=0)
    groups = [case // 4 for case in range(400)]
    ours = grouped_bootstrap(repeated, groups, seed=5)
    once = grouped_bootstrap(pages, range(100), seed=5)
    np.testing.assert_allclose(ours, once)
    naive = grouped_bootstrap(repeated, range(400))
    assert (ours[1] - ours[0])[0] > 1.8 * (naive[1] - naive[0])[0]


def slow_ends(credits: np.ndarray, groups: list, drawn: np.ndarray) -> tuple[float, float]:
    """The interval of one head, from how often each group was drawn, with plain numbers."""
    names = list(dict.fromkeys(groups))
    means = []
    for counts in drawn:
        values = [
            credits[case]
            for name, count in zip(names, counts, strict=True)
            for case in range(len(groups))
            if groups[case] == name and not math.isnan(credits[case])
            for _ in range(int(count))
        ]
        means.append(sum(values) / len(values))
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


UNEVEN = ["a", "b", "b", "c", "c", "c", "a", "d", "d", "e", "e", "f"]


@pytest.mark.parametrize("share", [1, 2, 3, 7.3])
def test_the_interval_is_that_of_a_slow_loop_over_the_same_draws(share):
    """Also of shares of ties, which are counted in units, and of numbers that are none."""
    credits = coin_flips(12, 12, seed=3) / share
    credits[4, 1] = np.nan
    low, high = grouped_bootstrap(credits, UNEVEN, resamples=200, seed=7)
    drawn = np.concatenate(list(drawn_counts(6, 200, np.random.default_rng(7))))
    assert (drawn.sum(1) == 6).all()
    for head in range(12):
        ends = slow_ends(credits[:, head], UNEVEN, drawn)
        assert (low[head], high[head]) == pytest.approx(ends, rel=1e-9)


@pytest.mark.parametrize(("num_groups", "resamples"), [(50, 4_000), (5_000, 2_000)])
def test_every_group_is_as_likely_as_any_other(num_groups, resamples):
    """Few groups are drawn one by one, and many mostly by Poisson counts, by the same law."""
    drawn = np.concatenate(list(drawn_counts(num_groups, resamples, np.random.default_rng(0))))
    assert drawn.shape == (resamples, num_groups)
    assert (drawn.sum(1) == num_groups).all()
    assert np.abs(drawn.sum(0) - resamples).max() < 5 * math.sqrt(resamples)
    # Each count is binomial; two of them are correlated by -1 / (n - 1).
    law = binom.pmf(np.arange(6), num_groups, 1 / num_groups)
    found = np.bincount(drawn.astype(int).ravel(), minlength=6)[:6] / drawn.size
    np.testing.assert_allclose(found, law, atol=5 * math.sqrt(0.25 / drawn.size), rtol=0.02)
    half = drawn[:, : num_groups // 2].sum(1)
    assert half.var() == pytest.approx(num_groups / 4, rel=0.15)


def test_groups_that_are_alike_are_drawn_together_to_the_same_end():
    """One column takes the short way and twelve the long one; both give the same interval."""
    credits = coin_flips(300, 1, seed=4) / 2 + coin_flips(300, 1, seed=5) / 2
    credits[:20] = np.nan
    short = grouped_bootstrap(credits, pairs(300), seed=1)
    long = grouped_bootstrap(np.repeat(credits, 12, axis=1), pairs(300), seed=2)
    assert short[0][0] == pytest.approx(long[0][0], abs=0.003)
    assert short[1][0] == pytest.approx(long[1][0], abs=0.003)
    assert (long[0] == long[0][0]).all()


def test_a_head_without_a_case_has_no_interval():
    credits = coin_flips(10, 2, seed=0)
    credits[:, 1] = np.nan
    low, high = grouped_bootstrap(credits, range(10))
    assert not np.isnan(low[0]) and np.isnan(low[1]) and np.isnan(high[1])


def test_the_same_seed_gives_the_same_interval():
    credits = coin_flips(30, 3, seed=0)
    assert np.array_equal(
        grouped_bootstrap(credits, pairs(30), seed=4), grouped_bootstrap(credits, pairs(30), seed=4)
    )
