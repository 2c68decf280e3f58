"""Intervals, tests and held-out choice: against slow loops, known answers and planted heads."""

from __future__ import annotations

import itertools
import math
import statistics as plain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from introspect.errors import InputError
from introspect.statistics import (
    fold_of_groups,
    grouped_bootstrap,
    held_out_selection,
    permutation_test,
    twin_accuracy,
)
from introspect.statistics.bootstrap import drawn_counts
from introspect.statistics.relabelling import labelling_sums, relabelled_totals


def two_candidates(credits: np.ndarray) -> np.ndarray:
    return np.stack([credits, 1 - credits])


def coin_flips(cases: int, heads: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (cases, heads)).astype(float)


def pairs(cases: int) -> list[int]:
    return [case // 2 for case in range(cases)]


# --- intervals ---------------------------------------------------------------------------------


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


# --- relabelling -------------------------------------------------------------------------------


def slow_permutation(labellings: np.ndarray, groups: list) -> tuple[list[float], list[float]]:
    """All relabellings of all groups, one by one, with plain numbers."""
    names = list(dict.fromkeys(groups))
    count, cases, heads = labellings.shape

    def total(shifts: dict, head: int) -> float:
        found = 0.0
        for case in range(cases):
            own = labellings[:, case, head]
            if not math.isnan(own[0]):
                found += own[shifts[groups[case]]] - plain.fmean(own)
        return found

    def norm(head: int) -> float:
        squares = 0.0
        for name in names:
            sums = [
                sum(
                    labellings[r, c, head] - plain.fmean(labellings[:, c, head])
                    for c in range(cases)
                    if groups[c] == name and not math.isnan(labellings[0, c, head])
                )
                for r in range(count)
            ]
            squares += plain.fmean(s * s for s in sums)
        return math.sqrt(squares)

    norms = [norm(head) for head in range(heads)]
    observed = [total(dict.fromkeys(names, 0), h) / norms[h] for h in range(heads)]
    own = [0] * heads
    family = [0] * heads
    shifts = list(itertools.product(range(count), repeat=len(names)))
    for chosen in shifts:
        found = [total(dict(zip(names, chosen, strict=True)), h) / norms[h] for h in range(heads)]
        for h in range(heads):
            own[h] += found[h] >= observed[h] - 1e-9
            family[h] += max(found) >= observed[h] - 1e-9
    return [n / len(shifts) for n in own], [n / len(shifts) for n in family]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("num_labellings", [2, 3])
def test_few_groups_are_relabelled_in_every_way(seed, num_labellings):
    random = np.random.default_rng(seed)
    groups = [0, 0, 1, 2, 2, 3, 4, 4, 5]
    if num_labellings == 2:
        labellings = two_candidates(random.integers(0, 3, (9, 3)) / 2)
    else:
        labellings = random.dirichlet(np.ones(3), (9, 3)).transpose(2, 0, 1)
    labellings[:, 3, 1] = np.nan
    result = permutation_test(labellings, groups)
    own, family = slow_permutation(labellings, groups)
    assert result.p_value.tolist() == pytest.approx(own)
    assert result.p_adjusted.tolist() == pytest.approx(family)
    assert result.num_groups == 6


def test_single_precision_gives_the_same_figures_to_the_last_digit():
    """A third in single precision is none, but a whole number of sixths again."""
    shares = np.random.default_rng(3).integers(0, 4, (90, 12)) / 3
    single = two_candidates(shares).astype(np.float32)
    double = two_candidates(shares)
    a, b = (permutation_test(x, pairs(90), permutations=500) for x in (single, double))
    assert np.array_equal(a.p_value, b.p_value) and np.array_equal(a.p_adjusted, b.p_adjusted)
    c, d = (held_out_selection(x, pairs(90), permutations=200) for x in (single, double))
    assert (c.accuracy, c.p_value, c.ci_low) == (d.accuracy, d.p_value, d.ci_low)
    e, f = (grouped_bootstrap(x[0], pairs(90), resamples=500) for x in (single, double))
    assert np.array_equal(e, f)


def test_relabelled_totals_are_those_of_a_slow_loop_over_the_same_shifts():
    """Groups of two, of three and of six labellings, in parts, one head unobservable for some."""
    random = np.random.default_rng(5)
    labellings = np.empty((6, 30, 4))
    for case in range(30):
        period = (2, 3, 6)[case % 3]
        labellings[:, case] = np.tile(random.integers(0, 7, (period, 4)) / 6, (6 // period, 1))
    labellings[:, 7, 2] = np.nan
    sums, per_one = labelling_sums(labellings, np.arange(30))
    part = np.arange(30) % 4
    totals = relabelled_totals(sums, 3, np.random.default_rng(1), part) / per_one
    # The draws, in their order: by part, by period, in blocks; bits of bytes for two labellings.
    again = np.random.default_rng(1)
    shifts = np.zeros((3, 30), dtype=int)
    for number in range(4):
        for period in (2, 3, 6):
            members = [c for c in range(30) if c % 4 == number and (2, 3, 6)[c % 3] == period]
            if period == 2 and members:
                width = math.ceil(len(members) / 8)
                drawn = np.unpackbits(
                    np.frombuffer(again.bytes(3 * width), np.uint8).reshape(3, width), axis=1
                )[:, : len(members)]
            elif members:
                drawn = again.integers(period, size=(3, len(members)), dtype=np.uint8)
            for place, case in enumerate(members):
                shifts[:, case] = drawn[:, place]
    for row in range(3):
        for number in range(4):
            for head in range(4):
                slow = sum(
                    labellings[shifts[row, case], case, head]
                    for case in range(number, 30, 4)
                    if not math.isnan(labellings[0, case, head])
                )
                assert totals[row, number, head] == pytest.approx(slow, abs=1e-9)


@pytest.mark.parametrize("num_labellings", [2, 3])
def test_every_shift_is_as_likely_as_any_other(num_labellings):
    sums = np.zeros((num_labellings, 40, num_labellings), dtype=np.float32)
    for shift in range(num_labellings):
        sums[shift, :, shift] = 1  # a head for each shift counts the groups with that shift
    totals = relabelled_totals(sums, 3_000, np.random.default_rng(2))[:, 0]
    assert (totals.sum(1) == 40).all()
    expected = 40 / num_labellings
    spread = math.sqrt(40 * (num_labellings - 1)) / num_labellings
    assert np.abs(totals.mean(0) - expected).max() < 5 * spread / math.sqrt(3_000)
    np.testing.assert_allclose(totals.std(0), spread, rtol=0.1)


def test_drawn_relabellings_come_near_all_of_them():
    labellings = two_candidates(coin_flips(24, 4, seed=6))
    groups = pairs(24)
    every = permutation_test(labellings, groups, permutations=5000)  # 2¹² = 4096 ways
    drawn = permutation_test(labellings, groups, permutations=4000)
    np.testing.assert_allclose(drawn.p_value, every.p_value, atol=0.03)
    np.testing.assert_allclose(drawn.p_adjusted, every.p_adjusted, atol=0.03)


def test_the_family_is_never_surer_than_a_head():
    result = permutation_test(two_candidates(coin_flips(60, 40, seed=8)), pairs(60))
    assert (result.p_adjusted >= result.p_value).all()
    assert (result.p_value > 0).all()


def test_a_head_that_is_always_right_is_found_and_one_that_is_always_wrong_is_not():
    credits = coin_flips(60, 20, seed=9)
    credits[:, 3], credits[:, 4] = 1, 0
    result = permutation_test(two_candidates(credits), pairs(60))
    assert result.p_adjusted[3] < 0.001
    assert result.p_adjusted[4] == 1


def test_with_too_few_groups_there_is_no_p_value_and_it_says_so():
    result = permutation_test(two_candidates(np.ones((40, 2))), [case % 4 for case in range(40)])
    assert np.isnan(result.p_value).all() and np.isnan(result.p_adjusted).all()
    assert "4 groups" in result.note and "at least 5" in result.note


def test_a_head_that_gives_no_evidence_is_never_significant():
    credits = coin_flips(40, 2, seed=1)
    credits[:, 0] = 0.5
    result = permutation_test(two_candidates(credits), pairs(40))
    assert result.p_value[0] == 1 and result.p_adjusted[0] == 1


# --- held out ----------------------------------------------------------------------------------


def slow_held_out(credits: np.ndarray, groups: list, folds: int, seed: int) -> list[float]:
    names = list(dict.fromkeys(groups))
    index = np.array([names.index(group) for group in groups])
    fold = fold_of_groups(index, folds, seed=seed)
    found = [math.nan] * len(groups)
    for number in range(folds):
        best, best_accuracy = None, -1.0
        counts = []
        for head in range(credits.shape[1]):
            train = [
                credits[case, head]
                for case in range(len(groups))
                if fold[index[case]] != number and not math.isnan(credits[case, head])
            ]
            counts.append((len(train), sum(train) / len(train) if train else -1.0))
        most = max(n for n, _ in counts)
        for head, (n, accuracy) in enumerate(counts):
            if n >= most / 2 and accuracy > best_accuracy + 1e-12:
                best, best_accuracy = head, accuracy
        for case in range(len(groups)):
            if fold[index[case]] == number:
                found[case] = credits[case, best]
    return found


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), cases=st.integers(10, 40), heads=st.integers(1, 8))
def test_held_out_credits_are_those_of_a_slow_loop(seed, cases, heads):
    random = np.random.default_rng(seed)
    credits = random.integers(0, 3, (cases, heads)) / 2
    credits[random.random((cases, heads)) < 0.2] = np.nan
    groups = [int(g) for g in random.integers(0, 8, cases)]
    if len(set(groups)) < 5:
        return
    found = held_out_selection(two_candidates(credits), groups, permutations=20, resamples=50)
    slow = slow_held_out(credits, groups, 5, 0)
    np.testing.assert_allclose(found.credits, slow)
    known = [value for value in slow if not math.isnan(value)]
    assert found.n == len(known)
    assert found.n_not_observable == cases - len(known)
    if known:
        assert found.accuracy == pytest.approx(sum(known) / len(known))


def test_no_group_is_divided_and_folds_are_about_equal():
    index = np.array([0] * 9 + [1] * 3 + list(range(2, 40)))
    fold = fold_of_groups(index, 5)
    sizes = [int((fold[index] == number).sum()) for number in range(5)]
    assert max(sizes) - min(sizes) <= 1
    assert len(fold) == 40


def test_the_best_of_many_coin_flippers_is_chance_when_it_is_held_out():
    """In-sample the best of 288 reaches 0.6 and more; held out nothing is left of it."""
    accuracies, in_sample, p_values = [], [], []
    for seed in range(30):
        found = held_out_selection(
            two_candidates(coin_flips(200, 288, seed)), pairs(200), permutations=99, resamples=99
        )
        accuracies.append(found.accuracy)
        in_sample.append(found.in_sample[1])
        p_values.append(found.p_value)
    assert plain.fmean(in_sample) > 0.58
    assert plain.fmean(accuracies) == pytest.approx(0.5, abs=0.02)
    assert sum(p < 0.1 for p in p_values) <= 8


def test_a_planted_head_is_chosen_in_every_fold():
    credits = coin_flips(200, 288, seed=3)
    credits[:, 77] = np.random.default_rng(4).random(200) < 0.85
    found = held_out_selection(two_candidates(credits), pairs(200), permutations=199)
    assert found.chosen == (77,) * 5
    assert found.frequency() == {77: 1.0}
    assert found.accuracy == pytest.approx(credits[:, 77].mean())
    assert found.ci_low > 0.75
    assert found.p_value == pytest.approx(1 / 200)


def test_a_head_that_is_hardly_ever_observable_does_not_win():
    credits = coin_flips(100, 3, seed=5)
    credits[:, 1] = np.nan
    credits[:4, 1] = 1
    found = held_out_selection(two_candidates(credits), pairs(100), permutations=9)
    assert 1 not in found.chosen


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(InputError, match="at least 5 groups"):
        held_out_selection(two_candidates(np.ones((8, 1))), [0, 0, 1, 1, 2, 2, 3, 3])


# --- twins and shapes --------------------------------------------------------------------------


def test_twins_count_only_with_both_right():
    credits = np.array([[1.0, 1], [1, 0], [1, 1], [0.5, 1], [1, 1], [1, 1], [1, np.nan], [1, 1]])
    shares, n = twin_accuracy(credits, ["a", "a", "b", "b", "c", "d", "d", "e"])
    # Pairs a, b and d; the first head misses b by a tie, the second a, and cannot see d.
    assert shares.tolist() == pytest.approx([2 / 3, 1 / 2])
    assert n.tolist() == [3, 2]


def test_a_head_that_is_blind_to_the_difference_gets_no_pair():
    """It always chooses the same candidate, and the twins have different answers."""
    credits = np.array([[1.0], [0.0]] * 50)
    shares, _ = twin_accuracy(credits, pairs(100))
    assert credits.mean() == 0.5
    assert shares[0] == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: grouped_bootstrap(np.ones(3), [0, 1, 2]),
        lambda: grouped_bootstrap(np.ones((3, 1)), [0, 1]),
        lambda: grouped_bootstrap(np.ones((0, 1)), []),
        lambda: permutation_test(np.ones((3, 1)), [0, 1, 2]),
        lambda: permutation_test(np.ones((1, 3, 1)), [0, 1, 2]),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call):
    with pytest.raises(InputError, match="Expected"):
        call()


# --- planted heads -----------------------------------------------------------------------------


def test_false_claims_in_the_family_stay_at_the_level():
    """A small version of benchmarks/planted_heads.py."""
    claims = sum(
        bool(
            (
                permutation_test(
                    two_candidates(coin_flips(60, 144, seed)), pairs(60), permutations=499
                ).p_adjusted
                < 0.05
            ).any()
        )
        for seed in range(100)
    )
    assert claims <= 11  # five are expected; eleven or fewer have a probability of 99 %
