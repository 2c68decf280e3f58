"""Tokens a person can read: labels, offsets, words and masks, for each family of tokenizers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from introspect.errors import TextError
from introspect.models import encode
from introspect.records import AttentionRecord, find_tokens, mention_pieces
from tests import models_zoo
from tests import tokenizers_zoo as zoo

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img/src=x/onerror=alert(1)>",
    "&lt;b&gt;",
    "\u202eevil",
    "a\u200bb",
    "a\u2028b",
    "nul\x00here",
    "שלום",
    "👨\u200d👩\u200d👧",
]
FAMILIES = {
    "byte_level": zoo.byte_level,
    "byte_level_prefixed": lambda: zoo.byte_level(add_prefix_space=True),
    "sentencepiece": zoo.sentencepiece,
    "word_level": lambda: zoo.word_level(["the", "cat", *HOSTILE]),
    "wordpiece": lambda: models_zoo.minilm().tokenizer,
}
SENTENCE = "The cat didn't say 中文 or naïve é 🐈 at all."
#: What the bytes of other characters look like in a byte-level vocabulary.
MOJIBAKE = set("ĠĊĉÃÂä¸ŃåðŁâĢ\ufffd")


def tokens(family: str, text: str, pair: str | None = None):
    return encode(FAMILIES[family](), text, pair).tokens


def plain(label: str) -> str:
    """A label without the part of a character it may carry."""
    head, _, tail = label.partition("⁄")
    return head.rstrip("⁰¹²³⁴⁵⁶⁷⁸⁹") if tail else head


# --- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["byte_level", "byte_level_prefixed"])
def test_byte_level_labels_are_the_texts_characters(family):
    for text in (SENTENCE, "中文文字", "ünïcödé ☃ 한국어", "línea\nnueva\ttab"):
        for label in tokens(family, text).tokens[1:-1]:
            assert plain(label).strip(" ") in text
            assert not set(label) & (MOJIBAKE - set(text))


@pytest.mark.parametrize("family", ["byte_level", "sentencepiece"])
def test_a_character_of_several_tokens_shows_its_parts(family):
    labels = tokens(family, "it 🐈").tokens
    assert labels[-5:-1] == ("🐈¹⁄₄", "🐈²⁄₄", "🐈³⁄₄", "🐈⁴⁄₄")


def test_a_chinese_character_of_three_bytes_shows_thirds():
    assert tokens("byte_level", "it 猫").tokens[-4:-1] == ("猫¹⁄₃", "猫²⁄₃", "猫³⁄₃")


def test_a_character_of_two_tokens_shows_halves():
    shown = encode(zoo.byte_level_with_half_of("猫"), "猫!").tokens
    assert shown.tokens == ("<s>", "猫¹⁄₂", "猫²⁄₂", "!", "</s>")


def test_the_same_character_twice_counts_its_parts_twice():
    labels = tokens("byte_level", "猫猫").tokens[1:-1]
    assert labels == ("猫¹⁄₃", "猫²⁄₃", "猫³⁄₃") * 2


def test_a_learned_chinese_token_is_shown_whole():
    assert "中文" in tokens("byte_level", "中文").tokens


def test_unknown_characters_of_one_run_are_told_apart():
    # This tokenizer gives all six bytes the span of both characters.
    shown = tokens("sentencepiece", "it 中文")
    assert shown.tokens[-7:-1] == ("中¹⁄₃", "中²⁄₃", "中³⁄₃", "文¹⁄₃", "文²⁄₃", "文³⁄₃")
    assert shown.offsets[-7:-1] == ((3, 4),) * 3 + ((4, 5),) * 3
    assert shown.words == ("it", "中", "文")


def test_an_ascii_character_that_fell_back_to_its_byte_is_shown_as_itself():
    assert tokens("sentencepiece", "the dog").tokens[1:-1] == ("▁the", "▁", "d", "o", "g")


def test_wordpiece_labels_are_the_vocabularys():
    labels = tokens("wordpiece", "The unhappily sat.").tokens
    assert labels == ("[CLS]", "the", "un", "##ha", "##pp", "##ily", "sat", ".", "[SEP]")


@pytest.mark.parametrize("word", HOSTILE)
def test_a_hostile_word_stays_one_token_and_stays_as_it_is(word):
    shown = tokens("word_level", f"the {word} cat")
    assert shown.tokens == ("[CLS]", "the", word, "cat", "[SEP]")
    assert shown.words == ("the", word, "cat")
    assert not any(shown.unknown_mask)


# --- offsets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_offsets_point_at_what_the_token_stands_for(family):
    text = "the cat sat"
    shown = tokens(family, text)
    for label, (start, end), special in zip(
        shown.tokens, shown.offsets, shown.special_tokens_mask, strict=True
    ):
        if special or (family == "word_level" and label == "[UNK]"):
            continue
        assert label.replace("▁", "").replace("##", "").strip() == text[start:end].strip()


def test_offsets_leave_out_the_space_before_a_word():
    shown = tokens("byte_level", "The cat")
    assert shown.tokens[1:4] == ("The", " c", "at")
    assert shown.offsets[1:4] == ((0, 3), (4, 5), (5, 7))


@pytest.mark.parametrize("family", ["byte_level_prefixed", "sentencepiece"])
def test_a_space_put_before_the_text_claims_no_character(family):
    shown = tokens(family, "猫")
    assert shown.tokens[1] in (" ", "▁")
    assert shown.offsets[1] == (0, 0)
    assert shown.word_ids[1] is None
    assert mention_pieces(shown, (0, 1)) == [[2, 3, 4]]


@pytest.mark.parametrize("family", FAMILIES)
def test_special_tokens_have_no_place_in_the_text(family):
    shown = tokens(family, "the cat", "the mat")
    for index, special in enumerate(shown.special_tokens_mask):
        assert (shown.sequence_ids[index] is None) == special
        if special:
            assert shown.offsets[index] == (0, 0)
            assert shown.word_ids[index] is None


@pytest.mark.parametrize("family", FAMILIES)
def test_the_specials_are_the_ends_of_a_text(family):
    mask = tokens(family, "the cat").special_tokens_mask
    assert mask[0]
    assert mask[-1]
    assert not any(mask[1:-1])


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_every_piece_of_a_word_has_its_id(family):
    text = "the cat didn't"
    shown = tokens(family, text)
    assert shown.words == ("the", "cat", "didn't")
    for index, (start, end) in enumerate(shown.offsets):
        word = shown.word_ids[index]
        if word is not None:
            assert text[start:end] in shown.words[word]


def test_a_word_is_the_texts_and_not_the_vocabularys():
    assert tokens("wordpiece", "Naïve CAT").words == ("Naïve", "CAT")


def test_find_tokens_gives_all_pieces_of_a_word():
    shown = tokens("wordpiece", "He unhappily sat unhappily.")
    assert find_tokens(shown, "unhappily#2") == [7, 8, 9, 10]


# --- pairs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_a_pair_has_offsets_each_into_its_own_text(family):
    texts = ("the cat", "the mat sat")
    shown = tokens(family, *texts)
    assert shown.texts == texts
    for (start, end), number, word in zip(
        shown.offsets, shown.sequence_ids, shown.word_ids, strict=True
    ):
        if word is not None:
            assert texts[number][start:end].strip() in shown.words[word]
    assert shown.words == ("the", "cat", "the", "mat", "sat")


def test_the_words_of_a_pair_do_not_run_together():
    shown = tokens("wordpiece", "the cat", "cat the")
    assert shown.word_ids == (None, 0, 1, None, 2, 3, None)


def test_a_mention_is_sought_in_the_text_that_is_named():
    shown = tokens("wordpiece", "the cat", "cat the")
    assert mention_pieces(shown, (0, 3), sequence_id=0) == [[1]]
    assert mention_pieces(shown, (0, 3), sequence_id=1) == [[4]]


# --- unknown --------------------------------------------------------------------------------------


def test_what_the_vocabulary_lacks_is_marked_and_nothing_else():
    shown = tokens("word_level", "the dog </b> cat")
    assert shown.unknown_mask == (False, False, True, True, False, False)


def test_a_tokenizer_without_unknowns_marks_none():
    assert not any(tokens("byte_level", "quixotic 猫 🐈").unknown_mask)
    assert not any(tokens("sentencepiece", "quixotic 猫 🐈").unknown_mask)


# --- properties -----------------------------------------------------------------------------------

characters = st.one_of(
    st.sampled_from(["the", "cat", "it's", "didn't", "é", "ï", "中", "文", "猫", "🐈", "☃"]),
    st.sampled_from([" ", "  ", "\n", "\t", "a", "Z", "9", "'", "’", ".", "-", "_"]),
    st.sampled_from(["\u0301", "\u200d", "\u2028", "\u202e", "\x00"]),
    # The two signs that vocabularies write for a space cannot be told from it.
    st.characters(exclude_categories=["Cs"], exclude_characters="▁Ġ"),
)
texts = st.lists(characters, min_size=1, max_size=14).map("".join).filter(str.strip)


def readable(family: str, text: str, pair: str | None = None):
    """The tokens, or nothing where the tokenizer makes none of the text."""
    try:
        return tokens(family, text, pair)
    except TextError as error:
        assert "tokenizer makes none" in str(error)
        return None


@pytest.mark.parametrize("family", FAMILIES)
@given(text=texts)
def test_offsets_lie_within_the_text_and_never_go_back(family, text):
    shown = readable(family, text)
    if shown is None:
        return
    inner = [
        span
        for span, special in zip(shown.offsets, shown.special_tokens_mask, strict=True)
        if not special
    ]
    assert all(0 <= start <= end <= len(text) for start, end in inner)
    assert [start for start, _ in inner] == sorted(start for start, _ in inner)


@pytest.mark.parametrize("family", ["byte_level", "byte_level_prefixed"])
@given(text=texts)
def test_no_text_at_all_gives_mojibake(family, text):
    shown = readable(family, text)
    if shown is None:
        return
    for label, (start, end), special in zip(
        shown.tokens, shown.offsets, shown.special_tokens_mask, strict=True
    ):
        if not special and start < end:
            assert plain(label).strip() in text or "⁄" in text
            assert text[start:end].strip() in label


@pytest.mark.parametrize("family", FAMILIES)
@given(text=texts)
def test_the_words_are_whole_parts_of_the_text(family, text):
    shown = readable(family, text)
    if shown is None:
        return
    place = 0
    for word in shown.words:
        place = text.index(word, place) + len(word)
    ids = [word for word in shown.word_ids if word is not None]
    assert ids == sorted(ids)


@pytest.mark.parametrize("family", FAMILIES)
@given(text=texts, pair=st.none() | texts, seed=st.integers(0, 99))
def test_rows_over_words_still_sum_to_one(family, text, pair, seed):
    shown = readable(family, text, pair)
    if shown is None:
        return
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(2, 2, len(shown), len(shown), generator=generator)
    record = AttentionRecord(scores.softmax(-1), queries=shown, keys=shown).words()
    sums = record.attentions.sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums), atol=1e-5, rtol=0)
    assert len(record.keys) == record.attentions.shape[-1]
