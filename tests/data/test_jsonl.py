"""Cases as JSON: what is read is what was written, and what is wrong is named."""

from __future__ import annotations

import json
import re
import stat
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from introspect.data import case_from_json, case_to_json, read_jsonl, write_jsonl
from introspect.errors import InputError, OutputError, naming
from introspect.text import Candidate, CorefCase
from tests.data.helpers import marked, split, written

TEXT = "The animal didn't cross the street because it was too tired."
ROW = {
    "id": "w1",
    "text": TEXT,
    "pronoun": [43, 45],
    "candidates": [
        {"span": [4, 10], "antecedent": True},
        {"span": [28, 34], "antecedent": False},
    ],
    "group": "schema-1",
}


def line(**changes: object) -> str:
    return json.dumps({k: v for k, v in (ROW | changes).items() if v is not ...})


def candidate(span=(4, 10), antecedent=True, **more):
    return {"span": list(span), "antecedent": antecedent, **more}


def test_the_line_of_the_contract():
    case = case_from_json(line())
    assert marked(case).startswith("The [+animal] didn't cross the [-street] because <it> was")
    assert (case.id, case.group, dict(case.extra)) == ("w1", "schema-1", {})


def test_further_keys_are_kept():
    given = line(
        license="CC0-1.0",
        nested={"a": [1, 2.5, None]},
        candidates=[candidate(head="animal"), candidate((28, 34), False)],
    )
    case = case_from_json(given)
    assert case.extra["license"] == "CC0-1.0"
    assert case.extra["nested"] == {"a": [1, 2.5, None]}
    assert case.extra["candidates"] == [{"head": "animal"}, {}]
    assert json.loads(case_to_json(case)) == json.loads(given)


def test_id_and_group_may_be_missing():
    case = case_from_json(line(id=..., group=None))
    assert (case.id, case.group) == (None, None)
    assert case_from_json(case_to_json(case)) == case


@pytest.mark.parametrize(
    "candidates", [[candidate()], [candidate(antecedent=False)], [candidate(), candidate((28, 34))]]
)
def test_outside_forced_choice_is_still_a_case(candidates):
    assert not case_from_json(line(candidates=candidates)).is_forced_choice


@pytest.mark.parametrize(
    ("bad", "kind", "reason"),
    [
        ("{", "json", "Expected JSON"),
        ("x", "json", "Expected JSON"),
        ("[" * 100_000, "json", "at most 100 others"),
        ("9" * 5000, "json", "Expected JSON"),
        ("[1]", "type", "an object, {…}, got a list"),
        ("null", "type", "got null"),
        ("3", "type", "got a number"),
        (line(weight=float("nan")), "json", "no NaN"),
        (line(weight=float("-inf")), "json", "no -Infinity"),
        (line(weight=0).replace('"weight": 0', '"weight": 1e999'), "json", "can be kept"),
        (line().replace('"id": "w1"', '"id": "w1", "id": "w2"'), "json", "'id' several times"),
        (line(text=...), "missing_key", "text"),
        (line(pronoun=..., candidates=...), "missing_key", "pronoun, candidates"),
        (line(candidates=[{"span": [4, 10]}]), "missing_key", r"antecedent in candidates\[0\]"),
        (line(candidates=[]), "no_candidates", "at least one candidate"),
        (line(text=5), "type", "text as a string, got a number"),
        (line(text="  "), "text", "empty"),
        (line(id=5), "type", "id as a string"),
        (line(group=["a"]), "type", "group as a string, got a list"),
        (line(candidates="animal"), "type", "candidates as a list, got a string"),
        (line(candidates=[[4, 10]]), "type", r"candidates\[0\] as an object"),
        (line(candidates=[candidate(antecedent=1)]), "type", "true or false, got a number"),
        (line(candidates=[candidate(antecedent=None)]), "type", "got null"),
        (line(pronoun=[True, 2]), "type", "two whole numbers"),
        (line(pronoun=[43.0, 45]), "type", "two whole numbers"),
        (line(pronoun=["43", "45"]), "type", "two whole numbers"),
        (line(pronoun=[43]), "type", "two whole numbers"),
        (line(pronoun=None), "type", "got null"),
        (line(pronoun=[43, 999]), "span", "end <= 60"),
        (line(pronoun=[45, 43]), "span", r"got \(45, 43\)"),
        (line(pronoun=[43, 43]), "span", "pronoun"),
        (line(pronoun=[-3, -1]), "span", "pronoun"),
        (line(pronoun=[42, 43]), "span", "only spaces"),
        (line(candidates=[candidate((0, 61))]), "span", "candidate"),
        (line(candidates=[candidate((40, 44))]), "overlap", "overlaps the pronoun"),
        (line(candidates=[candidate(), candidate(antecedent=False)]), "same_span", "'animal'"),
        (
            line(text=TEXT.replace("animal", "anima\u0301"), candidates=[candidate((4, 9))]),
            "character",
            r"divides a character at 9: U\+0061 and U\+0301",
        ),
        (line(text="a\ud800b"), "character", "lone surrogate"),
        (line(more={"a": "\udc00"}), "character", "lone surrogate"),
        (line(text="a\0b").replace("\\u0000", "\0"), "nul", "NUL"),
    ],
)
def test_what_is_wrong_is_named_and_the_rest_goes_on(tmp_path, bad, kind, reason):
    path = written(tmp_path, "cases.jsonl", f"{line()}\n{bad}\n{line(id='w2')}\n")
    cases, (reject,) = split(read_jsonl(path))
    assert [case.id for case in cases] == ["w1", "w2"]
    assert (reject.source, reject.line, reject.kind) == (str(path), 2, kind)
    assert re.search(reason, reject.reason), reject.reason


def test_a_pair_of_escaped_halves_is_a_character():
    case = case_from_json(line(text=TEXT.replace("tired.", "😀")).replace("😀", "\\ud83d\\ude00"))
    assert case.text.endswith("😀")


def test_an_escaped_nul_is_a_character_like_others():
    case = case_from_json(line(text=TEXT.replace("tired", "ti\0ed")))
    assert case_from_json(case_to_json(case)) == case


# --- writing ----------------------------------------------------------------------------------


def a_case(**others) -> CorefCase:
    return CorefCase(TEXT, (43, 45), (Candidate((4, 10), antecedent=True),), **others)


def test_nothing_is_escaped_that_need_not_be():
    case = CorefCase.from_words("猫饿了,它叫。", pronoun="它", antecedent="猫")
    assert case_to_json(case) == (
        '{"text": "猫饿了,它叫。", "pronoun": [4, 5], '
        '"candidates": [{"span": [0, 1], "antecedent": true}]}'
    )


@pytest.mark.parametrize(
    "extra",
    [
        {"text": "x"},
        {"id": "x"},
        {"a": float("nan")},
        {"a": {1, 2}},
        {"a": "\ud800"},
        {"candidates": [{}, {}]},
        {"candidates": [{"span": 1}]},
        {"candidates": 5},
    ],
)
def test_what_json_cannot_say_is_refused(extra):
    with pytest.raises(InputError):
        case_to_json(a_case(extra=extra))


def test_a_file_is_written_and_read_back(tmp_path):
    cases = [a_case(id=f"w{i}", extra={"n": i}) for i in range(3)]
    path = write_jsonl(tmp_path / "cases.jsonl", iter(cases))
    assert list(read_jsonl(path)) == cases
    assert path.read_bytes().count(b"\n") == 3
    assert [file.name for file in tmp_path.iterdir()] == ["cases.jsonl"]
    ordinary = written(tmp_path, "ordinary", "")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def broken():
    yield a_case()
    raise InputError("the source fails")


def unwritable():
    yield a_case()
    yield a_case(extra={"a": {1}})


@pytest.mark.parametrize("cases", [broken, unwritable])
def test_a_failure_leaves_the_old_file(tmp_path, cases):
    path = written(tmp_path, "cases.jsonl", "old")
    with pytest.raises(InputError):
        write_jsonl(path, cases())
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["cases.jsonl"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutputError, match="does not exist"):
        write_jsonl(tmp_path / "no" / "cases.jsonl", [])


def test_a_file_read_while_it_is_written_stays_whole(tmp_path):
    path = write_jsonl(tmp_path / "cases.jsonl", [a_case(id="w1"), a_case(id="w2")])
    write_jsonl(path, read_jsonl(path))
    assert len(list(read_jsonl(path))) == 2


# --- properties -------------------------------------------------------------------------------

letters = st.characters(exclude_categories=("Cs", "M", "Sk", "Cf", "So"))
texts = st.text(letters, min_size=6).filter(lambda text: all(not c.isspace() for c in text[:6]))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(letters), inner, max_size=3)
    ),
    max_leaves=5,
)
keys = st.text(letters).filter(
    lambda key: key not in ("text", "pronoun", "candidates", "id", "group")
)


@given(
    text=texts,
    names=st.tuples(st.none() | st.text(letters), st.none() | st.text(letters)),
    antecedents=st.tuples(st.booleans(), st.booleans()),
    extra=st.dictionaries(keys, json_values, max_size=3),
)
def test_a_case_comes_back_as_it_was(text, names, antecedents, extra):
    first, second = (
        Candidate(s, antecedent=a) for s, a in zip([(0, 2), (4, 6)], antecedents, strict=True)
    )
    case = CorefCase(text, (2, 4), (first, second), group=names[0], id=names[1], extra=extra)
    line = case_to_json(case)
    assert "\n" not in line and "\r" not in line
    assert case_from_json(line) == case
    assert case_to_json(case_from_json(line)) == line


@given(st.text())
def test_no_text_does_more_than_be_rejected(text):
    with suppress(InputError):
        case_from_json(text)


def test_an_error_can_be_given_the_name_of_its_place():
    with pytest.raises(InputError, match="^Line 3: Expected JSON"), naming("Line 3"):
        case_from_json("{")
