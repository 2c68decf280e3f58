"""The two-sided test of effects: what it finds, and that it is silent where there is nothing."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from introspect.statistics import effect_test


def noise(n: int, heads: int, seed: int, sigma: float = 0.0):
    random = np.random.default_rng([seed, n])
    if sigma:
        return random.lognormal(0, sigma, (n, heads)) - np.exp(sigma**2 / 2)
    return random.normal(size=(n, heads))


def statistic(values):
    """Hall's, one head at a time, written out."""
    n = len(values)
    deviation = values.std(ddof=1)
    u = values.mean() / deviation
    skewness = ((values - values.mean()) ** 3).mean() / deviation**3
    near = np.clip(u, -1, 1)
    return np.sqrt(n) * (u + skewness * near**2 / 3 + skewness**2 * near**3 / 27 + skewness / 6 / n)


def test_the_signs_are_all_made_where_there_are_few():
    values = noise(8, 3, 1) + np.array([0.0, 1.5, -1.5])
    signs = [np.array(each)[:, None] for each in product([1, -1], repeat=8)]
    slow = np.array([[abs(statistic(column)) for column in (s * values).T] for s in signs])
    observed = np.array([abs(statistic(column)) for column in values.T])
    test = effect_test(values, range(8))
    by_signs = (slow.max(1)[:, None] >= observed - 1e-9).mean(0)
    # With few groups the p-value by resamples is the larger one, or that by signs is exact.
    assert (test.p_adjusted >= by_signs - 1e-12).all()
    assert (test.p_value <= test.p_adjusted).all()


def test_it_is_two_sided_and_blind_to_the_sign():
    values = noise(60, 6, 0) + np.array([0, 0, 0, 1, -1, 0])
    test = effect_test(values, range(60), draws=2000)
    assert (test.p_adjusted < 0.05).tolist() == [False, False, False, True, True, False]
    mirrored = effect_test(-values, range(60), draws=2000)
    np.testing.assert_array_equal(test.p_adjusted, mirrored.p_adjusted)


def test_equal_heads_and_a_harmful_one_hide_nothing():
    values = noise(100, 12, 0)
    values[:, :4] += 0.8
    values[:, 4] -= 2.0
    test = effect_test(values, range(100), draws=2000)
    assert (test.p_adjusted < 0.05).tolist() == [True] * 5 + [False] * 7


@pytest.mark.parametrize(("n", "sigma"), [(20, 0.5), (60, 0.5), (60, 0.0)])
def test_without_effects_a_claim_is_rare_under_skew_as_well(n, sigma):
    found = [
        (effect_test(noise(n, 24, seed, sigma), range(n), draws=300).p_adjusted < 0.05).any()
        for seed in range(50)
    ]
    # A plain test by flipped signs makes one in a third of these studies.
    assert np.mean(found) <= 0.12


def test_a_constant_effect_is_found_and_no_effect_is_none():
    values = np.zeros((20, 3))
    values[:, 1] = 0.5
    values[0, 2] = 3.0
    test = effect_test(values, range(20), draws=1000)
    assert test.p_adjusted[1] < 0.05
    assert test.p_adjusted[0] == 1 and test.p_adjusted[2] > 0.5
    assert np.isfinite(test.detectable).all() and test.detectable[0] == 0


def test_a_large_effect_is_found_beside_one_that_a_single_case_has():
    """A resample without that case has no spread: it must not make every other head unsure."""
    values = noise(30, 12, 3) * 0.1
    values[:, 0] += 1
    values[1:, 6:] = 0
    assert effect_test(values, range(30), draws=1000).p_adjusted[0] < 0.05


def test_cases_of_one_group_count_once():
    values = np.repeat(noise(12, 2, 5) + 0.9, 5, axis=0)
    groups = [number // 5 for number in range(60)]
    grouped = effect_test(values, groups)
    alone = effect_test(values[::5], range(12))
    np.testing.assert_allclose(grouped.p_adjusted, alone.p_adjusted)
    np.testing.assert_allclose(grouped.detectable, alone.detectable)


def test_few_groups_have_no_p_values():
    test = effect_test(np.ones((4, 2)), range(4))
    assert np.isnan(test.p_adjusted).all() and np.isnan(test.detectable).all()
    assert test.note == "no p-values: 4 groups are too few; it takes at least 5"
    # Five have 2⁵ signs, of which two are as extreme as the observed ones.
    assert effect_test(np.ones((5, 1)), range(5)).p_value[0] >= 2 / 32


def test_the_detectable_size_is_found_in_about_four_of_five_studies():
    size = np.median(effect_test(noise(60, 24, 0), range(60), draws=1000).detectable)
    found = []
    for seed in range(1, 61):
        values = noise(60, 24, seed)
        values[:, 0] += size
        found.append(effect_test(values, range(60), draws=300).p_adjusted[0] < 0.05)
    assert 0.65 <= np.mean(found) <= 0.93
