"""What may be claimed of heads, and the slow loop beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from introspect.errors import InputError
from introspect.functional import credit
from introspect.studies.coreference import CoreferenceAnalyzer, score_case
from introspect.studies.coreference.batch import columns_of_record
from introspect.studies.coreference.claims import difference_interval
from introspect.text import CorefCase
from tests.studies.coreference.helpers import (
    QUICK,
    SENTENCES,
    assert_slow_accuracy_agrees,
    computed,
    computed_quickly,
    many_cases,
)
from tests.synthetic import case, plant, record


@pytest.mark.parametrize("causal", [False, True])
def test_the_slow_loop_agrees_on_synthetic_cases(causal):
    texts = [
        text.replace("was", "w" + "a" * (n % 5) + "s") for n in range(50) for text in SENTENCES
    ]
    batch = [
        (
            case(text, pronoun="It" if text.startswith("It") else "it", id=str(number)),
            record(text, seed=number, causal=causal),
        )
        for number, text in enumerate(texts)
    ]
    assert_slow_accuracy_agrees(batch, computed(batch).heads)


def test_a_planted_head_is_claimed_with_its_held_out_figure():
    scores = computed_quickly(many_cases(60, right=0.9))
    row = scores.heads.query("layer == 1 and head == 2 and direction == 'pronoun_to_candidate'")
    assert row["p_adjusted"].item() < 0.05
    assert row["ci_low"].item() > 0.75
    assert row["ci_low"].item() <= row["accuracy"].item() <= row["ci_high"].item()
    choice = scores.choice
    assert (choice.head, choice.direction) == ((1, 2), "pronoun_to_candidate")
    assert choice.frequency == 1
    assert choice.accuracy == pytest.approx(row["accuracy"].item())
    assert choice.n == 60 and choice.n_not_observable == 0
    assert choice.p_value < 0.05
    assert scores.heads["p_adjusted"].idxmin() == row.index[0]


def test_baselines_have_intervals_and_a_fixed_offset():
    baselines = computed_quickly(many_cases(40)).baselines.set_index("baseline")
    assert {"random", "nearest_preceding", "fixed_offset"} <= set(baselines.index)
    assert (baselines["ci_low"] <= baselines["accuracy"]).all()
    assert (baselines["accuracy"] <= baselines["ci_high"]).all()
    # The answer stands at one distance in each of the four sentences: position gives it away.
    assert baselines.loc["fixed_offset", "n"] == 40


def test_with_few_groups_nothing_is_claimed_and_it_says_so():
    scores = computed_quickly(many_cases(40, group_size=10))
    assert scores.choice is None
    assert scores.heads[["ci_low", "p_value", "p_adjusted"]].isna().all(axis=None)
    assert "4 groups" in scores.notes[0]
    assert not (scores.baselines["baseline"] == "fixed_offset").any()


def test_copies_of_a_case_are_one_whatever_their_ids():
    """Ten texts, each five times: ten groups, and a note; groups that share a copy are joined."""
    made = many_cases(10)
    copied = [
        (replace(given, id=f"{given.id}-{copy}", group=None), one)
        for copy in range(5)
        for given, one in made
    ]
    scores = computed_quickly(copied)
    assert scores.held_out["group"].nunique() == 10
    assert "40 cases are copies of another" in scores.notes[0]
    once = computed_quickly(made)
    assert (scores.heads["ci_low"] <= once.heads["ci_low"]).all()
    assert (scores.heads["ci_high"] >= once.heads["ci_high"]).all()
    assert not once.notes


def test_a_difference_that_is_the_same_in_every_case_has_an_exact_interval():
    """Right in 100 of 100 cases: chance is beaten, and what is right every time as well is not."""
    groups = [f"g{case}" for case in range(100)]
    low, high = difference_interval([0.5] * 100, groups, QUICK)
    limit = 1 - 0.025 ** (1 / 100)
    assert (low, high) == pytest.approx((0.5 - 1.5 * limit, 0.5 + 0.5 * limit))
    low, high = difference_interval([0.0] * 100, groups, QUICK)
    assert (low, high) == pytest.approx((-limit, limit))
    # The nearest candidate is right in one of the two cases of each pair.
    low, high = difference_interval(
        [1.0, 0.0] * 50, [f"g{case // 2}" for case in range(100)], QUICK
    )
    assert 0.3 < low < 0.5 < high
    assert np.isnan(difference_interval([0.0] * 4, groups[:4], QUICK)).all()


def test_lengths_of_candidates_are_baselines_and_strata():
    """*The animal* has two words and *street* one: the fewest words are never the answer."""
    texts = [f"{SENTENCES[0]} ({index})" for index in range(10)]
    made = [
        (
            CorefCase.from_words(
                text, pronoun="it", antecedent="The animal", distractors=["street"], id=text
            ),
            record(text, seed=index),
        )
        for index, text in enumerate(texts)
    ]
    scores = computed_quickly(made)
    baselines = scores.baselines.set_index("baseline")["accuracy"]
    assert baselines["fewest_words"] == 0
    assert baselines["most_pieces"] == 1
    assert scores.by_length["antecedent"].tolist() == ["longer"]
    assert scores.by_length["n"].tolist() == [10]


def test_minimal_pairs_count_only_with_both_right():
    made = []
    for number in range(20):
        for word, sides in (("tired", ("animal", "street")), ("wide", ("street", "animal"))):
            text = f"The animal left the street {number} times because it was {word}."
            given = case(
                text, antecedents=sides[:1], distractors=sides[1:], id=text, group=f"g{number}"
            )
            made.append((given, plant(record(text, seed=number), (1, 2), "it", sides[0], 0.9)))
    scores = computed_quickly(made)
    row = scores.minimal_pairs.query(
        "layer == 1 and head == 2 and direction == 'pronoun_to_candidate'"
    )
    assert row["n_pairs"].item() == 20
    assert row["both_right"].item() == 1
    # Two cases of a group whose answers are alike, or whose words are others, are no pair.
    assert computed_quickly(many_cases(40, right=1.0, group_size=2)).minimal_pairs.empty
    assert computed_quickly(many_cases(8)).minimal_pairs.empty


def test_three_candidates_are_permuted_in_three_ways():
    given = case(distractors=["street", "tired"], id="three")
    (made,) = columns_of_record(record(), given).scored()
    weights = score_case(record(), given)[0].weights
    for shift in range(3):
        labels = [i == shift for i in range(3)]
        expected = credit(weights, labels).numpy()
        assert made.labelings[shift, 0] == pytest.approx(expected)


def test_records_of_different_models_are_refused():
    analyzer = CoreferenceAnalyzer()
    analyzer.update([(case(id="a"), record())])
    with pytest.raises(InputError, match="one model"):
        analyzer.update([(case(id="b"), record(heads=5))])
