"""The held-out choice of a head, and minimal pairs."""

from __future__ import annotations

import itertools
import math
import statistics as plain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from introspect.errors import InputError
from introspect.statistics import (
    accuracy_intervals,
    effect_intervals,
    fold_of_groups,
    held_out_selection,
    pair_accuracy,
    permutation_test,
)
from tests.statistics.helpers import coin_flips, pairs, two_candidates

# --- held out ----------------------------------------------------------------------------------


def slow_held_out(credits: np.ndarray, groups: list, folds: int, seed: int) -> list[float]:
    names = sorted(set(groups))
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
    found = held_out_selection(two_candidates(credits), groups, divisions=3, permutations=20)
    slow = [slow_held_out(credits, groups, 5, seed) for seed in range(3)]
    known = [[value for value in of_case if value == value] for of_case in zip(*slow, strict=True)]
    means = [sum(values) / len(values) if values else math.nan for values in known]
    np.testing.assert_allclose(found.credits, means)
    assert found.n == sum(bool(values) for values in known)
    assert found.n_not_observable == cases - found.n
    by_division = [[value for value in division if value == value] for division in slow]
    if all(by_division):
        accuracies = [sum(values) / len(values) for values in by_division]
        assert found.accuracy == pytest.approx(sum(accuracies) / 3)


@pytest.mark.parametrize("size", [1, 2])
def test_names_that_sort_otherwise_than_they_come_are_the_same_groups(size):
    """Of c2 and c10 the second comes first in the order of names."""
    credits = coin_flips(24, 5, seed=4)
    named = [f"c{case // size}" for case in range(24)]
    padded = [f"c{case // size:02}" for case in range(24)]
    assert sorted(set(named)) != list(dict.fromkeys(named))
    found = held_out_selection(two_candidates(credits), named, permutations=50)
    known = found.credits[~np.isnan(found.credits)]
    assert found.accuracy == pytest.approx(known.mean())
    assert found.ci_low < found.accuracy < found.ci_high
    slow = np.mean([slow_held_out(credits, named, 5, seed) for seed in range(30)], axis=0)
    np.testing.assert_allclose(found.credits, slow)
    for each in (named, padded):
        low, _ = effect_intervals(credits, each)
        assert low == pytest.approx(effect_intervals(credits, range(24))[0], abs=0.05) or size == 2


def test_neither_order_nor_names_of_rows_move_the_choice():
    credits = coin_flips(80, 12, seed=1)
    groups = [f"g{case // 2}" for case in range(80)]
    found = held_out_selection(two_candidates(credits), groups, permutations=50)
    order = np.random.default_rng(5).permutation(80)
    again = held_out_selection(
        two_candidates(credits[order]), [groups[case] for case in order], permutations=50
    )
    assert (again.accuracy, again.p_value, again.chosen) == (
        found.accuracy,
        found.p_value,
        found.chosen,
    )
    assert (again.ci_low, again.ci_high) == pytest.approx((found.ci_low, found.ci_high))
    np.testing.assert_array_equal(again.credits, found.credits[order])


def test_the_p_value_is_that_of_a_slow_loop_over_every_labeling():
    """Seven groups have 128 labelings; each repeats all divisions, selection included."""
    credits = coin_flips(14, 3, seed=2)
    groups = pairs(14)
    found = held_out_selection(two_candidates(credits), groups, divisions=4, permutations=200)

    def accuracy(flipped: tuple[int, ...]) -> float:
        labels = np.array([flipped[group] for group in groups], dtype=bool)
        own = np.where(labels[:, None], 1 - credits, credits)
        return plain.fmean(plain.fmean(slow_held_out(own, groups, 5, seed)) for seed in range(4))

    every = [accuracy(flipped) for flipped in itertools.product((0, 1), repeat=7)]
    as_good = sum(one >= every[0] - 1e-9 for one in every)
    assert found.accuracy == pytest.approx(every[0])
    assert found.p_value == pytest.approx((as_good + 1) / 129)


@pytest.mark.slow
def test_what_could_have_been_found_is_found_as_often_as_is_said():
    """A small version of benchmarks/power.py: a head of that accuracy is planted in new sets."""
    null = held_out_selection(two_candidates(coin_flips(60, 40, seed=2)), range(60))
    assert null.p_value > 0.05 and 0.7 < null.detectable < 0.85
    p_values = []
    for seed in range(60):
        credits = coin_flips(60, 40, seed=100 + seed)
        credits[:, 7] = np.random.default_rng(seed).random(60) < null.detectable
        found = held_out_selection(two_candidates(credits), range(60), permutations=200)
        p_values.append(found.p_value)
        if found.p_value < 0.05:
            assert math.isnan(found.detectable)
    assert 0.65 < np.mean(np.array(p_values) < 0.05) < 0.95


def test_heads_that_are_tied_for_the_best_are_counted():
    credits = coin_flips(60, 6, seed=3)
    credits[:, 2] = credits[:, 4] = np.arange(60) < 50
    found = held_out_selection(two_candidates(credits), pairs(60), divisions=1, permutations=1)
    assert (found.in_sample, found.num_best) == ((2, pytest.approx(50 / 60)), 2)


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
            two_candidates(coin_flips(200, 288, seed)), pairs(200), permutations=99, divisions=10
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
    assert found.chosen == (77,) * 150
    assert found.frequency() == {77: 1.0}
    assert found.accuracy == pytest.approx(credits[:, 77].mean())
    assert found.ci_low > 0.74
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


# --- minimal pairs and shapes ------------------------------------------------------------------


def test_minimal_pairs_count_only_with_both_right():
    credits = np.array([[1.0, 1], [1, 0], [1, 1], [0.5, 1], [1, 1], [1, 1], [1, np.nan], [1, 1]])
    shares, n = pair_accuracy(credits, ["a", "a", "b", "b", "c", "d", "d", "e"])
    # Pairs a, b and d; the first head misses b by a tie, the second a, and cannot see d.
    assert shares.tolist() == pytest.approx([2 / 3, 1 / 2])
    assert n.tolist() == [3, 2]


def test_a_head_that_is_blind_to_the_difference_gets_no_pair():
    """It always chooses the same candidate, and the pairs have different answers."""
    credits = np.array([[1.0], [0.0]] * 50)
    shares, _ = pair_accuracy(credits, pairs(100))
    assert credits.mean() == 0.5
    assert shares[0] == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: accuracy_intervals(np.ones(3), [0, 1, 2]),
        lambda: effect_intervals(np.ones((3, 1)), [0, 1]),
        lambda: accuracy_intervals(np.ones((0, 1)), []),
        lambda: permutation_test(np.ones((3, 1)), [0, 1, 2]),
        lambda: permutation_test(np.ones((1, 3, 1)), [0, 1, 2]),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call):
    with pytest.raises(InputError, match="Expected"):
        call()
