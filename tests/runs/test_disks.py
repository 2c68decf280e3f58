"""What a disk does to a probe: it fills up, loses files, or may not be written to."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import introspect as ix
from introspect.errors import OutputError
from introspect.io import check_folder, files
from introspect.runs import outcome, store
from introspect.runs import shard as running
from introspect.runs import tables as gathering
from introspect.studies.registry import ANALYZERS
from tests.runs import sets
from tests.runs.sets import CALL, tables

pytestmark = pytest.mark.usefixtures("lean")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    return sets.case_file(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def whole(given, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "x"
    ix.probe(sets.model(), given, out, **CALL)
    return tables(out)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "x"


def refusing(code: int, replaced, *, time: int = 1):
    """The same function, which fails the so-manieth time."""
    calls = 0

    def failing(*arguments, **named):
        nonlocal calls
        calls += 1
        if calls == time:
            raise OSError(code, os.strerror(code))
        return replaced(*arguments, **named)

    return failing


class Full:
    """A file that takes half of what is written, and then says that the disk is full."""

    def __init__(self, stream):
        self._stream = stream

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stream.close()

    def write(self, content):
        self._stream.write(content[: len(content) // 2])
        self._stream.flush()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name):
        return getattr(self._stream, name)


def halves(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


def check_goes_on(given, out, whole, monkeypatch, *, runs: int) -> None:
    """Nothing is left half-written, and the same call ends as if nothing had happened."""
    assert halves(out) == []
    assert not (out / ".lock").exists()
    numbers = []
    run = running.run_shard
    with monkeypatch.context() as patched:
        patched.setattr(
            running, "run_shard", lambda s, p: (numbers.append(p.shard.index), run(s, p))[1]
        )
        ix.probe(sets.model(), given, out, **CALL)
    assert len(numbers) == runs
    assert tables(out) == whole


def test_a_full_disk_in_the_middle_of_a_shard(given, out, whole, monkeypatch):
    opened, calls = os.fdopen, []

    def filling(*arguments, **named):
        calls.append(1)
        stream = opened(*arguments, **named)
        return Full(stream) if len(calls) == 4 else stream  # the plan, two shards, and this

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fdopen", filling)
        with pytest.raises(OutputError, match=r"000002-.*No space left on device"):
            ix.probe(sets.model(), given, out, **CALL)
    assert len(list((out / "shards").glob("*.safetensors"))) == 2
    check_goes_on(given, out, whole, monkeypatch, runs=3)


def test_a_full_disk_in_a_line_of_the_manifest(given, out, whole, monkeypatch):
    opened, calls = Path.open, []

    def filling(self, mode="r", *arguments, **named):
        stream = opened(self, mode, *arguments, **named)
        if self.name == "manifest.jsonl" and mode == "ab":
            calls.append(1)
            return Full(stream) if len(calls) == 2 else stream
        return stream

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", filling)
        with pytest.raises(OutputError, match=r"manifest.*No space left.*same command"):
            ix.probe(sets.model(), given, out, **CALL)
    assert not (out / "shards" / "manifest.jsonl").read_bytes().endswith(b"\n")
    check_goes_on(given, out, whole, monkeypatch, runs=4)


@pytest.mark.parametrize(
    ("owner", "name", "time", "file"),
    [
        (gathering.pq.ParquetWriter, "write_table", 2, "cases.parquet"),
        (gathering.pq.ParquetWriter, "close", 1, "cases.parquet"),
        (outcome.pd.DataFrame, "to_parquet", 1, "heads.parquet"),
        (files.os, "fdopen", 7, "heads.csv"),
    ],
)
def test_a_full_disk_while_tables_are_written(
    owner, name, time, file, given, out, whole, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, refusing(errno.ENOSPC, getattr(owner, name), time=time))
        with pytest.raises(OutputError, match=rf"{file}.*No space left on device"):
            ix.probe(sets.model(), given, out, **CALL)
    assert not (out / file).exists()
    check_goes_on(given, out, whole, monkeypatch, runs=0)


def test_a_full_disk_leaves_the_tables_that_were_there(given, out, whole, monkeypatch):
    ix.probe(sets.model(), given, out, **CALL)
    with monkeypatch.context() as patched:
        write = gathering.pq.ParquetWriter.write_table
        patched.setattr(
            gathering.pq.ParquetWriter, "write_table", refusing(errno.ENOSPC, write, time=3)
        )
        with pytest.raises(OutputError):
            ix.probe(sets.model(), given, out, **CALL)
    assert tables(out) == whole


# Damage


def shard_files(out: Path) -> list[Path]:
    return sorted((out / "shards").glob("*.safetensors"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
def test_a_damaged_or_missing_shard_runs_again(damage, given, out, whole, monkeypatch):
    ix.probe(sets.model(), given, out, **CALL)
    damage(shard_files(out)[1])
    damage(shard_files(out)[-1])
    check_goes_on(given, out, whole, monkeypatch, runs=2)
    assert len(shard_files(out)) == 5


def test_damage_found_while_gathering_says_what_to_do(given, out, whole, monkeypatch):
    ix.probe(sets.model(), given, out, **CALL)
    flip(shard_files(out)[1])
    with monkeypatch.context() as patched:
        patched.setattr(store.ShardStore, "_is_whole", lambda *_: True)
        with pytest.raises(OutputError, match=r"000001-.*its digest.*Run the same command again"):
            ix.probe(sets.model(), given, out, **CALL)
    check_goes_on(given, out, whole, monkeypatch, runs=1)


@pytest.mark.parametrize(
    "tail",
    [b"", b'\n\xff\xfe{\n[1, 2]\n"x"\nnull\n7\n{}\n' + b"\0" * 64],
    ids=["cut", "and more after it"],
)
def test_a_torn_line_of_the_manifest_costs_its_shard(tail, given, out, whole, monkeypatch):
    ix.probe(sets.model(), given, out, **CALL)
    manifest = out / "shards" / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    assert len(lines) == 5
    manifest.write_bytes(b"".join(lines[:-1]) + lines[-1][:40] + tail)
    check_goes_on(given, out, whole, monkeypatch, runs=1)
    # And the line that was written after it is not lost with it.
    check_goes_on(given, out, whole, monkeypatch, runs=0)


def test_a_shard_of_another_content_is_not_taken(given, out, whole, monkeypatch):
    """The manifest of one probe beside the plan of another, as a careless copy makes it."""
    ix.probe(sets.model(), given, out, **CALL)
    manifest = out / "shards" / "manifest.jsonl"
    entries = [json.loads(line) for line in manifest.read_text().splitlines()]
    entries[2]["content"] = "0" * 64
    shard_files(out)[2].rename(out / "shards" / f"000002-{'0' * 12}.safetensors")
    manifest.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    check_goes_on(given, out, whole, monkeypatch, runs=1)
    assert len(shard_files(out)) == 5


# A folder that may not be written to. Tests may run as root, whom no permission stops.


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_folder_that_was_never_writable(code, given, out, monkeypatch):
    out.mkdir()
    opened = os.open

    def refused(path, flags, *arguments, **named):
        if flags & os.O_CREAT and str(path).startswith(str(out)):
            raise OSError(code, os.strerror(code))
        return opened(path, flags, *arguments, **named)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(OutputError, match=rf"{os.strerror(code)}.*Name a place you may write to"):
        ix.probe(sets.model(), given, out, **CALL)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("shard", [0, 2])
def test_a_folder_that_becomes_read_only(code, shard, given, out, whole, monkeypatch):
    """As a disk does that has shown an error: nothing can be made, renamed or removed on it."""
    run = running.run_shard

    def lost(self, prepared):
        if prepared.shard.index == shard:
            for name in ("open", "unlink", "rename", "replace", "mkdir", "remove"):
                patched.setattr(os, name, refused_below(getattr(os, name), code, out))
            patched.setattr("pathlib.io.open", refused_below(open, code, out))
        return run(self, prepared)

    with monkeypatch.context() as patched:
        patched.setattr(running, "run_shard", lost)
        with pytest.raises(OutputError, match=os.strerror(code)):
            ix.probe(sets.model(), given, out, **CALL)
    (out / ".lock").unlink(missing_ok=True)  # could not be removed, and keeps nobody out
    check_goes_on(given, out, whole, monkeypatch, runs=5 - shard)


def refused_below(replaced, code: int, folder: Path):
    def refusing(path, *arguments, **named):
        is_reading = replaced is os.open and arguments[0] & 3 == os.O_RDONLY
        is_reading |= replaced is open and "r" in (*arguments, "r")[0]
        if str(path).startswith(str(folder)) and not is_reading:
            raise OSError(code, os.strerror(code))
        return replaced(path, *arguments, **named)

    return refusing


def test_a_lock_that_could_not_be_removed_keeps_nobody_out(given, out, whole):
    out.mkdir()
    (out / ".lock").touch()
    ix.probe(sets.model(), given, out, **CALL)
    assert tables(out) == whole


# What is not a probe's


@pytest.mark.parametrize("overwrite", [False, True])
def test_foreign_files_are_never_touched(overwrite, given, out, whole):
    ix.probe(sets.model(), given, out, **CALL)
    mine = out / "notes.txt"
    mine.write_text("mine")
    with pytest.raises(OutputError, match=r"holds 'notes\.txt'"):
        ix.probe(sets.model(), given, out, overwrite=overwrite, **CALL)
    assert mine.read_text() == "mine"
    assert tables(out) == whole
    mine.unlink()
    beside = [out / "shards" / name for name in ("notes.txt", "mine.safetensors", ".a.part")]
    for path in beside:
        path.write_text("mine")
    ix.probe(sets.model(), given, out, overwrite=overwrite, **CALL)
    assert {path.read_text() for path in beside} == {"mine"}
    assert tables(out) == whole


def test_a_folder_of_somebody_else_is_refused_whatever_its_names(given, out):
    out.mkdir()
    (out / "heads.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"holds 'heads\.csv'"):
        ix.probe(sets.model(), given, out, overwrite=True, **CALL)
    assert [path.name for path in out.iterdir()] == ["heads.csv"]
    assert (out / "heads.csv").read_text() == "mine"


def test_the_manifest_names_what_is_there_and_no_other_name_is_a_probe_s(given, out):
    ix.probe(sets.model(), given, out, analyzers=["coreference", *texts_analyzers()], **CALL)
    named = json.loads((out / "run.json").read_text())["files"]
    assert named == sorted(path.name for path in out.iterdir())
    assert {f"{name}.csv" for name in texts_analyzers()} <= {*named}
    other = out / "attention"  # of another probe it would be
    other.mkdir()
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="holds 'attention'"):
            check_folder(out, "probe", "resume", overwrite=overwrite)


def texts_analyzers() -> list[str]:
    return [name for name, kind in ANALYZERS.items() if kind.takes == "sentences"]


def test_a_file_is_refused_and_missing_folders_are_made(given, out):
    out.write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        ix.probe(sets.model(), given, out, **CALL)
    with pytest.raises(OutputError, match="is a file"):
        ix.probe(sets.model(), given, out / "below", **CALL)
    assert out.read_text() == "mine"
    run = ix.probe(sets.model(), given, out.parent / "a" / "b", **CALL)
    assert (run.folder / "summary.json").is_file()


def test_the_table_of_cases_is_one_group_of_rows_a_shard(given, out):
    ix.probe(sets.model(), given, out, **CALL)
    assert pq.ParquetFile(out / "cases.parquet").num_row_groups == 5
