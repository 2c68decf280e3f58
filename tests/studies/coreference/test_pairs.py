"""Minimal pairs: shifts by hand, what is a pair and what is none, and planted heads."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from introspect.data import own_cases
from introspect.errors import InputError, SelectionError
from introspect.statistics import effect_intervals
from introspect.studies.coreference import (
    DIRECTIONS,
    CoreferenceAnalyzer,
    Options,
    PairVersion,
    pair_shifts,
)
from introspect.studies.coreference.pairs import PAIR_COLUMNS, words_apart, words_outside
from introspect.text import CorefCase, segment_words
from tests.synthetic import TEXT, case, record

QUICK = Options(resamples=300, permutations=500)
TIRED, WIDE = TEXT, TEXT.replace("tired", "wide")


def pair_version(case, record):
    analyzer = CoreferenceAnalyzer()
    analyzer.update([(case, record)])
    return PairVersion.of(analyzer.columns, 0)


def version(group, weights, right, *, phrases=("animal", "street"), observable=True, name=None):
    """One head in one layer and both directions: ``weights`` is ``(num_candidates,)``."""
    both = np.array(weights, dtype=float).reshape(-1, 1, 1, 1).repeat(2, axis=1)
    return PairVersion(
        name=name or f"{group}-{right}",
        group=group,
        phrases=phrases,
        antecedents=tuple(i == right for i in range(len(weights))),
        weights=both,
        observable=np.full((2, 1), observable),
        layers=(0,),
    )


def random_pairs(count, heads, seed, follows=0.0):
    """Minimal pairs whose weights know nothing of the answer, but for head 2, if it follows."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        for right in (1, 0):
            weights = random.random((2, 2, 1, heads))
            weights[right, 0, 0, 2] += follows
            made.append(dataclasses.replace(version(f"g{number}", [0, 0], right), weights=weights))
    return made


# --- by hand --------------------------------------------------------------------------------------


def test_a_shift_by_hand():
    # (0.6 − 0.2)/0.8 − (0.1 − 0.3)/0.4 = 0.5 + 0.5
    found = pair_shifts([version("g", [0.6, 0.2], 0), version("g", [0.1, 0.3], 1)])
    assert found.table["shift"].tolist() == pytest.approx([1.0, 1.0])
    assert found.table["n_pairs"].tolist() == [1, 1]
    assert found.pairs == ("g",)


def test_a_raw_shift_by_hand():
    # (0.6 − 0.2) − (0.1 − 0.3)
    given = [version("g", [0.6, 0.2], 0), version("g", [0.1, 0.3], 1)]
    assert pair_shifts(given, measure="raw").table["shift"].tolist() == pytest.approx([0.6, 0.6])


def test_the_order_of_the_versions_does_not_matter():
    given = [version("g", [0.6, 0.2], 0), version("g", [0.1, 0.3], 1)]
    assert pair_shifts(given).table.equals(pair_shifts(given[::-1]).table)


def test_a_head_that_does_not_notice_the_word_does_not_shift():
    given = [version("g", [0.9, 0.1], 0), version("g", [0.9, 0.1], 1)]
    assert (pair_shifts(given).table["shift"] == 0).all()


def test_the_ends_of_the_range():
    follows = [version("g", [0.4, 0.0], 0), version("g", [0.0, 0.2], 1)]
    against = [version("g", [0.0, 0.4], 0), version("g", [0.2, 0.0], 1)]
    assert pair_shifts(follows).table["shift"].tolist() == [2, 2]
    assert pair_shifts(against).table["shift"].tolist() == [-2, -2]


def test_of_three_candidates_the_two_antecedents_count():
    phrases = ("dog", "animal", "street")
    given = [
        version("g", [0.9, 0.6, 0.2], 1, phrases=phrases),
        version("g", [0.0, 0.1, 0.3], 2, phrases=phrases),
    ]
    assert pair_shifts(given).table["shift"].tolist() == pytest.approx([1.0, 1.0])


def test_a_share_below_the_floor_is_undefined_and_counted_but_a_raw_difference_is_not():
    given = [version("g", [0.6, 0.2], 0), version("g", [4e-7, 5e-7], 1)]
    share, raw = pair_shifts(given).table, pair_shifts(given, measure="raw").table
    assert share["shift"].isna().all() and (share["n_undefined"] == 1).all()
    assert raw["shift"].tolist() == pytest.approx([0.4, 0.4]) and (raw["n_undefined"] == 0).all()


def test_what_cannot_be_observed_is_no_zero():
    given = [version("g", [0.6, 0.2], 0), version("g", [0, 0.3], 1, observable=False)]
    for measure in ("share", "raw"):
        table = pair_shifts(given, measure=measure).table
        assert table["shift"].isna().all()
        assert (table["n_not_observable"] == 1).all() and (table["n_undefined"] == 0).all()


# --- from records ---------------------------------------------------------------------------------


def minimal_pair(group="pair"):
    return (
        case(TIRED, id="tired", group=group),
        case(WIDE, antecedents=["street"], distractors=["animal"], id="wide", group=group),
    )


def test_versions_of_cases_are_compared_in_the_order_of_the_text():
    (tired, wide), made = minimal_pair(), (record(TIRED), record(WIDE, seed=1))
    one = pair_version(tired, made[0])
    other = pair_version(wide, made[1])
    assert one.phrases == other.phrases == ("animal", "street")
    assert (one.antecedents, other.antecedents) == ((True, False), (False, True))
    table = pair_shifts([one, other]).table.set_index(["layer", "head", "direction"])
    columns = [
        [text.keys.tokens.index(word) for word in ("it", "animal", "street")] for text in made
    ]
    for layer, head in itertools.product(range(2), range(3)):
        shares = []
        for text, (it, animal, street) in zip(made, columns, strict=True):
            row = text.attentions[layer, head, it].double()
            shares.append(((row[animal] - row[street]) / (row[animal] + row[street])).item())
        found = table.loc[(layer, head, DIRECTIONS[0]), "shift"]
        assert found == pytest.approx(shares[0] - shares[1])


def test_a_causal_mask_hides_the_candidates_view_of_the_pronoun():
    made = [pair_version(c, record(c.text, causal=True)) for c in minimal_pair()]
    table = pair_shifts(made).table
    seen = table["direction"] == DIRECTIONS[0]
    assert (table[seen]["n_pairs"] == 1).all() and (table[~seen]["n_not_observable"] == 1).all()


def test_a_head_of_minilm_turns_from_the_animal_to_the_street(minilm):
    made = [pair_version(c, minilm.capture(c.text)) for c in minimal_pair()]
    table = pair_shifts(made, measure="raw").table.set_index(["layer", "head", "direction"])
    # 0.68 on "animal" for "tired", 0.28 for "wide", with 0.12 on "street" then.
    shift = table.loc[(3, 1, DIRECTIONS[0]), "shift"]
    tired = minilm.capture(TIRED)
    it, street = (tired.tokens.index(word) for word in ("it", "street"))
    on_street = tired.attentions[3, 1, it, street].item()
    assert shift == pytest.approx((0.68 - on_street) - (0.28 - 0.12), abs=0.015)


# --- what is a pair -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([version("g", [1, 0], 0)], "not two cases"),
        ([version("g", [1, 0], right) for right in (0, 1, 0)], "not two cases"),
        ([version("g", [1, 0], 0), version("g", [1, 0], 0)], "the same antecedent"),
        (
            [version("g", [1, 0], 0), version("g", [1, 0], 1, phrases=("street", "animal"))],
            "different candidates",
        ),
        ([version("g", [1, 0], 0), version("g", [1, 0], 5)], "outside forced choice"),
        (
            [
                dataclasses.replace(version("g", [1, 0], 0), words=("he", "wanted", "it", "back")),
                dataclasses.replace(version("g", [1, 0], 1), words=("he", "had", "to", "leave")),
            ],
            "more than 2 words differ",
        ),
        (
            [
                dataclasses.replace(
                    version("g", [1, 0, 0], 0, phrases=("a", "b", "c")),
                    antecedents=(True, True, False),
                ),
                version("g", [1, 0, 0], 2, phrases=("a", "b", "c")),
            ],
            "several antecedents",
        ),
    ],
)
def test_what_is_no_pair_is_counted_and_named(members, reason):
    pair = [version("pair", [0.6, 0.2], 0), version("pair", [0.1, 0.3], 1)]
    found = pair_shifts([*members, *pair])
    assert found.pairs == ("pair",)
    assert found.table["shift"].tolist() == pytest.approx([1.0, 1.0])
    assert any("1 group is no pair" in note and reason in note for note in found.notes)
    assert any(note.endswith(": g") for note in found.notes)


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("was too tired", "was too wide", 1),
        ("was too tired", "was far too wide", 2),
        ("asked for the bill", "offered to call back later", 5),
        ("他太累", "他太宽", 1),
        ("因为很便宜", "因为很贵", 1),
        ("为了要到账单", "说可以明天再来", 4),
        ("tired.", "tired!", 0),
    ],
)
def test_words_are_counted_that_differ_outside_mentions(one, other, apart):
    def words(text):
        return [text[a:b] for a, b in segment_words(text) if text[a:b].isalnum()]

    assert words_apart(words(one), words(other)) == apart


def test_mentions_do_not_count_as_words_that_differ():
    one, other = minimal_pair()
    text = WIDE.replace(" it ", " she ")
    she = case(text, antecedents=["street"], distractors=["animal"], pronoun="she", id="x")
    assert words_apart(words_outside(one), words_outside(other)) == 1
    assert words_apart(words_outside(other), words_outside(she)) == 0


def test_winogenders_clauses_are_no_minimal_pairs_and_tired_and_wide_are():
    assert all(
        words_apart(*map(words_outside, pair)) <= 2
        for pair in zip(*[iter(own_cases("en"))] * 2, strict=True)
    )
    text = "The cook told the guest that {} was late."
    clause = "The cook told the guest that {} would have to wait for the next table to be free."
    made = [
        dataclasses.replace(version("g", [1, 0], right), words=tuple(t.split()))
        for right, t in enumerate((text, clause))
    ]
    assert pair_shifts(made).pairs == ()


def test_both_right_of_coin_flips_is_a_quarter_and_of_a_blind_head_none():
    random = np.random.default_rng(0)
    coin, blind, sees = [], [], []
    for number in range(400):
        fixed = random.random((2, 1, 1, 1))
        for right in (1, 0):
            made = version(f"g{number}", [0, 0], right)
            gold = np.array([0.2, 0.2])
            gold[right] = 0.6
            for group, weights in (
                (coin, random.random((2, 1, 1, 1))),
                (blind, fixed),
                (sees, gold.reshape(2, 1, 1, 1)),
            ):
                group.append(dataclasses.replace(made, weights=weights.repeat(2, axis=1)))
    quick = Options(resamples=10, permutations=10)
    both = [pair_shifts(made, options=quick).table["both_right"][0] for made in (coin, blind, sees)]
    assert both == [pytest.approx(0.25, abs=0.07), 0.0, 1.0]
    claim = pair_shifts(sees, options=Options(resamples=50, permutations=200)).claims[0]
    assert (claim.kind, claim.groups) == ("shifts", 400)
    assert "both versions right in 100.0% of pairs, where coin flips have 25%" in claim.sentence
    silent, *beside = pair_shifts(blind, options=Options(resamples=50, permutations=200)).claims
    assert silent.kind == "no-shifts"
    assert {claim.kind for claim in beside} <= {"detectable: shifts"}


def test_of_many_groups_that_are_no_pairs_some_are_named():
    found = pair_shifts([version(f"g{number}", [1, 0], 0) for number in range(8)])
    assert found.notes[0] == "8 groups are no pair (not two cases): g0, g1, g2, g3, g4 and 3 more"
    assert (found.table["n_pairs"] == 0).all() and found.table["shift"].isna().all()


# --- intervals and p-values -----------------------------------------------------------------------


def test_the_columns_and_rows_of_the_table():
    found = pair_shifts(random_pairs(6, 4, seed=0), options=QUICK)
    assert tuple(found.table.columns) == PAIR_COLUMNS
    assert len(found.table) == 2 * 1 * 4
    assert not found.table.duplicated(["layer", "head", "direction"]).any()


def test_p_values_are_those_of_every_flip_of_signs():
    given = random_pairs(6, 3, seed=4, follows=0.3)
    table = pair_shifts(given, options=QUICK).table
    shifts = np.array(
        [pair_shifts(given[2 * i : 2 * i + 2]).table["shift"].to_numpy() for i in range(6)]
    )
    scale = np.sqrt((shifts**2).sum(0))
    every = np.array(
        [
            sum(sign * row for sign, row in zip(signs, shifts, strict=True)) / scale
            for signs in itertools.product((1, -1), repeat=6)
        ]
    )
    observed = shifts.sum(0) / scale
    for head in range(6):
        own = np.mean([row[head] >= observed[head] - 1e-12 for row in every])
        family = np.mean([max(row) >= observed[head] - 1e-12 for row in every])
        assert table["p_value"][head] == pytest.approx(own)
        assert table["p_adjusted"][head] == pytest.approx(family)


def test_the_interval_resamples_pairs():
    given = random_pairs(30, 3, seed=5, follows=0.5)
    found = pair_shifts(given, options=QUICK)
    table = found.table
    shifts = np.array([pair_shifts(given[2 * i : 2 * i + 2]).table["shift"] for i in range(30)])
    # The draws are of the groups in the order of their names.
    low, high = effect_intervals(shifts, found.pairs, resamples=300)
    np.testing.assert_allclose(table["ci_low"], low)
    np.testing.assert_allclose(table["ci_high"], high)


def test_a_planted_head_is_found_and_no_other():
    found = pair_shifts(random_pairs(40, 12, seed=7, follows=1.0), options=QUICK)
    row = found.table.query("head == 2 and direction == 'pronoun_to_candidate'")
    assert row["p_adjusted"].item() < 0.01
    assert row["ci_low"].item() > 0.3
    assert (found.table.drop(row.index)["p_adjusted"] > 0.05).all()


def test_without_a_planted_head_p_values_are_even():
    """100 sets of pairs that know nothing: the family's smallest p-value is as often small."""
    smallest, own = [], []
    for seed in range(100):
        options = Options(resamples=2, permutations=199)
        table = pair_shifts(random_pairs(12, 6, seed), options=options).table
        smallest.append(table["p_adjusted"].min())
        own.append(table["p_value"][0])
    for p in (smallest, own):
        below = [int(np.sum(np.array(p) <= level)) for level in (0.05, 0.25, 0.5)]
        # Bounds that hold with 99.8 % each for a binomial of 100.
        assert below[0] <= 13 and 12 <= below[1] <= 39 and 34 <= below[2] <= 66


def test_with_few_pairs_nothing_is_claimed_and_it_says_so():
    found = pair_shifts(random_pairs(4, 3, seed=0))
    assert found.table[["ci_low", "ci_high", "p_value", "p_adjusted"]].isna().all(axis=None)
    assert found.table["shift"].notna().all()
    assert "4 pairs are too few; it takes at least 5" in found.notes[-1]


def test_a_head_without_any_defined_pair_has_no_p_value():
    given = random_pairs(8, 3, seed=1)
    for member in given:
        member.weights[..., 1] = 0
    row = pair_shifts(given, options=QUICK).table.query("head == 1")
    assert row[["shift", "ci_low", "p_value", "p_adjusted"]].isna().all(axis=None)
    assert (row["n_undefined"] == 8).all()


# --- refused --------------------------------------------------------------------------------------


def test_no_cases_are_refused():
    with pytest.raises(InputError, match="at least one case"):
        pair_shifts([])


def test_an_unknown_measure_is_refused():
    with pytest.raises(SelectionError, match="share or raw"):
        pair_shifts([version("g", [1, 0], 0)], measure="ratio")


def test_cases_of_different_models_are_refused():
    made = [
        pair_version(c, record(c.text, heads=h))
        for c, h in zip(minimal_pair(), (3, 4), strict=True)
    ]
    with pytest.raises(InputError, match="one model"):
        pair_shifts(made)


def test_a_case_without_a_group_is_its_own():
    given = CorefCase.from_words(TEXT, pronoun="it", antecedent="animal", distractors="street")
    made = pair_version(given, record())
    assert made.group == made.name == "case-1"
