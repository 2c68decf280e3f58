"""The two parsers: of heads, and of tokens."""

from __future__ import annotations

import pytest
import torch

import introspect as ix
from introspect.errors import MentionError, SelectionError
from introspect.records import Head, TokenSequence, as_head, as_token, listed_heads

SIX = dict.fromkeys(range(6), 12)


@pytest.mark.parametrize("head", [Head(3, 1), (3, 1), "L3H1", "l3h1", " L3H1 "])
def test_a_head_has_several_spellings(head):
    assert as_head(head, SIX) == Head(3, 1)


@pytest.mark.parametrize("head", ["L9H1", "L6H0", (6, 0), "L12H12"])
def test_a_layer_that_is_not_there_is_answered_with_all_heads(head):
    with pytest.raises(SelectionError, match=r"^Expected a head of L0H0–L5H11, got L\d+H\d+\.$"):
        as_head(head, SIX)


@pytest.mark.parametrize("head", ["L3", "3", "H1", "L3H", "L3H1H2", (3,), (3, "1"), 3, None, ""])
def test_what_names_no_head_is_refused(head):
    with pytest.raises(SelectionError, match="such as L3H1"):
        as_head(head, SIX)


def test_a_name_can_be_read_without_a_model():
    assert Head.parse("L3H1") == Head(3, 1)
    with pytest.raises(SelectionError, match="such as L3H1"):
        Head.parse("L3")


def test_several_heads_are_listed():
    assert listed_heads("L3H1, L5") == ["L3H1", "L5"]
    assert listed_heads((3, 1)) == [(3, 1)]
    assert listed_heads([(3, 1), "L5H0"]) == [(3, 1), "L5H0"]
    assert listed_heads(None) == []


def test_a_token_is_named_by_index_word_or_label():
    model = ix.load("minilm")
    tokens = model.capture("It was it, unhappily.").queries
    assert as_token(tokens, 2) == 2
    assert tokens.tokens[as_token(tokens, "was")] == "was"
    assert as_token(tokens, "[CLS]") == 0
    assert as_token(tokens, "it") == 3  # as it is written: the other one is a capital
    place = as_token(tokens, "unhappily")
    assert tokens.tokens[place] == "un" or tokens.word_ids[place] != tokens.word_ids[place - 1]
    assert as_token(tokens, -1, from_end=True) == len(tokens) - 1
    with pytest.raises(SelectionError, match=r"from -\d+ to \d+, for \d+ tokens, got 99"):
        as_token(tokens, 99, from_end=True)
    with pytest.raises(SelectionError, match="`token` in 0–"):
        as_token(tokens, -1)
    with pytest.raises(SelectionError, match="`token` in 0–"):
        as_token(tokens, 1.5)


def test_a_word_of_a_pair_is_looked_for_in_the_first_text_first():
    tokens = ix.load("minilm").capture("The cat sat.", "The dog and the cat ran.").queries
    place = as_token(tokens, "cat")
    assert (tokens.tokens[place], tokens.sequence_ids[place]) == ("cat", 0)
    place = as_token(tokens, "dog")
    assert (tokens.tokens[place], tokens.sequence_ids[place]) == ("dog", 1)


def test_bare_tokens_are_a_text():
    tokens = TokenSequence(("so", "it", "was", "it"))
    assert [as_token(tokens, f"it#{number}") for number in (1, 2)] == [1, 3]
    with pytest.raises(MentionError, match="it#1 to it#2"):
        as_token(tokens, "it")


def test_words_are_found_by_word_as_by_token():
    record = ix.load("minilm").capture("The unhappily placed fox.")
    words = record.words().queries
    assert words.tokens[as_token(words, "unhappily")] == "unhappily"
    assert words.tokens[as_token(words, "fox")] == "fox"


def test_a_logit_and_its_parts_are_read_at_a_word():
    model = ix.load("induction", lm_head=True)
    text = "a b c d a b"
    at = [as_token(model.tokens(text), "b#2"), "b#2"]
    one, other = (
        ix.direct_logit_attribution(model, text, token="c", position=place) for place in at
    )
    assert one.equals(other) and one.attrs == other.attrs
    records = [
        model.capture(text, include=("gradients",), of=ix.logit_of(model, "c", position=place))
        for place in at
    ]
    assert torch.equal(*(record.parts["gradients"] for record in records))
    assert records[1].certificate.gradient_of == records[0].certificate.gradient_of
    assert ix.lens_study(model, text, position="b#1").at.position == 2
    with pytest.raises(SelectionError, match="a run without a text"):
        ix.logit_of(model, "c", position="b#2")(model.module(**model.run_plan(text).inputs))


def test_edges_are_named_by_words_or_indices():
    model = ix.load("pronoun")
    text = "The fox did not cross the river ."
    assert ix.edges_between(model, text, "fox", "river") == [(2, 7)]
    assert ix.edges_between(model, text, 2, 7) == [(2, 7)]
    assert ix.edges_between(model, text, "the", (0, 3)) == [(6, 1)]
