"""Heads and tokens by name: each view takes ``L3H1`` and ``it#2`` where it takes numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import introspect as ix
from introspect.errors import MentionError, SelectionError
from introspect.records import AttentionRecord
from tests.views.samples import record_of, record_with_parts

TEXT = "it saw it and it left"


def repeated() -> AttentionRecord:
    return record_of(TEXT)


def place_of(number: int) -> int:
    """The token of the n-th *it*, counted in the tokens themselves."""
    tokens = repeated().queries.tokens
    return [index for index, token in enumerate(tokens) if token == "it"][number - 1]


@pytest.mark.parametrize("head", ["L1H2", ix.Head(1, 2), (1, 2)])
def test_a_named_head_says_its_layer(head):
    record = repeated()
    view = ix.head_view(record, head=head)
    assert (view.layer, view.heads) == (1, (2,))
    heatmap = ix.heatmap_view(record, head=head)
    assert (heatmap.layer, heatmap.head) == (1, 2)
    compared = ix.compare_view(record, record, head=head if head != (1, 2) else "L1H2")
    assert (compared.layers, compared.heads) == ((1, 1), (2, 2))
    grown = ix.evolution_view([record, record], head=head)
    assert (grown.layer, grown.head) == (1, 2)
    assert ix.model_view(record, framed=[head]).framed == (ix.Head(1, 2),)


@pytest.mark.parametrize("make", [ix.neuron_view, ix.steps_view])
def test_views_of_one_head_and_token_take_names(make):
    record = record_with_parts()
    word = next(t for t in record.queries.tokens if record.queries.tokens.count(t) == 1)
    view = make(record, head="L1H1", token=word)
    assert (view.layer, view.head) == (1, 1)
    assert record.queries.tokens[view.token] == word


def test_several_named_heads_are_of_one_layer():
    record = repeated()
    view = ix.head_view(record, heads=["L1H0", "L1H2"])
    assert (view.layer, view.heads) == (1, (0, 2))
    assert ix.head_view(record, heads="L1H0,L1H2").heads == (0, 2)
    # Numbers stay heads of the layer that is given, also as a tuple or an array of two.
    assert ix.head_view(record, layer=1, heads=(0, 2)).heads == (0, 2)
    assert ix.head_view(record, layer=1, heads=np.array([0, 2])).heads == (0, 2)
    with pytest.raises(SelectionError, match="a head of layer 0, which is shown, got L1H2"):
        ix.head_view(record, heads=["L0H1", "L1H2"])
    with pytest.raises(SelectionError, match="a head of layer 0, which is shown, got L1H2"):
        ix.heatmap_view(record, layer=0, head="L1H2")
    with pytest.raises(SelectionError, match="`head` or `heads`, got both"):
        ix.head_view(record, head=1, heads=[2])


def test_a_head_that_is_not_there_is_answered_with_those_that_are():
    record = repeated()
    for make in (ix.head_view, ix.heatmap_view):
        with pytest.raises(SelectionError, match=r"a head of L0H0–L1H2, got L9H1\."):
            make(record, head="L9H1")
        with pytest.raises(SelectionError, match=r"a head of L1H0–L1H2, got L1H3\."):
            make(record, head="L1H3")
    with pytest.raises(SelectionError, match="L4H0–L4H2, L7H0–L7H2, got L5H0"):
        ix.head_view(replace(record, layers=(4, 7)), head="L5H0")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_word_that_stands_several_times_is_numbered(number):
    record, place = repeated(), place_of(number)
    named = f"it#{number}"
    assert ix.head_view(record, token=named).tokens[0] == {"side": "query", "index": place}
    pinned = ix.head_view(record, token=[{"side": "key", "index": named}, 0]).tokens
    assert pinned == ({"side": "key", "index": place}, {"side": "query", "index": 0})
    assert ix.layer_view(record, token=named).token == place
    compared = ix.compare_view(record, record, token=named)
    assert compared.queries[compared.token][0] == place


def test_a_word_that_is_not_told_apart_or_not_there_is_refused():
    with pytest.raises(MentionError, match=r"the text has 3.*it#1 to it#3, for example it#2"):
        ix.layer_view(repeated(), token="it")
    with pytest.raises(MentionError, match=r"'lefd' .*\(nearest: 'left'\)"):
        ix.layer_view(repeated(), token="lefd")
    with pytest.raises(SelectionError, match="Expected `token` in 0–"):
        ix.layer_view(repeated(), token=99)
