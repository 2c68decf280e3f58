"""WinoBias: as measured, by hand, and what is wrong in it."""

from __future__ import annotations

import re

import pytest

from introspect.data import (
    Tally,
    read_cases,
    read_winobias,
)
from introspect.errors import InputError
from tests.data.helpers import baseline, collection, groups_by_size, marked, split, written

BIAS = "pro_stereotyped_type1.txt.dev"


def bias(folder, text, name=BIAS, **options):
    options = options or {
        "occupations": ["nurse", "cook", "cook aide", "construction worker", "worker", "CEO"]
    }
    return split(read_winobias(written(folder, name, text), **options))


@pytest.mark.parametrize(
    ("name", "usable", "nearest", "first"),
    [
        ("pro_stereotyped_type1.txt.dev", 387, 50.6, 49.4),
        ("anti_stereotyped_type1.txt.dev", 387, 50.6, 49.4),
        ("pro_stereotyped_type2.txt.dev", 389, 100.0, 0.0),
        ("anti_stereotyped_type2.txt.dev", 389, 100.0, 0.0),
    ],
)
def test_winobias_as_measured(name, usable, nearest, first):
    path = collection("winobias", name)
    cases, rejects = split(read_winobias(path))
    assert (len(cases), len(cases) + len(rejects)) == (usable, 396)
    assert baseline(cases) == (nearest, first)
    assert max(groups_by_size(cases)) == 2
    lines = path.read_text().splitlines()
    for case in cases:
        number = int(case.id.rpartition("-")[2])
        assert case.text == re.sub(r"^\d+ |[\[\]]", "", lines[number - 1]).strip()
        bracketed = [case.phrase(c.span) for c in case.antecedents] + [case.phrase(case.pronoun)]
        assert sorted(bracketed) == sorted(re.findall(r"\[(.*?)\]", lines[number - 1]))


def test_winobias_versions_of_a_pair_are_one_group():
    names = [f"{s}_stereotyped_type{t}.txt.dev" for s in ("pro", "anti") for t in (1, 2)]
    paths = [collection("winobias", name) for name in names]
    tally = Tally()
    cases, _ = split(tally.watch(read_cases("winobias", paths)))
    assert (tally.cases, dict(tally.rejects)) == (1552, {"brackets": 30, "occupations": 2})
    assert max(groups_by_size(cases)) == 4
    words = {case.group: set() for case in cases}
    for case in cases:
        words[case.group] |= {case.phrase(c.span).lower() for c in case.candidates}
    # Two pairs of the collection are about three occupations, as its README counts.
    assert sum(len({w.removeprefix("the ") for w in found}) != 2 for found in words.values()) <= 2


def test_winobias_line(tmp_path):
    (case,), _ = bias(tmp_path, "3 [The nurse] fed the cook 's dog because [she] was kind .\n")
    assert marked(case) == "[+The nurse] fed [-the cook] 's dog because <she> was kind ."
    assert (case.id, case.group) == ("pro-type1-dev-3", "type1-dev-2")
    assert dict(case.extra) == {"stereotype": "pro", "type": 1, "split": "dev", "gender": "female"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # The distractor is made like the antecedent: with an article or without one.
        ("1 The [nurse] met a cook and [he] left", "The [+nurse] met a [-cook] and <he> left"),
        ("1 [The nurse] met a cook and [he] left", "[+The nurse] met [-a cook] and <he> left"),
        ("1 [A nurse] met Cook and [he] left", "[+A nurse] met [-Cook] and <he> left"),
        (
            "1 A worker met [the construction worker] and paid [him]",
            "[-A worker] met [+the construction worker] and paid <him>",
        ),
        (
            "1 The cook aide met [the cook] and [he] left",
            "[-The cook aide] met [+the cook] and <he> left",
        ),
        ("1 The cook met [the CEO] as [his] cook", "[-The cook] met [+the CEO] as <his> cook"),
        (
            "1 The cooking nurse met [the cook] and [she] left",
            "The cooking [-nurse] met [+the cook] and <she> left",
        ),
    ],
)
def test_winobias_finds_the_other_occupation(tmp_path, line, expected):
    (case,), _ = bias(tmp_path, line)
    assert marked(case) == expected


@pytest.mark.parametrize(
    ("line", "kind", "reason"),
    [
        ("1 [The nurse] told the cook that [he] lost [his] hat", "brackets", "got 2 and 1"),
        ("1 [The nurse] told [the cook] that [he] left", "brackets", "got 1 and 2"),
        ("1 [The nurse] told the cook", "brackets", "got 0 and 1"),
        ("1 [The [the nurse] told the cook that [he] left", "brackets", "in pairs"),
        ("1 [The nurse] told the cook that he] left", "brackets", "in pairs"),
        ("1 [] [The nurse] told the cook that [he] left", "brackets", "in pairs"),
        ("1 [The nurse] told the baker that [he] left", "occupations", "got none"),
        ("1 [The nurse] told the nurse that [he] left", "occupations", "got none"),
        ("1 [The nurse] told the cook and the CEO that [he] left", "occupations", "ceo, cook"),
        ("[The nurse] told the cook that [he] left", "number", "a number"),
        ("1", "number", "a number"),
        ("9" * 5000 + " [The nurse] told the cook that [he] left", "number", "a number"),
    ],
)
def test_winobias_defects_are_named(tmp_path, line, kind, reason):
    good = "2 The nurse met [the cook] and [she] left"
    (case,), (reject,) = bias(tmp_path, f"{line}\n{good}\n")
    assert (reject.line, reject.kind, reject.row[:50]) == (1, kind, line[:50])
    assert reason in reject.reason
    assert case.id.endswith("-2")


def test_winobias_needs_its_lists(tmp_path):
    line = "1 [The nurse] met the cook and [he] left"
    written(tmp_path, "male_occupations.txt", "cook\n")
    with pytest.raises(InputError, match=r"but female_occupations.txt are not there.*occupations"):
        bias(tmp_path, line, occupations=None)
    written(tmp_path, "female_occupations.txt", "nurse\n")
    (case,), _ = bias(tmp_path, line, occupations=None)
    assert len(case.candidates) == 2


def test_winobias_in_a_file_of_another_name(tmp_path):
    (case,), _ = bias(tmp_path, "1 [The nurse] met the cook and [he] left", "mine.txt")
    assert (case.id, case.group) == ("mine.txt-1", "mine.txt-1")
    assert dict(case.extra) == {"gender": "male"}
