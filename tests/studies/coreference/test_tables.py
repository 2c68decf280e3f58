"""The tables: their columns, their numbers, what the mask forbids, baselines."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from introspect.studies.coreference import baseline_name, score_case
from tests.studies.coreference.helpers import BASELINES, CASES, HEADS, computed, some_cases
from tests.synthetic import case, plant, record

# --- the contract ---------------------------------------------------------------------------------


def test_columns_are_those_of_the_contract():
    scores = computed(some_cases())
    assert list(scores.heads.columns) == HEADS
    assert list(scores.cases.columns) == CASES
    assert list(scores.baselines.columns) == BASELINES


def test_there_is_a_row_for_each_layer_head_and_direction():
    heads = computed(some_cases()).heads
    assert len(heads) == 2 * 3 * 2
    assert not heads.duplicated(["layer", "head", "direction"]).any()
    assert set(heads["direction"]) == {"pronoun_to_candidate", "candidate_to_pronoun"}


def test_there_is_a_row_for_each_case_layer_head_and_direction():
    cases = computed(some_cases()).cases
    assert len(cases) == 4 * 2 * 3 * 2
    assert not cases.duplicated(["id", "layer", "head", "direction"]).any()


def test_whole_numbers_stay_whole():
    scores = computed(some_cases(causal=True))
    for column in ("layer", "head", "n", "n_not_observable"):
        assert pd.api.types.is_integer_dtype(scores.heads[column])
    assert pd.api.types.is_integer_dtype(scores.baselines["n"])


def test_what_is_not_computed_yet_is_not_a_number():
    heads = computed(some_cases()).heads
    assert heads[["ci_low", "ci_high", "p_value", "p_adjusted"]].isna().all(axis=None)


def test_ids_and_groups_are_kept_and_a_case_without_a_group_is_its_own():
    cases = computed([*some_cases(), (case(id="alone"), record())]).cases
    groups = cases.drop_duplicates("id").set_index("id")["group"].to_dict()
    assert groups == {"c0": "g0", "c1": "g1", "c2": "g0", "c3": "g1", "alone": "alone"}


# --- the numbers ----------------------------------------------------------------------------------


def test_the_rows_of_a_case_are_its_scores():
    (given, made), *_ = batch = some_cases()
    rows = computed(batch).cases.query("id == 'c0'")
    for scores in score_case(made, given):
        for row in rows.query("direction == @scores.direction").itertuples():
            at = (row.layer, row.head)
            assert row.antecedent_weight == scores.antecedent_weight[at].item()
            assert row.distractor_weight == scores.distractor_weight[at].item()
            assert row.credit == scores.credit[at].item()
            assert row.removed_mass == 0


def test_accuracy_and_margin_are_means_over_the_cases():
    batch = some_cases()
    heads = computed(batch).heads
    for row in heads.itertuples():
        place = 0 if row.direction == "pronoun_to_candidate" else 1
        scores = [score_case(made, given)[place] for given, made in batch]
        credits = [s.credit[row.layer, row.head].item() for s in scores]
        margins = [s.margin[row.layer, row.head].item() for s in scores]
        assert row.n == 4
        assert row.accuracy == pytest.approx(sum(credits) / 4)
        assert row.margin == pytest.approx(sum(margins) / 4)


def test_a_planted_head_is_right_every_time_and_clearly():
    batch = [
        (given, plant(made, (1, 2), given.phrase(given.pronoun), "animal", 0.9))
        for given, made in some_cases()
    ]
    heads = computed(batch).heads.query("direction == 'pronoun_to_candidate'")
    planted = heads.query("layer == 1 and head == 2")
    assert planted["accuracy"].item() == 1
    assert planted["margin"].item() > heads.drop(planted.index)["margin"].max() + 0.1


def test_the_way_to_join_mentions_reaches_the_scores():
    text = "The old animal left the street because it was tired."
    given = case(text, antecedents=["old animal"])
    rows = {
        mention: computed([(given, record(text))], mention=mention).cases["antecedent_weight"]
        for mention in ("mean", "sum", "max", "last")
    }
    assert torch.allclose(torch.tensor(rows["sum"]), 2 * torch.tensor(rows["mean"]))
    assert (rows["max"] >= rows["mean"]).all()
    assert not rows["last"].equals(rows["max"])


# --- the mask -------------------------------------------------------------------------------------


def test_a_direction_the_mask_forbids_is_counted_and_is_neither_right_nor_wrong():
    # Of the four texts, three have the pronoun last, one has it first.
    scores = computed(some_cases(causal=True))
    for direction, seen in (("pronoun_to_candidate", 3), ("candidate_to_pronoun", 1)):
        heads = scores.heads[scores.heads["direction"] == direction]
        assert (heads["n"] == seen).all()
        assert (heads["n_not_observable"] == 4 - seen).all()
        rows = scores.cases[scores.cases["direction"] == direction]
        assert rows["credit"].isna().sum() == (4 - seen) * 6


def test_what_the_mask_forbids_does_not_move_the_accuracy():
    batch = some_cases(causal=True)
    whole = computed(batch).heads.query("direction == 'pronoun_to_candidate'")
    without = computed([b for b in batch if b[0].id != "c1"]).heads.query(
        "direction == 'pronoun_to_candidate'"
    )
    assert whole["accuracy"].tolist() == without["accuracy"].tolist()
    assert whole["margin"].tolist() == without["margin"].tolist()


def test_a_direction_that_is_never_observable_has_no_accuracy():
    heads = computed(some_cases(causal=True)[:1]).heads
    never = heads.query("direction == 'candidate_to_pronoun'")
    assert (never["n"] == 0).all()
    assert (never["n_not_observable"] == 1).all()
    assert never["accuracy"].isna().all()
    assert never["margin"].isna().all()


# --- outside forced choice ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "outside",
    [
        {"antecedents": [], "distractors": ["animal", "street"]},
        {"antecedents": ["animal", "street"], "distractors": []},
    ],
)
def test_cases_without_a_choice_are_counted_apart(outside):
    batch = [*some_cases(), (case(id="apart", **outside), record())]
    scores, without = computed(batch), computed(some_cases())
    assert scores.outside_forced_choice == ("apart",)
    pd.testing.assert_frame_equal(scores.heads, without.heads)
    pd.testing.assert_frame_equal(scores.baselines, without.baselines)
    rows = scores.cases.query("id == 'apart'")
    assert len(rows) == 12
    assert rows["credit"].isna().all()


def test_only_cases_without_a_choice_give_empty_tables_with_all_columns():
    scores = computed([(case(distractors=[]), record())])
    assert list(scores.heads.columns) == HEADS
    assert list(scores.baselines.columns) == BASELINES
    assert len(scores.heads) == len(scores.baselines) == 0
    assert len(scores.cases) == 12


# --- baselines ------------------------------------------------------------------------------------


def test_position_baselines_by_hand():
    # nearest: street, street, animal, street; first: animal, animal, street, animal.
    scores = computed(some_cases())
    accuracy = scores.baselines.set_index("baseline")["accuracy"]
    assert accuracy["random"] == 0.5
    assert accuracy["nearest_preceding"] == 0.5
    assert accuracy["first_mentioned"] == 0.75
    assert (scores.baselines["n"] == 4).all()


def test_the_mean_of_heads_chooses_by_the_mean_pattern():
    batch = some_cases()
    scores = computed(batch)
    credits = []
    for given, made in batch:
        mean = made.attentions.double().mean((0, 1), keepdim=True)
        blended = type(made)(mean.float(), queries=made.queries, keys=made.keys)
        credits.append(score_case(blended, given)[0].credit.item())
    accuracy = scores.baselines.set_index("baseline")["accuracy"]
    assert accuracy["mean_of_heads"] == pytest.approx(sum(credits) / 4)
    # Nor by the mean of the accuracies of heads, which is another number and another name.
    assert accuracy["mean_of_heads"] != pytest.approx(scores.heads["accuracy"].mean())
    assert baseline_name("mean_of_heads") == "attention averaged over all heads"


def test_the_most_attended_candidate_is_that_with_the_largest_column():
    attentions = record().attentions.clone()
    attentions[..., 1:] *= 0.5  # room in every row
    street = record().tokens.index("street")
    attentions[..., street] += 0.5 * (1 - attentions.sum(-1))
    base = record()
    made = type(base)(attentions, queries=base.queries, keys=base.keys)
    accuracy = computed([(case(), made)]).baselines.set_index("baseline")["accuracy"]
    assert accuracy["most_attended"] == 0
