"""Intervals by groups of cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta, binom, norm
from scipy.stats import t as student

from introspect.statistics import accuracy_intervals, drawn_counts, effect_intervals
from tests.statistics.helpers import coin_flips, pairs


def wilson(p: float, n: float) -> tuple[float, float]:
    """Wilson's interval, as his paper has it."""
    z = norm.ppf(0.975)
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def test_the_interval_of_independent_answers_is_wilsons():
    credits = coin_flips(400, 3, seed=1)
    low, high = accuracy_intervals(credits, range(400))
    for head in range(3):
        ends = wilson(float(credits[:, head].mean()), 400)
        assert (low[head], high[head]) == pytest.approx(ends)


@pytest.mark.parametrize("n", [5, 10, 400])
def test_the_interval_of_all_right_is_exact(n):
    low, high = accuracy_intervals(np.ones((n, 1)), range(n))
    assert (low[0], high[0]) == (pytest.approx(beta.ppf(0.025, n, 1)), 1.0)
    low, high = accuracy_intervals(np.zeros((n, 1)), range(n))
    assert (low[0], high[0]) == (0.0, pytest.approx(1 - beta.ppf(0.025, n, 1)))


def test_groups_of_equal_cases_have_the_interval_of_so_many_groups():
    """100 pages with four cases of the same answer each say no more than 100 cases."""
    pages = coin_flips(100, 1, seed=2)
    repeated = np.repeat(pages, 4, axis=0)
    groups = [case // 4 for case in range(400)]
    ours = accuracy_intervals(repeated, groups)
    n = 100 * (400 / 399) * (99 / 100) * (student.ppf(0.975, 399) / student.ppf(0.975, 99)) ** 2
    assert (ours[0][0], ours[1][0]) == pytest.approx(wilson(float(pages.mean()), n))
    naive = accuracy_intervals(repeated, range(400))
    assert (ours[1] - ours[0])[0] > 1.8 * (naive[1] - naive[0])[0]
    together = accuracy_intervals(np.ones((400, 1)), groups)
    assert together[0][0] == pytest.approx(beta.ppf(0.025, 100, 1))
    effects = [
        effect_intervals(pages, range(100), seed=5),
        effect_intervals(repeated, groups, seed=5),
    ]
    np.testing.assert_allclose(*effects)


def test_a_head_that_is_right_in_one_of_each_pair_is_not_surely_so():
    """Its groups are alike; the interval is that of the cases, and not of no width."""
    low, high = accuracy_intervals(np.array([[1.0], [0.0]] * 50), pairs(100))
    assert low[0] < 0.41 and high[0] > 0.59


def test_fewer_than_five_groups_have_no_interval():
    values = coin_flips(8, 2, seed=1)
    for low, high in (accuracy_intervals(values, pairs(8)), effect_intervals(values, pairs(8))):
        assert np.isnan([low, high]).all()


def test_effects_that_are_all_alike_have_no_interval():
    low, high = effect_intervals(np.full((20, 1), 0.3), range(20))
    assert np.isnan([low, high]).all()


def test_a_larger_variance_widens_both_kinds():
    values = coin_flips(60, 1, seed=3)
    low, high = accuracy_intervals(values, range(60), inflation=2)
    assert (low[0], high[0]) == pytest.approx(wilson(float(values.mean()), 30))
    plain, wide = (effect_intervals(values, range(60), inflation=k) for k in (1, 4))
    mean = values.mean()
    assert (wide[0] - mean)[0] == pytest.approx(2 * (plain[0] - mean)[0])
    assert (wide[1] - mean)[0] == pytest.approx(2 * (plain[1] - mean)[0])


def slow_ends(values: np.ndarray, groups: list, drawn: np.ndarray) -> tuple[float, float]:
    """The studentized interval of one head, from how often each group was drawn, plainly."""
    names = sorted(set(groups))
    known = {
        name: [v for v, group in zip(values, groups, strict=True) if group == name and v == v]
        for name in names
    }

    def mean_and_error(counts: list[int]) -> tuple[float, float]:
        every = [(c, known[name]) for c, name in zip(counts, names, strict=True)]
        size = sum(c * len(own) for c, own in every)
        mean = sum(c * sum(own) for c, own in every) / size
        squares = sum(c * (sum(own) - mean * len(own)) ** 2 for c, own in every)
        return mean, math.sqrt(squares * len(names) / (len(names) - 1)) / size

    mean, error = mean_and_error([1] * len(names))
    deviates = []
    for counts in drawn.astype(int).tolist():
        other, own_error = mean_and_error(counts)
        if own_error > 1e-9:
            deviates.append((other - mean) / own_error)
    tail = 0.025 * (1 - 4 / len(names))
    low, high = np.quantile(deviates, [tail, 1 - tail])
    return mean - float(high) * error, mean - float(low) * error


UNEVEN = ["a", "b", "b", "c", "c", "c", "a", "d", "d", "e", "e", "f"]


@pytest.mark.parametrize("heads", [2, 12])
def test_the_interval_of_effects_is_that_of_a_slow_loop_over_the_same_draws(heads):
    effects = np.random.default_rng(3).lognormal(size=(12, heads))
    effects[4, 1] = np.nan
    low, high = effect_intervals(effects, UNEVEN, resamples=200, seed=7)
    drawn = np.concatenate(list(drawn_counts(6, 200, np.random.default_rng(7))))
    assert (drawn.sum(1) == 6).all()
    for head in range(heads):
        ends = slow_ends(effects[:, head], UNEVEN, drawn)
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
    short = effect_intervals(credits, pairs(300), seed=1)
    long = effect_intervals(np.repeat(credits, 12, axis=1), pairs(300), seed=2)
    assert short[0][0] == pytest.approx(long[0][0], abs=0.003)
    assert short[1][0] == pytest.approx(long[1][0], abs=0.003)
    assert (long[0] == long[0][0]).all()


@pytest.mark.parametrize("intervals", [accuracy_intervals, effect_intervals])
def test_a_head_without_a_case_has_no_interval(intervals):
    credits = coin_flips(10, 2, seed=0)
    credits[:, 1] = np.nan
    low, high = intervals(credits, range(10))
    assert not np.isnan(low[0]) and np.isnan(low[1]) and np.isnan(high[1])


def test_the_same_seed_gives_the_same_interval():
    credits = coin_flips(30, 3, seed=0)
    assert np.array_equal(
        effect_intervals(credits, pairs(30), seed=4), effect_intervals(credits, pairs(30), seed=4)
    )


@pytest.mark.parametrize("intervals", [accuracy_intervals, effect_intervals])
def test_the_order_of_the_cases_moves_no_interval(intervals):
    credits, groups = coin_flips(40, 3, seed=6), [f"page {case // 2}" for case in range(40)]
    order = np.random.default_rng(1).permutation(40)
    again = intervals(credits[order], [groups[case] for case in order])
    np.testing.assert_array_equal(intervals(credits, groups), again)


@pytest.mark.parametrize(("n", "p"), [(20, 0.9), (60, 0.97)])
def test_intervals_hold_where_a_few_groups_have_all_errors(n, p):
    """Nearly all answers of a group are alike, and nearly all groups are right."""
    random, held = np.random.default_rng(0), []
    for _ in range(600):
        groups = np.repeat(np.arange(n), random.integers(1, 9, n))
        own = random.beta(0.5 * p, 0.5 * (1 - p), n)
        credits = (random.random(len(groups)) < own[groups]).astype(float)
        low, high = accuracy_intervals(credits[:, None], groups.tolist())
        held.append(low[0] <= p <= high[0])
    assert 0.93 < np.mean(held) < 0.985


def test_intervals_hold_what_they_promise():
    """A small version of benchmarks/coverage.py: 95% of the intervals hold the true value."""
    random = np.random.default_rng(0)
    for n, p in [(10, 0.7), (20, 0.9), (60, 0.97)]:
        low, high = accuracy_intervals((random.random((n, 4_000)) < p).astype(float), range(n))
        assert 0.925 < ((low <= p) & (p <= high)).mean() < 0.985
    for n in (10, 60):
        effects = random.lognormal(0, 0.5, (n, 1_500))
        low, high = effect_intervals(effects, range(n), resamples=1_000)
        assert 0.925 < ((low <= np.exp(0.125)) & (np.exp(0.125) <= high)).mean() < 0.98
