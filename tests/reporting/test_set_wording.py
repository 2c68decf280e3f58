"""Headlines of sets: each possible outcome is said as what it is."""

from __future__ import annotations

import pandas as pd
import pytest

from introspect.records import Head
from introspect.reporting.set_words import finding_of_choice
from introspect.studies.coreference import Choice, Scores

L3H1 = Head(3, 1)


def scores(*, accuracy=0.7, p=0.001, nearest=0.54, low=0.05, choice=True):
    found = Choice(
        L3H1, "pronoun_to_candidate", 0.6, accuracy, accuracy - 0.05, accuracy + 0.05, 392, 0, p,
        L3H1, "pronoun_to_candidate", accuracy + 0.02, ((L3H1, "pronoun_to_candidate", 0.6),),
    )  # fmt: skip
    baselines = pd.DataFrame(
        [("random", 392, 0.5, 0.5, 0.5), ("nearest_preceding", 392, nearest, nearest, nearest)],
        columns=["baseline", "n", "accuracy", "ci_low", "ci_high"],
    )
    against = pd.DataFrame(
        [
            ("random", 392, accuracy - 0.5, accuracy - 0.55, accuracy - 0.45),
            ("nearest_preceding", 392, accuracy - nearest, low, low + 0.1),
        ],
        columns=["baseline", "n", "difference", "ci_low", "ci_high"],
    )
    heads = pd.DataFrame({"layer": [3], "head": [1], "accuracy": [0.72]})
    return Scores(
        heads=heads,
        case_table=pd.DataFrame(),
        baselines=baselines,
        choice=found if choice else None,
        against=against if choice else pd.DataFrame(),
    )


def test_a_head_above_every_baseline_is_named_with_its_interval_and_the_best_of_them():
    found = finding_of_choice(scores(), 300)
    assert found.headline == (
        "Held out, heads chosen on other cases – most often L3H1, pronoun to candidate – are right "
        "in 70.0% of 392 cases (95% CI 65.0–75.0), more than every baseline; the best, the nearest "
        "candidate (54.0%)."
    )


def test_what_position_alone_solves_is_never_said_without_it():
    headline = finding_of_choice(scores(accuracy=0.99, nearest=1.0, low=-0.02), 300).headline
    assert headline.startswith(
        "These cases do not show that a head beats the nearest candidate (100.0%): "
    )
    assert "more than chance (50.0%)" in headline


def test_chance_is_no_evidence():
    found = finding_of_choice(scores(accuracy=0.53, p=0.06, nearest=0.5), 137)
    assert found.headline.startswith("No evidence that a head resolves these cases")
    assert "p = 0.060" in found.headline


@pytest.mark.parametrize("p", [0.05, float("nan")])
def test_nothing_is_claimed_at_the_edge_or_without_a_test(p):
    assert finding_of_choice(scores(p=p), 300).headline.startswith("No evidence")


def test_too_few_groups_claim_nothing():
    found = finding_of_choice(scores(choice=False), 4)
    assert "4 groups of cases are too few" in found.headline
    assert "the nearest candidate 54.0%" in " ".join(found.details)


def test_every_headline_carries_the_caveat():
    for options in ({}, {"p": 0.5}, {"choice": False}, {"low": -1.0}):
        caveats = finding_of_choice(scores(**options), 300).caveats
        assert any("not why the model decides" in caveat for caveat in caveats)


def test_the_side_of_a_difference_is_said():
    below = finding_of_choice(scores(accuracy=0.5, nearest=0.54, low=-0.1), 300)
    assert "4.0 points below the nearest candidate" in " ".join(below.details)
