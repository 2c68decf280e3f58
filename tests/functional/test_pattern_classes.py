"""Classes of patterns on planted ones, and shares against a slow loop."""

from __future__ import annotations

import pytest
import torch

from introspect.functional import PATTERN_CLASSES, pattern_class, pattern_shares, sole_maximum
from introspect.functional.pattern_classes import FEWEST_KEYS

N = 20
# [CLS] ten tokens [SEP] seven tokens [SEP]
SEGMENTS = torch.tensor([-1, *[0] * 10, -1, *[1] * 7, -1])
EVERYTHING = torch.ones(N, N, dtype=torch.bool)
QUERIES = SEGMENTS >= 0


def even() -> torch.Tensor:
    return torch.full((N, N), 1 / N)


def diagonal(offset: int) -> torch.Tensor:
    """Each gives 0.8 to a neighbor, and the rest evenly."""
    pattern = 0.2 * even()
    for i in range(N):
        pattern[i, min(max(i + offset, 0), N - 1)] += 0.8
    return pattern


def vertical(*columns: int) -> torch.Tensor:
    pattern = 0.3 * even()
    pattern[:, list(columns)] += 0.7 / len(columns)
    return pattern


def block() -> torch.Tensor:
    own = (SEGMENTS[:, None] == SEGMENTS).float()
    return 0.9 * own / own.sum(-1, keepdim=True) + 0.1 * even()


PLANTED = {
    "even": (even(), "heterogeneous"),
    "previous": (diagonal(-1), "diagonal"),
    "self": (diagonal(0), "diagonal"),
    "next": (diagonal(1), "diagonal"),
    "two before": (diagonal(-2), "heterogeneous"),
    "[SEP]": (vertical(11, 19), "vertical"),
    "[CLS]": (vertical(0), "vertical"),
    "a word": (vertical(5), "vertical"),
    "both": (0.5 * diagonal(-1) + 0.5 * vertical(0), "vertical_diagonal"),
    "segments": (block(), "block"),
    "random": (torch.rand(N, N, generator=torch.Generator().manual_seed(1)), "heterogeneous"),
}


def classed(pattern: torch.Tensor, visible=EVERYTHING, segments=SEGMENTS, rows=QUERIES) -> str:
    pattern = pattern / pattern.sum(-1, keepdim=True)
    found = int(pattern_class(pattern_shares(pattern, rows, visible, segments)))
    return "none" if found < 0 else PATTERN_CLASSES[found]


@pytest.mark.parametrize("name", PLANTED)
def test_planted_patterns_have_their_class(name):
    pattern, expected = PLANTED[name]
    assert classed(pattern) == expected


@pytest.mark.parametrize("name", PLANTED)
def test_so_they_have_behind_a_causal_mask_but_for_what_lies_ahead(name):
    pattern, expected = PLANTED[name]
    causal = EVERYTHING.tril()
    if name in ("next", "[SEP]"):
        return
    assert classed(pattern.tril(), causal) == expected


def test_without_a_second_segment_there_is_no_block():
    one = torch.where(SEGMENTS >= 0, 0, -1)
    assert classed(block(), segments=one) == "heterogeneous"
    assert pattern_shares(block(), QUERIES, EVERYTHING, one).across.isnan()


def test_all_classes_are_planted():
    assert {expected for _, expected in PLANTED.values()} == set(PATTERN_CLASSES)


def test_rows_that_see_little_do_not_count():
    window = EVERYTHING.tril() & ~EVERYTHING.tril(-(FEWEST_KEYS - 1))
    assert classed(diagonal(-1) * window, window) == "none"
    wider = EVERYTHING.tril() & ~EVERYTHING.tril(-FEWEST_KEYS)
    assert classed(diagonal(-1) * wider, wider) == "diagonal"
    # Even attention to the fewest that count is no diagonal.
    assert classed(wider / wider.sum(-1, keepdim=True), wider) == "heterogeneous"


def test_shares_are_those_of_a_slow_loop():
    generator = torch.Generator().manual_seed(3)
    patterns = torch.rand(2, N, N, generator=generator).softmax(-1).tril()
    causal = EVERYTHING.tril()
    found = pattern_shares(patterns, QUERIES, causal, SEGMENTS)
    rows = [i for i in range(N) if SEGMENTS[i] >= 0 and i + 1 >= FEWEST_KEYS]
    for head in range(2):
        near = within = across = 0.0
        columns = [0.0] * N
        for i in rows:
            for j in range(N):
                weight = float(patterns[head, i, j]) / len(rows)
                if abs(i - j) <= 1:
                    near += weight
                else:
                    columns[j] += weight
                if SEGMENTS[j] >= 0 and SEGMENTS[i] == SEGMENTS[j]:
                    within += weight
                elif SEGMENTS[j] >= 0:
                    across += weight
        expected = [near, sum(sorted(columns)[-2:]), within, across]
        assert [float(share[head]) for share in found] == pytest.approx(expected, abs=1e-9)


def test_a_maximum_is_one_key_or_none():
    rows = torch.tensor(
        [[0.1, 0.9, 0.0], [0.4, 0.4, 0.2], [0.0, 0.0, 0.0], [torch.nan, 0.5, 0.5], [0.2, 0.2, 0.6]]
    )
    assert sole_maximum(rows).tolist() == [1, -1, -1, -1, 2]
