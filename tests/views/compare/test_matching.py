"""Which token of one text stands for which of the other."""

from __future__ import annotations

import pytest
import torch

from introspect.errors import SelectionError
from introspect.records import AttentionRecord
from introspect.views import compare_view
from introspect.views.differences import align_tokens, join_pairs
from tests.views.compare.helpers import LONGER, TIRED, WIDE, in_pieces, pair
from tests.views.samples import bare_record


def test_equal_tokens_are_aligned_one_to_one():
    assert align_tokens("abc", "abc") == [(0, 0), (1, 1), (2, 2)]


def test_a_replaced_word_is_aligned_with_what_replaces_it():
    places = align_tokens(TIRED.split(), WIDE.split())
    assert places == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_inserted_words_stand_alone():
    places = align_tokens(TIRED.split(), LONGER.split())
    assert places == [(0, 0), (1, 1), (None, 2), (None, 3), (2, 4), (3, 5)]
    assert align_tokens(LONGER.split(), TIRED.split()) == [(j, i) for i, j in places]


def test_stretches_of_unequal_length_stand_alone_on_both_sides():
    assert align_tokens(["a", "x", "b"], ["a", "y", "z", "b"]) == [
        (0, 0), (1, None), (None, 1), (None, 2), (2, 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b"), [("abcde", "xbcdy"), ("aab", "ba"), ("", "ab"), ("abcab", "cabab")]
)
def test_no_token_is_dropped_or_named_twice(a, b):
    places = align_tokens(a, b)
    assert [i for i, _ in places if i is not None] == list(range(len(a)))
    assert [j for _, j in places if j is not None] == list(range(len(b)))


def test_pairs_of_the_caller_are_kept_and_the_rest_is_put_between_them():
    assert join_pairs([(0, 1), (2, 0)], 3, 3) == [(0, 1), (None, 2), (1, None), (2, 0)]
    view = pair(alignment=[(0, 0), (4, 3)])
    assert (4, 3) in view.queries and view.queries == view.keys
    assert (3, None) in view.keys and (None, 4) in view.keys


def test_texts_with_nothing_in_common_are_refused_unless_they_are_aligned():
    a, b = bare_record(["one", "two"]), bare_record(["drei", "vier"])
    with pytest.raises(SelectionError, match="tokens in common"):
        compare_view(a, b)
    assert compare_view(a, b, alignment=[(0, 1)]).keys == ((None, 0), (0, 1), (1, None))


def test_two_tokenizers_are_compared_by_word_and_the_page_says_so():
    a = in_pieces("unhappy animals wandered", [9, 9, 9])
    b = in_pieces("unhappy animals wandered", [2, 3, 4], seed=1)
    view = compare_view(a, b)
    assert view.keys == ((0, 0), (1, 1), (2, 2))
    assert "by word" in view.sections()[0].state["notices"][0]
    torch.testing.assert_close(view.other.attentions, b.words().attentions)


def test_one_tokenizer_is_compared_by_token():
    # More words match than tokens, but "animals" is cut the same in both.
    a = in_pieces("big animals", [9, 2])
    b = in_pieces("extraordinary animals", [2, 2], seed=1)
    view = compare_view(a, b)
    assert view.notice == "" and len(view.record.keys) == len(a.keys)


def test_words_are_not_taken_where_the_tokens_match_better():
    # "animals" is cut differently, but the other words have only pieces in common.
    a = in_pieces("animals aabbccdde", [9, 2])
    b = in_pieces("animals aabbccddf", [4, 2], seed=1)
    assert compare_view(a, b).notice == ""


def test_queries_and_keys_of_two_texts_are_aligned_apart():
    def cross(queries, keys, seed):
        weights = torch.rand(1, 1, len(queries), len(keys)).softmax(-1)
        return AttentionRecord.from_tensors(weights, keys, query_tokens=queries, kind="cross")

    a, b = cross(["er", "ging"], ["he", "went"], 0), cross(["er", "lief"], ["he", "then", "ran"], 1)
    view = compare_view(a, b)
    assert view.queries == ((0, 0), (1, 1))
    assert view.keys == ((0, 0), (1, None), (None, 1), (None, 2))
    with pytest.raises(SelectionError, match='"query"'):
        compare_view(a, b, alignment=[(0, 0)])
    given = {"query": [(0, 0)], "key": [(1, 2)]}
    assert (1, 2) in compare_view(a, b, alignment=given).keys
