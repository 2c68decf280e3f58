"""Credit and margin: worked by hand, against a slow loop, and their properties."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from introspect.functional import credit, margin
from introspect.functional.coreference import FLOOR

# --- credit --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "antecedents", "expected"),
    [
        ([0.7, 0.1], [True, False], 1),
        ([0.2, 0.4], [True, False], 0),
        ([0.3, 0.3], [True, False], 1 / 2),
        ([0.3, 0.3], [False, True], 1 / 2),  # never "first wins"
        ([0.3, 0.3, 0.3], [False, False, True], 1 / 3),
        ([0.3, 0.3, 0.1], [True, True, False], 1),  # tied antecedents are both right
        ([0.3, 0.1, 0.3], [True, True, False], 1 / 2),
        ([0.1, 0.3, 0.3], [True, False, False], 0),
        ([0.0, 0.0], [True, False], 1 / 2),
        ([4e-7, 1e-7], [True, False], 1 / 2),  # below the floor: no evidence
        ([1e-7, 4e-7, 0.0], [True, False, False], 1 / 3),
        ([9e-7, 2e-7], [True, False], 1),  # just above it
    ],
)
def test_credit_worked_by_hand(weights, antecedents, expected):
    assert credit(torch.tensor(weights), antecedents).item() == pytest.approx(expected)


def test_the_floor_is_on_all_candidates_together():
    below = torch.tensor([0.4, 0.3], dtype=torch.float64) * FLOOR
    assert credit(below, [True, False]).item() == 0.5
    assert credit(2 * below, [True, False]).item() == 1


def test_the_floor_can_be_moved():
    assert credit(torch.tensor([0.2, 0.1]), [True, False], floor=0.5).item() == 0.5
    assert credit(torch.tensor([4e-9, 1e-9]), [True, False], floor=0.0).item() == 1


def slow_credit(weights, antecedents, floor):
    if sum(weights) < floor:
        return sum(antecedents) / len(antecedents)
    winners = [a for w, a in zip(weights, antecedents, strict=True) if w >= max(weights)]
    return winners.count(True) / len(winners)


def slow_margin(weights, antecedents, floor):
    if sum(weights) < floor:
        return math.nan
    gold = max(w for w, a in zip(weights, antecedents, strict=True) if a)
    rest = max(w for w, a in zip(weights, antecedents, strict=True) if not a)
    return gold / (gold + rest) - 0.5


choices = st.integers(2, 5).flatmap(
    lambda count: st.tuples(
        st.lists(
            # Few different values, so that ties and rows below the floor are common.
            st.sampled_from([0.0, 1e-8, 3e-7, 0.125, 0.25, 0.7]),
            min_size=count,
            max_size=count,
        ),
        st.lists(st.booleans(), min_size=count, max_size=count).filter(
            lambda answers: any(answers) and not all(answers)
        ),
    )
)


@given(choices)
def test_credit_equals_a_slow_loop(choice):
    weights, antecedents = choice
    expected = slow_credit(weights, antecedents, FLOOR)
    got = credit(torch.tensor(weights, dtype=torch.float64), antecedents).item()
    assert got == pytest.approx(expected)


@given(choices)
def test_margin_equals_a_slow_loop(choice):
    weights, antecedents = choice
    expected = slow_margin(weights, antecedents, FLOOR)
    got = margin(torch.tensor(weights, dtype=torch.float64), antecedents).item()
    assert got == pytest.approx(expected, nan_ok=True)


@given(choices, st.randoms())
def test_the_order_of_the_candidates_does_not_matter(choice, random):
    pairs = list(zip(*choice, strict=True))
    random.shuffle(pairs)
    weights, antecedents = zip(*pairs, strict=True)
    one = torch.tensor(choice[0], dtype=torch.float64)
    other = torch.tensor(weights, dtype=torch.float64)
    assert credit(one, choice[1]).item() == credit(other, antecedents).item()


@given(choices)
def test_the_credits_of_all_answers_sum_to_one(choice):
    weights, _ = choice
    count = len(weights)
    w = torch.tensor(weights, dtype=torch.float64)
    answers = [[i == right for i in range(count)] for right in range(count)]
    assert sum(credit(w, answer).item() for answer in answers) == pytest.approx(1)


@given(choices)
def test_a_clear_margin_and_the_credit_agree(choice):
    weights, antecedents = choice
    w = torch.tensor(weights, dtype=torch.float64)
    m, c = margin(w, antecedents).item(), credit(w, antecedents).item()
    if m > 0:
        assert c == 1
    elif m < 0:
        assert c == 0


def test_heads_are_scored_each_by_itself():
    weights = torch.tensor([[[0.7, 0.2], [0.3, 0.0]], [[0.1, 0.4], [0.3, 0.0]]])
    expected = torch.tensor([[1.0, 0.0], [0.5, 0.5]], dtype=torch.float64)
    assert torch.equal(credit(weights, [True, False]), expected)


# --- margin --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "antecedents", "expected"),
    [
        ([0.6, 0.2], [True, False], 0.25),
        ([0.2, 0.6], [True, False], -0.25),
        ([0.3, 0.3], [True, False], 0.0),
        ([0.5, 0.0], [True, False], 0.5),
        ([0.0, 0.5], [True, False], -0.5),
        ([0.1, 0.6, 0.2, 0.1], [True, True, False, False], 0.25),  # the best of each side
    ],
)
def test_margin_worked_by_hand(weights, antecedents, expected):
    assert margin(torch.tensor(weights), antecedents).item() == pytest.approx(expected)


def test_the_margin_is_not_defined_below_the_floor():
    weights = torch.tensor([[0.6, 4e-7, 0.0], [0.2, 1e-7, 0.0]])
    assert margin(weights, [True, False]).isnan().tolist() == [False, True, True]
