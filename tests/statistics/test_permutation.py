"""P-values by permutation: slow loops, every shift, the family."""

from __future__ import annotations

import itertools
import math
import statistics as plain

import numpy as np
import pytest

from introspect.statistics import (
    accuracy_intervals,
    held_out_selection,
    permutation_test,
)
from introspect.statistics.permutation import (
    drawn_shifts,
    labeling_sums,
    permuted_totals,
    totals_by_part,
)
from tests.statistics.helpers import coin_flips, pairs, two_candidates

# --- permutation ------------------------------------------------------------------------------


def slow_permutation(labelings: np.ndarray, groups: list) -> tuple[list[float], list[float]]:
    """All permutations of the labels of all groups, one by one, with plain numbers."""
    names = list(dict.fromkeys(groups))
    count, cases, heads = labelings.shape

    def total(shifts: dict, head: int) -> float:
        found = 0.0
        for case in range(cases):
            own = labelings[:, case, head]
            if not math.isnan(own[0]):
                found += own[shifts[groups[case]]] - plain.fmean(own)
        return found

    def norm(head: int) -> float:
        squares = 0.0
        for name in names:
            sums = [
                sum(
                    labelings[r, c, head] - plain.fmean(labelings[:, c, head])
                    for c in range(cases)
                    if groups[c] == name and not math.isnan(labelings[0, c, head])
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
@pytest.mark.parametrize("num_labelings", [2, 3])
def test_few_groups_are_permuted_in_every_way(seed, num_labelings):
    random = np.random.default_rng(seed)
    groups = [0, 0, 1, 2, 2, 3, 4, 4, 5]
    if num_labelings == 2:
        labelings = two_candidates(random.integers(0, 3, (9, 3)) / 2)
    else:
        labelings = random.dirichlet(np.ones(3), (9, 3)).transpose(2, 0, 1)
    labelings[:, 3, 1] = np.nan
    result = permutation_test(labelings, groups)
    own, family = slow_permutation(labelings, groups)
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
    assert (c.accuracy, c.p_value) == (d.accuracy, d.p_value)
    assert c.ci_low == pytest.approx(d.ci_low, rel=1e-6)
    e, f = (accuracy_intervals(x[0], pairs(90)) for x in (single, double))
    np.testing.assert_allclose(e, f, rtol=1e-6)


def test_permuted_totals_are_those_of_a_slow_loop_over_the_same_shifts():
    """Groups of two, of three and of six labelings, in parts, one head unobservable for some."""
    random = np.random.default_rng(5)
    labelings = np.empty((6, 30, 4))
    for case in range(30):
        period = (2, 3, 6)[case % 3]
        labelings[:, case] = np.tile(random.integers(0, 7, (period, 4)) / 6, (6 // period, 1))
    labelings[:, 7, 2] = np.nan
    sums, per_one = labeling_sums(labelings, np.arange(30))
    part = np.arange(30) % 4
    # The draws, in their order: by period, in blocks; bits of bytes for two labelings.
    again = np.random.default_rng(1)
    shifts = np.zeros((3, 30), dtype=int)
    for period in (2, 3, 6):
        members = [case for case in range(30) if (2, 3, 6)[case % 3] == period]
        if period == 2:
            width = math.ceil(len(members) / 8)
            drawn = np.unpackbits(
                np.frombuffer(again.bytes(3 * width), np.uint8).reshape(3, width), axis=1
            )[:, : len(members)]
        else:
            drawn = again.integers(period, size=(3, len(members)), dtype=np.uint8)
        shifts[:, members] = drawn
    found = drawn_shifts(sums, 3, np.random.default_rng(1))
    assert np.array_equal(found, shifts)
    by_part = totals_by_part(sums, found, part) / per_one
    for row in range(3):
        for number in range(4):
            for head in range(4):
                slow = sum(
                    labelings[shifts[row, case], case, head]
                    for case in range(number, 30, 4)
                    if not math.isnan(labelings[0, case, head])
                )
                assert by_part[row, number, head] == pytest.approx(slow, abs=1e-9)
    totals = permuted_totals(sums, 3, np.random.default_rng(1)) / per_one
    np.testing.assert_allclose(totals, by_part.sum(1), atol=1e-9)


@pytest.mark.parametrize("num_labelings", [2, 3])
def test_every_shift_is_as_likely_as_any_other(num_labelings):
    sums = np.zeros((num_labelings, 40, num_labelings), dtype=np.float32)
    for shift in range(num_labelings):
        sums[shift, :, shift] = 1  # a head for each shift counts the groups with that shift
    totals = permuted_totals(sums, 3_000, np.random.default_rng(2))
    assert (totals.sum(1) == 40).all()
    expected = 40 / num_labelings
    spread = math.sqrt(40 * (num_labelings - 1)) / num_labelings
    assert np.abs(totals.mean(0) - expected).max() < 5 * spread / math.sqrt(3_000)
    np.testing.assert_allclose(totals.std(0), spread, rtol=0.1)


def test_drawn_permutations_come_near_all_of_them():
    labelings = two_candidates(coin_flips(24, 4, seed=6))
    groups = pairs(24)
    every = permutation_test(labelings, groups, permutations=5000)  # 2¹² = 4096 ways
    drawn = permutation_test(labelings, groups, permutations=4000)
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
