"""What a causal report says, for every outcome."""

from __future__ import annotations

import math
import re

import pandas as pd
import pytest

from introspect.records import Head
from introspect.reporting import finding_of_study
from introspect.reporting.causal_words import (
    head_verdicts,
    mediation_words,
    smallest_words,
    with_range,
)
from introspect.studies.causal import Mediation, SmallestSet
from introspect.studies.causal.head_claims import ability_claims
from introspect.studies.causal.mediation import MEDIATION_COLUMNS
from introspect.studies.causal.smallest import STEP_COLUMNS
from introspect.studies.causal.study import ChosenByAttention
from introspect.text import percent_ends, quantity
from tests.reporting.causal.helpers import NAN, headline, made, rows_but
from tests.views.causal.helpers import SURROGATE, table_of, without_tests


def test_heads_that_support_the_answer_are_named_with_the_largest_effect():
    assert headline(made()) == (
        "L0H0 and L3H0 support the answer: without L0H0 the preference falls by 2.00 nats (95% CI "
        "1.70–2.20). L3H0 attends to the antecedent; so does L3H1, without evidence that it "
        "supports the answer."
    )
    assert headline(made(rows_but((3, 1), (0, 0)))) == (
        "L3H0 supports the answer: without it the preference falls by 1.50 nats (95% CI "
        "1.20–1.70). It attends to the antecedent."
    )


def test_a_head_that_supports_it_need_not_attend():
    assert headline(made(rows_but((3, 0), (3, 1)))) == (
        "L0H0 supports the answer: without it the preference falls by 2.00 nats (95% CI "
        "1.70–2.20). No evidence that it attends to the antecedent."
    )
    assert headline(made(rows_but((3, 0)))).endswith(
        "L3H1 attends to the antecedent, without evidence that it supports the answer."
    )


def test_the_effect_of_other_heads_of_the_layer_is_no_part_of_the_verdict():
    """Equal heads hid one another, and a harmful one made idle ones look needed."""
    equal = [(1, head, 1.0, 1.0, 0.001, 0.5, 1.0, 0.0) for head in range(4)]
    assert headline(made(table_of(equal))).startswith(
        "L1H0, L1H1, L1H2 and L1H3 support the answer"
    )
    beside = [(1, 0, -2.0, 0.0, 0.001, 0.5, 1.0, 0.0), (1, 1, 0.0, -2.0, 1.0, 0.5, 1.0, 0.0)]
    words = headline(made(table_of(beside)))
    assert words == (
        "No evidence that any of 2 heads supports the answer. L1H0 opposes the answer: without it "
        "the preference rises by 2.00 nats (95% CI 1.80–2.30)."
    )


def test_nothing_is_claimed_where_nothing_stands_out():
    nothing = (
        "No evidence that any of 2 heads supports or opposes the answer: an effect of 0.800 nats "
        "would have been found in 80% of such studies."
    )
    assert headline(made(rows_but((0, 0), (3, 0)))) == (
        nothing + " L3H1 attends to the antecedent."
    )
    blind = [(0, 0, 0.1, 0.1, 0.9, 0.5, 1.0, 0.0), (0, 1, 0.1, 0.1, 0.9, 0.5, 1.0, 0.0)]
    assert headline(made(table_of(blind))) == nothing
    assert "No evidence that the head supports or" in headline(made(table_of(blind[:1])))


def test_a_sure_effect_that_moves_no_answer_is_none():
    tiny = [(0, 0, 0.001, 0.0, 0.001, 0.5, 1.0, 0.0)]
    assert headline(made(table_of(tiny))).startswith("No evidence that the head supports")


def test_where_the_model_is_at_chance_there_is_no_verdict():
    study = made(right=21)
    assert headline(study) == (
        "The model is not shown to be above chance, so there is no verdict on any head. The model "
        "is right in 52.5% of 40 cases"
        + percent_ends(study.ability.low, study.ability.high)
        + "; a blind choice would be in 50.0%. L3H0 and L3H1 attend to the antecedent."
    )
    kinds = {claim.kind for claim in finding_of_study(study).claims}
    assert kinds >= {"no-able", "no-verdict", "attends"}
    assert not any("support" in kind or "oppose" in kind for kind in kinds)
    assert "support" not in " ".join(finding_of_study(study).details)


def test_too_few_groups_claim_nothing():
    assert headline(made(without_tests(), groups=3)) == (
        "3 groups of cases are too few for intervals and tests: nothing is claimed of any head. "
        "The model is right in 90.0% of 40 cases; a blind choice would be in 50.0%."
    )
    finding = finding_of_study(made(without_tests(), groups=3))
    assert not re.search(r"nan|support|95%", " ".join(finding.details))


def test_every_number_of_a_sentence_is_in_its_claim():
    study = made()
    claims = finding_of_study(study).claims
    assert [(c.kind, c.subject) for c in claims if ": " not in c.kind] == [
        ("able", "the model"), ("supports", "L0H0"), ("supports", "L3H0"), ("attends", "L3H0"),
        ("attends", "L3H1"), ("supports", "L0H0, L3H0"), ("attends", "L3H0, L3H1"),
    ]  # fmt: skip
    row = study.heads.iloc[0]
    one = claims[2]
    assert (one.estimate, one.low, one.high, one.p) == (
        row.effect, row.ci_low, row.ci_high, row.p_adjusted,
    )  # fmt: skip
    assert (one.n, one.groups) == (40, 20) and "max-t over 4 heads, two-sided" in one.test
    for claim in claims[2:4]:
        for number in (claim.estimate, claim.low, claim.high):
            assert quantity(abs(number)) in claim.sentence


def test_a_surrogate_is_not_called_the_models_answer():
    finding = finding_of_study(made(table_of(**SURROGATE)))
    assert finding.headline.startswith("Measured by a surrogate, not by the model’s own answer. ")
    assert "support the surrogate answer" in finding.headline
    assert "surrogate" in finding.caveats[0]
    assert finding.details[0].startswith("The antecedent is ahead in 90.0% of 40 cases")
    few = finding_of_study(made(without_tests_of(SURROGATE), groups=3))
    assert "surrogate" in few.headline
    for words in (finding, few):
        assert "model is right" not in " ".join([words.headline, *words.details])


def without_tests_of(attrs) -> pd.DataFrame:
    table = without_tests()
    table.attrs |= attrs
    return table


def test_the_share_right_has_an_interval_of_whole_groups():
    few = made(right=36, groups=2).ability
    assert few.accuracy == 0.9 and math.isnan(few.low) and not few.is_above_chance
    assert ability_claims(few)[0].sentence == (
        "The model is right in 90.0% of 40 cases; a blind choice would be in 50.0%."
    )
    one = made(right=40).ability
    # Exact, as of 20 independent groups: 0.025 ** (1 / 20).
    assert (one.low, one.high) == (pytest.approx(0.8316, abs=1e-4), 1.0) and one.is_above_chance


def test_the_correlation_is_said_where_there_is_one():
    words = "Over 4 heads, attention accuracy and effect are correlated by −0.25 (Spearman)."
    assert finding_of_study(made(correlation=-0.25)).details[-1] == words
    assert not any("correlated" in each for each in finding_of_study(made()).details)


def chosen(**others):
    figures = {
        "heads": (Head(3, 0), Head(3, 0)), "effect": 1.5, "ci_low": 1.0, "ci_high": 2.0,
        "control": 0.1, "difference": 1.4, "difference_low": 0.9, "difference_high": 1.9, "n": 40,
    }  # fmt: skip
    return ChosenByAttention(**figures | others)


def said_of(table=None, **others) -> str:
    details = finding_of_study(made(table, chosen=chosen(**others))).details
    return next(words for words in details if words.startswith("Chosen"))


def test_the_head_chosen_by_attention_is_judged_on_the_other_cases():
    assert said_of() == (
        "Chosen by its attention on one half of the cases, and ablated on the other: *L3H0*, "
        "effect 1.50 (95% CI 1.00–2.00) nats, the other heads of layer 3: 0.100 nats, difference "
        "1.40 (95% CI 0.900–1.90). Held out, its effect is above 0: "
        "one test, of this head alone."
    )
    # What other heads of the layer do is no part of it.
    assert said_of(difference_low=-0.1).endswith("is above 0: one test, of this head alone.")
    assert said_of(ci_low=-0.1).endswith("its effect is not shown to differ from 0.")
    assert said_of(ci_low=-2.0, ci_high=-1.0).endswith("is below 0: one test, of this head alone.")
    assert "*L3H0* and *L3H1*" in said_of(heads=(Head(3, 0), Head(3, 1)))
    assert said_of(heads=(Head(3, 0), Head(3, 1))).endswith(
        "their effect is above 0: one test, of these heads alone."
    )
    alone = said_of(control=NAN, difference=NAN, difference_low=NAN, difference_high=NAN)
    assert "the only head of the layer. Held out, its effect is above 0" in alone
    blind = said_of(rows_but((3, 0), (3, 1)))
    assert blind.endswith("no head is shown to attend to the antecedent, and one had to be chosen.")


def test_a_small_set_is_said_as_faithfulness_beside_random_sets():
    steps = pd.DataFrame([(1, 3, 0, 2.0, 0.9)], columns=list(STEP_COLUMNS))
    found = SmallestSet(
        steps, 2.2, 1.9, 2.5, 0.88, 0.8, 0.95, 0.1, 0.05, 0.15, (), 0.2, 0.05, 200, 20, True
    )
    words = smallest_words(made(smallest=found))
    assert words[0] == (
        "L3H0, with all other heads ablated, keeps a faithfulness of 0.880 on 20 other cases; "
        "random sets of as many heads keep 0.200."
    )
    assert "Of 200 random sets of as many heads, each on one case, 5.0% are at least" in words[2]
    nothing = SmallestSet(steps.head(0), -1.0, -2.0, 0.5)
    assert smallest_words(made(smallest=nothing))[0].endswith(
        "nothing for a set of heads to carry."
    )
    begun = SmallestSet(steps.head(0), 1.0, 0.5, 1.5)
    assert smallest_words(made(smallest=begun))[0].startswith("No head has an effect by which")
    assert smallest_words(made()) == []


def mediated(**columns):
    names = list(MEDIATION_COLUMNS)
    rows = [
        (0, 0, 4.0, 3.5, 4.5, 1.0, 0.5, 1.5, 0.04, 3.0, 2.5, 3.5, 0.25, 9),
        (0, 1, 4.0, 3.5, 4.5, 3.0, 2.0, 3.5, 0.001, 1.0, 0.5, 1.5, 0.75, 9),
    ]
    table = pd.DataFrame(rows, columns=names).assign(**columns)
    return Mediation(table, {"a": "no"}, ("no intervals: x",))


def test_minimal_pairs_name_the_head_that_most_passes_through():
    words = mediation_words(made(mediation=mediated()))
    assert "by 4.00 (95% CI 3.50–4.50) nats, in the mean over 9 pairs" in words[0]
    assert words[1] == (
        "By the output of L0H1 alone 3.00 nats (95% CI 2.00–3.50) of the change come about, 75.0% "
        "of the total."
    )
    assert words[3:] == ["1 group is no minimal pair, and left out.", "No intervals: x."]


@pytest.mark.parametrize(
    ("columns", "right"), [({"total_low": -0.1}, 36), ({"p_adjusted": 0.2}, 36), ({}, 21)]
)
def test_nothing_passes_through_a_head_without_a_total_a_test_and_an_ability(columns, right):
    words = mediation_words(made(mediation=mediated(**columns), right=right))
    assert words[1].startswith("No evidence that any of it passes through one of 2 heads")
    assert "of the total." not in " ".join(words)


def test_effects_have_three_digits_and_their_interval():
    assert with_range(1.0, NAN, NAN) == "1.00"
    assert with_range(1, 0.5, 2) == "1.00 (95% CI 0.500–2.00)"
    assert with_range(-1, -2, 0.5) == "−1.00 (95% CI −2.00 to 0.500)"


def test_verdicts_are_of_heads_that_have_an_effect_or_attend():
    assert head_verdicts(table_of()) == {
        Head(0, 0): "supports; no evidence that it attends",
        Head(3, 0): "supports; attends",
        Head(3, 1): "attends; no evidence of an effect",
    }
