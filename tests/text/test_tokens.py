"""A case of words and spans of words: the right characters, or what is wrong in words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from introspect import CorefCase
from introspect.errors import InputError, IntrospectError, MentionError, TextError
from introspect.text import joined_words
from tests.data.helpers import marked

FOX = [
    "The",
    "fox",
    "did",
    "n't",
    "cross",
    "the",
    "river",
    "because",
    "it",
    "was",
    "too",
    "wide",
    ".",
]


def test_words_and_spans_mark_the_right_characters():
    case = CorefCase.from_tokens(
        FOX, pronoun=(8, 9), antecedents=[(5, 7)], distractors=[(0, 2)], group="g", id="w1"
    )
    assert marked(case) == "[-The fox] did n't cross [+the river] because <it> was too wide ."
    assert (case.group, case.id) == ("g", "w1")
    assert [c.antecedent for c in case.candidates] == [True, False]


def test_spaces_give_the_text_as_it_was():
    spaces = [True, True, False, *[True] * 8, False, False]
    case = CorefCase.from_tokens(FOX, pronoun=(8, 9), antecedents=[(0, 2)], spaces=spaces)
    assert marked(case) == "[+The fox] didn't cross the river because <it> was too wide."
    chinese = ["狐狸", "没有", "过", "河", "，", "因为", "它", "太", "累", "了", "。"]
    case = CorefCase.from_tokens(
        chinese, pronoun=(6, 7), antecedents=(0, 1), distractors=(3, 4), spaces=False
    )
    assert marked(case) == "[+狐狸]没有过[-河]，因为<它>太累了。"


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (
            ["उसने", "राम", "को", "देखा", "क्योंकि", "वह", "थका", "था"],
            "उसने [+राम] को देखा क्योंकि <वह> थका था",
        ),
        (["Η", "γάτα", "κοιμάται", "επειδή", "αυτή", "κουράστηκε"], None),
    ],
)
def test_words_of_other_scripts(words, right):
    pronoun = (5, 6) if right else (4, 5)
    case = CorefCase.from_tokens(words, pronoun=pronoun, antecedents=[(1, 2)])
    assert marked(case) == (right or "Η [+γάτα] κοιμάται επειδή <αυτή> κουράστηκε")


def test_a_single_span_is_a_list_of_one_and_numbers_of_numpy_are_numbers():
    one = CorefCase.from_tokens(FOX, pronoun=(8, 9), antecedents=(5, 7), distractors=[[0, 2]])
    spans = np.array([[5, 7]])
    assert one == CorefCase.from_tokens(
        np.array(FOX), pronoun=np.array([8, 9]), antecedents=spans, distractors=np.array([0, 2])
    )


@pytest.mark.parametrize(
    ("pronoun", "said"),
    [
        ((8, 8), "half-open.*add 1"),
        ((8, 14), "end <= 13, the number of words"),
        ((-1, 2), "0 <= start"),
        ((9, 8), "0 <= start < end"),
        ("it", r"first word, word after the last.*'it'"),
        (8, "the word 8 alone"),
        ((8.0, 9.0), "first word"),
        ((False, True), "first word"),
        ((8, 9, 10), "first word"),
        (None, "None"),
    ],
)
def test_a_bad_span_is_refused_in_words(pronoun, said):
    with pytest.raises(MentionError, match=f"the pronoun.*{said}"):
        CorefCase.from_tokens(FOX, pronoun=pronoun, antecedents=[(0, 2)])


@pytest.mark.parametrize("spans", [[(0, 2), (3, 3)], ["fox"], [0], 5, "fox", [(0, 2, 3)], [None]])
def test_a_bad_candidate_is_refused_in_words(spans):
    with pytest.raises(MentionError, match="Expected the distractor as"):
        CorefCase.from_tokens(FOX, pronoun=(8, 9), antecedents=[(5, 7)], distractors=spans)


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        ("The fox", InputError, "from_words"),
        (None, InputError, "list of words"),
        (12, InputError, "list of words"),
        ([1, 2, 3], InputError, "each word as a string, got 1 as word 0"),
        (["a", b"b"], InputError, "as word 1"),
        ([], TextError, "empty"),
        (["a", "", "b"], TextError, "word 1 is"),
    ],
)
def test_bad_words_are_refused(words, error, said):
    with pytest.raises(error, match=said):
        CorefCase.from_tokens(words, pronoun=(0, 1), antecedents=[(1, 2)])


def test_flags_that_do_not_fit_the_words_are_refused():
    with pytest.raises(InputError, match="each of 13 words, got 2"):
        CorefCase.from_tokens(FOX, pronoun=(8, 9), antecedents=[(0, 2)], spaces=[True, False])


def test_no_candidate_and_one_that_overlaps_the_pronoun_are_refused():
    with pytest.raises(MentionError, match="at least one candidate"):
        CorefCase.from_tokens(FOX, pronoun=(8, 9))
    with pytest.raises(MentionError, match="overlaps the pronoun"):
        CorefCase.from_tokens(FOX, pronoun=(8, 9), antecedents=[(7, 9)])


@given(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=8), st.data())
def test_every_word_is_at_its_place(words, data):
    spaces = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    text, places = joined_words(words, spaces)
    assert [text[start:end] for start, end in places] == words
    assert len(text) == sum(map(len, words)) + sum(spaces[:-1])


@given(st.one_of(st.none(), st.integers(), st.text(), st.lists(st.integers(-2, 9)), st.floats()))
def test_whatever_is_given_as_span_is_marked_or_refused(span):
    try:
        case = CorefCase.from_tokens(["a", "b", "c"], pronoun=(2, 3), antecedents=span)
    except IntrospectError:
        return
    assert {c.span for c in case.candidates} <= {(0, 1), (2, 3), (0, 3)}
