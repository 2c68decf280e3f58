"""Scores on tokens that come twice: worked by hand, and found by looking for the token itself."""

from __future__ import annotations

import random

import pytest
import torch

from introspect.errors import SelectionError
from introspect.functional import duplicate_matching, pair_mass, prefix_matching, second_time


def test_three_tokens_that_come_twice_by_hand():
    # x a b c a b c: the second time begins at 4, and what follows its a and b can be known.
    pattern = torch.zeros(7, 7)
    pattern[4, 2], pattern[4, 1] = 0.5, 0.25  # a looks at the b after the first a, and at the a
    pattern[5, 3], pattern[5, 2] = 0.75, 0.125
    pattern[6, 4] = 1.0  # of the last nothing is known
    assert prefix_matching(pattern, 4, 3) == (0.5 + 0.75) / 2
    assert duplicate_matching(pattern, 4, 3) == (0.25 + 0.125) / 2


def test_positions_are_those_that_looking_for_the_token_finds():
    drawn = random.Random(4)
    for _ in range(20):
        before, period = drawn.randint(0, 5), drawn.randint(2, 7)
        tokens = drawn.sample(range(100), before + period)
        tokens += tokens[before:]
        pattern = torch.rand(2, 3, len(tokens), len(tokens))
        start = before + period
        matching, same = [], []
        for query in range(start, len(tokens) - 1):
            earlier = tokens.index(tokens[query])
            assert tokens[earlier + 1] == tokens[query + 1]
            matching.append(pattern[..., query, earlier + 1])
            same.append(pattern[..., query, earlier])
        for found, expected in (
            (prefix_matching(pattern, start, period), matching),
            (duplicate_matching(pattern, start, period), same),
        ):
            assert found.dtype == torch.float64
            torch.testing.assert_close(found, torch.stack(expected).double().mean(0))


def test_what_a_mask_hides_does_not_count():
    pattern = torch.tensor([[1.0, 0.0], [0.25, 0.75]])
    visible = torch.tensor([[True, False], [True, True]])
    assert pair_mass(pattern, [0, 1], [1, 0], visible) == 0.25
    assert pair_mass(pattern, [0, 1], [1, 0]) == 0.125
    assert pair_mass(pattern, [0], [1], visible).isnan()


def test_pairs_are_pairs():
    assert list(second_time(5, 4)) == [5, 6, 7]
    with pytest.raises(SelectionError, match="2 queries and 1 keys"):
        pair_mass(torch.eye(2), [0, 1], [0])
