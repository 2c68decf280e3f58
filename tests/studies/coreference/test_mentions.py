"""Weights between mentions: worked by hand, against a slow loop, and their properties."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from introspect.functional import MENTION_OPTIONS, MentionWords, word_attention, words_in_sight
from introspect.studies.coreference.batch import _between

# One layer, one head, three tokens; every row sums to 1.
THREE = torch.tensor([[[[0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.0, 0.4, 0.6]]]])


def between(attentions, sources, targets, mention="mean"):
    """Return the weight of a mention to another in each layer and head, and which layers see it."""
    # Mentions are places in one text, so queries and keys are the same tokens.
    length = max(attentions.shape[-2:])
    square = attentions.new_zeros(*attentions.shape[:2], length, length)
    square[..., : attentions.shape[-2], : attentions.shape[-1]] = attentions
    words = MentionWords((tuple(map(tuple, [*sources, *targets])),), length)
    seen = [word_attention(layer[None][:, :, words.rows[0]], words) for layer in square]
    # The mask is what these patterns give anything to, in any head.
    masks = [(layer > 0).any(0)[None, words.rows[0]] for layer in square]
    in_sight = [words_in_sight(mask, words) for mask in masks]
    first, second = range(len(sources)), range(len(sources), len(sources) + len(targets))
    weights = np.stack([pairs[0].numpy() for pairs in seen])
    reachable = [bool(sight[0][list(first)][:, list(second)].any()) for sight in in_sight]
    return torch.from_numpy(_between(weights, first, second, mention)), reachable


def mention_weights(attentions, sources, targets, mention="mean"):
    return between(attentions, sources, targets, mention)[0]


def reachable(attentions, sources, targets):
    return between(attentions, sources, targets)[1]


# --- weights -------------------------------------------------------------------------------------


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
    assert reachable(causal, [[2]], [[0]]) == [True]
    assert reachable(causal, [[0]], [[2]]) == [False]


def test_one_piece_that_can_see_one_piece_is_enough():
    causal = torch.ones(1, 1, 4, 4).tril()
    assert reachable(causal, [[0, 1]], [[1, 2]]) == [True]
    assert reachable(causal, [[0, 1]], [[2, 3]]) == [False]


def test_layers_are_told_apart():
    pattern = torch.zeros(3, 2, 2, 2)
    pattern[1, 0, 0, 1] = 1e-30
    assert reachable(pattern, [[0]], [[1]]) == [False, True, False]


def test_one_head_that_gives_exactly_nothing_is_not_a_mask():
    pattern = torch.zeros(1, 2, 2, 2)
    pattern[0, 1, 0, 1] = 0.5
    assert reachable(pattern, [[0]], [[1]]) == [True]
