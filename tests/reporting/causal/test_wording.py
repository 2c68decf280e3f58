"""What a causal report says, for every outcome."""

from __future__ import annotations

import math
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from introspect.records import Head
from introspect.reporting import finding_of_study, own_answer
from introspect.reporting.causal_words import (
    head_verdicts,
    mediation_words,
    smallest_words,
    with_range,
)
from introspect.studies.causal import SmallestSet
from introspect.studies.causal.study import ChosenByAttention
from tests.reporting.causal.helpers import NAN, headline, made, rows_but
from tests.views.causal.helpers import SURROGATE, table_of, without_tests


def test_a_head_that_looks_and_matters_is_named_beside_those_that_do_one_of_both():
    assert headline(made()) == (
        "Of 2 heads that attend to the antecedent, L3H0 matters: with an effect of 1.50 (95% CI "
        "1.20–1.70) nats, the other heads of layer 3: −0.200 nats. No evidence was found that L3H1 "
        "does. L0H0 matters as well, although no evidence was found that it attends to it."
    )
    assert headline(made(rows_but((3, 1), (0, 0)))) == (
        "The head that attends to the antecedent matters: L3H0, with an effect of 1.50 (95% CI "
        "1.20–1.70) nats, the other heads of layer 3: −0.200 nats."
    )


def test_several_heads_that_attend_and_matter_are_counted():
    rows = [(1, 0, 1.0, 0.1, 0.01, 0.9, 0.01, 0.3), (1, 1, 2.0, 0.1, 0.01, 0.9, 0.01, 0.3)]
    assert headline(made(table_of(rows))) == (
        "Of 2 heads that attend to the antecedent, L1H1 and L1H0 matter: the largest is L1H1’s, an "
        "effect of 2.00 (95% CI 1.70–2.20) nats, the other heads of layer 1: 0.100 nats."
    )


def test_a_head_that_only_matters_matters_nevertheless():
    table = rows_but((3, 0), (3, 1))
    assert headline(made(table)) == (
        "No head’s attention resolves the pronoun, as far as these cases show, although the model "
        "is right in 90.0% of them. L0H0 matters nevertheless."
    )
    # Where the model does not do better than chance, there is no although.
    assert "show, and the model is right in 52.5% of them." in headline(made(table, right=21))


def test_looking_and_mattering_may_be_of_different_heads():
    assert headline(made(rows_but((3, 0)))) == (
        "L3H1 attends to the antecedent, but no evidence was found that it matters; L0H0 matters, "
        "without evidence that it attends to it."
    )


def test_nothing_is_claimed_where_nothing_stands_out():
    nothing = "No evidence that any of 2 heads matters: no effect is above 0, and above that of "
    assert headline(made(rows_but((0, 0), (3, 0)))) == (
        nothing
        + "the other heads of the same layer, by more than chance allows. L3H1 attends to the "
        "antecedent all the same."
    )
    blind = [(0, 0, 0.1, 0.1, 0.9, 0.5, 1.0, 0.0), (0, 1, 0.1, 0.1, 0.9, 0.5, 1.0, 0.0)]
    assert "No head’s attention resolves the pronoun" in headline(made(table_of(blind)))
    assert "No evidence that the head matters:" in headline(made(table_of(blind[:1])))


def test_an_effect_below_zero_does_not_help_whatever_the_others_do():
    rows = [(0, 0, -0.1, -3.0, 0.001, 0.5, 1.0, 0.0), (0, 1, -3.0, -0.1, 1.0, 0.5, 1.0, 0.0)]
    assert headline(made(table_of(rows))).startswith("No evidence that any of 2 heads matters")


def test_a_choice_in_the_other_direction_is_not_denied():
    words = headline(made(rows_but((3, 0), (3, 1)), choice_p=0.001))
    assert words == (
        "No single head stands out by what it attends to from the pronoun; heads chosen on other "
        "cases are right in 80.0%, candidate to pronoun. L0H0 matters nevertheless."
    )


def test_too_few_groups_claim_nothing():
    assert headline(made(without_tests(), groups=3)) == (
        "3 groups of cases are too few for intervals and tests: nothing is claimed of any head. "
        "The model is right in 90.0% of 40 cases."
    )
    finding = finding_of_study(made(without_tests(), groups=3))
    assert not re.search(r"nan|\d matter|95%", " ".join(finding.details))


def test_a_surrogate_is_not_called_the_models_answer():
    finding = finding_of_study(made(table_of(**SURROGATE)))
    assert finding.headline.startswith("Measured by a surrogate, not by the model’s own answer. ")
    assert "surrogate" in finding.caveats[0]
    assert finding.details[0].startswith("The antecedent is ahead in 90.0% of 40 cases")
    assert "effect on the surrogate of" in finding.details[1]
    few = finding_of_study(made(without_tests_of(SURROGATE), groups=3))
    assert "surrogate" in few.headline
    for words in (finding, few):
        assert "model is right" not in " ".join([words.headline, *words.details])


def without_tests_of(attrs) -> pd.DataFrame:
    table = without_tests()
    table.attrs |= attrs
    return table


def test_a_head_that_is_alone_in_its_layer_has_no_control_in_words():
    table = table_of([(0, 0, 2.0, NAN, 0.001, 0.9, 0.001, 0.3)])
    table[["difference", "difference_low", "difference_high"]] = NAN
    finding = finding_of_study(made(table))
    assert "the only head of the layer" in finding.headline and "nan" not in str(finding)


def test_the_share_right_has_an_interval_of_whole_groups():
    own = own_answer(made(right=36, groups=2).effects, 0.5)
    assert own.accuracy == 0.9 and math.isnan(own.low) and not own.is_above_chance
    assert own.sentence == (
        "The model is right in 90.0% of 40 cases; a blind choice would be in 50.0%."
    )
    one = own_answer(made(right=40).effects, 0.5)
    # Exact, as of 40 independent cases: 0.025 ** (1 / 40).
    assert (one.low, one.high) == (pytest.approx(0.9119, abs=1e-4), 1.0) and one.is_above_chance
    tied = made()
    tied.effects.margins = np.zeros(40)
    assert own_answer(tied.effects, 0.5).accuracy == 0.5


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
        "1.40 (95% CI 0.900–1.90). Held out, it matters."
    )
    assert said_of(difference_low=-0.1).endswith("no evidence that it matters.")
    assert said_of(ci_low=-0.1).endswith("no evidence that it matters.")
    assert "*L3H0* and *L3H1*" in said_of(heads=(Head(3, 0), Head(3, 1)))
    assert said_of(heads=(Head(3, 0), Head(3, 1))).endswith("they matter.")
    alone = said_of(control=NAN, difference=NAN, difference_low=NAN, difference_high=NAN)
    assert "the only head of the layer. Held out, it matters." in alone
    blind = said_of(rows_but((3, 0), (3, 1)))
    assert blind.endswith(
        "no head attends to it more often than chance allows, and one had to be chosen."
    )


def test_the_smallest_set_is_called_in_sample():
    columns = ["step", "layer", "head", "effect", "share", "accuracy_without", "effect_of_random",
               "accuracy_with_only"]  # fmt: skip
    steps = pd.DataFrame([(1, 3, 0, 2.0, 0.9, 0.5, 0.25, 0.7)], columns=columns)
    study = made(smallest=SmallestSet(steps, 2.2, True, "L3H0 alone carries 90% of it."))
    first, second, third = smallest_words(study)
    assert first == "L3H0 alone carries 90% of it."
    assert second == (
        "Without it the antecedent is ahead in 50.0% of the cases; with all other heads ablated, "
        "in 70.0%. As many heads, drawn in the same layers, carry 0.250 in the mean."
    )
    assert third.startswith("It was found on the cases") and "in-sample" in third
    nothing = SmallestSet(steps.head(0), -1.0, False, "Nothing to carry.")
    assert smallest_words(made(smallest=nothing)) == ["Nothing to carry."]
    assert smallest_words(made()) == []


def test_minimal_pairs_name_the_head_that_most_passes_through():
    columns = ["layer", "head", "total", "indirect", "indirect_low", "indirect_high", "direct",
               "direct_low", "direct_high", "share", "n"]  # fmt: skip
    rows = [(0, 0, 4.0, 1.0, 0.5, 1.5, 3.0, 2.5, 3.5, 0.25, 9), (0, 1, 4.0, 3.0, 2.0, 3.5, 1.0,
             0.5, 1.5, 0.75, 9)]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    found = SimpleNamespace(heads=table, left_out={"a": "no"}, notes=("no intervals: x",))
    words = mediation_words(made(mediation=found))
    assert "by 4.00 nats, in the mean over 9 pairs" in words[0]
    assert words[1].startswith(
        "Most passes through L0H1: 3.00 (95% CI 2.00–3.50) nats, 75.0% of the total; 1.00 (95% CI "
        "0.500–1.50)"
    )
    assert words[2:] == ["1 group is no minimal pair, and left out.", "No intervals: x."]
    table["indirect"] = -1.0
    assert mediation_words(made(mediation=found))[1].startswith("Through no head")


def test_effects_have_three_digits_and_their_interval():
    assert with_range(1.0, NAN, NAN) == "1.00"
    assert with_range(1, 0.5, 2) == "1.00 (95% CI 0.500–2.00)"
    assert with_range(-1, -2, 0.5) == "−1.00 (95% CI −2.00 to 0.500)"


def test_verdicts_are_of_heads_that_attend_or_matter():
    assert head_verdicts(table_of()) == {
        Head(3, 0): "attends and matters",
        Head(0, 0): "matters; no evidence that it attends here",
        Head(3, 1): "attends; no evidence that it matters",
    }
