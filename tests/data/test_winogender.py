"""Winogender: as measured, by hand, and what is wrong in it."""

from __future__ import annotations

import csv
from collections import Counter

import pytest

from introspect.data import (
    read_winogender,
)
from introspect.errors import InputError, SelectionError
from tests.data.helpers import baseline, collection, groups_by_size, marked, split, written

TEMPLATES = (
    "occupation(0)\tother-participant(1)\tanswer\tsentence\n"
    "baker\tguest\t0\tThe $OCCUPATION thanked the $PARTICIPANT because $NOM_PRONOUN was glad.\n"
    "baker\tguest\t1\tA $PARTICIPANT told the $OCCUPATION about $POSS_PRONOUN day.\n"
)


def test_winogender_templates_give_all_sentences():
    path = collection("winogender", "all_sentences.tsv")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    cases, rejects = split(read_winogender(collection("winogender", "templates.tsv")))
    assert (len(rows), len(cases), rejects) == (720, 720, [])
    assert [(f"{c.id}.txt", c.text) for c in cases] == [
        (row["sentid"], row["sentence"]) for row in rows
    ]
    assert split(read_winogender(path)) == (cases, [])


def test_winogender_as_measured():
    path = collection("winogender", "templates.tsv")
    cases, _ = split(read_winogender(path, genders=["neutral"], someone=False))
    assert (len(cases), baseline(cases)) == (120, (50.0, 50.0))
    assert groups_by_size(cases) == {2: 60}
    assert Counter(case.extra["answer"] for case in cases) == {"occupation": 60, "participant": 60}
    assert all(0 <= case.extra["percent_female"] <= 100 for case in cases)
    assert cases[0].extra["percent_female"] == 40.34


def test_winogender_mentions_are_the_words_of_the_template():
    for case in split(read_winogender(collection("winogender", "templates.tsv")))[0]:
        words = {case.phrase(c.span).lower() for c in case.candidates}
        extra = case.extra
        other = "someone" if extra["someone"] else extra["participant"]
        assert words == {extra["occupation"], other}
        (right,) = case.antecedents
        right_word = extra["occupation"] if extra["answer"] == "occupation" else other
        assert case.phrase(right.span).lower() == right_word
        forms = {"male": "he his him", "female": "she her", "neutral": "they their them"}
        assert case.phrase(case.pronoun) in forms[extra["gender"]].split()


def test_winogender_template_by_hand(tmp_path):
    cases, _ = split(read_winogender(written(tmp_path, "t.tsv", TEMPLATES)))
    assert [marked(case) for case in cases[2:6:3] + cases[6:7] + cases[9:10]] == [
        "The [+baker] thanked the [-guest] because <they> were glad.",
        "The [+baker] thanked [-someone] because <they> were glad.",
        "A [+guest] told the [-baker] about <his> day.",
        "[+Someone] told the [-baker] about <his> day.",
    ]
    assert (cases[0].id, cases[0].group) == ("baker.guest.0.male", "baker-guest")
    assert "percent_female" not in cases[0].extra


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("a\tb\t2\tThe $OCCUPATION and the $PARTICIPANT $NOM_PRONOUN", "type"),
        ("a\tb\t1\tThe $OCCUPATION and $NOM_PRONOUN", "template"),
        ("a\tb\t1\tThe $OCCUPATION and the $PARTICIPANT $PRONOUN", "template"),
        ("a\tb\t1\t$OCCUPATION $PARTICIPANT $NOM_PRONOUN $ACC_PRONOUN", "template"),
        ("a\tb\t1", "columns"),
    ],
)
def test_winogender_defects_are_named(tmp_path, row, kind):
    cases, (reject,) = split(read_winogender(written(tmp_path, "t.tsv", TEMPLATES + row)))
    assert (len(cases), reject.line, reject.kind) == (12, 4, kind)


def test_winogender_sentences_are_held_against_the_templates(tmp_path):
    text = (
        "sentid\tsentence\n"
        "baker.guest.1.male.txt\tA guest told the baker about his day.\n"
        "baker.guest.1.female.txt\tA guest told the baker about a day.\n"
        "baker.visitor.1.male.txt\tA visitor told the baker about his day.\n"
    )
    path = written(tmp_path, "all_sentences.tsv", text)
    with pytest.raises(InputError, match=r"Expected templates.tsv beside"):
        list(read_winogender(path))
    written(tmp_path, "templates.tsv", TEMPLATES)
    (case,), rejects = split(read_winogender(path))
    assert case.id == "baker.guest.1.male"
    assert [(reject.line, reject.kind) for reject in rejects] == [(3, "template"), (4, "template")]
    assert split(read_winogender(path, genders="neutral"))[0] == []


@pytest.mark.parametrize("genders", [[], "other", ["male", "x"]])
def test_winogender_has_three_genders(tmp_path, genders):
    with pytest.raises(SelectionError, match="male, female, neutral"):
        list(read_winogender(written(tmp_path, "t.tsv", TEMPLATES), genders=genders))


def test_winogender_statistics_that_are_none(tmp_path):
    written(tmp_path, "occupations-stats.tsv", "occupation\tbls_pct_female\nbaker\tmany\n")
    with pytest.raises(InputError, match="bls_pct_female.*many"):
        list(read_winogender(written(tmp_path, "t.tsv", TEMPLATES)))
