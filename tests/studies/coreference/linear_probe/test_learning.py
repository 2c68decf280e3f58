"""What is learnt: weak heads together, noise, the control, a plain procedure."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from introspect.statistics import accuracy_intervals, fold_of_groups
from introspect.studies.coreference import DIRECTIONS, linear_probe
from introspect.studies.coreference.linear_probe import SHUFFLES
from introspect.studies.coreference.probe_controls import portions
from tests.studies.coreference.linear_probe.helpers import head_accuracies, random_cases


def test_several_weak_heads_together_beat_the_best_of_them():
    """Eight heads lean by 0.5 each: the sum differs by √8 times as much against its noise."""
    cases = random_cases(400, weak=8, strength=0.5, seed=1)
    found = linear_probe(cases, control=False)
    best = head_accuracies(cases).max()
    # Of the sum: Φ(√8 · 0.5 / √2) = Φ(1) = 0.84; of one head: Φ(0.5 / √2) = 0.64.
    assert best < 0.72
    assert found.accuracy == pytest.approx(0.84, abs=0.05)
    assert found.ci_low > best
    weights = found.coefficients.set_index(["direction", "layer"])["weight"]
    assert (weights.loc[(DIRECTIONS[0], 0)] > 0.1).all()
    assert weights.drop((DIRECTIONS[0], 0)).abs().mean() < 0.1


def test_a_head_that_looks_at_the_wrong_one_is_as_good_as_one_that_looks_at_the_right_one():
    cases = random_cases(200, weak=1, strength=-3.0, seed=2)
    found = linear_probe(cases, control=False)
    assert head_accuracies(cases)[0, 0, 0] < 0.1
    assert found.accuracy > 0.9
    assert found.coefficients["weight"].idxmin() == 0


@pytest.mark.slow
def test_noise_stays_at_chance():
    inside, accuracies = 0, []
    for seed in range(10):
        cases = random_cases(100, seed=seed, heads=30)
        found = linear_probe(cases, control=False, penalties=(0.1, 1.0))
        inside += found.ci_low <= 0.5 <= found.ci_high
        accuracies.append(found.accuracy)
        assert found.in_sample_accuracy > 0.7  # what a probe of 120 heads makes of nothing
    assert inside >= 8
    assert np.mean(accuracies) == pytest.approx(0.5, abs=0.04)


def test_the_control_is_at_chance_and_the_gap_is_seen():
    found = linear_probe(random_cases(200, weak=8, strength=0.6, seed=3))
    assert len(found.control) == SHUFFLES
    assert found.control_accuracy == pytest.approx(0.5, abs=0.08)
    low, high = found.control_range
    assert low == min(found.control) <= found.control_accuracy <= max(found.control) == high
    assert math.isnan(found.selectivity)  # the words of the candidates are not known


def with_words(cases, words=12, seed=0):
    """The cases with two different words each as candidates."""
    random = np.random.default_rng(seed)
    return [
        replace(case, phrases=tuple(f"word {n}" for n in random.choice(words, 2, replace=False)))
        for case in cases
    ]


@pytest.mark.slow
def test_selectivity_is_above_a_task_that_words_alone_decide():
    cases = with_words(random_cases(160, weak=8, strength=0.6, seed=3))
    found = linear_probe(cases, penalties=(0.1, 1.0))
    # Attention that knows nothing of the words cannot learn the task.
    assert found.control_task == pytest.approx(0.5, abs=0.12)
    assert found.selectivity == pytest.approx(found.accuracy - found.control_task)
    assert found.selectivity > 0.25
    # A probe whose features name the words learns the task, and its accuracy says little.
    known = []
    for case in cases:
        weights = np.zeros((2, *case.weights.shape[1:]))
        for number, phrase in enumerate(case.phrases):
            weights[number].flat[int(phrase.split()[1])] = 1
        known.append(replace(case, weights=weights))
    memorized = linear_probe(known, penalties=(0.1, 1.0))
    assert memorized.control_task > 0.85
    assert memorized.selectivity < 0


def test_an_online_code_is_shorter_where_there_is_something_to_learn():
    told = linear_probe(random_cases(160, weak=8, strength=0.9, seed=3), penalties=(0.1, 1.0))
    noise = linear_probe(random_cases(160, seed=4), penalties=(0.1, 1.0, 10.0))
    assert told.uniform_code == noise.uniform_code == 1.0
    assert told.code_length < 0.85
    assert noise.code_length > 0.98


def test_each_case_is_encoded_once_by_a_probe_of_cases_before_it():
    groups = np.repeat(np.arange(40), 2)
    seen: set[int] = set()
    for before, portion in portions(groups, 0):
        assert set(before.tolist()) == seen
        assert not set(groups[before]) & set(groups[portion])
        seen |= set(portion.tolist())
    assert seen == set(range(80))


def test_without_a_control_there_is_no_gap():
    found = linear_probe(random_cases(40), control=False)
    assert found.control == () and math.isnan(found.selectivity)


@pytest.mark.slow
def test_the_control_changes_nothing_of_the_probe():
    cases = random_cases(60, weak=2, strength=1, seed=4)
    with_it, without = linear_probe(cases), linear_probe(cases, control=False)
    assert np.array_equal(with_it.credits, without.credits)
    assert with_it.penalties == without.penalties


def test_three_candidates():
    cases = random_cases(150, weak=4, strength=1.5, candidates=3, seed=5)
    assert linear_probe(cases, control=False).accuracy > 0.85
    noise = linear_probe(random_cases(300, candidates=3, seed=6), control=False)
    assert noise.ci_low <= 1 / 3 <= noise.ci_high


def test_the_result_is_that_of_a_plain_procedure():
    """Folds, scaling, choice of penalty and refit, case by case, with another optimizer."""
    cases = random_cases(30, weak=2, strength=1.0, heads=2, group_size=2, seed=7)
    grid = (0.05, 0.5)
    found = linear_probe(cases, folds=3, control=False, penalties=grid)
    differences = np.array(
        [(c.weights[c.antecedents.index(True)] - c.weights[c.antecedents.index(False)]).ravel()
         for c in cases]
    )  # fmt: skip
    groups = np.arange(30) // 2
    fold = fold_of_groups(groups, 3)[groups]
    credits, penalties = np.empty(30), []
    for number in range(3):
        train = fold != number
        _, inner_groups = np.unique(groups[train], return_inverse=True)
        inner = fold_of_groups(inner_groups, 3)[inner_groups]
        losses = [
            sum(
                np.log1p(np.exp(-(differences[train][inner == k] @ w))).sum()
                for k in range(3)
                for w in [plain_fit(differences[train][inner != k], penalty)]
            )
            for penalty in grid
        ]
        penalties.append(grid[int(np.argmin(losses))])
        w = plain_fit(differences[train], penalties[-1])
        credits[~train] = differences[~train] @ w > 0
    assert found.penalties == tuple(penalties)
    assert found.credits.tolist() == credits.tolist()
    assert found.accuracy == pytest.approx(credits.mean())
    assert found.fold_accuracy == pytest.approx([credits[fold == k].mean() for k in range(3)])
    low, high = accuracy_intervals(credits[:, None], groups.tolist(), inflation=1.5)
    assert (found.ci_low, found.ci_high) == (low[0], high[0])


def plain_fit(differences, penalty):
    """Newton's method on differences; a candidate's deviation within a case is half of one."""
    scale = np.sqrt((differences**2).mean(0)) / 2
    x, w = differences / scale, np.zeros(differences.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(x @ w))
        slope = -(x * p[:, None]).mean(0) + penalty * w
        curvature = (x * (p * (1 - p))[:, None]).T @ x / len(x) + penalty * np.eye(len(w))
        w = w - np.linalg.solve(curvature, slope)
    return w / scale
