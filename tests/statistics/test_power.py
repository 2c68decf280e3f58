"""What could have been found is found in about 80% of sets."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from benchmarks.power import relations_found, shifts_found
from introspect.statistics import detectable_accuracy, detectable_mean, exclusions
from introspect.studies.coreference.head_claims import pair_claims
from introspect.studies.heads import relation_claims
from introspect.studies.heads.relation_tests import RELATION_COLUMNS


@pytest.mark.parametrize("pairs", [20, 60])
def test_a_shift_of_the_size_that_is_named_is_found_in_four_sets_of_five(pairs):
    named, found = shifts_found(pairs, sets=10, runs=150, heads=40)
    assert 0.1 < np.mean(named) < 0.6
    assert 0.7 <= found <= 0.9


def test_a_head_with_the_accuracy_that_is_named_follows_a_relation_in_four_sets_of_five():
    named, found = relations_found(60, sets=6, runs=120, heads=40)
    assert 0.5 < np.mean(named) < 0.9
    assert 0.7 <= found <= 0.9


def test_too_few_figures_find_nothing_so_often():
    assert math.isnan(detectable_mean(3.0, 9, 1.0))
    assert math.isnan(detectable_accuracy(3.0, [1] * 9, 0.5))
    assert math.isnan(detectable_accuracy(3.0, [1] * 400, 0.99))


def test_more_figures_find_less():
    sizes = [detectable_mean(3.0, n, 0.5) for n in (20, 80, 320)]
    assert sizes == sorted(sizes, reverse=True)
    accuracies = [detectable_accuracy(3.0, [2] * n, 0.4) for n in (20, 80, 320)]
    assert accuracies == sorted(accuracies, reverse=True) and accuracies[-1] > 0.4


@pytest.mark.parametrize("p", [0.01, 0.3])
def test_the_size_is_said_where_nothing_was_found_and_nowhere_else(p):
    shifts = pd.DataFrame(
        {
            "layer": 0, "head": [0, 1], "direction": "pronoun_to_candidate", "n_pairs": 20,
            "shift": [0.2, 0.1], "ci_low": 0.0, "ci_high": 0.3, "p_adjusted": [p, 0.9],
            "both_right": 0.5, "n_both": 20,
        }
    )  # fmt: skip
    relation = (
        "obj",
        50,
        20,
        0,
        1,
        "dependent_to_head",
        0.9,
        0.6,
        0.5,
        0.7,
        0.4,
        0.2,
        p,
        p < 0.05,
        0.72,
    )
    relations = pd.DataFrame([relation], columns=list(RELATION_COLUMNS))
    for claims, kind, words in (
        (pair_claims(shifts, 0.31), "shifts", "shifts by 0.31 in the mean"),
        (relation_claims(relations, 20), "follows", "right in 72.0% would have been found"),
    ):
        said = [claim for claim in claims if claim.kind == f"detectable: {kind}"]
        assert len(said) == (p > 0.05)
        assert all(words in claim.sentence for claim in said)
        assert exclusions(claims) == []
    if p > 0.05:
        (*_, none) = pair_claims(shifts, math.nan)
        assert none.kind == "no-detectable: shifts" and "no shift, however large" in none.sentence
