"""Many cases: the tables, what is counted in them, and what is counted apart."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pandas as pd
import pytest
import torch

import introspect as ix
from introspect.analyzers.coreference import CoreferenceAnalyzer, Options, score
from introspect.analyzers.coreference.scored import scored
from introspect.errors import InputError, MentionError
from introspect.functional.coreference import credit
from introspect.mentions import Candidate, CorefCase
from introspect.scoring import score_case
from tests.synthetic import TEXT, case, plant, record

HEADS = [
    "layer",
    "head",
    "direction",
    "n",
    "n_not_observable",
    "accuracy",
    "ci_low",
    "ci_high",
    "margin",
    "p_value",
    "p_adjusted",
]
CASES = [
    "id",
    "group",
    "layer",
    "head",
    "direction",
    "antecedent_weight",
    "distractor_weight",
    "credit",
    "removed_mass",
]
BASELINES = ["baseline", "n", "accuracy", "ci_low", "ci_high"]

GAP = Path(__file__).parents[3] / "shared" / "data" / "gap" / "gap-validation.tsv"

SENTENCES = [
    "The animal left the street because it was tired.",
    "It was tired so the animal left the street.",
    "The street was where the animal said it was tired.",
    "An animal on a street is what it always was.",
]


def some_cases(**options):
    """Forced choices with the pronoun after, before and between the candidates."""
    return [
        (
            case(
                text,
                pronoun="It" if text.startswith("It") else "it",
                id=f"c{number}",
                group=f"g{number % 2}",
            ),
            record(text, seed=number, **options),
        )
        for number, text in enumerate(SENTENCES)
    ]


def computed(batch, **options):
    analyzer = CoreferenceAnalyzer(**options)
    analyzer.update(batch)
    return analyzer.compute()


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


def test_the_most_attended_candidate_is_that_with_the_largest_column():
    attentions = record().attentions.clone()
    attentions[..., 1:] *= 0.5  # room in every row
    street = record().tokens.index("street")
    attentions[..., street] += 0.5 * (1 - attentions.sum(-1))
    base = record()
    made = type(base)(attentions, queries=base.queries, keys=base.keys)
    accuracy = computed([(case(), made)]).baselines.set_index("baseline")["accuracy"]
    assert accuracy["most_attended"] == 0


# --- an independent slow implementation ---------------------------------------------------------


def slow_credit(pattern, given, tokens, layer, head, direction) -> float | None:
    """The credit of one head on one case, from the definition, with plain loops and numbers."""

    def words(span):
        found = {}
        for index, (start, end) in enumerate(tokens.offsets):
            if start < end and start < span[1] and span[0] < end:
                found.setdefault(tokens.word_ids[index], []).append(index)
        return list(found.values())

    def weight(source, target):
        pairs = []
        for one in words(source):
            for other in words(target):
                rows = [sum(pattern[layer][head][i][j] for j in other) for i in one]
                pairs.append(sum(rows) / len(rows))
        return sum(pairs) / len(pairs)

    def is_seen(source, target):
        return any(
            pattern[layer][h][i][j] != 0
            for h in range(len(pattern[layer]))
            for one in words(source)
            for i in one
            for other in words(target)
            for j in other
        )

    ends = [(given.pronoun, c.span) for c in given.candidates]
    if direction == "candidate_to_pronoun":
        ends = [(b, a) for a, b in ends]
    if not all(is_seen(*pair) for pair in ends):
        return None
    weights = [weight(*pair) for pair in ends]
    if sum(weights) < 1e-6:
        best = range(len(weights))
    else:
        best = [i for i, w in enumerate(weights) if w == max(weights)]
    return sum(given.candidates[i].antecedent for i in best) / len(best)


def assert_slow_accuracy_agrees(batch, heads_table):
    credits: dict[tuple, list[float]] = {}
    for given, made in batch:
        pattern = made.attentions.double().tolist()
        for layer in range(made.num_layers):
            for head in range(made.num_heads):
                for direction in ("pronoun_to_candidate", "candidate_to_pronoun"):
                    found = slow_credit(pattern, given, made.queries, layer, head, direction)
                    own = credits.setdefault((layer, head, direction), [])
                    own += [] if found is None else [found]
    for row in heads_table.itertuples():
        own = credits[(row.layer, row.head, row.direction)]
        assert row.n == len(own)
        if own:
            assert row.accuracy == pytest.approx(sum(own) / len(own), abs=1e-9)
        else:
            assert math.isnan(row.accuracy)


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


@pytest.mark.skipif(not GAP.is_file(), reason="the GAP collection is not beside the project")
def test_the_slow_loop_agrees_on_real_cases(minilm):
    chosen = [given for given in gap_cases() if given.is_forced_choice and len(given.text) < 500]
    batch = [(given, minilm.capture(given.text)) for given in chosen[:200]]
    assert len(batch) == 200
    assert_slow_accuracy_agrees(batch, computed(batch).heads)


# --- what may be claimed ------------------------------------------------------------------------


def many_cases(number: int, *, right: float = 0.0, group_size: int = 1):
    """Cases in which head L1H2 gives the antecedent most of the pronoun's weight, mostly."""
    made = []
    for index in range(number):
        text = SENTENCES[index % 4]
        given = case(
            text,
            pronoun="It" if text.startswith("It") else "it",
            id=f"c{index}",
            group=f"g{index // group_size}",
        )
        one = record(text, seed=index)
        if right:
            target = "animal" if index % 100 < 100 * right else "street"
            one = plant(one, (1, 2), given.phrase(given.pronoun), target, 0.9)
        made.append((given, one))
    return made


QUICK = Options(resamples=500, permutations=500, selections=50)


def computed_quickly(batch):
    analyzer = CoreferenceAnalyzer()
    analyzer.update(batch)
    return analyzer.compute(QUICK)


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


def test_twins_are_counted_in_pairs():
    scores = computed_quickly(many_cases(40, right=1.0, group_size=2))
    row = scores.twins.query("layer == 1 and head == 2 and direction == 'pronoun_to_candidate'")
    assert row["n_pairs"].item() == 20
    assert row["both_right"].item() == 1
    assert computed_quickly(many_cases(8)).twins.empty


def test_three_candidates_are_relabelled_in_three_ways():
    given = case(distractors=["street", "tired"], id="three")
    made = scored(given, record(), "three", "mean")
    weights = score_case(record(), given)[0].weights
    for shift in range(3):
        labels = [i == shift for i in range(3)]
        expected = credit(weights, labels).numpy()
        assert made.labellings[shift, 0] == pytest.approx(expected)


def test_records_of_different_models_are_refused():
    analyzer = CoreferenceAnalyzer()
    analyzer.update([(case(id="a"), record())])
    with pytest.raises(InputError, match="one model"):
        analyzer.update([(case(id="b"), record(heads=5))])


@pytest.mark.skipif(not GAP.is_file(), reason="the GAP collection is not beside the project")
def test_gap_has_a_held_out_figure_under_the_in_sample_one(gap_scores):
    choice = gap_scores.choice
    assert choice.in_sample_accuracy >= choice.accuracy
    assert choice.ci_low < choice.accuracy < choice.ci_high
    assert choice.n == 392
    row = gap_scores.heads.query("layer == 3 and head == 1").iloc[0]
    assert row["p_adjusted"] < 0.001
    assert row["ci_low"] < 0.724 < row["ci_high"]


# --- merging and ids ------------------------------------------------------------------------------


def assert_same_tables(one, other):
    def in_order(table, keys):
        return table.sort_values(keys, ignore_index=True)

    pd.testing.assert_frame_equal(one.heads, other.heads, check_exact=True)
    pd.testing.assert_frame_equal(one.baselines, other.baselines, check_exact=True)
    keys = ["id", "layer", "head", "direction"]
    pd.testing.assert_frame_equal(
        in_order(one.cases, keys), in_order(other.cases, keys), check_exact=True
    )
    assert sorted(one.outside_forced_choice) == sorted(other.outside_forced_choice)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("cut", [0, 1, 2, 3, 5])
def test_merged_parts_equal_one_run(cut, causal):
    batch = [*some_cases(causal=causal), (case(distractors=[], id="apart"), record(causal=causal))]
    first, second = CoreferenceAnalyzer(), CoreferenceAnalyzer()
    first.update(batch[:cut])
    second.update(batch[cut:])
    first.merge(second)
    assert_same_tables(first.compute(), computed(batch))


def test_cases_one_by_one_equal_one_batch():
    batch = some_cases()
    analyzer = CoreferenceAnalyzer()
    for one in batch:
        analyzer.update([one])
    assert_same_tables(analyzer.compute(), computed(batch))


def test_a_merge_leaves_the_other_as_it_was():
    first, second = CoreferenceAnalyzer(), CoreferenceAnalyzer()
    first.update(some_cases()[:2])
    second.update(some_cases()[2:])
    before = second.compute()
    first.merge(second)
    first.update([(case(id="late"), record())])
    assert_same_tables(second.compute(), before)


def test_two_analyzers_share_nothing():
    first = CoreferenceAnalyzer()
    first.update(some_cases())
    with pytest.raises(InputError, match="at least one case"):
        CoreferenceAnalyzer().compute()


def test_the_same_id_twice_is_refused():
    with pytest.raises(InputError, match="'c0' twice"):
        computed([*some_cases(), some_cases()[0]])


def test_the_same_id_in_two_parts_is_refused():
    first, second = CoreferenceAnalyzer(), CoreferenceAnalyzer()
    first.update(some_cases()[:2])
    second.update(some_cases()[1:])
    with pytest.raises(InputError, match="'c1' twice"):
        first.merge(second)


def test_parts_that_join_mentions_differently_are_refused():
    first, second = CoreferenceAnalyzer("mean"), CoreferenceAnalyzer("max")
    with pytest.raises(InputError, match="mean.* and .*max"):
        first.merge(second)


def test_cases_without_an_id_are_numbered():
    batch = [(case(), record()), (case(), record(seed=1))]
    assert list(computed(batch).cases["id"].unique()) == ["case-1", "case-2"]


def test_a_case_that_cannot_be_scored_leaves_no_trace():
    analyzer = CoreferenceAnalyzer()
    analyzer.update(some_cases())
    before = analyzer.compute()
    with pytest.raises(MentionError):
        analyzer.update([(case(id="bad"), record(TEXT.replace("tired", "wide")))])
    assert_same_tables(analyzer.compute(), before)
    analyzer.update([(case(id="bad"), record())])


def test_tables_can_be_changed_without_changing_the_analyzer():
    analyzer = CoreferenceAnalyzer()
    analyzer.update(some_cases())
    table = analyzer.compute().cases
    table["credit"] = -1.0
    assert (analyzer.compute().cases["credit"] >= 0).all()


# --- with a real model --------------------------------------------------------------------------


def test_score_captures_and_scores_each_case(minilm):
    scores = score(minilm, [case(id="tired")])
    best = scores.heads.query("direction == 'pronoun_to_candidate'").set_index(["layer", "head"])
    assert best.loc[(3, 1), "accuracy"] == 1
    row = scores.cases.query("layer == 3 and head == 1").iloc[0]
    assert row["antecedent_weight"] == pytest.approx(0.68, abs=0.005)


def test_score_takes_one_case_without_a_list(minilm):
    assert len(score(minilm, case()).cases) == 6 * 12 * 2


def test_score_names_the_case_that_failed_and_keeps_the_cause(minilm):
    long = " ".join(["word"] * 600) + " " + TEXT
    cases = [case(id="fine"), case(long, id="too-long")]
    with pytest.raises(ix.IntrospectError, match="Case too-long: Expected at most") as caught:
        score(minilm, cases)
    assert isinstance(caught.value.__cause__, ix.IntrospectError)


def test_score_without_cases_is_refused(minilm):
    with pytest.raises(InputError, match="at least one case"):
        score(minilm, [])


def gap_cases():
    with GAP.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            spans = [
                (int(row[f"{name}-offset"]), int(row[f"{name}-offset"]) + len(row[name]))
                for name in ("Pronoun", "A", "B")
            ]
            yield CorefCase(
                text=row["Text"],
                pronoun=spans[0],
                candidates=(
                    Candidate(spans[1], antecedent=row["A-coref"] == "TRUE"),
                    Candidate(spans[2], antecedent=row["B-coref"] == "TRUE"),
                ),
                id=row["ID"],
                group=row["URL"],
            )


@pytest.fixture(scope="module")
def gap_scores(minilm):
    return score(minilm, list(gap_cases()))


@pytest.mark.skipif(not GAP.is_file(), reason="the GAP collection is not beside the project")
def test_gap_validation_gives_the_published_numbers(gap_scores):
    scores = gap_scores
    assert len(scores.outside_forced_choice) == 62
    head = scores.heads.query(
        "layer == 3 and head == 1 and direction == 'pronoun_to_candidate'"
    ).iloc[0]
    assert head["n"] == 392
    assert head["accuracy"] == pytest.approx(0.724, abs=0.0005)
    baselines = scores.baselines.set_index("baseline")
    assert (baselines["n"] == 392).all()
    assert baselines["accuracy"]["nearest_preceding"] == pytest.approx(0.538, abs=0.0005)
    assert baselines["accuracy"]["first_mentioned"] == pytest.approx(0.477, abs=0.0005)
    assert baselines["accuracy"]["random"] == 0.5
    assert not math.isnan(head["margin"])
