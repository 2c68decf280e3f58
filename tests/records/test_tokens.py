"""Heads and sequences of tokens: checked once, frozen, grouped by words."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from introspect.errors import RecordError
from introspect.records import Head, TokenSequence
from tests.records.helpers import TOKENS, sequence

# --- heads ------------------------------------------------------------------------------------


def test_a_head_is_written_short():
    assert str(Head(3, 1)) == "L3H1"
    assert f"{Head(11, 10)}" == "L11H10"
    assert Head(3, 1) == (3, 1)


# --- sequences --------------------------------------------------------------------------------


def test_bare_tokens_are_their_own_words():
    made = sequence(*TOKENS)
    assert made.words == TOKENS
    assert made.word_ids == (0, 1, 2)
    assert made.special_tokens_mask == (False,) * 3
    assert made.pieces() == [[0], [1], [2]]


@pytest.mark.parametrize(
    "part",
    [
        {"token_ids": (1, 2)},
        {"offsets": ((0, 1),)},
        {"special_tokens_mask": (True,) * 4},
        {"unknown_mask": (True,)},
        {"generated_mask": (True,)},
        {"sequence_ids": (0, 0)},
        {"word_ids": (0, 1), "words": ("a", "b")},
    ],
)
def test_parts_of_another_length_are_refused(part):
    with pytest.raises(RecordError, match="each of the 3 tokens"):
        TokenSequence(tokens=TOKENS, **part)


@pytest.mark.parametrize("word", [-1, 2])
def test_a_word_id_without_a_word_is_refused(word):
    with pytest.raises(RecordError, match="word ids from 0 to 1"):
        TokenSequence(tokens=TOKENS, word_ids=(0, 1, word), words=("x", "y"))


def test_specials_are_units_of_their_own():
    made = TokenSequence(
        tokens=("[CLS]", "an", "##imal", "s", "[SEP]", "[PAD]"),
        word_ids=(None, 0, 0, 1, None, None),
        words=("animal", "s"),
    )
    assert made.pieces() == [[0], [1, 2], [3], [4], [5]]
    assert made.at_word_level().tokens == ("[CLS]", "animal", "s", "[SEP]", "[PAD]")


def test_word_level_keeps_what_belongs_to_the_words():
    made = TokenSequence(
        tokens=("[CLS]", "an", "##x", "it"),
        token_ids=(9, 5, 6, 7),
        offsets=((0, 0), (0, 2), (2, 3), (4, 6)),
        word_ids=(None, 0, 0, 1),
        special_tokens_mask=(True, False, False, False),
        unknown_mask=(False, False, True, False),
        generated_mask=(False, False, True, True),
        sequence_ids=(None, 0, 0, 0),
        words=("anx", "it"),
        texts=("anx it",),
    ).at_word_level()
    assert made.offsets == ((0, 0), (0, 3), (4, 6))
    assert made.token_ids == (9, -1, 7)
    assert made.special_tokens_mask == (True, False, False)
    assert made.unknown_mask == (False, True, False)
    assert made.generated_mask == (False, True, True)
    assert made.word_ids == (None, 0, 1)
    assert made.texts == ("anx it",)


def test_a_sequence_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        sequence(*TOKENS).tokens = ()
