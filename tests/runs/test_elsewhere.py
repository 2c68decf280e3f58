"""Runs where Linux is not, and runs of other versions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import introspect as ix
from introspect.errors import OutputError
from introspect.runs import plan as probe_plan
from introspect.studies import runner as lanes
from tests.runs import sets
from tests.runs.conftest import ROOT, subprocess_environment
from tests.runs.sets import CALL, tables

pytestmark = pytest.mark.usefixtures("lean")


@pytest.fixture
def given(tmp_path):
    return sets.case_file(tmp_path)


@pytest.mark.slow
def test_a_probe_runs_and_resumes_without_what_only_unix_has(given, tmp_path):
    out, whole = tmp_path / "elsewhere", tmp_path / "whole"
    command = [sys.executable, "-m", "tests.runs.elsewhere", str(given), str(out)]
    done = subprocess.run(
        command, cwd=ROOT, env=subprocess_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    stopped, shards, rejected = done.stdout.splitlines()
    assert stopped.startswith("Interrupted after 1 finished shard of")
    assert (shards, rejected) == ("1", "4")
    ix.probe(sets.model(), given, whole, **CALL)
    assert tables(out) == tables(whole)
    assert not (out / ".lock").exists()


def test_processors_are_counted_as_the_system_can(monkeypatch):
    monkeypatch.setattr(lanes.torch, "get_num_threads", lambda: 64)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3, raising=False)
    assert lanes.default_lanes(sets.model()) == 3
    monkeypatch.delattr(os, "process_cpu_count")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert lanes.default_lanes(sets.model()) == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert lanes.default_lanes(sets.model()) == 1


def test_a_run_of_an_older_version_is_refused_and_overwritten_when_told(
    given, tmp_path, monkeypatch
):
    out = tmp_path / "old"
    ix.probe(sets.model(), given, out, **CALL)
    shutil.copy(Path(__file__).with_name("run_0_1_0.json"), out / "run.json")
    monkeypatch.setattr(probe_plan, "version_of_introspect", lambda: "0.2.0")
    now = tables(out)
    # Version 0.1.0 did not write them.
    later = ("held_out.csv", "minimal_pairs.csv")
    for name in later:
        (out / name).unlink()
    names = [name for name in now if name not in later]
    before = tables(out, names)
    message = r"of introspect 0\.2\.0 in .*introspect 0\.1\.0 wrote it.*Add --overwrite"
    with pytest.raises(OutputError, match=message):
        ix.probe(sets.model(), given, out, **CALL)
    assert tables(out, names) == before
    ix.probe(sets.model(), given, out, overwrite=True, **CALL)
    assert tables(out) == now
    assert json.loads((out / "run.json").read_text())["introspect"] == "0.2.0"


def test_a_run_that_names_no_version_is_refused(given, tmp_path):
    out = tmp_path / "old"
    out.mkdir()
    (out / "run.json").write_text('{"plan": {}}')
    with pytest.raises(OutputError, match="introspect of an unknown version wrote it"):
        ix.probe(sets.model(), given, out, **CALL)


def test_the_old_name_of_overwrite_warns_and_works(given, tmp_path):
    ix.probe(sets.model(), given, tmp_path / "x", **CALL)
    with pytest.warns(FutureWarning, match=r"probe\(fresh=…\) is now probe\(overwrite=…\)"):
        ix.probe(sets.model(seed=1), given, tmp_path / "x", fresh=True, **CALL)
