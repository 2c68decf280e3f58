"""What a linear probe refuses."""

from __future__ import annotations

import math

import pytest

from introspect.errors import InputError
from introspect.studies.coreference import CandidateFeatures, linear_probe
from tests.studies.coreference.linear_probe.helpers import random_cases


def test_fewer_than_five_groups_are_refused():
    with pytest.raises(InputError, match="at least 5 groups for a linear probe"):
        linear_probe(random_cases(40, group_size=10), folds=2)


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(InputError, match="at least 10 groups"):
        linear_probe(random_cases(8), folds=10)


def test_five_groups_are_enough():
    assert linear_probe(random_cases(10, group_size=2)).num_groups == 5


@pytest.mark.parametrize("penalties", [(), (0.0, 1.0), (-1.0,), (math.inf,)])
def test_penalties_must_be_positive(penalties):
    with pytest.raises(InputError, match="numbers above 0"):
        linear_probe(random_cases(10), penalties=penalties)


def test_one_fold_is_refused():
    with pytest.raises(InputError, match="at least 2 folds"):
        linear_probe(random_cases(10), folds=1)


def test_no_cases_are_refused():
    with pytest.raises(InputError, match="got none"):
        linear_probe([])


def test_cases_of_different_models_are_refused():
    with pytest.raises(InputError, match="one model"):
        linear_probe([*random_cases(10), *random_cases(10, heads=5)])


def test_weights_of_other_candidates_are_refused():
    cases = random_cases(10)
    wrong = CandidateFeatures("w", "w", cases[0].weights, (True, False, False))
    with pytest.raises(InputError, match="3 candidates for 'w', got 2"):
        linear_probe([*cases, wrong])
