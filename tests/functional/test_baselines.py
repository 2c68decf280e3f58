"""What position alone answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from introspect.functional import chance, closest_to_offsets, first_mentioned, nearest_preceding


@pytest.mark.parametrize(
    ("antecedents", "expected"),
    [([True, False], 1 / 2), ([False, True, False], 1 / 3), ([True, True, False], 2 / 3)],
)
def test_chance_is_the_share_of_right_answers(antecedents, expected):
    assert chance(antecedents) == pytest.approx(expected)


def test_the_nearest_before_the_pronoun_is_chosen():
    # animal (4, 10), street (28, 34), it (43, 45)
    assert nearest_preceding((43, 45), [(4, 10), (28, 34)], [True, False]) == 0
    assert nearest_preceding((43, 45), [(4, 10), (28, 34)], [False, True]) == 1


def test_one_before_is_nearer_than_any_after():
    assert nearest_preceding((50, 52), [(0, 5), (53, 58)], [True, False]) == 1


def test_without_one_before_the_first_after_is_chosen():
    assert nearest_preceding((0, 2), [(30, 35), (10, 15)], [False, True]) == 1


def test_one_that_ends_where_the_pronoun_begins_is_before_it():
    assert nearest_preceding((5, 7), [(0, 3), (3, 5)], [False, True]) == 1


def test_two_that_end_together_share_the_credit():
    assert nearest_preceding((20, 22), [(0, 10), (4, 10)], [True, False]) == 0.5


def test_the_first_in_the_text_is_chosen_whatever_the_order_given():
    assert first_mentioned([(28, 34), (4, 10)], [False, True]) == 1
    assert first_mentioned([(4, 10), (28, 34)], [False, True]) == 0


def test_two_that_start_together_share_the_credit():
    assert first_mentioned([(4, 10), (4, 18), (30, 32)], [True, False, False]) == 0.5


spans = st.tuples(st.integers(0, 60), st.integers(1, 8)).map(lambda p: (p[0], p[0] + p[1]))
answers = st.lists(st.tuples(spans, st.booleans()), min_size=1, max_size=6)


@given(answers)
def test_nearest_preceding_equals_a_walk_backwards_through_the_text(given_candidates):
    pronoun = (30, 32)
    candidates = [(span, right) for span, right in given_candidates]
    expected = None
    for end in range(pronoun[0], -1, -1):
        here = [right for span, right in candidates if span[1] == end]
        if here:
            expected = sum(here) / len(here)
            break
    if expected is None:
        for start in range(0, 100):
            here = [right for span, right in candidates if span[0] == start]
            if here:
                expected = sum(here) / len(here)
                break
    got = nearest_preceding(pronoun, [s for s, _ in candidates], [r for _, r in candidates])
    assert got == pytest.approx(expected)


@given(answers)
def test_a_choice_is_never_worth_more_than_one(given_candidates):
    places = [span for span, _ in given_candidates]
    right = [answer for _, answer in given_candidates]
    for value in (chance(right), first_mentioned(places, right)):
        assert 0 <= value <= 1


def test_many_offsets_at_once_as_by_a_loop():
    random = np.random.default_rng(0)
    distances = [random.integers(-9, 9, size=size).tolist() for size in (2, 3, 2, 4, 2)]
    antecedents = [[i == 0 for i in range(len(own))] for own in distances]
    offsets = list(range(-9, 10))
    found = closest_to_offsets(distances, antecedents, offsets)
    for row, (own, right) in enumerate(zip(distances, antecedents, strict=True)):
        for column, offset in enumerate(offsets):
            apart = [abs(place - offset) for place in own]
            nearest = [r for r, a in zip(right, apart, strict=True) if a == min(apart)]
            assert found[row, column] == sum(nearest) / len(nearest)
