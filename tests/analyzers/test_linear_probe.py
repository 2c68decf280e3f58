"""The linear probe: its loss against a slow loop, planted knowledge, noise, and the control."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from introspect.analyzers import fitting
from introspect.analyzers import linear_probe as module
from introspect.analyzers.features import CandidateFeatures, CaseTable, candidate_features
from introspect.analyzers.fitting import fit_conditional_logit
from introspect.analyzers.linear_probe import PENALTIES, SHUFFLES, linear_probe
from introspect.errors import InputError
from introspect.mentions import CorefCase
from introspect.scoring import DIRECTIONS, score_case
from introspect.statistics import fold_of_groups, grouped_bootstrap
from tests.synthetic import TEXT, case, record


def random_cases(count, *, seed=0, weak=0, strength=0.0, heads=8, group_size=1, candidates=2):
    """Weights of which the first ``weak`` heads of layer 0 lean towards the antecedent."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        weights = random.standard_normal((candidates, 2, 2, heads))
        right = int(random.integers(candidates))
        weights[right, 0, 0, :weak] += strength
        made.append(
            CandidateFeatures(
                name=f"c{number}",
                group=f"g{number // group_size}",
                weights=weights,
                antecedents=tuple(i == right for i in range(candidates)),
            )
        )
    return made


def head_accuracies(cases):
    """Share of cases in which each head gives the antecedent most."""
    return np.mean([c.weights.argmax(0) == c.antecedents.index(True) for c in cases], axis=0)


# --- the loss -------------------------------------------------------------------------------------


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


# --- the features ---------------------------------------------------------------------------------


def test_features_are_the_weights_of_both_directions():
    made = candidate_features(case(id="c", group="g"), record())
    assert (made.name, made.group, made.antecedents) == ("c", "g", (True, False))
    assert made.weights.shape == (2, 2, 2, 3)
    for place, scores in enumerate(score_case(record(), case())):
        assert np.array_equal(made.weights[:, place], scores.weights.numpy())


def test_the_way_to_join_mentions_reaches_the_features():
    text = "The old animal left the street because it was tired."
    rows = [
        candidate_features(case(text, antecedents=["old animal"]), record(text), mention).weights[0]
        for mention in ("mean", "sum")
    ]
    assert rows[1] == pytest.approx(2 * rows[0])


def test_what_the_mask_forbids_says_nothing_of_any_candidate():
    # "street" stands after the pronoun: its direction is closed, and "animal" is not seen either.
    text = "The animal said it was on the street."
    made = candidate_features(case(text), record(text, causal=True))
    assert (made.weights == 0).all()
    later = candidate_features(case(), record(causal=True))
    assert (later.weights[:, 0] > 0).all() and (later.weights[:, 1] == 0).all()


def test_a_case_without_id_and_group_is_its_own():
    given = CorefCase.from_words(TEXT, pronoun="it", antecedent="animal", distractors="street")
    assert candidate_features(given, record()).group == TEXT


# --- what is learnt -------------------------------------------------------------------------------


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
    assert found.selectivity == pytest.approx(found.accuracy - np.mean(found.control))
    assert found.selectivity > 0.25


def test_without_a_control_there_is_no_gap():
    found = linear_probe(random_cases(40), control=False)
    assert found.control == () and math.isnan(found.selectivity)


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
    """Folds, scaling, choice of penalty and refit, case by case, with another optimiser."""
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
    low, high = grouped_bootstrap(credits[:, None], groups.tolist())
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


# --- rules ----------------------------------------------------------------------------------------


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
        labels = module._labellings(changed, arrays.groups, 0, 0)
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


def test_twins_with_the_same_weights_cannot_be_known_from_each_other():
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
    labels = module._labellings(cases, arrays.groups, 0, 0)
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
    labels = module._labellings(cases, whole.groups, 0, 0)
    train = np.arange(40) != 0
    weights = fitting.fitted(whole.take(train), labels[:, train], np.array([0.1]))
    assert weights[-1, 0] == 0


def test_shuffled_labels_shift_together_within_a_group():
    cases = random_cases(40, group_size=4, candidates=3, seed=15)
    groups = CaseTable.of(cases).groups
    labels = module._labellings(cases, groups, 50, 0)
    assert labels.shape == (51, 40, 3)
    assert labels[0].tolist() == [list(c.antecedents) for c in cases]
    right = np.array([c.antecedents.index(True) for c in cases])
    shifts = (labels.argmax(2) - right) % 3
    for group in range(10):
        assert (shifts[:, groups == group].std(axis=1) == 0).all()
    shares = np.bincount(shifts[1:].ravel(), minlength=3) / shifts[1:].size
    assert shares == pytest.approx([1 / 3] * 3, abs=0.08)


def test_cases_of_different_numbers_of_candidates_go_together():
    cases = random_cases(60, weak=4, strength=2, seed=16)
    more = random_cases(60, weak=4, strength=2, candidates=3, seed=17)
    more = [CandidateFeatures(f"m{c.name}", f"m{c.group}", c.weights, c.antecedents) for c in more]
    blind = CandidateFeatures("blind", "blind", np.ones((2, 2, 2, 8)), (True, False))
    assert linear_probe([blind, *cases, *more], control=False).credits[0] == 0.5
    found = linear_probe(cases + more)
    assert found.n == 120 and found.accuracy > 0.9
    assert found.control_accuracy == pytest.approx((0.5 + 1 / 3) / 2, abs=0.1)


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


# --- refused --------------------------------------------------------------------------------------


def test_fewer_than_five_groups_are_refused():
    with pytest.raises(InputError, match="at least 5 groups for a linear probe"):
        linear_probe(random_cases(40, group_size=10), folds=2)


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(InputError, match="at least 10 groups"):
        linear_probe(random_cases(8), folds=10)


def test_five_groups_are_enough():
    assert linear_probe(random_cases(10, group_size=2)).num_groups == 5


@pytest.mark.parametrize("penalties", [(), (0.0, 1.0), (-1.0,), (math.inf,)])
def test_penalties_must_be_positive(penalties):
    with pytest.raises(InputError, match="numbers above 0"):
        linear_probe(random_cases(10), penalties=penalties)


def test_one_fold_is_refused():
    with pytest.raises(InputError, match="at least 2 folds"):
        linear_probe(random_cases(10), folds=1)


def test_no_cases_are_refused():
    with pytest.raises(InputError, match="got none"):
        linear_probe([])


def test_cases_of_different_models_are_refused():
    with pytest.raises(InputError, match="one model"):
        linear_probe([*random_cases(10), *random_cases(10, heads=5)])


def test_weights_of_other_candidates_are_refused():
    cases = random_cases(10)
    wrong = CandidateFeatures("w", "w", cases[0].weights, (True, False, False))
    with pytest.raises(InputError, match="3 candidates for 'w', got 2"):
        linear_probe([*cases, wrong])
