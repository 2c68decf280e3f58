"""Every command that writes, and every place it may be told to write to.

The table is ``COMMANDS`` × ``PLACES``. A place that is refused is left as it was, in one line with
exit code 2; one that is accepted gets the result, and nothing else changes.
"""

from __future__ import annotations

import contextvars
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import introspect as ix
from introspect.data import grammar_cases, write_jsonl
from introspect.errors import OutputError
from introspect.io import claimed_file, locked
from introspect.io import destinations as rule

from ..test_cli import assert_refused, introspect

__all__ = ["introspect"]  # a fixture

TEXT = "The fox did not cross the river because it was too wide."
HEADING = "text,pronoun,antecedent,distractor\n"
CSV = HEADING + "The dog chased the cat because it was angry.,it,dog,cat\n"
MINE = b"mine"


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Args:
        arguments: all but the place; ``GIVEN`` is the folder of inputs.
        ending: of the file it writes; empty if it writes a folder.
        read: the name of an input in ``GIVEN``; empty if it reads only a text.
    """

    arguments: tuple[str, ...]
    ending: str = ""
    read: str = ""
    option: str = "--out"


PRONOUN = ("--model", "pronoun")
FEW = ("--sequences", "2", "--prefix", "0-2", "--period", "4-6")
LITTLE = ("--heads", "L1H0", "--no-smallest", "--no-minimal-pairs")
MEAN = ("--method", "mean", "--reference", "GIVEN/texts.html")
COMMANDS = {
    "report": Command(("report", TEXT, *PRONOUN), ".html"),
    "view": Command(("view", "head", TEXT, *PRONOUN), ".html"),
    "picture": Command(("view", "heatmap", TEXT, *PRONOUN), ".svg"),
    "compare": Command(("compare", TEXT, TEXT.replace("wide", "tired"), *PRONOUN), ".html"),
    "ablate": Command(("ablate", TEXT, "--heads", "L0H1", *MEAN, *PRONOUN), ".html", "texts.html"),
    "lens": Command(("lens", TEXT, *PRONOUN), ".html"),
    "heads page": Command(
        ("heads", *FEW, "--no-importance", "--texts", "GIVEN/texts.html", *PRONOUN),
        ".html", "texts.html",
    ),
    "cases": Command(("cases", "csv", "GIVEN/table.csv"), ".jsonl", "table.csv"),
    "probe": Command(("probe", "GIVEN/cases.jsonl", *PRONOUN), read="cases.jsonl"),
    "causal": Command(("causal", "GIVEN/cases.jsonl", *LITTLE, *PRONOUN), read="cases.jsonl"),
    "causal mean": Command(
        ("causal", "GIVEN/cases.jsonl", *LITTLE, *MEAN, *PRONOUN), read="texts.html"
    ),
    "heads": Command(
        ("heads", *FEW, "--no-importance", "--texts", "GIVEN/texts.html", *PRONOUN),
        read="texts.html",
    ),
    "cache": Command(
        ("probe", "GIVEN/cases.jsonl", *PRONOUN, "--out", "ROOT/run"),
        ".sqlite", "cases.jsonl", "--cache",
    ),
}  # fmt: skip
FILES = [name for name, command in COMMANDS.items() if command.ending]
FOLDERS = [name for name, command in COMMANDS.items() if not command.ending]
READING = [name for name, command in COMMANDS.items() if command.read]


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A folder of inputs."""
    folder = tmp_path_factory.mktemp("given")
    write_jsonl(folder / "cases.jsonl", grammar_cases(4, "en", seed=1000))
    (folder / "texts.html").write_text("".join(f"{c.text}\n" for c in grammar_cases(4, "en")))
    (folder / "table.csv").write_text(CSV)
    return folder


@pytest.fixture(autouse=True)
def lean(monkeypatch):
    """Probes without what takes most of their time."""
    from tests.runs import sets

    sets.leave_out_the_long(monkeypatch.setattr)


@pytest.fixture
def write(introspect, given, tmp_path) -> Callable[..., Any]:
    """Run a command of the table with a place to write to."""

    def run(name: str, place: object, *more: str) -> Any:
        command = COMMANDS[name]
        words = [
            word.replace("GIVEN", str(given)).replace("ROOT", str(tmp_path))
            for word in command.arguments
        ]
        return introspect(*words, command.option, place, *more)

    return run


def everything(*roots: Path) -> dict[str, Any]:
    """The kind, permissions and content of everything below some folders."""
    found = {}
    for path in [path for root in roots for path in sorted(root.rglob("*"))]:
        mode = os.lstat(path).st_mode
        is_link, is_file = stat.S_ISLNK(mode), stat.S_ISREG(mode)
        content = os.readlink(path) if is_link else path.read_bytes() if is_file else None
        found[str(path)] = (mode, content)
    return found


# --- places that are refused -------------------------------------------------------------------


def folder(root: Path, name: str) -> Path:
    place = root / name
    place.mkdir()
    (place / "notes.txt").write_bytes(MINE)
    (place / "run.json").write_text('{"mine": 1}')
    (place / "shards").mkdir()
    (place / "shards" / "a.safetensors").write_bytes(MINE)
    (place / "report.html").write_bytes(MINE)
    return place


def file(root: Path, name: str) -> Path:
    place = root / name
    place.write_bytes(MINE)
    return place


def read_only(root: Path, name: str) -> Path:
    place = file(root, name)
    place.chmod(0o444)
    return place


def fifo(root: Path, name: str) -> Path:
    place = root / name
    os.mkfifo(place)
    return place


def device(root: Path, name: str) -> Path:
    """A device as /dev/null is, which only root may make; elsewhere a link to it."""
    place = root / name
    try:
        os.mknod(place, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except OSError:
        place.symlink_to("/dev/null")
    return place


def link_to(make: Callable[[Path, str], Path]) -> Callable[[Path, str], Path]:
    """A link to what another function makes."""

    def linked(root: Path, name: str) -> Path:
        target = make(root, f"target{Path(name).suffix}")
        place = root / name
        place.symlink_to(target)
        return place

    return linked


def circle(root: Path, name: str) -> Path:
    (root / "other").symlink_to(root / name)
    (root / name).symlink_to(root / "other")
    return root / name


def in_no_folder(root: Path, name: str) -> Path:
    return file(root, "file") / name


REFUSED: dict[str, Callable[[Path, str], Path]] = {
    "foreign folder": folder, "link to a foreign folder": link_to(folder), "device": device,
    "link to a device": link_to(device), "FIFO": fifo, "link to a FIFO": link_to(fifo),
    "circle of links": circle, "in a file": in_no_folder, "read-only": read_only,
    "link to read-only": link_to(read_only),
}  # fmt: skip
OF_A_FOLDER = {"file": file, "link to a file": link_to(file)}


@pytest.mark.parametrize("place", REFUSED)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_place_that_is_no_destination_is_refused_and_stays(name, place, write, tmp_path, given):
    target = REFUSED[place](tmp_path, f"x{COMMANDS[name].ending}")
    before = everything(tmp_path, given)
    for more in ((), ("--overwrite",)) if name in FOLDERS else ((),):
        assert_refused(write(name, target, *more), "Expected ")
        assert everything(tmp_path, given) == before


@pytest.mark.parametrize("place", OF_A_FOLDER)
@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_is_no_folder(name, place, write, tmp_path):
    target = OF_A_FOLDER[place](tmp_path, "x")
    before = everything(tmp_path)
    assert_refused(write(name, target, "--overwrite"), "is a file")
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize("way", ["itself", "a link", "another name"])
def test_an_input_is_never_written(name, way, write, tmp_path, given):
    command = COMMANDS[name]
    read = given / command.read
    if not command.ending:
        read = given  # the folder that holds it
    places = {"itself": read, "a link": tmp_path / f"x{command.ending}",
              "another name": tmp_path / f"x{command.ending}"}  # fmt: skip
    target = places[way]
    if way == "a link" or (way == "another name" and not command.ending):
        target.symlink_to(read)
    elif way == "another name":
        target.hardlink_to(read)
    before = everything(tmp_path, given)
    for more in ((), ("--overwrite",)) if name in FOLDERS else ((),):
        words = ("it is one of them",) if command.ending else ("holds ",)
        assert_refused(write(name, target, *more), *words)
        assert everything(tmp_path, given) == before


def test_a_table_of_an_earlier_run_is_not_overwritten_by_the_run_that_reads_it(
    introspect, write, tmp_path, given
):
    for name, read in (("heads", "heads.csv"), ("causal", "rejects.jsonl"), ("probe", "heads.csv")):
        out = tmp_path / name
        assert write(name, out).code == 0
        before = everything(tmp_path)
        command = [name, *(("--texts",) if name == "heads" else ()), out / read]
        for more in ((), ("--overwrite",)):
            outcome = introspect(*command, "--out", out, *PRONOUN, *more)
            assert_refused(outcome, f"holds the input '{read}'")
            assert everything(tmp_path) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_what_belongs_to_another_user_is_refused(name, write, tmp_path, given, monkeypatch):
    place = tmp_path / f"x{COMMANDS[name].ending}"
    if name in FOLDERS:
        assert write(name, place).code == 0
    else:
        place.write_bytes(b"")
    before = everything(tmp_path, given)
    # Only root could give a file away.
    for function in ("_owner_of_new_files", "_me"):
        monkeypatch.setattr(rule, function, lambda *_: os.lstat(place).st_uid + 1)
    more = ("--overwrite",) if name in FOLDERS else ()
    assert_refused(write(name, place, *more), "belongs to another user")
    assert everything(tmp_path, given) == before


def test_where_all_files_seem_to_be_of_another_user_they_are_not(write, tmp_path, monkeypatch):
    """As on a disk of another machine, which is mounted for one of its users."""
    monkeypatch.setattr(rule, "_me", lambda: os.lstat(tmp_path).st_uid + 1)
    place = file(tmp_path, "x.html")
    assert write("report", place).code == 0
    assert place.read_bytes() != MINE


@contextmanager
def another_run(place: Path, *, is_folder: bool) -> Iterator[None]:
    """Another run, that holds a place meanwhile."""
    if is_folder:
        place.mkdir(exist_ok=True)
    claim = locked(place) if is_folder else claimed_file(place)
    other = contextvars.copy_context()
    other.run(claim.__enter__)
    yield
    other.run(claim.__exit__, None, None, None)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "cache"])
def test_of_two_runs_at_once_the_second_is_refused(name, write, tmp_path, given):
    place = tmp_path / f"x{COMMANDS[name].ending}"
    with another_run(place, is_folder=name in FOLDERS):
        before = everything(tmp_path, given)
        assert_refused(write(name, place), "one is at work in", "Wait for it")
        assert everything(tmp_path, given) == before
    assert write(name, place).code == 0
    assert [path.name for path in tmp_path.iterdir()] == [place.name]


# --- places that are accepted ------------------------------------------------------------------


def link_to_nothing(root: Path, name: str) -> Path:
    (root / name).symlink_to(root / f"target{Path(name).suffix}")
    return root / name


def nothing(root: Path, name: str) -> Path:
    return root / name


ACCEPTED_FILES = {
    "new": nothing, "file": file, "link to a file": link_to(file),
    "link to nothing": link_to_nothing,
}  # fmt: skip


@pytest.mark.parametrize("place", ACCEPTED_FILES)
@pytest.mark.parametrize("name", [name for name in FILES if name != "cache"])
def test_a_file_of_ones_own_is_replaced_and_keeps_its_mode(name, place, write, tmp_path, given):
    target = ACCEPTED_FILES[place](tmp_path, f"x{COMMANDS[name].ending}")
    is_new, is_link = not target.exists(), target.is_symlink()
    if not is_new:
        target.chmod(0o604)
    before = os.umask(0o027)
    try:
        outcome = write(name, target)
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-1] == str(target)
    assert target.is_symlink() == is_link and target.read_bytes() != MINE
    assert stat.S_IMODE(target.stat().st_mode) == (0o640 if is_new else 0o604)
    names = {target.name, os.path.basename(os.path.realpath(target))}
    assert {path.name for path in tmp_path.iterdir()} == names


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_ones_own_is_written_through_a_link_and_keeps_its_mode(name, write, tmp_path):
    target, link = tmp_path / "target", tmp_path / "x"
    target.mkdir(mode=0o750)
    link.symlink_to(target)
    assert write(name, link).code == 0
    (target / "report.html").chmod(0o604)
    inode = target.stat().st_ino
    first = {path.name: path.read_bytes() for path in target.iterdir() if path.is_file()}
    outcome = write(name, link, "--overwrite")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-1] == str(link / "report.html")
    again = {path.name: path.read_bytes() for path in target.iterdir() if path.is_file()}
    assert again.keys() == first.keys()
    assert [n for n in again if n.endswith(".csv") and again[n] != first[n]] == []
    assert link.is_symlink() and target.stat().st_ino == inode
    assert stat.S_IMODE(target.stat().st_mode) == 0o750
    assert stat.S_IMODE((target / "report.html").stat().st_mode) == 0o604


@pytest.mark.parametrize("name", FOLDERS)
def test_a_link_to_a_folder_that_is_not_there_makes_it(name, write, tmp_path):
    place = link_to_nothing(tmp_path, "x")
    assert write(name, place).code == 0
    assert place.is_symlink() and (tmp_path / "target" / "run.json").is_file()


# A cache is kept: results are added to what is there.


def test_a_cache_is_new_or_a_cache_of_this_package(write, tmp_path):
    cache, link = tmp_path / "c.sqlite", tmp_path / "l.sqlite"
    link.symlink_to(cache)
    assert write("cache", link, "--overwrite").code == 0
    size = cache.stat().st_size
    assert link.is_symlink() and size > 0
    assert write("cache", cache, "--overwrite").code == 0
    assert cache.stat().st_size == size
    assert_refused(write("cache", tmp_path / "run" / "c.sqlite"), "outside the folder of the probe")
    import sqlite3

    mine = sqlite3.connect(tmp_path / "mine.sqlite")
    mine.execute("CREATE TABLE results (mine)")
    mine.commit()
    mine.close()
    (tmp_path / "new.sqlite-wal").write_bytes(MINE)
    before = everything(tmp_path)
    for name in ("mine.sqlite", "new.sqlite"):
        assert_refused(write("cache", tmp_path / name), "is something else")
    assert_refused(write("cache", file(tmp_path, "x.sqlite")), "is something else")
    (tmp_path / "x.sqlite").unlink()
    assert everything(tmp_path) == before


def test_standard_output_is_a_dash(introspect, tmp_path, given, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = introspect("cases", "csv", given / "table.csv", "--out", "-")
    assert outcome.code == 0 and '"antecedent": true' in outcome.out
    for place in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        outcome = introspect("causal", given / "cases.jsonl", *PRONOUN, "--out", place)
        assert_refused(outcome, "Expected ")
    (tmp_path / "out.jsonl").symlink_to("/dev/stdout")
    outcome = introspect("cases", "csv", given / "table.csv", "--out", tmp_path / "out.jsonl")
    assert_refused(outcome, "an open file of a process")
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_an_index_is_written_over_no_other_page(introspect, write, tmp_path):
    assert write("view", tmp_path / "a.html").code == 0
    for make in (fifo, device, link_to(fifo), read_only, file):
        place = make(tmp_path, "index.html")
        before = everything(tmp_path)
        assert_refused(introspect("index", tmp_path), "Expected ")
        assert everything(tmp_path) == before
        place.unlink()
        for left in tmp_path.glob("target*"):
            left.unlink()
    with another_run(tmp_path / "index.html", is_folder=False):
        assert_refused(introspect("index", tmp_path), "one is at work")
    assert introspect("index", tmp_path).code == 0
    assert introspect("index", tmp_path).code == 0


# --- the same in Python ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def savers():
    """What saves a file, by the ending of its name."""
    model = ix.load("pronoun")
    record = model.capture(TEXT)
    report = ix.report(ix.coreference_study(model, [TEXT]))
    return {
        ".html": ix.head_view(record).save,
        ".svg": ix.heatmap_view(record).save,
        ".htm": report.save,
        ".safetensors": record.save,
        ".jsonl": lambda path: write_jsonl(path, grammar_cases(2, "en")),
    }


@pytest.mark.parametrize("place", [*REFUSED, "in use"])
@pytest.mark.parametrize("ending", [".html", ".svg", ".htm", ".safetensors", ".jsonl"])
def test_what_is_saved_in_python_obeys_the_same_rule(ending, place, savers, tmp_path):
    make = REFUSED.get(place, nothing)
    target = make(tmp_path, f"x{ending}")
    with another_run(target, is_folder=False) if place == "in use" else contextvars_none():
        before = everything(tmp_path)
        with pytest.raises(OutputError, match="Expected "):
            savers[ending](target)
        assert everything(tmp_path) == before


@contextmanager
def contextvars_none() -> Iterator[None]:
    yield


@pytest.mark.parametrize("ending", [".html", ".svg", ".htm", ".safetensors", ".jsonl"])
def test_a_file_saved_in_python_keeps_its_link_and_mode(ending, savers, tmp_path):
    target = link_to(file)(tmp_path, f"x{ending}")
    target.chmod(0o604)
    assert savers[ending](target) == target
    assert target.is_symlink() and target.read_bytes() != MINE
    assert stat.S_IMODE(target.stat().st_mode) == 0o604


def test_the_rejects_are_a_destination_too(introspect, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text(CSV + "No pronoun.,it,dog,cat\n")
    for make in (fifo, device, link_to(fifo), read_only, file, circle):
        place = make(tmp_path, "ok.rejects.jsonl")
        before = everything(tmp_path)
        outcome = introspect("cases", "csv", table, "--out", tmp_path / "ok.jsonl")
        assert_refused(outcome, "Expected ")
        assert everything(tmp_path) == before
        for left in [place, tmp_path / "other", *tmp_path.glob("target*")]:
            left.unlink(missing_ok=True)
    (tmp_path / "ok.rejects.jsonl").symlink_to(tmp_path / "ok.jsonl")
    assert_refused(introspect("cases", "csv", table, "--out", tmp_path / "ok.jsonl"), "one of them")


def test_a_file_in_the_place_of_a_lock_is_not_emptied(introspect, write, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / ".lock").write_bytes(MINE)
    for name in FOLDERS:
        assert_refused(write(name, out), "where a run keeps its lock")
    assert (out / ".lock").read_bytes() == MINE
