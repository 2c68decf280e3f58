"""Folds, groups, ties, scales and seeds of a linear probe."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from introspect.studies.coreference import DIRECTIONS, CandidateFeatures, linear_probe
from introspect.studies.coreference.linear_probe import PENALTIES, CaseTable, fit_conditional_logit
from tests.studies.coreference.linear_probe.helpers import random_cases

# The function has the name of its module, and the folder hands out the function.
module = fitting = sys.modules[linear_probe.__module__]


def test_the_scale_comes_from_the_training_folds_alone(monkeypatch):
    """A held-out case with enormous weights changes no weight that is learnt without it."""
    cases = random_cases(30, seed=8)
    learnt = {}
    for size in (1.0, 1e6):
        changed = [
            CandidateFeatures(c.name, c.group, c.weights * (size if i == 0 else 1), c.antecedents)
            for i, c in enumerate(cases)
        ]
        arrays = CaseTable.of(changed)
        labels = module._labelings(changed, arrays.groups, 0, 0)
        train = np.arange(30) != 0
        learnt[size] = fitting.fitted(arrays.take(train), labels[:, train], np.array([1.0]))
    assert np.array_equal(learnt[1.0], learnt[1e6])


def test_no_group_is_divided_between_training_and_test(monkeypatch):
    """Also not by the inner folds, in which the penalty is chosen."""
    cases = random_cases(60, group_size=4, seed=9)
    whole = CaseTable.of(cases)
    seen = []
    fit = fitting.fitted

    def noted(train, labels, penalties):
        seen.append({row.tobytes() for row in train.values})
        return fit(train, labels, penalties)

    monkeypatch.setattr(module, "fitted", noted)
    linear_probe(cases, control=False)
    assert len(seen) == 5 * (5 + 1) + 5 + 1
    for rows in seen:
        for group in range(15):
            members = [row.tobytes() in rows for row in whole.values[whole.groups == group]]
            assert len(set(members)) == 1


def test_minimal_pairs_with_the_same_weights_cannot_be_known_from_each_other():
    """Each group is one noisy case four times; a divided group would be right by memory."""
    once = random_cases(60, heads=30, seed=10)
    copies = [
        CandidateFeatures(f"{c.name}-{i}", c.group, c.weights, c.antecedents)
        for c in once
        for i in range(4)
    ]
    found = linear_probe(copies, control=False, penalties=(0.1, 1.0))
    assert found.ci_low <= 0.5 <= found.ci_high
    assert found.num_groups == 60 and found.n == 240


def test_candidates_that_no_head_tells_apart_share_the_credit():
    cases = random_cases(40, weak=2, strength=2, seed=11)
    blind = [
        CandidateFeatures(c.name, c.group, np.ones_like(c.weights) * 0.3, c.antecedents)
        for c in cases[:10]
    ]
    found = linear_probe(blind + cases[10:], control=False)
    assert found.credits[:10].tolist() == [0.5] * 10
    assert (linear_probe(blind, control=False).credits == 0.5).all()


def test_a_tie_for_the_best_of_three_is_shared_by_the_two():
    cases = random_cases(40, weak=2, strength=3, candidates=3, seed=12)
    tied = []
    for c in cases[:8]:
        right = c.antecedents.index(True)
        weights = c.weights.copy()
        weights[(right + 1) % 3] = weights[right]
        weights[(right + 2) % 3] = weights[right] - 5
        tied.append(CandidateFeatures(c.name, c.group, weights, c.antecedents))
    credits = linear_probe(tied + cases[8:], control=False).credits
    assert set(credits[:8].tolist()) <= {0.0, 0.5} and 0.5 in credits[:8]


def test_either_of_two_antecedents_is_right():
    cases = [
        CandidateFeatures(c.name, c.group, c.weights, tuple(not a for a in c.antecedents))
        for c in random_cases(60, weak=4, strength=-2.0, candidates=3, seed=13)
    ]
    assert linear_probe(cases, control=False).accuracy > 0.9


def test_several_antecedents_share_the_target():
    random = np.random.default_rng(22)
    cases = [
        CandidateFeatures(f"c{i}", f"g{i}", random.standard_normal((3, 1, 1, 2)), labels)
        for i, labels in enumerate([(True, True, False), (False, True, False)] * 6)
    ]
    arrays = CaseTable.of(cases)
    labels = module._labelings(cases, arrays.groups, 0, 0)
    scale = arrays.deviations()
    shares = np.array([[[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]] * 6])
    expected = fit_conditional_logit(arrays.values / scale, arrays.real, shares, np.array([0.1]))
    found = fitting.fitted(arrays, labels, np.array([0.1]))
    assert found[:, 0] == pytest.approx(expected[:, 0] / scale)


def test_tiny_differences_are_not_blown_up():
    """A head that is nothing but rounding in training must not decide a case by a real weight."""
    cases = random_cases(40, weak=2, strength=3, seed=14)
    for number, c in enumerate(cases):
        c.weights[:, 1, 1, 7] = 0.0 if number else np.array([-0.5, 0.5])
        if number:
            c.weights[0, 1, 1, 7] = 1e-12
    whole = CaseTable.of(cases)
    labels = module._labelings(cases, whole.groups, 0, 0)
    train = np.arange(40) != 0
    weights = fitting.fitted(whole.take(train), labels[:, train], np.array([0.1]))
    assert weights[-1, 0] == 0


def test_shuffled_labels_shift_together_within_a_group():
    cases = random_cases(40, group_size=4, candidates=3, seed=15)
    groups = CaseTable.of(cases).groups
    labels = module._labelings(cases, groups, 50, 0)
    assert labels.shape == (51, 40, 3)
    assert labels[0].tolist() == [list(c.antecedents) for c in cases]
    right = np.array([c.antecedents.index(True) for c in cases])
    shifts = (labels.argmax(2) - right) % 3
    for group in range(10):
        assert (shifts[:, groups == group].std(axis=1) == 0).all()
    shares = np.bincount(shifts[1:].ravel(), minlength=3) / shifts[1:].size
    assert shares == pytest.approx([1 / 3] * 3, abs=0.08)


@pytest.mark.slow
def test_cases_of_different_numbers_of_candidates_go_together():
    cases = random_cases(60, weak=4, strength=2, seed=16)
    more = random_cases(60, weak=4, strength=2, candidates=3, seed=17)
    more = [CandidateFeatures(f"m{c.name}", f"m{c.group}", c.weights, c.antecedents) for c in more]
    blind = CandidateFeatures("blind", "blind", np.ones((2, 2, 2, 8)), (True, False))
    assert linear_probe([blind, *cases, *more], control=False).credits[0] == 0.5
    found = linear_probe(cases + more)
    assert found.n == 120 and found.accuracy > 0.9
    assert found.control_accuracy == pytest.approx((0.5 + 1 / 3) / 2, abs=0.1)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits_and_torchs_numbers_are_left_alone():
    cases = random_cases(50, weak=2, strength=0.5, seed=18)
    state = torch.random.get_rng_state()
    first, second = linear_probe(cases, seed=3), linear_probe(cases, seed=3)
    assert np.array_equal(first.credits, second.credits)
    assert first.control == second.control
    assert first.coefficients.equals(second.coefficients)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_cases_outside_forced_choice_are_counted_apart():
    cases = random_cases(20, seed=19)
    apart = CandidateFeatures("apart", "g", cases[0].weights, (True, True))
    found = linear_probe([*cases, apart], control=False)
    assert found.outside_forced_choice == ("apart",)
    assert found.n == 20 and found.names == tuple(c.name for c in cases)


def test_coefficients_name_layer_head_and_direction():
    cases = [
        CandidateFeatures(c.name, c.group, c.weights, c.antecedents, layers=(3, 7))
        for c in random_cases(60, heads=4, seed=20)
    ]
    for c in cases:
        c.weights[c.antecedents.index(True), 1, 1, 2] += 4
    table = linear_probe(cases, control=False).coefficients
    assert list(table.columns) == ["layer", "head", "direction", "weight"]
    assert len(table) == 2 * 2 * 4
    top = table.loc[table["weight"].idxmax()]
    assert (top["layer"], top["head"], top["direction"]) == (7, 2, DIRECTIONS[1])


def test_a_weight_does_not_depend_on_the_unit_of_attention():
    cases = random_cases(60, weak=2, strength=1, seed=21)
    per_cent = [CandidateFeatures(c.name, c.group, c.weights * 100, c.antecedents) for c in cases]
    one, other = (linear_probe(given, control=False) for given in (cases, per_cent))
    assert one.credits.tolist() == other.credits.tolist()
    assert one.coefficients["weight"].to_numpy() == pytest.approx(
        other.coefficients["weight"].to_numpy(), abs=1e-4
    )


def test_of_penalties_that_are_as_good_the_strongest_is_taken():
    blind = [
        CandidateFeatures(c.name, c.group, np.zeros_like(c.weights), c.antecedents)
        for c in random_cases(20)
    ]
    assert linear_probe(blind, control=False).penalties == (max(PENALTIES),) * 5
