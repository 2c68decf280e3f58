"""Weights, credit and margin: worked by hand, against a slow loop, and their properties."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from introspect.functional import MENTION_OPTIONS, credit, margin, mention_weights, reachable
from introspect.functional.coreference import FLOOR

# One layer, one head, three tokens; every row sums to 1.
THREE = torch.tensor([[[[0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.0, 0.4, 0.6]]]])


# --- mention_weights ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "targets", "expected"),
    [
        ([[0]], [[2]], 0.5),
        ([[0]], [[1, 2]], 0.8),  # summed over the target's pieces
        ([[1, 2]], [[0]], 0.05),  # averaged over the source's pieces
        ([[1, 2]], [[0, 1]], 0.65),
        ([[0]], [[0], [2]], 0.35),  # averaged over the target's words
        ([[0], [1]], [[2]], 0.3),  # averaged over the source's words
        ([[0], [1, 2]], [[0], [1, 2]], 0.5),
    ],
)
def test_three_tokens_worked_by_hand(sources, targets, expected):
    weight = mention_weights(THREE, sources, targets)
    assert weight.shape == (1, 1)
    assert weight.item() == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("mention", "expected"),
    # Word pairs: 0->1 0.3, 0->2 0.5, 1->1 0.8, 1->2 0.1.
    [("mean", 0.425), ("sum", 1.7), ("max", 0.8), ("last", 0.1)],
)
def test_the_four_ways_to_make_one_number_of_word_pairs(mention, expected):
    weight = mention_weights(THREE, [[0], [1]], [[1], [2]], mention=mention)
    assert weight.item() == pytest.approx(expected, abs=1e-7)


def test_weights_are_computed_in_double_precision():
    assert mention_weights(THREE, [[0]], [[1]]).dtype == torch.float64


def slow_weight(matrix, sources, targets, mention):
    """The definition, word pair by word pair, in exact fractions."""
    if mention == "last":
        sources, targets = [sources[-1]], [targets[-1]]
    pairs = []
    for source in sources:
        for target in targets:
            total = Fraction(0)
            for i in source:
                for j in target:
                    total += Fraction(matrix[i][j])
            pairs.append(total / len(source))
    if mention == "sum":
        return float(sum(pairs))
    if mention == "max":
        return float(max(pairs))
    return float(sum(pairs) / len(pairs))


@st.composite
def mentions(draw, length):
    """Words as lists of neighboring pieces."""
    cuts = sorted(draw(st.sets(st.integers(0, length), min_size=2, max_size=5)))
    words = [list(range(a, b)) for a, b in zip(cuts, cuts[1:], strict=False)]
    return words[: draw(st.integers(1, len(words)))]


@st.composite
def patterns(draw):
    layers, heads, queries, keys = (draw(st.integers(1, high)) for high in (2, 2, 7, 7))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    scores = 3 * torch.randn(layers, heads, queries, keys, generator=generator)
    return scores.softmax(-1), draw(mentions(queries)), draw(mentions(keys))


@given(patterns(), st.sampled_from(MENTION_OPTIONS))
def test_weights_equal_a_slow_loop(pattern, mention):
    attentions, sources, targets = pattern
    weights = mention_weights(attentions, sources, targets, mention=mention)
    for layer, heads in enumerate(attentions.tolist()):
        for head, matrix in enumerate(heads):
            slow = slow_weight(matrix, sources, targets, mention)
            assert weights[layer, head].item() == pytest.approx(slow, abs=1e-12)


@given(patterns())
def test_a_mean_weight_is_a_share_of_a_row(pattern):
    weights = mention_weights(*pattern)
    assert (weights >= 0).all()
    assert (weights <= 1 + 1e-6).all()


@given(patterns())
def test_all_keys_together_get_the_whole_row(pattern):
    attentions, sources, _ = pattern
    everything = [list(range(attentions.shape[-1]))]
    weights = mention_weights(attentions, sources, everything)
    torch.testing.assert_close(weights, torch.ones_like(weights), atol=1e-6, rtol=0)


@given(patterns())
def test_the_mean_lies_between_nothing_and_the_max_and_the_sum_is_no_less(pattern):
    mean, largest, total = (
        mention_weights(*pattern, mention=mention) for mention in ("mean", "max", "sum")
    )
    assert (mean <= largest + 1e-12).all()
    assert (largest <= total + 1e-12).all()


# --- reachable -----------------------------------------------------------------------------------


def test_a_source_below_the_diagonal_cannot_reach_what_comes_later():
    causal = torch.ones(1, 2, 3, 3).tril() / torch.tensor([[1.0], [2.0], [3.0]])
    assert reachable(causal, [[2]], [[0]]).tolist() == [True]
    assert reachable(causal, [[0]], [[2]]).tolist() == [False]


def test_one_piece_that_can_see_one_piece_is_enough():
    causal = torch.ones(1, 1, 4, 4).tril()
    assert reachable(causal, [[0, 1]], [[1, 2]]).tolist() == [True]
    assert reachable(causal, [[0, 1]], [[2, 3]]).tolist() == [False]


def test_layers_are_told_apart():
    pattern = torch.zeros(3, 2, 2, 2)
    pattern[1, 0, 0, 1] = 1e-30
    assert reachable(pattern, [[0]], [[1]]).tolist() == [False, True, False]


def test_one_head_that_gives_exactly_nothing_is_not_a_mask():
    pattern = torch.zeros(1, 2, 2, 2)
    pattern[0, 1, 0, 1] = 0.5
    assert reachable(pattern, [[0]], [[1]]).tolist() == [True]


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
