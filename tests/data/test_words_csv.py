"""Tables of words, as people write them."""

from __future__ import annotations

import pytest

from introspect.data import (
    read_words_csv,
)
from tests.data.helpers import marked, split, written


def words(folder, text, name="my.csv"):
    return split(read_words_csv(written(folder, name, text)))


def test_a_table_of_words(tmp_path):
    text = (
        "id,text,pronoun,antecedent,distractor,distractor_2,group,lang\n"
        'w1,"Yes, it hit the cat, the dog and it slept.",it#2,cat,dog,,g,en\n'
        '\n,"The cat, the dog and a cow saw it.",it,cat,dog | a cow,,,en\n'
        ",The cat and the dog saw it.,it,cat,,dog,,\n"
    )
    cases, rejects = words(tmp_path, text)
    assert rejects == []
    assert [marked(case) for case in cases] == [
        "Yes, it hit the [+cat], the [-dog] and <it> slept.",
        "The [+cat], the [-dog] and [-a cow] saw <it>.",
        "The [+cat] and the [-dog] saw <it>.",
    ]
    assert [(case.id, case.group) for case in cases] == [
        ("w1", "g"),
        ("my-4", None),
        ("my-5", None),
    ]
    assert [dict(case.extra) for case in cases] == [{"lang": "en"}, {"lang": "en"}, {"lang": ""}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_tables_as_spreadsheets_write_them(tmp_path, delimiter, start):
    rows = [
        ["text", "pronoun", "antecedent", "distractor"],
        ["A cat; a dog, it.", "it", "cat", "dog"],
    ]
    text = start + "\r\n".join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    (case,), _ = words(tmp_path, text)
    assert marked(case) == "A [+cat]; a [-dog], <it>."


@pytest.mark.parametrize(
    ("line", "kind", "reason"),
    [
        ("A cat saw it.,she,cat,", "mention", "Expected the pronoun 'she'"),
        ("It saw it and a cat.,it#3,cat,", "mention", "it#1 to it#"),
        (f"A cat saw it.,it#{'9' * 5000},cat,", "mention", "Expected a pronoun"),
        ("A cat saw it.,it,cat,dog", "mention", "Expected the distractor 'dog'"),
        ("A cat saw a cat and it.,it,cat,", "mention", "cat#2"),
        ("A cat saw it.,it,it,cat", "overlap", "overlaps"),
        ("A cat saw it.,it,cat,cat", "same_span", "'cat'"),
        ("A cat saw it.,it,,", "no_candidates", "an antecedent or a distractor"),
        ("A cat saw it.,it,, | ", "no_candidates", "an antecedent or a distractor"),
        (" ,it,cat,", "mention", "empty"),
        ("A cat saw it.,it,cat", "columns", "Expected 4 columns, got 3"),
        ("A cat, it.,it,cat,", "columns", "Expected 4 columns, got 5"),
    ],
)
def test_defects_of_a_table_of_words_are_named(tmp_path, line, kind, reason):
    text = f"text,pronoun,antecedent,distractor\n{line}\nA cat and it.,it,cat,\n"
    (case,), (reject,) = words(tmp_path, text)
    assert (case.id, reject.line, reject.kind) == ("my-3", 2, kind)
    assert reason in reject.reason


def test_only_wrong_candidates_are_a_case_outside_forced_choice(tmp_path):
    (case,), _ = words(tmp_path, "text,pronoun,antecedent,distractor\nA cat saw it.,it,,cat\n")
    assert not case.is_forced_choice
