"""The characters of pieces: found where they are sure, and never guessed."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from introspect.text import pieces, places_of_pieces, spelled_bytes
from introspect.text.folding import FOLDS
from introspect.text.spelling import spelled

UNKNOWN = {"[UNK]"}


def parts(text, pieces, **options):
    """The part of the text that each piece is at."""
    spans = places_of_pieces(text, pieces, **options)
    return None if spans is None else [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("text", "pieces", "expected"),
    [
        ("Undoing it", ["un", "##do", "##ing", "it"], ["Un", "do", "ing", "it"]),
        ("Undoing it", ["un@@", "do@@", "ing", "it"], ["Un", "do", "ing", "it"]),
        ("undoing it", ["undo", "ing</w>", "it</w>"], ["undo", "ing", "it"]),
        ("The  cat", ["▁The", "▁", "▁ca", "t"], ["The", "  ", "ca", "t"]),
        (" a  b", ["▁", "▁a", "▁", "▁b"], [" ", "a", "  ", "b"]),
        ("中é", ["ä", "¸", "\xad", "Ã", "©"], ["中", "中", "中", "é", "é"]),
        ("a 中", ["a", "Ġä", "¸", "Ń"], ["a", "中", "中", "中"]),
        ("a中", ["▁a", "<0xE4>", "<0xB8>", "<0xAD>"], ["a", "中", "中", "中"]),
        ("a\nb", ["a", "<BR>", "b"], ["a", "\n", "b"]),
        ("a中", ["a", "<|byte228|>", "<|byte184|>", "<|byte173|>"], ["a", "中", "中", "中"]),
        ("Café Straße", ["cafe", "stra", "##sse"], ["Café", "Stra", "ße"]),
        ("cafe\u0301s", ["café", "s"], ["cafe\u0301", "s"]),
        ("cafe\u0301s", ["cafe", "##s"], ["cafe", "s"]),
        ("½ ﬁx", ["1", "⁄2", "f", "ix"], ["½", "½", "ﬁ", "ﬁx"]),
        ("한글", ["한", "글"], ["한", "글"]),
        ("“Hi” — ok…", ['"', "hi", '"', "-", "ok", "..."], ["“", "Hi", "”", "—", "ok", "…"]),
        ("it's a-b", ["it", "&apos;", "s", "a", "@-@", "b"], ["it", "'", "s", "a", "-", "b"]),
        ("it's", ["it</w>", "&ap", "os;", "s</w>"], ["it", "'", "'", "s"]),
        ("a &amp; b", ["a", "&amp;", "b"], ["a", "&amp;", "b"]),
        ("C## is", ["C@@", "##", "is"], ["C", "##", "is"]),
        (">>fra<< un", [">>fra<<", "▁un"], [">>fra<<", "un"]),
        ("a\u200bb", ["ab"], ["a\u200bb"]),
    ],
)  # fmt: skip
def test_what_pieces_spell_is_found_in_the_text(text, pieces, expected):
    assert parts(text, pieces) == expected


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Undoing it", ["re", "##do"]),
        ("see @bob", ["see", "@USER"]),
        ("see it", ["see", "it", "now"]),
        ("see it now", ["see", "it"]),
        ("ab", ["b", "a"]),
        ("中", ["ä", "¸"]),
    ],
)
def test_what_does_not_give_the_text_is_not_guessed(text, pieces):
    assert places_of_pieces(text, pieces) is None


@pytest.mark.parametrize(
    ("text", "pieces", "expected"),
    [
        ("zz it qq", ["[UNK]", "it", "[UNK]"], ["zz", "it", "qq"]),
        ("zz--zz", ["[UNK]", "-", "-", "[UNK]"], ["zz", "-", "-", "zz"]),
        ("中文 it", ["[UNK]", "[UNK]", "it"], ["中", "文", "it"]),
        ("the [UNK] it", ["the", "[UNK]", "it"], ["the", "[UNK]", "it"]),
        ("ba a", ["[UNK]", "a"], ["ba", "a"]),
        ("é xzy", ["e", "[UNK]", "y"], ["é", "xz", "y"]),
        ("e\u0301 xzy", ["e", "[UNK]", "y"], ["e", "xz", "y"]),
    ],
)
def test_unknown_pieces_are_placed_where_one_place_is_left(text, pieces, expected):
    assert parts(text, pieces, unknown=UNKNOWN) == expected


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("zz中 qq中", ["[UNK]", "[UNK]", "[UNK]"]),
        ("zz qq", ["[UNK]"]),
        ("zazaz", ["[UNK]", "a", "[UNK]"]),
        ("é xzzy", ["e", "[UNK]", "[UNK]", "y"]),
    ],
)
def test_unknown_pieces_that_fit_in_several_places_are_not_guessed(text, pieces):
    assert places_of_pieces(text, pieces, unknown=UNKNOWN) is None


def test_unknown_pieces_are_placed_by_the_parts_of_a_text_that_have_them():
    def divide(part):
        return ["[UNK]"] * len(part) if part == "中中" else ["[UNK]"]

    text, pieces = "中中 q中", ["[UNK]", "[UNK]", "[UNK]"]
    assert parts(text, pieces, unknown=UNKNOWN) is None
    assert parts(text, pieces, unknown=UNKNOWN, divide=divide) == ["中", "中", "q中"]


def test_parts_that_have_other_pieces_than_the_text_place_nothing():
    text, pieces = "中q 中q", ["[UNK]", "[UNK]", "[UNK]"]
    divide = {"中q": ["[UNK]"], "中": ["[UNK]"], "q": ["q"]}.__getitem__
    assert places_of_pieces(text, pieces, unknown=UNKNOWN, divide=divide) is None


def test_bytes_are_spelled_by_letters():
    assert spelled_bytes("Ġit") == b" it"
    assert spelled_bytes("中") is None


MARKS = st.sampled_from("aAbé中😀ﬁ½ß\u0301 \t．“-'한#@▁")
WORDS = st.text(MARKS, min_size=1, max_size=5)


@given(st.lists(WORDS, min_size=1, max_size=6), st.data())
def test_a_text_cut_anywhere_is_put_together_again(words, data):
    text = " ".join(words)
    if not text.strip():
        return
    cuts = sorted(data.draw(st.sets(st.integers(1, max(len(text) - 1, 1)), max_size=6)))
    edges = [0, *cuts, len(text)] if len(text) > 1 else [0, len(text)]
    pieces = [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    found = parts(text, pieces)
    # A cut that could also be a mark of some vocabulary may leave it open; it is never wrong.
    if found is not None:
        assert [part.lstrip() or part for part in found] == [p.lstrip() or p for p in pieces]
    if not set("#@▁") & set(text):
        assert found is not None


def slow_ends(written, runs):
    """Where each run ends, from every way to place all of them."""

    def ends_from(run, start):
        if not isinstance(run, int):
            marks = "".join(letter.mark for letter in run)
            return {start + len(marks)} if written.marks.startswith(marks, start) else set()
        return {end for end in range(len(written.marks) + 1) if written.is_unknown(start, end)}

    ways = [[0]]
    for run in runs:
        ways = [[*way, end] for way in ways for end in ends_from(run, way[-1])]
    whole = [way[1:] for way in ways if way[-1] == len(written.marks)]
    return whole[0] if len(whole) == 1 else None


@given(
    st.text(alphabet="ab \u0301é", min_size=1, max_size=7),
    st.lists(st.sampled_from(["a", "b", "é", "[UNK]"]), min_size=1, max_size=5),
)
def test_unknown_pieces_are_placed_where_only_one_way_is_left(text, given_pieces):
    for fold in FOLDS:
        written = pieces._Written.of(text, fold)
        for runs in spelled(given_pieces, UNKNOWN):
            found = pieces._ends_of_runs(written, runs)
            assert found == slow_ends(written, runs)


@given(st.text(alphabet="ab \u0301é", min_size=1, max_size=7))
def test_an_unknown_piece_has_whole_characters_of_one_word(text):
    written = pieces._Written.of(text, str)
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            inner, following = text[start:end], text[end : end + 1]
            is_whole = not any(map(unicodedata.combining, (inner[0], following or "a")))
            assert written.is_unknown(start, end) == (is_whole and not re.search(r"\s", inner))


def test_many_unknown_pieces_in_one_word_take_no_longer_than_their_text():
    """A thousand characters of which 400 are unknown, in one run: once, hours."""
    text = ("中" * 2 + "文" * 3) * 200
    found = places_of_pieces(text, (["[UNK]"] * 2 + ["文"] * 3) * 200, unknown=UNKNOWN)
    assert found == [(place, place + 1) for place in range(1000)]
    assert places_of_pieces(text, ["[UNK]"] * 400, unknown=UNKNOWN) is None
