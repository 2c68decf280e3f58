"""What is read: files, folders, globs, standard input; what it is called, and what it holds."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest

from introspect.data import (
    InputSet,
    find_inputs,
    fingerprint,
    read_jsonl,
    read_sentences,
)
from introspect.data.spools import spooled_stdin
from introspect.errors import InputError, IntrospectError
from tests.data.sentence_helpers import (
    as_jsonl,
    as_parquet,
    as_stdin,
    as_txt,
    packed,
    split,
    texts,
    written,
)

CASE = json.dumps(
    {
        "text": "A cat and it.",
        "pronoun": [10, 12],
        "candidates": [{"span": [2, 5], "antecedent": True}],
    }
)


def ids(inputs, **options):
    return [sentence.id for sentence in split(read_sentences(inputs, **options))[0]]


def output(code: str, stdin: str) -> str:
    """What a Python of its own prints."""
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=True)
    return result.stdout.strip()


# --- which files, and their names -------------------------------------------------------------


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    for name in ("b.txt", "a/z.txt.gz", "a/b.txt", "B.txt", ".hidden.txt", ".git/x.txt"):
        content = as_txt([name])
        written(tmp_path, name, packed(content, "gzip") if name.endswith("gz") else content)
    assert texts(read_sentences(tmp_path)) == ["B.txt", "a/b.txt", "a/z.txt.gz", "b.txt"]
    assert ids(tmp_path) == ["B.txt:1", "a/b.txt:1", "a/z.txt.gz:1", "b.txt:1"]


def test_ids_do_not_depend_on_where_the_folder_is(tmp_path, monkeypatch):
    for place in ("one", "two/three"):
        written(tmp_path, f"{place}/sub/a.txt", "x\n")
    expected = ["sub/a.txt:1"]
    monkeypatch.chdir(tmp_path / "one")
    for place in (tmp_path / "one", tmp_path / "two/three", "."):
        assert ids(place) == expected
    assert ids("*/a.txt") == ids("../one/*/a.txt") == ids(f"{tmp_path}/one/**/*.txt") == expected


def test_a_glob_finds_files_only_and_sorts_them(tmp_path):
    for name in ("b.txt", "a.txt", "c.txt/inner.txt", "d.csv"):
        written(tmp_path, name, "text\n")
    assert ids(f"{tmp_path}/*.txt") == ["a.txt:1", "b.txt:1"]
    assert ids(f"{tmp_path}/*.txt", format="jsonl") == []


def test_a_glob_takes_each_file_once(tmp_path):
    written(tmp_path, "a/b/c.txt", "x\n")
    assert ids(f"{tmp_path}/**/**/*.txt") == ["a/b/c.txt:1"]


def test_a_name_with_brackets_is_a_file_where_there_is_one(tmp_path):
    assert ids(written(tmp_path, "a[1].txt", "x\n")) == ["a[1].txt:1"]


def test_several_inputs_keep_their_order(tmp_path):
    second = written(tmp_path, "b.txt", "two\n")
    first = written(tmp_path, "c.jsonl", as_jsonl(["one"]))
    assert texts(read_sentences([first, str(second)])) == ["one", "two"]


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    files = [written(tmp_path, f"{place}/a.txt", "x\n") for place in ("p/q", "r/q", "s")]
    lone = written(tmp_path, "b.txt", "x\n")
    assert ids([*files, lone]) == ["p/q/a.txt:1", "r/q/a.txt:1", "s/a.txt:1", "b.txt:1"]


def test_folders_with_files_of_one_name_are_told_apart(tmp_path):
    folders = [written(tmp_path, f"{place}/x/a.txt", "x\n").parents[1] for place in ("p", "q")]
    assert ids(folders) == ["p/x/a.txt:1", "q/x/a.txt:1"]


def test_a_file_named_twice_is_refused(tmp_path):
    path = written(tmp_path, "a.txt", "x\n")
    with pytest.raises(InputError, match="each input once"):
        read_sentences([path, tmp_path])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.txt", "there is none"),
        ("*.txt", "there are none.*quotes"),
        ("x" * 300, "there is none"),
        ("", "there is none"),
        ("a.dat", r"\.txt, \.csv, \.tsv, \.jsonl, \.json, \.parquet.*format="),
        ("a.parquet.gz", "all but .parquet"),
        ("empty", "there are none"),
        ("pdfs", "got a PDF. Copy or export"),
    ],
)
def test_what_is_no_input_is_said_at_once(tmp_path, monkeypatch, name, message):
    for file in ("a.dat", "a.parquet.gz", "pdfs/a.pdf"):
        written(tmp_path, file, "x")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        read_sentences(name)


def test_no_input_and_no_such_format_are_refused(tmp_path):
    with pytest.raises(InputError, match="got nothing"):
        read_sentences([])
    with pytest.raises(InputError, match="'xml'"):
        read_sentences(tmp_path, format="xml")


def test_a_stray_file_of_a_folder_is_rejected_by_its_name(tmp_path):
    written(tmp_path, "README.md", "# Read me\n")
    written(tmp_path, "a.txt", "x\n")
    sentences, (reject,) = split(read_sentences(tmp_path))
    assert [s.id for s in sentences] == ["a.txt:1"]
    assert (reject.source, reject.line, reject.kind) == (str(tmp_path / "README.md"), 0, "ending")


# --- standard input ---------------------------------------------------------------------------

STREAMS = {
    "txt": as_txt(["one", "two"]),
    "jsonl": as_jsonl(["one", "two"]),
    "parquet": as_parquet(["one", "two"]),
    "gzip": packed(as_jsonl(["one", "two"]), "gzip"),
    "zstd": packed(as_txt(["one", "two"]), "zstd"),
}


@pytest.mark.parametrize("content", STREAMS.values(), ids=STREAMS)
def test_standard_input_is_told_by_how_it_begins(monkeypatch, content):
    as_stdin(monkeypatch, content)
    found = list(read_sentences("-"))
    assert [(s.text, s.id) for s in found] == [("one", "stdin:1"), ("two", "stdin:2")]
    assert not sys.stdin.closed


@pytest.mark.parametrize("content", STREAMS.values(), ids=STREAMS)
def test_standard_input_in_a_file_is_as_it_came(monkeypatch, content):
    as_stdin(monkeypatch, content)
    assert spooled_stdin().read_bytes() == content


def test_the_file_of_standard_input_goes_when_python_ends():
    code = "from introspect.data.spools import spooled_stdin; print(spooled_stdin())"
    path = output(code, "x\n")
    assert path.endswith("stdin")
    with pytest.raises(InputError, match="there is none"):
        read_sentences(path)


def test_a_pipe_is_read_line_by_line():
    code = (
        "from introspect.data import read_sentences\n"
        "print([(s.id, s.text) for s in read_sentences('-', format='csv')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        input="text\none\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[('stdin:2', 'one')]"


def test_standard_input_is_kept_for_a_second_reading(monkeypatch):
    as_stdin(monkeypatch, b"one\ntwo\n")
    inputs = InputSet("-")
    assert inputs.content == "sentences"
    for _ in range(2):
        assert [s.text for s in read_sentences("-")] == ["one", "two"]
    (print_,) = fingerprint(inputs.files)
    assert (print_["name"], print_["bytes"]) == ("stdin", 8)
    as_stdin(monkeypatch, b"three\n")
    assert [s.text for s in read_sentences("-")] == ["three"]


@pytest.mark.parametrize("act", [read_sentences, lambda _: spooled_stdin()])
def test_no_standard_input_is_an_error(monkeypatch, act):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="closed"):
        act("-")


def test_cases_are_read_compressed_and_from_standard_input(tmp_path, monkeypatch):
    content = as_txt([CASE])
    for codec, ending in (("gzip", ".gz"), ("zstd", ".zst")):
        (case,) = read_jsonl(written(tmp_path, f"a.jsonl{ending}", packed(content, codec)))
        assert case.text == "A cat and it."
    as_stdin(monkeypatch, content)
    (case,) = read_jsonl("-")
    assert case.text == "A cat and it."


# --- what they hold ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", CASE, "cases"),
        ("a.jsonl", "{broken\n[1]\n\n" + CASE, "cases"),
        ("a.jsonl", '{"text": "x", "pronoun": [0, 1]}\n' + CASE, "cases"),
        ("a.jsonl", "{broken\n", "cases"),
        ("a.jsonl", "", "cases"),
        ("a.txt", "It sat.", "sentences"),
        ("a.csv", "text\nx\n", "sentences"),
        ("a.conllu", "", "conllu"),
        ("A.CONLLU", "", "conllu"),
    ],
)
@pytest.mark.parametrize("codec", [None, "gzip", "zstd"])
def test_the_first_readable_row_says_what_a_file_holds(tmp_path, name, content, expected, codec):
    data = packed(content.encode(), codec) if codec else content
    ending = {None: "", "gzip": ".gz", "zstd": ".zst"}[codec]
    assert InputSet(written(tmp_path, name + ending, data)).content == expected


def test_kinds_are_not_mixed(tmp_path):
    written(tmp_path, "a.jsonl", CASE)
    written(tmp_path, "b.txt", "x\n")
    with pytest.raises(InputError, match=r"cases in .*a\.jsonl.* and sentences in .*b\.txt"):
        _ = InputSet(tmp_path).content
    written(tmp_path, "b.txt.conllu", "")
    (tmp_path / "b.txt").unlink()
    with pytest.raises(InputError, match=r"cases in .* and conllu in"):
        _ = InputSet(tmp_path).content


def test_a_folder_of_cases_may_have_a_stray_file(tmp_path):
    written(tmp_path, "README.md", "x")
    written(tmp_path, "a.jsonl", "{broken\n")
    written(tmp_path, "b.jsonl", CASE)
    assert InputSet(tmp_path).content == "cases"


# --- fingerprints -----------------------------------------------------------------------------


def test_a_fingerprint_is_of_the_bytes_as_they_lie_there(tmp_path):
    content = packed(b"x\n" * 1_000_000, "gzip")
    written(tmp_path, "b/a.txt.gz", content)
    written(tmp_path, "a.txt", "")
    assert fingerprint(find_inputs(tmp_path)) == [
        {"name": "a.txt", "bytes": 0, "sha256": hashlib.sha256(b"").hexdigest()},
        {
            "name": "b/a.txt.gz",
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        },
    ]


def test_a_fingerprint_changes_with_a_name_and_with_a_byte(tmp_path):
    path = written(tmp_path, "a.txt", "x\n")
    before = fingerprint(find_inputs(path))
    written(tmp_path, "a.txt", "y\n")
    assert fingerprint(find_inputs(path)) != before
    written(tmp_path, "a.txt", "x\n")
    assert fingerprint(find_inputs(path)) == before
    assert fingerprint(find_inputs(path.rename(tmp_path / "b.txt"))) != before


def test_every_error_is_of_the_package(tmp_path):
    path = written(tmp_path, "a.txt", "x\n")
    found = find_inputs(path)
    path.unlink()
    with pytest.raises(IntrospectError):
        fingerprint(find_inputs(path))
    assert found[0].format == "txt"
