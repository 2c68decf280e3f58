"""``introspect probe`` as a person calls it: inputs, exit codes, Ctrl-C, and what it shows."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import pty
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pandas as pd
import pytest

import introspect as ix
from introspect import cli
from introspect.data import InputSet, write_jsonl
from introspect.progress import following
from introspect.runs import estimate
from introspect.runs.rows import count_rows
from introspect.runs.worker import WorkerOptions
from tests.runs import sets

pytestmark = pytest.mark.usefixtures("lean")

TEXTS = ["w1 w2 w3", "w4 w5", "w6 w7 w8 w9"]


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """A small model in a folder, as the command line takes it."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    sets.model().module.save_pretrained(folder)
    sets.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def introspect(saved_model, monkeypatch, capsys):
    """Run ``introspect probe`` in this process."""

    def run(*arguments: object):
        line = ["introspect", "probe", *map(str, arguments), "--model", str(saved_model)]
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        printed = capsys.readouterr()
        return SimpleNamespace(code=exit_.value.code, out=printed.out, err=printed.err)

    return run


def roles(folder) -> bytes:
    return (folder / "roles.csv").read_bytes()


@pytest.fixture(scope="module")
def expected(saved_model, tmp_path_factory, lean):
    folder = tmp_path_factory.mktemp("expected")
    path = sets.text_file(folder, TEXTS)
    ix.probe(str(saved_model), path, folder / "x")
    return roles(folder / "x")


def as_csv(folder):
    rows = ["n,line,other", *(f'{i},"{text}",x' for i, text in enumerate(TEXTS))]
    return [sets.text_file(folder, rows, "t.csv"), "--column", "line"]


def as_gzip(folder):
    path = folder / "t.jsonl.gz"
    lines = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(TEXTS))
    path.write_bytes(gzip.compress(lines.encode()))
    return [path]


def as_folder(folder):
    place = folder / "in"
    place.mkdir()
    sets.text_file(place, TEXTS[:2], "a.txt")
    sets.text_file(place, TEXTS[2:], "b.txt")
    return [place]


def as_glob(folder):
    as_folder(folder)
    return [folder / "in" / "*.txt"]


INPUTS = {
    "txt": lambda folder: [sets.text_file(folder, TEXTS)],
    "csv": as_csv,
    "jsonl.gz": as_gzip,
    "folder": as_folder,
    "glob": as_glob,
}


@pytest.mark.parametrize("kind", INPUTS)
def test_every_input_gives_the_same_table_and_ends_with_0(kind, introspect, expected, tmp_path):
    outcome = introspect(*INPUTS[kind](tmp_path), "--out", tmp_path / "x")
    assert outcome.code == 0, outcome.err
    assert roles(tmp_path / "x") == expected
    assert outcome.out.splitlines()[-1] == str(tmp_path / "x" / "report.html")


def test_standard_input_and_the_same_again(introspect, expected, tmp_path, monkeypatch):
    content = "".join(f"{text}\n" for text in TEXTS).encode()
    for _ in range(2):  # goes on: the copy of it has another place each time
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
        outcome = introspect("-", "--out", tmp_path / "x")
        assert outcome.code == 0, outcome.err
        assert roles(tmp_path / "x") == expected


def test_rejected_rows_end_with_3_and_are_named(introspect, expected, tmp_path):
    path = sets.text_file(tmp_path, [TEXTS[0], "", *TEXTS[1:], "w1 " * 50])
    outcome = introspect(path, "--out", tmp_path / "x")
    assert outcome.code == 3
    assert f"2 rows rejected, see {tmp_path / 'x' / 'rejects.jsonl'}" in outcome.err
    assert roles(tmp_path / "x") == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.txt"], "missing.txt"),
        (["--layers", "9"], "9"),
        (["--layers", "a-b"], "0-5 or 3,4"),
        (["--weights", "nonsense"], "raw, renormalized, norm"),
        (["--long", "cut"], "reject or window"),
        (["--engine", "spark"], "serial or ray"),
        (["--analyzer", "nothing"], "coreference, patterns, roles"),
        (["--analyzer", "coreference"], "cases with a pronoun"),
        (["--batch-size", "0"], "at least 1"),
        (["--threads", "0"], "at least 1 thread"),
        (["--save-attention", "int8"], "float32 or float16"),
        (["--segment", "other"], "jieba"),
        (["--format", "conllu", "--column", "text"], "1 row was rejected"),
    ],
)
def test_bad_arguments_end_with_2_and_one_line(arguments, message, introspect, tmp_path):
    given = sets.text_file(tmp_path, TEXTS)
    files = [] if arguments[0].endswith(".txt") else [given]
    outcome = introspect(*files, *arguments, "--out", tmp_path / "x")
    assert outcome.code == 2, outcome.err
    (line,) = [each for each in outcome.err.splitlines() if "error" in each]
    assert line.startswith("introspect: error: ") and message in line
    assert outcome.out == ""


def test_what_changed_is_refused_with_2_and_overwrite_starts_over(introspect, tmp_path):
    given, out = sets.text_file(tmp_path, TEXTS), tmp_path / "x"
    assert introspect(given, "--out", out).code == 0
    outcome = introspect(given, "--out", out, "--layers", "0-1")
    assert outcome.code == 2 and "layers: None → [0, 1]" in outcome.err
    assert introspect(given, "--out", out, "--layers", "0-1", "--overwrite").code == 0
    assert set(pd.read_csv(out / "roles.csv")["layer"]) == {0, 1}


def test_the_options_of_the_command_line_reach_the_probe(introspect, tmp_path):
    given = write_jsonl(tmp_path / "c.jsonl", sets.cases())
    options = "--weights renormalized --batch-size 5 --threads 1 --seed 3 --long window"
    cached = ["--cache", tmp_path / "c", "--cache-size", "0.5", "--save-attention", "float16"]
    outcome = introspect(given, *options.split(), *cached, "--out", tmp_path / "x")
    assert outcome.code == 0, outcome.err
    plan = json.loads((tmp_path / "x" / "run.json").read_text())["plan"]
    assert plan["weights"] == "renormalized" and plan["limits"]["texts"] == 5
    assert (plan["threads"], plan["long"], plan["saved"]) == (1, "window", "float16")
    assert plan["claims"]["seed"] == 3
    assert (tmp_path / "c").exists() and (tmp_path / "x" / "attention" / "index.jsonl").exists()


# Ctrl-C


def shards_done(out) -> int:
    manifest = out / "shards" / "manifest.jsonl"
    return manifest.read_bytes().count(b"\n") if manifest.exists() else 0


@pytest.mark.parametrize(
    ("stop", "code", "said", "done"),
    [
        ("Ctrl-C", 130, "Interrupted after 2 finished shards of 8 rows", 2),
        pytest.param("Ctrl-C twice", 130, "interrupted", 1, marks=pytest.mark.slow),
        pytest.param(
            "SIGTERM", 143, "terminated; what is finished is kept", 1, marks=pytest.mark.slow
        ),
    ],
    ids=["1", "2", "SIGTERM"],
)
def test_a_stopped_command_has_its_code_and_the_same_command_goes_on(
    stop, code, said, done, introspect, in_a_process, saved_model, tmp_path, monkeypatch
):
    given, out = sets.text_file(tmp_path, TEXTS * 12), tmp_path / "x"
    sets.divide_small(monkeypatch.setattr)
    arguments = [str(given), "--threads", "1", "--out"]
    process = ["probe", *arguments, str(out), "--model", str(saved_model)]
    assert in_a_process(stop, process, str(tmp_path / "said")) == code
    complaints = (tmp_path / "said.err").read_text(encoding="utf-8")
    last = complaints.strip().splitlines()[-1]
    assert last.startswith(f"introspect: error: {said}")
    assert ("Rerun the command to resume it" in last) == (stop == "Ctrl-C")
    assert (tmp_path / "said.out").read_bytes() == b"" and "Traceback" not in complaints
    assert shards_done(out) == done
    # What is half written is beside its place, under a name of its own.
    assert not [path for path in out.rglob("*") if path.suffix in (".part", ".tmp")]
    assert introspect(*arguments, out).code == 0
    assert introspect(*arguments, tmp_path / "uninterrupted").code == 0
    assert roles(out) == roles(tmp_path / "uninterrupted")
    assert shards_done(out) == 5


# What a person sees


def test_a_log_says_where_it_begins_and_ends(introspect, tmp_path):
    path = sets.text_file(tmp_path, [*TEXTS, ""])
    outcome = introspect(path, "--out", tmp_path / "x")
    lines = outcome.err.splitlines()
    read, *lines = lines
    assert read == ("introspect: reading plain sentences from texts.txt; first text: “w1 w2 w3”")
    assert lines[0] == "introspect: probing rows: 0 of 4"
    assert re.fullmatch(
        r"introspect: probing rows: 4 of 4 done in [\d.]+ s, [\d.,]+ a second, 1 rejected", lines[1]
    )
    assert lines[2] == "introspect: gathering results"
    assert re.fullmatch(r"introspect: gathering results: done in [\d.]+ s", lines[3])
    assert "\r" not in outcome.err and "\x1b" not in outcome.err


def everything_from(master):
    """What a terminal was sent until it closed: it hands that over in pieces, a little late."""
    pieces = []
    # Linux says "input/output error" once the other side is closed and all of it was read.
    with contextlib.suppress(OSError):
        while piece := os.read(master, 1 << 16):
            pieces.append(piece)
    return b"".join(pieces).decode()


def test_a_terminal_gets_a_bar(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    master, slave = pty.openpty()
    path = sets.text_file(tmp_path, [*TEXTS * 20, ""])
    with ThreadPoolExecutor(1) as pool:
        shown = pool.submit(everything_from, master)
        with os.fdopen(slave, "w") as terminal, following(True, terminal) as tell:
            ix.probe(sets.model(), path, tmp_path / "x", progress=tell, **sets.CALL)
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.result(timeout=60))
    os.close(master)
    assert "probing" in plain and "gathering" in plain
    assert re.search(r"61/61 +[\d,]+/s", plain), plain[-400:]
    assert "1 rejected" in plain
    assert re.search(r"\d:\d\d:\d\d", plain)


@pytest.mark.parametrize(
    ("content", "name", "count"),
    [
        ("a\nb\nc\n", "t.txt", 3),
        ("a\nb\nc", "t.txt", 3),
        ("text\na\nb\n", "t.csv", 2),
        ("sep=;\ntext;label\na;1\n", "t.csv", 1),
        ("It ran.,1\nIt sat.,0\n", "t.csv", 2),
        ('{"text": "a"}\n', "t.jsonl", 1),
        ("", "t.txt", 1),  # a file without a row is rejected as one
        ("text\n", "t.csv", 1),
    ],
)
def test_rows_are_counted_by_their_lines(content, name, count, tmp_path):
    path = tmp_path / name
    path.write_text(content)
    assert count_rows(InputSet(path)) == count


def test_rows_that_only_reading_would_tell_are_not_counted(tmp_path):
    packed = tmp_path / "t.txt.gz"
    packed.write_bytes(gzip.compress(b"a\nb\n"))
    assert count_rows(InputSet(packed)) is None


# Before anything is done


def test_an_estimate_counts_what_there_is_and_what_is_done(tmp_path):
    texts = ["w1 " * (1 + i % 5) for i in range(25)] + ["", "w2 " * 60, "w3 " * 60]
    path, out = sets.text_file(tmp_path, texts), tmp_path / "x"
    call = {"shard_rows": 8}
    found = estimate(sets.model(), path, out, **call)
    assert (found.rows, found.unreadable, found.done, found.shards) == (28, 1, 0, 4)
    # Of 27 readable rows, 2 are too long; the others have 1 to 5 words and two special tokens.
    assert found.rejected_share == 2 / 27
    assert found.longest == 7 and found.tokens_per_row == pytest.approx(3 + 2)
    assert found.batch_bytes == 4 * 64 * 4 * 7**2
    assert found.rows_per_second > 0
    assert found.seconds == pytest.approx(27 / found.rows_per_second)
    assert not out.exists()

    ix.probe(sets.model(), path, out, **sets.CALL)
    assert estimate(sets.model(), path, out, **call).done == 27
    manifest = out / "shards" / "manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(lines[:3]))
    assert estimate(sets.model(), path, out, **call).done == 24
    windowed = estimate(sets.model(), path, options=WorkerOptions(long="window"), **call)
    assert windowed.rejected_share == 0


@pytest.mark.parametrize(
    ("content", "name", "why"),
    [
        ("", "t.txt", "1 row was rejected. The first: The file has no row to read"),
        ("text\n", "t.csv", "The first: The file has no row to read"),
        ("\n\n", "t.txt", "2 rows were rejected. The first: line 1: Expected a text with words"),
        ('{"text": "It ran." "id": 1}\n', "t.jsonl", "line 1: Expected JSON, but at character 20"),
        ('{"text": "It ran."\n', "t.json", "line 1: Expected JSON, but at character 19"),
    ],
)
def test_an_input_without_a_readable_row_is_refused_alike_before_anything_is_written(
    content, name, why, introspect, tmp_path
):
    path = tmp_path / name
    path.write_text(content)
    run = introspect(path, "--out", tmp_path / "x")
    dry = introspect(path, "--out", tmp_path / "x", "--dry-run")
    assert run.code == dry.code == 2 and why in run.err
    assert run.err == dry.err and run.err.count("\n") == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == [name]


def test_an_input_that_the_model_reads_none_of_is_refused_alike(introspect, tmp_path):
    path = sets.text_file(tmp_path, ["", "w1 " * 600, "w2 " * 700])
    run = introspect(path, "--out", tmp_path / "x")
    dry = introspect(path, "--out", tmp_path / "y", "--dry-run")
    assert run.code == dry.code == 2
    said = "3 rows were rejected{}. The first: line 1: Expected a text with words"
    assert said.format(", see rejects.jsonl") in run.err and said.format("") in dry.err


def test_a_dry_run_does_nothing_and_says_how_much_there_is(introspect, tmp_path):
    outcome = introspect(sets.text_file(tmp_path, TEXTS), "--out", tmp_path / "x", "--dry-run")
    assert outcome.code == 0, outcome.err
    for part in ("3, of which 0 cannot be read", "Time left", "rows a second", "Done before"):
        assert part in outcome.out
    assert "reading plain sentences from texts.txt; first text: “" in outcome.err
    assert not (tmp_path / "x").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    outcome = introspect(tmp_path / "texts.txt", "--out", mine, "--dry-run")
    assert outcome.code == 2 and "notes.txt" in outcome.err


def test_more_rows_than_lines_are_never_more_than_all(introspect, tmp_path):
    sets.text_file(tmp_path, TEXTS, "a.txt")
    (tmp_path / "b.txt").write_text("")
    outcome = introspect(tmp_path / "a.txt", tmp_path / "b.txt", "--out", tmp_path / "x")
    assert outcome.code == 3 and "probing rows: 4 of 4 done" in outcome.err
