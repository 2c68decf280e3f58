"""What could have been found is found in about 80% of sets."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.power import relations_found, shifts_found
from introspect.statistics import detectable_accuracy, detectable_mean


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
