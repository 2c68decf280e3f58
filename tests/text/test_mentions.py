"""Pronouns and candidates: found as whole words, or refused with the way out."""

from __future__ import annotations

import unicodedata
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from introspect.errors import MentionError, TextError
from introspect.records.tokens import assign_words
from introspect.text import Candidate, CorefCase, find_mention, occurrences, segment_words
from tests.synthetic import TEXT


def found(text: str, phrase: str) -> str:
    start, end = find_mention(text, phrase)
    return text[:start] + "[" + text[start:end] + "]" + text[end:]


# --- finding ----------------------------------------------------------------------------------


def test_a_word_is_found_as_a_whole_word():
    assert find_mention("It is a kit with it inside, a bit.", "it") == (17, 19)


@pytest.mark.parametrize(
    ("text", "phrase", "expected"),
    [
        ("The cat (it) sat.", "it", "The cat ([it]) sat."),
        ("“It,” she said.", "It", "“[It],” she said."),
        ("the animal's owner", "animal", "the [animal]'s owner"),
        ("the dogs' owner", "dogs", "the [dogs]' owner"),
        ("a well-known cat", "known", "a well-[known] cat"),
        ("the big old cat", "big old cat", "the [big old cat]"),
        ("Who? It!", "It!", "Who? [It!]"),
        ("C++ (it) is old", "C++", "[C++] (it) is old"),
        ("U.S. law", "U.S.", "[U.S.] law"),
        ("那只灰色的猫睡了", "猫", "那只灰色的[猫]睡了"),
        ("那只灰色的猫睡了", "灰色", "那只[灰色]的猫睡了"),
        ("用iPhone手机", "iPhone", "用[iPhone]手机"),
        ("שלום עולם", "עולם", "שלום [עולם]"),
        ("the naïve cat", "naïve", "the [naïve] cat"),
    ],
)
def test_neighbors_and_scripts(text, phrase, expected):
    # Beside a Chinese character the word of an alphabet ends.
    assert found(text, phrase) == expected


@pytest.mark.parametrize("phrase", ["anim", "nimal", "it_", "treet"])
def test_a_part_of_a_word_is_not_found(phrase):
    with pytest.raises(MentionError, match="it is not there"):
        find_mention(TEXT, phrase)


def test_a_word_that_is_not_there_names_its_role_and_the_text():
    with pytest.raises(MentionError, match="Expected the antecedent 'dog'.*The animal") as caught:
        find_mention(TEXT, "dog", role="antecedent")
    assert "Check the spelling" in str(caught.value)


def test_case_as_written_goes_first():
    assert find_mention("It rained, and it stopped.", "it") == (15, 17)
    assert find_mention("It rained, and it stopped.", "It") == (0, 2)


def test_case_is_ignored_only_where_nothing_is_as_written():
    assert find_mention("The ANIMAL slept.", "animal") == (4, 10)
    with pytest.raises(MentionError, match="the text has 2"):
        find_mention("IT rained, and It stopped.", "it")


@pytest.mark.parametrize("phrase", ["", " ", "\t"])
def test_an_empty_phrase_is_not_found(phrase):
    with pytest.raises(MentionError):
        find_mention(TEXT, phrase)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_is_a_text_error(text):
    with pytest.raises(TextError, match="empty"):
        find_mention(text, "it")


def test_signs_that_mean_something_in_patterns_are_taken_literally():
    assert found("a .* b", ".*") == "a [.*] b"
    with pytest.raises(MentionError):
        find_mention(TEXT, "a.*l")


# --- several places -------------------------------------------------------------------------------

THREE = "it saw that it was it"


def test_several_places_say_how_to_choose_one():
    with pytest.raises(MentionError, match="the text has 3.*from it#1 to it#3.*it#2"):
        find_mention(THREE, "it")


@pytest.mark.parametrize(("phrase", "span"), [("it#1", (0, 2)), ("it#2", (12, 14))])
def test_a_number_chooses_the_place(phrase, span):
    assert find_mention(THREE, phrase) == span


@pytest.mark.parametrize("phrase", ["it#0", "it#4", "it#99"])
def test_a_number_that_is_not_there_is_refused(phrase):
    with pytest.raises(MentionError, match=rf"it#1 to it#3.*got {phrase}"):
        find_mention(THREE, phrase)


def test_the_first_of_one_may_be_named():
    assert find_mention(TEXT, "it#1") == find_mention(TEXT, "it")


def test_numbers_count_only_the_words_as_written():
    assert find_mention("It was it and it.", "it#2") == (14, 16)


def test_a_hash_that_is_in_the_text_is_the_text():
    assert found("ticket it#2 it it", "it#2") == "ticket [it#2] it it"


# --- cases ----------------------------------------------------------------------------------------


def test_a_case_from_words():
    case = CorefCase.from_words(
        TEXT, pronoun="it", antecedent="animal", distractors=["street"], group="g", id="w1"
    )
    assert case.pronoun == (43, 45)
    assert case.candidates == (Candidate((4, 10), antecedent=True), Candidate((28, 34)))
    assert (case.group, case.id) == ("g", "w1")
    assert case.is_forced_choice
    assert [case.phrase(c.span) for c in case.antecedents] == ["animal"]
    assert [case.phrase(c.span) for c in case.distractors] == ["street"]


def test_one_distractor_may_be_given_without_a_list():
    case = CorefCase.from_words(TEXT, pronoun="it", antecedent="animal", distractors="street")
    assert len(case.distractors) == 1


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("pronoun", {"pronoun": "she", "antecedent": "animal"}),
        ("antecedent", {"pronoun": "it", "antecedent": "dog"}),
        ("distractor", {"pronoun": "it", "antecedent": "animal", "distractors": ["road"]}),
    ],
)
def test_the_word_that_is_missing_is_named_by_its_role(role, words):
    with pytest.raises(MentionError, match=f"Expected the {role}"):
        CorefCase.from_words(TEXT, **words)


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [([True, False], True), ([True], False), ([False], False), ([True, True], False)],
)
def test_a_forced_choice_has_a_right_and_a_wrong_answer(candidates, expected):
    spans = [(4, 10), (28, 34)]
    made = tuple(Candidate(s, antecedent=a) for s, a in zip(spans, candidates, strict=False))
    assert CorefCase(TEXT, (43, 45), made).is_forced_choice is expected


def test_a_case_without_candidates_is_refused():
    with pytest.raises(MentionError, match="at least one candidate"):
        CorefCase.from_words(TEXT, pronoun="it")


@pytest.mark.parametrize("span", [(-1, 2), (5, 5), (10, 4), (55, 999), (999, 1000)])
def test_a_span_outside_the_text_is_refused(span):
    with pytest.raises(MentionError, match="half-open character offsets"):
        CorefCase(TEXT, span, (Candidate((4, 10)),))
    with pytest.raises(MentionError, match="half-open character offsets"):
        CorefCase(TEXT, (43, 45), (Candidate(span),))


def test_a_span_of_spaces_is_refused():
    with pytest.raises(MentionError, match="holds only spaces"):
        CorefCase(TEXT, (3, 4), (Candidate((4, 10)),))


@pytest.mark.parametrize("span", [(43, 45), (40, 44), (44, 50), (0, len(TEXT))])
def test_a_candidate_over_the_pronoun_is_refused(span):
    with pytest.raises(MentionError, match="overlaps the pronoun"):
        CorefCase(TEXT, (43, 45), (Candidate(span),))


def test_a_candidate_beside_the_pronoun_is_fine():
    CorefCase("猫它狗", (1, 2), (Candidate((0, 1)), Candidate((2, 3))))


def test_candidates_may_overlap_each_other():
    text = "The animal's owner said it slept."
    case = CorefCase.from_words(
        text, pronoun="it", antecedent="animal's owner", distractors="animal"
    )
    assert len(case.candidates) == 2


def test_a_case_of_an_empty_text_is_refused():
    with pytest.raises(TextError):
        CorefCase(" ", (0, 1), (Candidate((0, 1)),))


def test_a_case_cannot_be_changed_and_shares_nothing():
    extra = {"source": "test"}
    case = CorefCase(TEXT, (43, 45), (Candidate((4, 10)),), extra=extra)
    extra["source"] = "changed"
    assert case.extra["source"] == "test"
    with pytest.raises(FrozenInstanceError):
        case.text = "other"
    with pytest.raises(TypeError):
        case.extra["more"] = 1


def test_spans_given_as_lists_become_spans():
    # JSON has no tuples.
    case = CorefCase(TEXT, [43, 45], [Candidate([4, 10], antecedent=True)])
    assert case.pronoun == (43, 45)
    assert case.candidates[0].span == (4, 10)


# --- properties -----------------------------------------------------------------------------------

words = st.sampled_from(["it", "It", "kit", "animal", "猫", "it's", "naïve", "a_b", "C++"])
sentences = st.lists(
    st.tuples(words, st.sampled_from([" ", ", ", " (", ") ", "—"])), min_size=1
).map(lambda pairs: "".join(word + gap for word, gap in pairs))


@given(sentences, words)
def test_what_is_found_is_what_was_asked_for_up_to_its_case(text, phrase):
    try:
        start, end = find_mention(text, phrase)
    except MentionError as error:
        if "the text has" in str(error):
            assert text.lower().count(phrase.lower()) > 1
        return
    assert text[start:end].lower() == phrase.lower()


@given(sentences, st.data())
def test_assign_words_never_divides_a_piece(text, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)) | {0, len(text)})
    offsets = list(zip(cuts, cuts[1:], strict=False))
    word_ids, spans = assign_words(text, offsets)
    for (start, end), word in zip(offsets, word_ids, strict=True):
        touched = [
            index for index, (first, last) in enumerate(spans) if start < last and first < end
        ]
        assert touched == ([] if word is None else [word])


@given(sentences, st.data())
def test_assign_words_keeps_every_word_of_the_text(text, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)) | {0, len(text)})
    _, spans = assign_words(text, list(zip(cuts, cuts[1:], strict=False)))
    for start, end in segment_words(text):
        assert sum(first <= start and end <= last for first, last in spans) == 1
    assert spans == sorted(spans)
    assert all(last <= first for (_, last), (first, _) in zip(spans, spans[1:], strict=False))


def test_words_that_no_piece_joins_stay_apart():
    assert assign_words("a b.", [(0, 1), (2, 3), (3, 4)]) == (
        [0, 1, 2],
        [(0, 1), (2, 3), (3, 4)],
    )


def test_a_piece_over_two_words_makes_one_of_them():
    assert assign_words("so (it).", [(0, 2), (3, 4), (4, 6), (6, 8)]) == (
        [0, 1, 2, 3],
        [(0, 2), (3, 4), (4, 6), (6, 8)],
    )


def test_a_mark_belongs_to_the_letter_before_it():
    text = "The cafe\u0301 is no cafe."
    assert find_mention(text, "cafe") == (16, 20)
    assert find_mention(text, "cafe\u0301") == (4, 9)
    with pytest.raises(MentionError):
        find_mention("हिन्दी में", "हिन्द")
    with pytest.raises(MentionError):
        find_mention("two cafe\u0301s", "cafe\u0301")


# --- mentions in many scripts -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "phrase", "places"),
    [
        # उस is the beginning of उसे, and a word of its own later.
        ("लड़के ने उसे देखा क्योंकि उस पर धूप थी", "उस", [(26, 28)]),
        ("लड़के ने उसे देखा क्योंकि उस पर धूप थी", "उसे", [(9, 12)]),
        ("কবি কবির কবিতা", "কবি", [(0, 3)]),
        ("அவன் அவனை அவ", "அவ", [(10, 12)]),
        ("می\u200cروم می روم", "می", [(7, 9)]),
        ("خانه\u200cها و خانه\u200c", "خانه", [(10, 14)]),
        ("هُوَ هُ هو", "ه", []),
        ("צה״ל צה", "צה", [(5, 7)]),
        ("Mary's cat saw Mary", "Mary", [(0, 4), (15, 19)]),
        ("l’homme", "homme", [(2, 7)]),
        ("👍🏽 👍", "👍", [(3, 4)]),
        ("🇩🇪🇫🇷", "🇪🇫", []),
        ("🇩🇪🇫🇷", "🇫🇷", [(2, 4)]),
        ("hy\u00adphen phen", "phen", [(8, 12)]),
        ("น้ำ น", "น", [(4, 5)]),
        ("他们和他", "他", [(0, 1), (3, 4)]),
        ("it_was it", "it", [(7, 9)]),
    ],
)
def test_a_mention_never_ends_inside_a_word(text, phrase, places):
    assert occurrences(text, phrase) == places


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("other", ["NFC", "NFD"])
def test_a_mention_is_found_however_its_marks_are_written(form, other):
    text = unicodedata.normalize(form, "Le café de José était là.")
    start, end = find_mention(text, unicodedata.normalize(other, "José"))
    assert unicodedata.normalize("NFC", text[start:end]) == "José"


def test_a_pronoun_of_hindi_is_not_marked_inside_another():
    case = CorefCase.from_words(
        "लड़के ने उसे देखा क्योंकि उस पर धूप थी", pronoun="उस#1", antecedent="लड़के", distractors=["धूप"]
    )
    assert case.phrase(case.pronoun) == "उस"
    assert case.pronoun == (26, 28)
