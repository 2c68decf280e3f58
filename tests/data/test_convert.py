"""A conversion writes two files, touches no other, and says what was left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from introspect.data import convert, reject_from_json, rejects_beside
from introspect.data.published import ClusterOptions
from introspect.errors import InputError, OutputError, SelectionError
from tests.data.helpers import written
from tests.data.published.helpers import sample

HEADING = "text,pronoun,antecedent,distractor\n"
GOOD = "The dog chased the cat because it was angry.,it,dog,cat\n"
BAD = "狗追猫。,她,狗,猫\n"
CLUSTERS = {"tokens": ["Ann", "saw", "her", ";", "it", "rained"], "clusters": [[[0, 0], [2, 2]]]}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_rejects_are_beside_the_cases_and_readable(tmp_path):
    table = written(tmp_path, "t.csv", HEADING + GOOD + BAD)
    mine = written(tmp_path, "rejects.jsonl", "mine\n")
    result = convert("csv", [table], tmp_path / "ok.jsonl")
    assert result.rejects_file == tmp_path / "ok.rejects.jsonl" == rejects_beside(tmp_path / "ok")
    (line,) = result.rejects_file.read_text(encoding="utf-8").splitlines()
    assert "狗追猫。,她,狗,猫" in line and "\\u" not in line
    assert reject_from_json(line).line == 3
    assert mine.read_text() == "mine\n"
    assert sorted(contents(tmp_path)) == ["ok.jsonl", "ok.rejects.jsonl", "rejects.jsonl", "t.csv"]


def test_without_rejects_only_an_earlier_file_of_them_goes(tmp_path):
    table = written(tmp_path, "t.csv", HEADING + GOOD + BAD)
    out = tmp_path / "ok.jsonl"
    convert("csv", [table], out)
    written(tmp_path, "rejects.jsonl", "mine\n")
    table.write_text(HEADING + GOOD, encoding="utf-8")
    result = convert("csv", [table], out)
    assert result.rejects_file is None
    assert sorted(contents(tmp_path)) == ["ok.jsonl", "rejects.jsonl", "t.csv"]


@pytest.mark.parametrize(
    "content",
    [
        "mine\n",
        '{"mine": 1}\n',
        "[1]\n",
        '{"source": "a", "line": 1, "reason": "b", "row": "c"}\nmine\n',
        '{"source": "a", "line": 1, "reason": "b", "row": "c", "kind": "d", "mine": 1}\n',
        b"\xff\xfe\x00",
    ],
)
@pytest.mark.parametrize("rows", [GOOD, GOOD + BAD])
def test_a_file_of_something_else_is_left_as_it_is(tmp_path, content, rows):
    table = written(tmp_path, "t.csv", HEADING + rows)
    written(tmp_path, "ok.rejects.jsonl", content)
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=r"'ok\.rejects\.jsonl', but that file holds something"):
        convert("csv", [table], tmp_path / "ok.jsonl")
    assert contents(tmp_path) == before


def test_an_empty_file_stays_and_a_folder_is_refused(tmp_path):
    table = written(tmp_path, "t.csv", HEADING + GOOD)
    written(tmp_path, "ok.rejects.jsonl", "")
    convert("csv", [table], tmp_path / "ok.jsonl")
    assert "ok.rejects.jsonl" in contents(tmp_path)
    (tmp_path / "no.rejects.jsonl").mkdir()
    with pytest.raises(OutputError, match="holds something else"):
        convert("csv", [table], tmp_path / "no.jsonl")


@pytest.mark.parametrize("out", ["t.csv", "x/../t.csv", "link.csv", "u.jsonl"])
def test_what_is_read_is_never_written(tmp_path, out):
    table = written(tmp_path, "t.csv", HEADING + GOOD)
    other = written(tmp_path, "u.rejects.jsonl", HEADING + GOOD)
    (tmp_path / "x").mkdir()
    (tmp_path / "link.csv").symlink_to(table)
    with pytest.raises(OutputError, match="one of them. Choose another name"):
        convert("csv", [table, other], tmp_path / out)
    assert table.read_text(encoding="utf-8") == HEADING + GOOD == other.read_text(encoding="utf-8")


def test_a_failure_leaves_everything_as_it_was(tmp_path):
    table = written(tmp_path, "t.csv", "this,that\n")
    written(tmp_path, "ok.jsonl", "old\n")
    before = contents(tmp_path)
    with pytest.raises(InputError):
        convert("csv", [table], tmp_path / "ok.jsonl")
    assert contents(tmp_path) == before


def test_the_summary_states_the_rule_and_what_was_left_out(tmp_path):
    path = written(tmp_path, "c.jsonl", json.dumps(CLUSTERS) + "\n{\n")
    result = convert("clusters", [path], tmp_path / "ok.jsonl", options=ClusterOptions(2))
    assert result.summary.startswith(
        "1 case, 1 outside forced choice; 1 row rejected (json: 1); 1 left out (no_cluster: 1). "
        "Each pronoun (by part of speech, or else the list for 'en') with the nearest earlier "
        "mentions in its sentence and the 1 before it"
    )
    # What is left out is no fault, and in no file of faults.
    assert result.tally.rejected == 1
    assert len(result.rejects_file.read_text(encoding="utf-8").splitlines()) == 1
    row = {"sentence": "Ann saw Bea as _ left.", "option1": "Ann", "option2": "Bea", "answer": "1"}
    path = written(tmp_path, "w.jsonl", json.dumps(row))
    result = convert("winogrande", [path], None, pronoun="she")
    assert "The blanks are filled with 'she'." in result.summary


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        ("gap", {"options": ClusterOptions()}),
        ("conll2012", {"offsets": "inclusive"}),
        ("clusters", {"pronoun": "it"}),
    ],
)
def test_an_option_of_another_kind_is_refused(tmp_path, kind, option):
    with pytest.raises(SelectionError, match=f"got them for '{kind}'. Leave them out"):
        convert(kind, [tmp_path / "x"], tmp_path / "ok.jsonl", **option)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "name", "command"),
    [
        ("clusters", "wsc.jsonl", "cases wsc "),
        ("wsc", "e2e.jsonl", "cases clusters "),
        ("conll2012", "corefud.conllu", "cases corefud "),
        ("jsonl", "clusters.json", "cases clusters "),
        ("csv", "dpr.txt", "cases dpr "),
    ],
)
def test_a_file_of_another_form_is_refused_with_its_command(tmp_path, kind, name, command):
    with pytest.raises(InputError, match=f"Convert it with: introspect {command}.*{name}"):
        convert(kind, [sample(name)], tmp_path / "ok.jsonl")
    assert not list(tmp_path.iterdir())


def test_winogrande_without_a_pronoun_is_refused_before_anything_is_written(tmp_path):
    path = written(tmp_path, "w.jsonl", json.dumps({"sentence": "_"}))
    with pytest.raises(SelectionError, match="--pronoun it"):
        convert("winogrande", [path], tmp_path / "ok.jsonl")
    assert sorted(contents(tmp_path)) == ["w.jsonl"]
