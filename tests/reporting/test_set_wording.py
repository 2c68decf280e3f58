"""Headlines of sets: each possible outcome is said as what it is."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from introspect.records import Head
from introspect.reporting.set_words import finding_of_choice
from introspect.studies.coreference import Choice, Scores

L3H1 = Head(3, 1)


def scores(
    *, accuracy=0.7, p=0.001, nearest=0.54, low=0.05, choice=True, tied=1, detectable=float("nan")
):
    found = Choice(
        L3H1, "pronoun_to_candidate", 0.6, accuracy, accuracy - 0.05, accuracy + 0.05, 392, 0, p,
        L3H1, "pronoun_to_candidate", accuracy + 0.02, ((L3H1, "pronoun_to_candidate", 0.6),),
        tied, detectable,
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
        num_groups=300,
    )


def test_a_head_above_every_baseline_is_named_with_its_interval_and_the_best_of_them():
    found = finding_of_choice(scores())
    assert found.headline == (
        "Held out, heads chosen on other cases – most often L3H1, pronoun to candidate – are right "
        "in 70.0% of 392 cases (95% CI 65.0–75.0), more than every baseline; the best, the nearest "
        "candidate (54.0%)."
    )


def test_what_position_alone_solves_is_never_said_without_it():
    found = finding_of_choice(scores(accuracy=0.72, nearest=0.674, low=-0.01))
    assert found.headline == (
        "Not shown to beat the nearest candidate: heads chosen on other cases – most often L3H1, "
        "pronoun to candidate – are right in 72.0% of 392 cases (95% CI 67.0–77.0) against 67.4%, "
        "a difference of +4.6 (95% CI −1.0 to +9.0)."
    )


def test_every_baseline_that_is_not_beaten_is_named():
    given = scores(accuracy=0.53, p=0.01, nearest=0.52, low=-0.04)
    against = given.against.assign(ci_low=-0.03)
    headline = finding_of_choice(replace(given, against=against)).headline
    assert headline.startswith("Not shown to beat the nearest candidate, nor chance: ")


def test_what_is_claimed_has_a_row_with_its_numbers():
    for options, kind in (({}, "beats"), ({"low": -0.02}, "no-beats"), ({"p": 0.5}, "no-resolves")):
        found = finding_of_choice(scores(**options))
        claim = found.claims[0]
        assert (claim.kind, claim.sentence) == (kind, found.headline)
        assert (claim.estimate, claim.p) == (0.7, options.get("p", 0.001))
        assert (claim.n, claim.groups) == (392, 300)


def test_no_evidence_comes_with_what_could_have_been_found():
    found = finding_of_choice(scores(p=0.5, detectable=0.664))
    assert found.details[0] == (
        "A head that is right in 66.4% would have been found in 80% of sets of this size; a weaker "
        "one could well be missed."
    )
    few = finding_of_choice(scores(p=0.5)).details[0]
    assert few == "So few cases find no head in 80% of such sets, even one that is always right."
    assert "80%" not in " ".join(finding_of_choice(scores()).details)


def test_a_tie_for_the_best_is_said():
    details = " ".join(finding_of_choice(scores(tied=48)).details)
    assert "L3H1 (pronoun to candidate), one of 48 tied, with 72.0%" in details
    assert "tied" not in " ".join(finding_of_choice(scores()).details)


def test_accuracy_by_the_length_of_the_antecedent_is_said():
    by_length = pd.DataFrame(
        [
            ("shorter", 100, 0.9, 0.8, 0.95),
            ("as long", 1, 1.0, 0.5, 1.0),
            ("longer", 50, 0.56, 0, 1),
        ],
        columns=["antecedent", "n", "accuracy", "ci_low", "ci_high"],
    )
    details = finding_of_choice(replace(scores(), by_length=by_length)).details
    assert details[-1] == (
        "By the length of the antecedent in words, the held-out choice is right in 90.0% of 100 "
        "cases where it is shorter, 100.0% of 1 case where it is as long as the distractor and "
        "56.0% of 50 cases where it is longer."
    )


def test_chance_is_no_evidence():
    found = finding_of_choice(scores(accuracy=0.53, p=0.06, nearest=0.5))
    assert found.headline.startswith("No evidence that a head resolves these cases")
    assert "p = 0.060" in found.headline


@pytest.mark.parametrize("p", [0.05, float("nan")])
def test_nothing_is_claimed_at_the_edge_or_without_a_test(p):
    assert finding_of_choice(scores(p=p)).headline.startswith("No evidence")


def test_too_few_groups_claim_nothing():
    found = finding_of_choice(replace(scores(choice=False), num_groups=4))
    assert "4 groups of cases are too few" in found.headline
    assert "the nearest candidate 54.0%" in " ".join(found.details)


def test_every_headline_carries_the_caveat():
    for options in ({}, {"p": 0.5}, {"choice": False}, {"low": -1.0}):
        caveats = finding_of_choice(scores(**options)).caveats
        assert any("not why the model decides" in caveat for caveat in caveats)


def test_the_side_of_a_difference_is_said():
    below = finding_of_choice(scores(accuracy=0.5, p=0.5, nearest=0.54, low=-0.1))
    assert "4.0 points below the nearest candidate" in " ".join(below.details)
