"""A folder of a run: what its manifest names is the run's, also after a stop at any moment."""

from __future__ import annotations

import json

import pytest

from introspect.errors import OutputError
from introspect.io import check_folder, claimed_folder, remove_run, results, results_of, write_run
from introspect.io.manifest import files_of


class StopError(BaseException):
    """A stop that no code of the package catches."""


@pytest.fixture
def run(tmp_path):
    """A finished run with two tables."""
    folder = tmp_path / "run"
    folder.mkdir()
    write_run(folder, {"kind": "causal"}, ["a.csv", "b.csv"], command=None, version="0.2.0")
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text("old")
    return folder


def claimed(folder, *, overwrite=True):
    return claimed_folder(folder, "causal", "replace", overwrite=overwrite)


def write(folder, *names: str) -> None:
    """Write results with these names, of which all replace those of an earlier run."""
    with claimed(folder), results_of(folder) as place:
        for name in names:
            (place / name).write_text("new")
        write_run(place, {"kind": "causal"}, names, command=None, version="0.2.0")


def stop_at(monkeypatch, owner, name: str, call: int) -> None:
    calls, original = [], getattr(owner, name)

    def stopping(*arguments, **named):
        calls.append(1)
        if len(calls) == call:
            raise StopError
        return original(*arguments, **named)

    monkeypatch.setattr(owner, name, stopping)


def contents(folder) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != "run.json"}


def test_a_manifest_names_what_runs_write_and_nothing_else():
    own = ["heads.parquet", "case_effects.csv", "rejects.jsonl", "report.html", "shards"]
    others = ["notes.txt", "../a.csv", "/etc/a.csv", "Thesis.docx", ".lock", "", "a.csv/", 3]
    run = {"plan": {}, "introspect": "0.2.0", "files": [*own, *others]}
    assert files_of(run) == {*own, "run.json"}


def test_results_replace_all_that_the_earlier_run_named_and_nothing_else(run):
    (run / ".DS_Store").write_text("mine")
    write(run, "b.csv", "c.csv")
    assert contents(run) == {"b.csv": "new", "c.csv": "new", ".DS_Store": "mine"}
    assert json.loads((run / "run.json").read_text())["files"] == ["b.csv", "c.csv", "run.json"]


def test_results_that_were_stopped_on_their_way_are_put_in_place_by_the_next_run(run, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(StopError):
        stop_at(patched, results, "_put_result", 2)
        write(run, "b.csv", "c.csv")
    with pytest.raises(OutputError, match="holds an earlier run"), claimed(run, overwrite=False):
        pass
    assert contents(run) == {"b.csv": "new", "c.csv": "new"}


def test_a_name_that_a_stopped_run_gave_up_belongs_to_who_takes_it(run, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(StopError):
        stop_at(patched, results, "_put_result", 1)
        write(run, "c.csv")  # a.csv and b.csv are gone by now
    (run / "b.csv").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"holds 'b\.csv'. Move it elsewhere"):
            check_folder(run, "causal", "replace", overwrite=overwrite)
    (run / "b.csv").rename(run.parent / "b.csv")
    write(run, "b.csv")
    assert contents(run) == {"b.csv": "new"}
    assert (run.parent / "b.csv").read_text() == "mine"


def test_a_removal_that_was_stopped_is_finished_and_spares_what_came_meanwhile(run, monkeypatch):
    stop_at(monkeypatch, results.Path, "rename", 2)
    with pytest.raises(StopError), claimed(run):
        remove_run(run)
    (run / "a.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"holds 'a\.csv'"):
        check_folder(run, "causal", "replace", overwrite=True)
    remove_run(run)
    assert contents(run) == {"a.csv": "mine"}


def test_what_has_the_name_of_a_result_by_now_stays_and_so_do_the_results(run):
    with (
        pytest.raises(OutputError, match=r"no 'c\.csv' of others in .*the results are kept"),
        claimed(run),
        results_of(run) as place,
    ):
        (place / "c.csv").write_text("new")
        write_run(place, {"kind": "causal"}, ["c.csv"], command=None, version="0.2.0")
        (run / "c.csv").write_text("mine")
    assert (run / "c.csv").read_text() == "mine"
    with pytest.raises(OutputError, match=r"no 'c\.csv' of others"), claimed(run):
        pass
    (run / "c.csv").rename(run.parent / "c.csv")
    with claimed(run):
        assert contents(run) == {"c.csv": "new", ".lock": ""}


def test_where_files_have_no_second_name_results_are_put_in_place_too(run, monkeypatch):
    def refused(*_: object) -> None:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(results.Path, "hardlink_to", refused)
    write(run, "c.csv")
    assert contents(run) == {"c.csv": "new"}


def test_only_names_within_the_folder_are_removed(run):
    outside = run.parent / "mine.csv"
    outside.write_text("mine")
    names = ["../mine.csv", str(outside), "..", ".", "", "a.csv"]
    write_run(run, {"kind": "causal"}, names, command=None, version="0.2.0")
    (run / "b.csv").unlink()
    with claimed(run):
        remove_run(run)
    assert outside.read_text() == "mine" and not run.joinpath("a.csv").exists()


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_a_manifest_names_must_be_what_a_run_makes(run, kind):
    outside = run.parent / "mine.csv"
    outside.write_text("mine")
    (run / "a.csv").unlink()
    if kind == "link":
        (run / "a.csv").symlink_to(outside)
    else:
        (run / "a.csv").mkdir()
    with pytest.raises(OutputError, match="is a (link|folder)"):
        check_folder(run, "causal", "replace", overwrite=True)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"plan": 1}', '{"plan": {}}', "[" * 100_000], ids=range(7)
)
def test_without_a_manifest_of_ours_nothing_is(run, content):
    (run / "run.json").write_text(content)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"run\.json|holds 'a\.csv'"):
            check_folder(run, "causal", "replace", overwrite=overwrite)


def test_a_folder_is_named_as_the_person_there_would(tmp_path, monkeypatch):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="but 'notes' holds 'mine.txt'"):
        check_folder("notes", "probe", "resume", overwrite=False)
    monkeypatch.chdir(tmp_path / "notes")
    with pytest.raises(OutputError, match="/notes' holds 'mine.txt'"):
        check_folder(tmp_path / "notes", "probe", "resume", overwrite=False)
