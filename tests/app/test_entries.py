"""From forms to entries and cases, without a screen."""

from __future__ import annotations

import pytest

from introspect.app.entries import (
    EXAMPLES,
    MODELS,
    case_from_words,
    example_of,
    example_words,
    is_example,
    spans_of,
    words_of,
)
from introspect.errors import MentionError
from introspect.text import CorefCase, find_mention

TEXT = "The animal didn't cross the street because it was too tired."


def labels(text: str) -> dict[str, object]:
    return {word.label: word for word in words_of(text)}


def test_words_are_called_as_find_mention_takes_them():
    text = "The old dog saw the dog; the dog, it barked at <it>!"
    for word in words_of(text):
        assert find_mention(text, word.label) == word.span
    assert [w.label for w in words_of(text) if "dog" in w.label] == ["dog#1", "dog#2", "dog#3"]
    assert not {";", ",", "<", ">", "!"} & {w.label for w in words_of(text)}


def test_the_marked_case_is_the_one_that_words_give():
    words = labels(TEXT)
    case = case_from_words(TEXT, words["it"], [words["animal"]], [words["street"]])
    assert case == CorefCase.from_words(
        TEXT, pronoun="it", antecedent="animal", distractors=["street"]
    )


def test_neighboring_words_are_one_candidate_and_others_are_not():
    text = "The old dog, cat and fox saw it."
    words = labels(text)
    chosen = [words[name] for name in ("dog", "cat", "fox", "old")]
    # A comma or a word stands between the others.
    assert [text[s:e] for s, e in spans_of(chosen, text)] == ["old dog", "cat", "fox"]
    chinese = "狐狸没有过河因为它太累了"
    first, second = words_of(chinese)[:2]
    assert [chinese[s:e] for s, e in spans_of([first, second], chinese)] == ["狐狸"]


@pytest.mark.parametrize(
    ("pronoun", "gold", "other", "said"),
    [
        (None, ["animal"], [], "Expected a pronoun and at least one candidate"),
        ("it", [], [], "at least one candidate"),
        ("it", ["animal"], ["animal"], "'animal' as both"),
        ("it", ["it"], [], "overlaps the pronoun"),
    ],
)
def test_what_is_no_case_is_refused(pronoun, gold, other, said):
    words = labels(TEXT)
    with pytest.raises(MentionError, match=said):
        case_from_words(
            TEXT,
            None if pronoun is None else words[pronoun],
            [words[name] for name in gold],
            [words[name] for name in other],
        )


def test_every_model_that_is_offered_has_an_example_that_marks_its_own_words():
    assert set(MODELS) == set(EXAMPLES)
    assert example_of("somebody/else") == EXAMPLES["minilm"]
    for example in EXAMPLES.values():
        assert is_example(example.text) and not is_example(example.text + "!")
        assert example.other_text != example.text
    for name in ("minilm", "pronoun", "pronoun-gated"):
        example = EXAMPLES[name]
        for text, gold in ((example.text, 1), (example.other_text, 2)):
            marked = example_words(example, text)
            words = words_of(text)
            assert [words[i].label for i in marked[0]] == ["it"]
            assert [words[i].label for i in marked[gold]] == [example.antecedent]
            assert [words[i].label for i in marked[3 - gold]] == [example.distractor]
        assert example_words(example, "Something else with it.") == ([], [], [])
    assert example_words(EXAMPLES["induction"], EXAMPLES["induction"].text) == ([], [], [])
