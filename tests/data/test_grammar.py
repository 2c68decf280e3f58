"""Minimal pairs in two languages that the adjective decides, and the held-out pairs of nouns."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from introspect.data import grammar_cases
from introspect.data.own import ADJECTIVES, FRAMES, Item, is_held_out, nouns
from introspect.errors import SelectionError
from tests.data.helpers import baseline, marked

LANGUAGES = ("en", "zh")
OTHERS = {"en": "it", "zh": "它"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_is_one_thing(language):
    words = [noun.word(language) for kind in ADJECTIVES for noun in nouns(kind)]
    words += [pair[language == "zh"] for pairs in ADJECTIVES.values() for pair in pairs]
    words += {w for frame in FRAMES for w in frame.words(language) if not w.startswith("{")}
    assert [word for word, count in Counter(words).items() if count > 1] == []
    assert [len(nouns(kind)) for kind in ("animal", "place")] == [150, 150]


@pytest.mark.parametrize("language", LANGUAGES)
def test_cases_are_minimal_pairs_whose_adjective_decides(language):
    cases = grammar_cases(80, language, seed=3)
    assert len({case.id for case in cases}) == len({case.text for case in cases}) == 80
    groups = defaultdict(list)
    for case in cases:
        assert case.phrase(case.pronoun) == OTHERS[language]
        (right,) = case.antecedents
        assert case.phrase(right.span) == case.extra["answer"]
        words = {noun.word(language) for noun in nouns(case.extra["kind"])}
        assert case.extra["answer"] in words
        groups[case.group].append(case)
    assert len(groups) == 40
    for first, second in groups.values():
        assert first.text[: first.pronoun[1]] == second.text[: second.pronoun[1]]
        spans = [[(c.span, c.antecedent) for c in case.candidates] for case in (first, second)]
        assert spans[0] == [(span, not antecedent) for span, antecedent in spans[1]]
        for case in (first, second):
            # What is left of the sentence after the pronoun says which kind it is.
            rest = case.text[case.pronoun[1] :]
            fitting = [pair[language == "zh"] for pair in ADJECTIVES[case.extra["kind"]]]
            assert any(word in rest for word in fitting)


@pytest.mark.parametrize("language", LANGUAGES)
def test_position_says_nothing(language):
    assert baseline(grammar_cases(80, language)) == (50.0, 50.0)


def test_translations_stay_together():
    english, chinese = (grammar_cases(60, language, seed=5) for language in LANGUAGES)
    assert [case.group for case in english] == [case.group for case in chinese]
    pairs = {noun.english: noun.chinese for kind in ADJECTIVES for noun in nouns(kind)}
    for one, other in zip(english, chinese, strict=True):
        assert pairs[one.extra["answer"]] == other.extra["answer"]
    assert {case.id for case in english}.isdisjoint(case.id for case in chinese)


def test_sentences_as_they_are_written():
    animal, place = nouns("animal")[0], nouns("place")[0]
    tired, wide = (Item(FRAMES[0], animal, place, kind, 0) for kind in ADJECTIVES)
    assert marked(tired.case("en")) == (
        "The [+fox] did not cross the [-river] because <it> was too tired."
    )
    assert marked(wide.case("en")).endswith("[+river] because <it> was too wide.")
    assert marked(tired.case("zh")) == "[+狐狸]没有过[-河]因为<它>太累了。"
    assert marked(wide.case("zh")) == "[-狐狸]没有过[+河]因为<它>太宽了。"
    known = Item(FRAMES[4], nouns("animal")[1], nouns("place")[1], "animal", 0)
    assert known.case("en").text == "The animal didn't cross the street because it was too tired."
    stopped = Item(FRAMES[2], animal, place, "place", 2).case("en")
    assert marked(stopped) == "The [+river] stopped the [-fox] because <it> was too deep."


def test_pairs_of_nouns_are_either_held_out_or_not():
    held_out, known = (
        {case.group.split("-", 1)[1] for case in grammar_cases(400, held_out=flag)}
        for flag in (True, False)
    )
    assert held_out.isdisjoint(known)
    by_word = {noun.english: noun for kind in ADJECTIVES for noun in nouns(kind)}
    for pairs, flag in ((held_out, True), (known, False)):
        for pair in pairs:
            assert is_held_out(*(by_word[word] for word in pair.split("-"))) is flag


def test_few_nouns():
    cases = grammar_cases(24, num_nouns=4)
    first = {noun.english for kind in ADJECTIVES for noun in nouns(kind)[:4]}
    assert {case.extra["answer"] for case in cases} <= first


def test_the_same_seed_gives_the_same_cases():
    assert grammar_cases(20, seed=1) == grammar_cases(20, seed=1) != grammar_cases(20, seed=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 2, "language": "de"}, "en, zh, got 'de'"),
        ({"n": 3}, "even number"),
        ({"n": -2}, "even number"),
        ({"n": 10**6}, "even number of cases from 0 to 36000"),
        ({"n": 2, "num_nouns": 0}, "from 1 to 150"),
        ({"n": 2, "num_nouns": 151}, "from 1 to 150"),
    ],
)
def test_what_there_is_not_is_refused(arguments, message):
    with pytest.raises(SelectionError, match=message):
        grammar_cases(**arguments)
