"""Differences between two kinds of cases: by hand, against slow loops, planted and not."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

from introspect.errors import InputError, SelectionError
from introspect.runs.findings import CaseSet
from introspect.statistics import effect_intervals
from introspect.studies.coreference import (
    DIRECTIONS,
    Bias,
    CoreferenceAnalyzer,
    Options,
    ScoredCase,
    bias_table,
)
from introspect.studies.coreference.batch import columns_of_record
from introspect.studies.coreference.bias import CAUTION
from tests.studies.coreference.helpers import SENTENCES
from tests.synthetic import case, record

QUICK = Options(resamples=300, permutations=500)


def scored_case(name, group, credit, *, layers=(0,)):
    """A case of two candidates with these credits, ``(num_directions, num_layers, num_heads)``."""
    credit = np.array(credit, dtype=float)
    nothing = np.full(credit.shape, np.nan)
    return ScoredCase(
        name=name,
        group=group,
        layers=layers,
        antecedent_weight=nothing,
        distractor_weight=nothing,
        margin=nothing,
        removed_mass=np.zeros(1),
        observable=~np.isnan(credit).any(-1),
        labelings=np.stack([credit, 1 - credit]),
        antecedents=(True, False),
        distances=(-1, -2),
        baselines={},
    )


def one_head(rows):
    """Cases of one head and one direction each, from rows of group, label and credit."""
    cases = [scored_case(f"c{i}", group, [[[credit]]]) for i, (group, _, credit) in enumerate(rows)]
    return cases, [label for _, label, _ in rows]


def coin_flips(groups, heads, seed, *, each=1, leans=0.0):
    """``each`` cases of either kind a group; head 2 is right more often on those called pro."""
    random = np.random.default_rng(seed)
    cases, labels = [], []
    for number in range(groups):
        for label in ("pro", "anti") * each:
            chance = np.full((2, 1, heads), 0.5)
            chance[0, 0, 2] += leans if label == "pro" else -leans
            credit = (random.random(chance.shape) < chance).astype(float)
            cases.append(scored_case(f"c{len(cases)}", f"g{number}", credit))
            labels.append(label)
    return cases, labels


def credits_of(cases):
    return np.array([c.credit.ravel() for c in cases])


# --- by hand --------------------------------------------------------------------------------------


def test_a_difference_by_hand():
    rows = [
        ("a", "pro", 1), ("a", "anti", 0),
        ("b", "pro", 1), ("b", "anti", 1),
        ("c", "pro", 0.5), ("c", "anti", 0),
        ("d", "pro", 1), ("d", "anti", 1),
    ]  # fmt: skip
    row = bias_table(*one_head(rows)).table.iloc[0]
    assert row["accuracy_pro"] == pytest.approx(3.5 / 4)
    assert row["accuracy_anti"] == pytest.approx(2 / 4)
    assert row["difference"] == pytest.approx(1.5 / 4)
    assert (row["n_pro"], row["n_anti"]) == (4, 4)


def test_a_group_with_more_of_one_kind_counts_its_cases():
    rows = [("a", "pro", 1), ("a", "anti", 0), ("a", "anti", 1), ("b", "pro", 0), ("b", "anti", 0)]
    row = bias_table(*one_head(rows)).table.iloc[0]
    assert (row["accuracy_pro"], row["accuracy_anti"]) == pytest.approx((1 / 2, 1 / 3))
    assert (row["n_pro"], row["n_anti"]) == (2, 3)


def test_groups_of_one_kind_are_left_out_and_named():
    rows = [("a", "pro", 1), ("a", "anti", 0), ("alone", "pro", 0), ("alone", "pro", 0)]
    found = bias_table(*one_head(rows))
    assert found.num_groups == 1
    assert found.table.iloc[0]["accuracy_pro"] == 1
    assert "1 group left out, which holds only one of pro and anti: alone" in found.notes


def test_neutral_cases_stand_beside_and_never_in_the_difference():
    rows = [("a", "pro", 1), ("a", "anti", 0), ("a", "neutral", 0), ("b", "neutral", 0.5)]
    row = bias_table(*one_head(rows)).table.iloc[0]
    assert row["difference"] == 1
    assert (row["accuracy_neutral"], row["n_neutral"]) == (0.25, 2)
    without = bias_table(*one_head(rows[:2])).table.iloc[0]
    assert without["n_neutral"] == 0 and math.isnan(without["accuracy_neutral"])


def test_other_labels_and_none_are_left_out_and_counted():
    rows = [("a", "pro", 1), ("a", "anti", 0), ("a", "odd", 0), ("a", None, 0), ("a", "", 0)]
    found = bias_table(*one_head(rows))
    assert found.table.iloc[0]["difference"] == 1
    assert "1 cases left out: labeled odd" in found.notes
    assert "2 cases left out: without a label" in found.notes


def test_the_contrast_names_the_columns_and_the_sign():
    rows = [("a", "male", 1), ("a", "female", 0), ("a", "neutral", 1)]
    one = bias_table(*one_head(rows), contrast=("male", "female"))
    other = bias_table(*one_head(rows), contrast=("female", "male"))
    assert {"accuracy_male", "n_male", "accuracy_female", "n_female"} <= set(one.table.columns)
    assert (one.table["difference"] == 1).all() and (other.table["difference"] == -1).all()
    assert one.contrast == ("male", "female")


def test_the_columns_of_the_table():
    table = bias_table(*coin_flips(6, 4, seed=0), options=QUICK).table
    assert list(table.columns) == [
        "layer", "head", "direction", "accuracy_pro", "accuracy_anti", "n_pro", "n_anti",
        "difference", "ci_low", "ci_high", "p_value", "p_adjusted", "accuracy_neutral",
        "n_neutral",
    ]  # fmt: skip
    assert len(table) == 2 * 1 * 4
    assert set(table["direction"]) == set(DIRECTIONS)


def test_the_authors_caution_goes_with_every_result():
    found = bias_table(*coin_flips(6, 2 + 1, seed=0), options=QUICK)
    assert found.caution == CAUTION == Bias(found.table, found.contrast, 6).caution
    assert "may show that a bias is present" in CAUTION
    assert "cannot show that it is absent" in CAUTION


# --- what cannot be observed ----------------------------------------------------------------------


def test_a_head_counts_only_groups_of_which_it_observes_both_kinds():
    nan = math.nan
    cases = [
        scored_case("0", "a", [[[1.0, 1.0]]]),
        scored_case("1", "a", [[[0.0, nan]]]),
        scored_case("2", "b", [[[0.0, 0.0]]]),
        scored_case("3", "b", [[[0.0, 1.0]]]),
    ]
    table = bias_table(cases, ["pro", "anti"] * 2).table
    assert table["n_pro"].tolist() == [2, 1] and table["n_anti"].tolist() == [2, 1]
    assert table["difference"].tolist() == [0.5, -1.0]


def test_a_head_that_observes_nothing_has_no_numbers():
    cases, labels = coin_flips(8, 3, seed=0)
    for c in cases:
        c.labelings[:, 1] = math.nan
    row = bias_table(cases, labels, options=QUICK).table.query("direction == @DIRECTIONS[1]")
    assert row[["difference", "ci_low", "ci_high", "p_value", "p_adjusted"]].isna().all(axis=None)
    assert (row["n_pro"] == 0).all()


def test_cases_outside_forced_choice_are_left_out_and_counted():
    given = case(distractors=[], id="apart")
    made = [columns_of_record(record(), one).scored()[0] for one in (case(id="a"), given)]
    made = [dataclasses.replace(m, group="g") for m in (*made, dataclasses.replace(made[0]))]
    found = bias_table(made, ["pro", "pro", "anti"])
    assert (found.table["n_pro"] == 1).all()
    assert "1 cases left out: outside forced choice" in found.notes


# --- intervals ------------------------------------------------------------------------------------


def test_the_interval_is_that_of_what_each_case_adds():
    cases, labels = coin_flips(9, 3, seed=1, each=2)
    # One group has three cases of one kind and one of the other.
    labels[3] = "pro"
    table = bias_table(cases, labels, options=QUICK).table
    added = np.empty((len(cases), 6))
    for head, values in enumerate(credits_of(cases).T):
        sides = {
            kind: [v for v, label in zip(values, labels, strict=True) if label == kind]
            for kind in ("pro", "anti")
        }
        means = {kind: sum(side) / len(side) for kind, side in sides.items()}
        for number, (v, label) in enumerate(zip(values, labels, strict=True)):
            sign = 1 if label == "pro" else -1
            added[number, head] = sign * (v - means[label]) * len(cases) / len(sides[label])
        added[:, head] += means["pro"] - means["anti"]
    assert added.mean(0) == pytest.approx(table["difference"].to_numpy())
    low, high = effect_intervals(added, [int(c.group[1:]) for c in cases], resamples=300)
    assert table["ci_low"].to_numpy() == pytest.approx(np.maximum(low, -1))
    assert table["ci_high"].to_numpy() == pytest.approx(np.minimum(high, 1))


def test_intervals_of_differences_hold_what_they_promise():
    inside = []
    quick = Options(resamples=200, permutations=10)
    for seed in range(150):
        cases, labels = coin_flips(20, 3, seed=seed, each=2, leans=0.3)
        table = bias_table(cases, labels, options=quick).table
        inside += [table["ci_low"][h] <= 0 <= table["ci_high"][h] for h in (0, 1, 3, 4, 5)]
    assert 0.92 <= np.mean(inside) <= 0.98


def test_where_all_groups_are_alike_the_interval_is_the_exact_one():
    rows = [(f"g{n}", kind, float(kind == "pro")) for n in range(10) for kind in ("pro", "anti")]
    table = bias_table(*one_head(rows), options=QUICK).table
    limit = 1 - 0.025 ** (1 / 10)
    assert table["ci_low"][0] == pytest.approx(1 - 2 * limit)
    assert table["ci_high"][0] == 1


# --- p-values -------------------------------------------------------------------------------------


def test_p_values_are_those_of_every_swap_of_labels():
    cases, labels = coin_flips(7, 3, seed=3, each=2, leans=0.3)
    table = bias_table(cases, labels, options=QUICK).table  # 2⁷ = 128 swaps: all are made
    values = credits_of(cases)
    groups = [c.group for c in cases]
    names = sorted(set(groups))

    def differences(swapped):
        side = [(label == "pro") != (group in swapped)
                for label, group in zip(labels, groups, strict=True)]  # fmt: skip
        return values[side].mean(0) - values[np.logical_not(side)].mean(0)

    # Each group's own difference gives the head's scale.
    parts = np.array([
        sum(v if label == "pro" else -v
            for v, label, group in zip(values, labels, groups, strict=True) if group == name)
        for name in names
    ])  # fmt: skip
    scale = np.sqrt((parts**2).sum(0))
    every = [
        differences({n for n, flip in zip(names, flips, strict=True) if flip}) / scale
        for flips in itertools.product((False, True), repeat=7)
    ]
    observed = differences(set()) / scale
    for head in range(6):
        size = abs(observed[head]) - 1e-12
        assert table["p_value"][head] == pytest.approx(
            np.mean([abs(r[head]) >= size for r in every])
        )
        family = np.mean([np.abs(r).max() >= size for r in every])
        assert table["p_adjusted"][head] == pytest.approx(family)


def test_swapped_labels_turn_the_sign_and_nothing_else():
    cases, labels = coin_flips(8, 4, seed=4, each=2)
    one = bias_table(cases, labels, options=QUICK).table
    other = bias_table(
        cases, ["anti" if label == "pro" else "pro" for label in labels], options=QUICK
    ).table
    np.testing.assert_allclose(one["difference"], -other["difference"])
    np.testing.assert_allclose(one[["p_value", "p_adjusted"]], other[["p_value", "p_adjusted"]])


def test_a_planted_difference_is_found_in_either_direction_and_no_other():
    for leans, sign in ((0.3, 1), (-0.3, -1)):
        cases, labels = coin_flips(80, 12, seed=5, leans=leans)
        table = bias_table(cases, labels, options=QUICK).table
        row = table.query("head == 2 and direction == 'pronoun_to_candidate'").iloc[0]
        assert sign * row["difference"] == pytest.approx(0.6, abs=0.2)
        assert row["p_adjusted"] < 0.01
        assert (row["ci_low"] > 0) if sign == 1 else (row["ci_high"] < 0)
        assert (table.drop(row.name)["p_adjusted"] > 0.05).all()


@pytest.mark.slow
@pytest.mark.parametrize("each", [1, 2])
def test_without_a_difference_p_values_are_even(each):
    """200 sets of coin flips, some groups with more of one kind than of the other."""
    own, family = [], []
    for seed in range(200):
        cases, labels = coin_flips(20, 6, seed, each=each)
        if each == 2:
            labels[3:40:8] = ["pro"] * len(labels[3:40:8])
        table = bias_table(cases, labels, options=Options(resamples=2, permutations=199)).table
        own.append(table["p_value"][0])
        family.append(table["p_adjusted"].min())
    # Bounds that hold with 99.8 % each for a binomial of 200; credits are few whole numbers, so
    # that ties make p-values larger than even ones, never smaller.
    for p in (np.array(own), np.array(family)):
        assert (p <= 0.05).sum() <= 20
        assert (p <= 0.25).sum() <= 69
        assert (p <= 0.5).sum() <= 122
    assert (np.array(family) <= 0.25).sum() >= 25


def test_with_few_groups_nothing_is_claimed_and_it_says_so():
    found = bias_table(*coin_flips(4, 3, seed=0, each=5))
    assert found.table[["ci_low", "ci_high", "p_value", "p_adjusted"]].isna().all(axis=None)
    assert found.table["difference"].notna().all()
    assert "4 groups with both pro and anti are too few; it takes at least 5" in found.notes[-1]


def test_without_any_group_of_both_kinds_there_is_no_difference():
    found = bias_table(*one_head([("a", "pro", 1), ("b", "anti", 0)]))
    assert found.num_groups == 0
    assert found.table["difference"].isna().all()
    assert "0 groups with both" in found.notes[-1]


# --- labels ---------------------------------------------------------------------------------------


def bias_of_cases(*extras):
    """The bias of two cases of a group for each pair of extras, as a probe finds it."""
    analyzer = CoreferenceAnalyzer()
    for number, extra in enumerate(extras):
        text = f"{SENTENCES[0]} ({number})"
        named = case(text, id=f"c{number}", group=f"g{number // 2}")
        given = dataclasses.replace(named, extra=extra)
        analyzer.update([(given, record(text, seed=number))])
    return CaseSet(analyzer.columns, analyzer.scored, QUICK).bias()


def test_labels_come_from_what_the_collection_says():
    both = [{"gender": "male", "stereotype": "pro"}, {"gender": "female", "stereotype": "anti"}]
    assert bias_of_cases(*both).contrast == ("pro", "anti")
    assert bias_of_cases({"gender": "male"}, {"gender": "female"}).contrast == ("male", "female")
    assert bias_of_cases({"age": "old"}, {"age": "young"}) is None
    found = bias_of_cases(*both, {"stereotype": "pro"}, {}, *both)
    assert (found.table["n_pro"] == 2).all() and found.num_groups == 2
    assert "1 cases left out: without a label" in found.notes


# --- refused --------------------------------------------------------------------------------------


def test_a_label_for_each_case_is_asked_for():
    cases, labels = coin_flips(3, 3, seed=0)
    with pytest.raises(InputError, match="got 5 for 6 cases"):
        bias_table(cases, labels[1:])


@pytest.mark.parametrize("contrast", [("pro", "pro"), ("pro", "neutral"), ("", "pro")])
def test_a_contrast_is_of_two_labels(contrast):
    with pytest.raises(SelectionError, match="two different labels"):
        bias_table(*coin_flips(3, 3, seed=0), contrast=contrast)


def test_cases_of_different_models_are_refused():
    cases = [scored_case("a", "a", [[[1.0]]]), scored_case("b", "a", [[[1.0, 0.0]]])]
    with pytest.raises(InputError, match="one model"):
        bias_table(cases, ["pro", "anti"])


def test_no_cases_are_refused():
    with pytest.raises(InputError, match="forced choice, got none"):
        bias_table([], [])


def test_where_both_kinds_are_alike_in_each_group_rounding_is_no_difference():
    """Nouns are named as often with *he* as with *she*: the means differ by 10⁻¹⁷, in one way."""
    random = np.random.default_rng(1)
    cases, labels = [], []
    for group in range(60):
        alike = random.random(3) < 0.55
        for label in ("pro", "anti"):
            for version in range(3):
                name = f"{group}{label}{version}"
                credit = [[[float(alike[version]), float(random.random() < 0.5)]]]
                cases.append(scored_case(name, f"g{group}", credit))
                labels.append(label)
    table = bias_table(cases, labels, ("pro", "anti"), QUICK).table.set_index("head")
    assert table.loc[0, "difference"] == pytest.approx(0, abs=1e-12)
    assert table.loc[0, "p_value"] == table.loc[0, "p_adjusted"] == 1
    assert table.loc[0, "ci_low"] < -0.01 and table.loc[0, "ci_high"] > 0.01
    assert 0 < table.loc[1, "p_value"] <= 1
