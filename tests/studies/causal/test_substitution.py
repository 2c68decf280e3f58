"""Sentences with a candidate in the pronoun's place."""

from __future__ import annotations

import pytest

from introspect.studies.causal.metrics import substituted
from introspect.text import CorefCase

CASES = [
    (
        "The animal didn't cross the street because it was too tired.", "it", "street",
        "The animal didn't cross the street because the street was too tired.",
    ),
    ("Ann met Bob. He smiled.", "He", "Bob", "Ann met Bob. Bob smiled."),
    ("A cat saw a dog. It ran.", "It", "dog", "A cat saw a dog. A dog ran."),
    ("Bob lost his hat.", "his", "Bob", "Bob lost Bob's hat."),
    ("Ann lost her hat.", "her", "Ann", "Ann lost Ann's hat."),
    ("Ann called and we saw her and left.", "her", "Ann", "Ann called and we saw Ann and left."),
    ("Ann called. We saw her.", "her", "Ann", "Ann called. We saw Ann."),
    ("狐狸没有过河因为它太累了。", "它", "狐狸", "狐狸没有过河因为狐狸太累了。"),
    ("My dog bit the man who kicked it.", "it", "dog", "My dog bit the man who kicked my dog."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "pronoun", "candidate", "expected"), CASES)
def test_the_candidate_stands_where_the_pronoun_stood(text, pronoun, candidate, expected):
    case = CorefCase.from_words(text, pronoun=pronoun, antecedent=candidate)
    found, span = substituted(case, case.candidates[0])
    assert found == expected
    assert found[slice(*span)].lower() == candidate.lower()
    assert span[0] >= case.pronoun[0]
