"""The fit against a slow loss, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from introspect.studies.coreference.linear_probe import fit_conditional_logit


def slow_loss(features, real, targets, penalty, weights):
    """The definition, number by number."""
    total = 0.0
    for case_features, is_real, shares in zip(features, real, targets, strict=True):
        scores = [
            sum(x * w for x, w in zip(row, weights, strict=True)) if there else None
            for row, there in zip(case_features, is_real, strict=True)
        ]
        normaliser = math.log(sum(math.exp(s) for s in scores if s is not None))
        total -= sum(
            share * (s - normaliser)
            for share, s in zip(shares, scores, strict=True)
            if s is not None
        )
    return total / len(features) + penalty / 2 * sum(w * w for w in weights)


def slow_slope(features, real, targets, penalty, weights):
    """Central differences of the definition."""
    slope = []
    for k in range(len(weights)):
        ends = []
        for sign in (1, -1):
            moved = list(weights)
            moved[k] += sign * 1e-5
            ends.append(slow_loss(features, real, targets, penalty, moved))
        slope.append((ends[0] - ends[1]) / 2e-5)
    return slope


def problem(seed, cases, candidates, size):
    random = np.random.default_rng(seed)
    counts = random.integers(2, candidates + 1, cases)
    real = np.arange(candidates) < counts[:, None]
    features = random.standard_normal((cases, candidates, size)) * real[..., None]
    labels = np.zeros((2, cases, candidates))
    for row in labels:
        for number, count in enumerate(counts):
            chosen = random.choice(count, size=random.integers(1, count), replace=False)
            row[number, chosen] = 1 / len(chosen)
    return features, real, labels


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), cases=st.integers(3, 9), size=st.integers(1, 6))
def test_the_slope_of_the_slow_loss_is_flat_where_the_fit_ends(seed, cases, size):
    features, real, targets = problem(seed, cases, 3, size)
    penalties = np.array([0.05, 1.0])
    found = fit_conditional_logit(features, real, targets, penalties)
    assert found.shape == (size, 2)
    for k in range(2):
        weights = found[:, k].tolist()
        slope = slow_slope(features, real, targets[k], penalties[k], weights)
        assert slope == pytest.approx([0] * size, abs=2e-5)


def test_no_weights_nearby_have_a_smaller_loss():
    features, real, targets = problem(3, 8, 4, 5)
    weights = fit_conditional_logit(features, real, targets, np.array([0.1, 0.1]))[:, 0]
    least = slow_loss(features, real, targets[0], 0.1, weights.tolist())
    random = np.random.default_rng(0)
    for _ in range(50):
        moved = weights + random.standard_normal(5) * 0.05
        assert slow_loss(features, real, targets[0], 0.1, moved.tolist()) > least


def test_one_feature_by_hand():
    # Two candidates that differ by 2 and by −2: the antecedent has more in three of four cases.
    # Without a penalty p = 3/4 = 1 / (1 + exp(−2w)), so w = log(3) / 2.
    features = np.array([[[2.0], [0.0]]] * 3 + [[[0.0], [2.0]]])
    targets = np.array([[[1.0, 0.0]] * 4])
    found = fit_conditional_logit(features, np.ones((4, 2), dtype=bool), targets, np.array([1e-9]))
    assert found[0, 0] == pytest.approx(math.log(3) / 2, abs=1e-5)


def test_problems_solved_together_are_those_solved_alone():
    features, real, targets = problem(5, 30, 3, 40)
    penalties = np.array([0.01, 1.0])
    together = fit_conditional_logit(features, real, targets, penalties)
    for k in range(2):
        alone = fit_conditional_logit(features, real, targets[k : k + 1], penalties[k : k + 1])
        assert alone[:, 0] == pytest.approx(together[:, k], abs=1e-4)


def test_features_that_say_nothing_get_no_weight():
    features = np.zeros((4, 2, 3))
    targets = np.array([[[1.0, 0.0]] * 4])
    found = fit_conditional_logit(features, np.ones((4, 2), dtype=bool), targets, np.array([1.0]))
    assert found.tolist() == [[0.0]] * 3


def test_it_can_be_fitted_where_gradients_are_off():
    features, real, targets = problem(1, 6, 3, 4)
    expected = fit_conditional_logit(features, real, targets, np.ones(2))
    with torch.inference_mode():
        assert np.array_equal(fit_conditional_logit(features, real, targets, np.ones(2)), expected)
