"""Where words are, and how what cannot be seen is shown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from introspect.text import segment_words, shortened, visible, visible_text
from introspect.text.characters import is_unspaced


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in segment_words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat sat.", ["The", "cat", "sat", "."]),
        ("didn't", ["didn't"]),
        ("rock ’n’ roll", ["rock", "’", "n", "’", "roll"]),
        ("l’homme", ["l’homme"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("dogs' bones", ["dogs", "'", "bones"]),
        ("well-known", ["well", "-", "known"]),
        ("snake_case 3.14", ["snake_case", "3", ".", "14"]),
        ("(it).", ["(", "it", ")", "."]),
        ("naïve Ünïcödé", ["naïve", "Ünïcödé"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("中文字", ["中", "文", "字"]),
        ("中文 and text", ["中", "文", "and", "text"]),
        ("iPhone手机", ["iPhone", "手", "机"]),
        ("ひらがな", ["ひ", "ら", "が", "な"]),
        ("한국어 단어", ["한국어", "단어"]),
        ("שלום עולם", ["שלום", "עולם"]),
        ("👨\u200d👩\u200d👧!", ["👨\u200d👩\u200d👧", "!"]),
        ("❤\ufe0f", ["❤\ufe0f"]),
        # Decomposed: each mark stays with its letter, inside a word and at its end.
        ("nai\u0308ve cafe\u0301.", ["nai\u0308ve", "cafe\u0301", "."]),
        ("\u1112\u1161\u11ab \u1100\u116e\u11a8", ["\u1112\u1161\u11ab", "\u1100\u116e\u11a8"]),
        # Devanagari, Tamil and Bengali: vowel signs and viramas are marks.
        ("हिन्दी में लिखा", ["हिन्दी", "में", "लिखा"]),
        ("தமிழ் மொழி।", ["தமிழ்", "மொழி", "।"]),
        ("বাংলা ভাষা", ["বাংলা", "ভাষা"]),
        # Thai has no spaces: a letter with its marks is the smallest unit.
        ("น้ำกิน", ["น้", "ำ", "กิ", "น"]),
        ("ああーい", ["あ", "あ", "ー", "い"]),
        ("人々と々", ["人", "々", "と", "々"]),
        ("", []),
        (" \n\t\u2003", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(texts)
def test_words_are_in_order_apart_and_not_empty(text):
    end = 0
    for start, stop in segment_words(text):
        assert end <= start < stop <= len(text)
        end = stop


@given(texts)
def test_every_letter_and_digit_is_in_a_word(text):
    covered = {i for start, end in segment_words(text) for i in range(start, end)}
    for index, character in enumerate(text):
        if character.isalnum():
            assert index in covered


@given(texts)
def test_no_word_holds_white_space(text):
    assert not any(character.isspace() for word in words(text) for character in word)


@pytest.mark.parametrize(("character", "expected"), [("中", True), ("の", True), ("ก", True)])
def test_scripts_without_spaces(character, expected):
    assert is_unspaced(character) is expected


@pytest.mark.parametrize("character", ["a", "é", "한", "ש", "я", ".", "1", "😀"])
def test_scripts_with_spaces(character):
    assert not is_unspaced(character)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("cat", "cat"),
        (" ", "␣"),
        ("   ", "␣␣␣"),
        (" cat", " cat"),
        ("", ""),
        ("\x00", "␀"),
        ("\x1b[31m", "␛[31m"),
        ("\x7f", "␡"),
        ("\x85", "⟨U+0085⟩"),
        ("a\nb\r\tc", "a↵b↵⇥c"),
        ("\u2028", "⟨U+2028⟩"),
        ("\u2029", "⟨U+2029⟩"),
        ("\u202eevil", "⟨U+202E⟩evil"),
        ("\u2066x\u2069", "⟨U+2066⟩x⟨U+2069⟩"),
        ("\u200b", "⟨U+200B⟩"),
        ("\ufeffa", "⟨U+FEFF⟩a"),
        ("\u200d", "⟨U+200D⟩"),
        ("\u200da", "⟨U+200D⟩a"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("می\u200cروم", "می\u200cروم"),
        ("\ud83d", "⟨U+D83D⟩"),
        ("</script><script>", "</script><script>"),
        ("中¹⁄₃", "中¹⁄₃"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(token, expected):
    assert visible(token) == expected


def test_spaces_of_a_text_stay_spaces():
    assert visible_text("  two\nlines ") == "  two↵lines "


@given(st.text(max_size=30))
def test_nothing_that_moves_other_characters_is_left(text):
    shown = visible(text)
    for character in shown:
        if character not in "\u200c\u200d":
            assert unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp", "Cs")


def test_a_short_text_is_not_shortened():
    assert shortened("x" * 80) == "x" * 80


@pytest.mark.parametrize("limit", [1, 5, 80])
def test_a_long_text_ends_in_an_ellipsis_at_the_limit(limit):
    text = shortened("x" * 200, limit)
    assert len(text) == limit
    assert text.endswith("…")
