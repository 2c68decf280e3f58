"""The project's own cases: minimal pairs whose one difference changes the antecedent."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from importlib.resources import files

import pytest

from introspect.data import Reject, case_to_json, own_cases, own_texts, read_jsonl
from introspect.errors import SelectionError
from tests.data.helpers import baseline, marked

PRONOUNS = {"en": {"it", "she", "he", "they"}, "zh": {"它", "他", "她"}}


@pytest.fixture(params=["en", "zh"])
def language(request) -> str:
    return request.param


def test_there_are_enough(language):
    assert len(own_cases(language)) >= {"en": 24, "zh": 40}[language]
    assert own_cases() == own_cases("en")


def test_cases_are_sound(language):
    cases = own_cases(language)
    assert len({case.id for case in cases}) == len({case.text for case in cases}) == len(cases)
    for case in cases:
        assert case.is_forced_choice and len(case.candidates) == 2
        assert case.phrase(case.pronoun) in PRONOUNS[language]
        assert dict(case.extra) == {"license": "CC0-1.0", "lang": language}
        first, second = (case.phrase(candidate.span) for candidate in case.candidates)
        assert case.text.count(first) == case.text.count(second) == 1


def test_minimal_pairs_differ_in_one_stretch_after_the_pronoun_and_in_the_antecedent(language):
    groups = defaultdict(list)
    for case in own_cases(language):
        groups[case.group].append(case)
    for first, second in groups.values():
        end = first.pronoun[1]
        assert first.pronoun == second.pronoun
        assert first.text[:end] == second.text[:end]
        assert first.text != second.text
        spans = [[(c.span, c.antecedent) for c in case.candidates] for case in (first, second)]
        assert spans[0] == [(span, not antecedent) for span, antecedent in spans[1]]


def test_position_says_nothing(language):
    assert baseline(own_cases(language)) == (50.0, 50.0)


def test_the_files_are_as_we_write_them(language):
    path = files("introspect.data") / f"own_{language}.jsonl"
    assert not any(isinstance(outcome, Reject) for outcome in read_jsonl(path))
    lines = [case_to_json(case) for case in own_cases(language)]
    assert path.read_text("utf-8") == "\n".join(lines) + "\n"


def test_the_first_of_each():
    assert marked(own_cases("en")[0]) == (
        "The [+horse] refused to jump the [-ditch] because <it> was too nervous."
    )
    assert marked(own_cases("zh")[1]) == "那匹[-马]不肯跳过[+水沟]\uff0c因为<它>太宽了。"


def test_another_language_is_refused():
    with pytest.raises(SelectionError, match="en, zh, got 'de'"):
        own_cases("de")


def test_texts_are_sentences_of_prose_and_stay_as_they_were():
    texts = own_texts()
    assert len(texts) == len(set(texts))
    for text in texts:
        assert 6 <= len(text.split()) <= 40
        assert text[0].isupper()
        assert text.endswith(".")
        assert not set("`|#<>{}[]\\$").intersection(text)
    # The kept outputs of notebook 08 are of these very texts: pages may change, these may not.
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    assert digest == "6b2144069a8ae6830b0d79730a332e69823d65ef55a9ebb0384de3cf4d768687"
