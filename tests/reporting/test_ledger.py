"""The ledger: no page makes two claims that exclude each other, nor a sentence without a row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.recompute.check import RECOMPUTE, WITHOUT_A_TABLE
from introspect.statistics import Claim, exclusions
from tests.reporting.ledger import KINDS, without_a_claim, without_a_number


def faults_of(kind, seeds):
    faults = []
    for seed in seeds:
        said = kind(seed)
        assert said.claims
        faults += [(seed, found.why, found.one, found.other) for found in exclusions(said.claims)]
        faults += [(seed, words) for words in without_a_claim(said)]
        faults += [(seed, *number) for number in without_a_number(said)]
        # A new kind of claim is recomputed from the tables, or a table says why it is not.
        known = {*RECOMPUTE, *WITHOUT_A_TABLE}
        faults += [(seed, claim.kind) for claim in said.claims if claim.kind not in known]
    return faults


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_claims_of_a_page_exclude_each_other(kind):
    assert faults_of(kind, range(6)) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_two_claims_of_200_pages_exclude_each_other(kind):
    """Twenty-five of each kind, with the six above."""
    assert faults_of(kind, range(1_000, 1_019)) == []


def claim(kind, subject="L1H0", **numbers):
    return Claim(kind=kind, subject=subject, sentence=f"{kind} {subject}", **numbers)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (claim("supports", estimate=1.0), claim("opposes", estimate=-1.0)),
        (claim("supports", "L1H0, L2H1", estimate=1.0), claim("no-effect", "all heads")),
        (claim("supports", estimate=1.0), claim("depends")),
        (claim("attends"), claim("no-attends", "L1H0, L3H1")),
        (claim("no-resolves", "L3H1"), claim("shifts", "L0H0", estimate=0.2)),
        (claim("no-resolves", "L3H1"), claim("attends", "L0H0")),
        (claim("points"), claim("no-points", "L0H0")),
        (claim("points"), claim("everywhere")),
        (claim("points"), claim("points-instead", "L1H0 to street")),
        (claim("no-able", "the model"), claim("supports", estimate=1.0)),
        (claim("no-able", "the model"), claim("mediates by output", estimate=1.0)),
        (claim("role induction"), claim("no-role", "all heads")),
        (claim("baseline", "nearest", estimate=0.5), claim("baseline", "nearest", estimate=0.6)),
        (claim("points"), claim("prefers", "heads", estimate=0.0)),
        (claim("redundant", "L1H0 and L2H1", estimate=1.0), claim("joint", "L2H1 and L1H0")),
        (claim("redundant", "L1H0 and L2H1", estimate=1.0), claim("overlap", "L1H0 and L2H1")),
    ],
)
def test_claims_that_exclude_each_other_are_found(one, other):
    assert len(exclusions([one, other])) == len(exclusions([other, one])) == 1
    assert exclusions([one]) == exclusions([other]) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (claim("supports", estimate=1.0), claim("opposes", "L2H0", estimate=-1.0)),
        (claim("no-chooses", "L3H1"), claim("shifts", "L0H0", estimate=0.2)),
        (claim("attends"), claim("no-attends", "L3H1")),
        (claim("no-effect", "all heads"), claim("chosen: above 0", low=0.1)),
        (claim("points"), claim("points: others", estimate=0.1)),
        (
            claim("redundant", "L1H0 and L2H1", estimate=1.0),
            claim("joint", "L0H0 and L2H1", estimate=-1.0),
        ),
    ],
)
def test_claims_that_go_together_are_not(one, other):
    assert exclusions([one, other]) == []


@pytest.mark.parametrize(
    "numbers",
    [
        {"estimate": 0.5, "low": 0.6, "high": 0.7},
        {"estimate": 0.5, "low": 0.2, "high": 0.4},
        {"p": 0.2},
        {"p": 0.0},
        {"estimate": -1.0},
    ],
)
def test_a_claim_that_contradicts_its_own_numbers_is_found(numbers):
    right = claim("supports", estimate=0.5, low=0.2, high=0.7, p=0.01)
    assert exclusions([right]) == []
    assert [found.one for found in exclusions([replace(right, **numbers)])] != []
    silent = claim("no-effect", "all heads", p=0.01)
    assert len(exclusions([silent])) == 1 and exclusions([replace(silent, p=0.2)]) == []
