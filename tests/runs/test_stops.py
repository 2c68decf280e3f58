"""A probe that was stopped at any moment: the same call ends with the same bytes."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

import introspect as ix
from introspect.errors import OutputError
from introspect.io import locked
from introspect.models import load_text
from introspect.runs import ProbeInterruptedError, shard
from introspect.runs.store import ShardStore
from introspect.runs.worker import Worker
from tests.runs import sets
from tests.runs.killed import MOMENTS
from tests.runs.sets import CALL, FILES, tables
from tests.tokenizers_zoo import word_level

pytestmark = pytest.mark.usefixtures("lean")

SHARDS = 5


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    return sets.case_file(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def whole(given, tmp_path_factory):
    """A run that nothing disturbed, with random weights beside it."""
    out = tmp_path_factory.mktemp("whole") / "x"
    ix.probe(sets.model(), given, out, null_model=1, **CALL)
    return out


@pytest.fixture(scope="module")
def killed(given, in_a_process):
    """Runs a probe in a process that is killed at a moment."""

    def run(moment: str, out: Path, **options: object) -> int:
        return in_a_process(moment, str(given), str(out), options)

    return run


def assert_whole(out: Path, whole: Path) -> None:
    """The folder is as that of the run that nothing disturbed."""
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    assert tables(out) == tables(whole)
    cases = pd.read_parquet(out / "cases.parquet")
    # Two directions of twelve heads each, once.
    assert set(Counter(cases["id"]).values()) == {2 * 12}
    for folder in (out / "shards", out / "shards" / "random-weights-0"):
        files = {entry.file for entry in ShardStore(folder).entries.values()}
        there = {path.name for path in folder.iterdir()}
        assert there - {"random-weights-0"} == files | {"manifest.jsonl"}
        assert len(files) == SHARDS


def counted_runs(monkeypatch) -> list[int]:
    """The numbers of the shards that run from now on."""
    runs: list[int] = []
    run = shard.run_shard

    def counted(self, prepared):
        runs.append(prepared.shard.index)
        return run(self, prepared)

    monkeypatch.setattr(shard, "run_shard", counted)
    return runs


#: How many shards, those of random weights among them, have to run after each stop.
LEFT = {
    "before the plan": 10, "in a shard": 7, "before a rename": 8, "after a rename": 8,
    "before a line of the manifest": 8, "in a line of the manifest": 8,
    "between two models": 5, "of random weights": 3,
}  # fmt: skip


#: Of these moments the everyday tests see two; the others are slow.
EVERYDAY = ("before a rename", "in a line of the manifest")


@pytest.mark.parametrize(
    "moment",
    [
        moment if moment in EVERYDAY else pytest.param(moment, marks=pytest.mark.slow)
        for moment in sorted({*MOMENTS} - {"while starting over"})
    ],
)
def test_killed_at_any_moment_ends_with_the_same_bytes(
    moment, killed, given, whole, tmp_path, monkeypatch
):
    out = tmp_path / "x"
    assert killed(moment, out, null_model=1) == -signal.SIGKILL
    runs = counted_runs(monkeypatch)
    ix.probe(sets.model(), given, out, null_model=1, **CALL)
    assert_whole(out, whole)
    assert len(runs) == LEFT.get(moment, 0)


def test_killed_while_starting_over_goes_on_starting_over(killed, given, whole, tmp_path):
    out = tmp_path / "x"
    ix.probe(sets.model(seed=1), given, out, null_model=1, **CALL)
    assert killed("while starting over", out, null_model=1, overwrite=True) == -signal.SIGKILL
    assert (out / "run.json").exists() and not (out / "heads.csv").exists()
    ix.probe(sets.model(), given, out, null_model=1, overwrite=True, **CALL)
    assert_whole(out, whole)


def test_a_finished_probe_is_gathered_again(given, whole, monkeypatch):
    before = tables(whole)
    monkeypatch.setattr(shard, "run_shard", None)
    again = ix.probe(sets.model(), given, whole, null_model=1, **CALL)
    assert tables(whole) == before
    assert again.num_rejected == 4


def test_a_lock_whose_process_died_keeps_nobody_out(killed, given, tmp_path):
    out = tmp_path / "x"
    killed("in a shard", out)
    assert (out / ".lock").exists()
    ix.probe(sets.model(), given, out, **CALL)
    assert not (out / ".lock").exists()


def test_the_second_of_two_runs_on_a_folder_is_refused(given, tmp_path):
    out = tmp_path / "x"
    out.mkdir()
    with locked(out), pytest.raises(OutputError, match="one is at work in .*Wait for it"):
        ix.probe(sets.model(), given, out, **CALL)
    ix.probe(sets.model(), given, out, **CALL)
    with locked(out):
        before = tables(out)
        with pytest.raises(OutputError, match="one is at work"):
            ix.probe(sets.model(), given, out, overwrite=True, **CALL)
        assert tables(out) == before


# Ctrl-C


def interrupted_once(monkeypatch, number: int) -> None:
    """Ctrl-C while the so-manieth shard runs."""
    run, calls = shard.run_shard, []

    def interrupt(self, prepared):
        calls.append(1)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGINT)
        return run(self, prepared)

    monkeypatch.setattr(shard, "run_shard", interrupt)


def test_ctrl_c_finishes_the_shard_and_says_how_to_go_on(given, whole, tmp_path, monkeypatch):
    out = tmp_path / "x"
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patched:
        interrupted_once(patched, 2)
        with pytest.raises(
            ProbeInterruptedError, match=r"after 2 finished shards of 8 rows.*Rerun the command"
        ):
            ix.probe(sets.model(), given, out, null_model=1, **CALL)
    assert signal.getsignal(signal.SIGINT) is before
    assert len((out / "shards" / "manifest.jsonl").read_text().splitlines()) == 2
    ix.probe(sets.model(), given, out, null_model=1, **CALL)
    assert_whole(out, whole)


def test_a_second_ctrl_c_stops_at_once(given, whole, tmp_path, monkeypatch):
    out = tmp_path / "x"
    with monkeypatch.context() as patched:
        attend, calls = Worker.attend, []

        def twice(self, *arguments):
            calls.append(1)
            if len(calls) == 2:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
            return attend(self, *arguments)

        patched.setattr(Worker, "attend", twice)
        with pytest.raises(KeyboardInterrupt) as stop:
            ix.probe(sets.model(), given, out, null_model=1, **CALL)
        assert not isinstance(stop.value, ProbeInterruptedError)
        assert len(calls) == 2
    assert len((out / "shards" / "manifest.jsonl").read_text().splitlines()) == 1
    ix.probe(sets.model(), given, out, null_model=1, **CALL)
    assert_whole(out, whole)


# What has changed


@pytest.fixture(scope="module")
def begun(given, tmp_path_factory):
    out = tmp_path_factory.mktemp("begun") / "x"
    ix.probe(sets.model(), given, out, **CALL)
    return out


def relabeled():
    """The same weights, read by a tokenizer that knows the words by other numbers."""
    base = sets.model()
    words = [word for word in base.tokenizer.get_vocab() if not word.startswith("[")]
    return load_text((base.module, word_level(sorted(words, reverse=True))))


def with_half_the_heads():
    """The same weights, divided among fewer heads."""
    config = type(sets.model().module.config)(**sets.model().module.config.to_dict())
    config.num_attention_heads = 2
    module = type(sets.model().module)(config)
    module.load_state_dict(sets.model().module.state_dict())
    return module.eval(), sets.tokenizer()


CHANGES = {
    "other weights": (lambda: {"model": sets.model(seed=1)}, "revision: \\w{12} → \\w{12}"),
    "other tokenizer": (lambda: {"model": relabeled()}, r"tokenizer: \w+ \w{12} → \w+ \w{12}"),
    "other heads": (lambda: {"model": with_half_the_heads()}, "config: \\w{12} → \\w{12}"),
    "mention": (lambda: {"mention": "max"}, "mention: mean → max"),
    "weights": (lambda: {"weights": "norm"}, "weights: raw → norm"),
    "last position": (lambda: {"last_position": True}, "last_position: False → True"),
    "layers": (lambda: {"layers": [0, 1]}, r"layers: None → \[0, 1\]"),
    "long": (lambda: {"long": "window"}, "long: reject → window"),
    "batch": (lambda: {"batch_size": 3}, "limits: .*'texts': 64.*→.*'texts': 3"),
    "shards": (lambda: {"shard_rows": 9}, "shard_rows: 8 → 9"),
    "claims": (lambda: {"options": ix.Options(seed=5)}, "claims: "),
    "saved": (lambda: {"save_attention": "float16"}, "saved: None → float16"),
    "analyzers": (lambda: {"analyzers": ["coreference", "roles"]}, "analyzers: "),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_has_changed_is_refused_and_named(change, begun, given):
    made, message = CHANGES[change]
    before = tables(begun)
    call = {"model": sets.model(), **CALL, **made()}
    with pytest.raises(OutputError, match=rf"this has changed: {message}.*--overwrite") as refused:
        ix.probe(inputs=given, out=begun, **call)
    # Nothing else is said to have changed.
    assert str(refused.value).count("→") == 1
    assert tables(begun) == before


def test_another_input_or_code_is_refused(begun, given, tmp_path, monkeypatch):
    other = tmp_path / given.name
    other.write_text(given.read_text() + "\n{}\n")
    with pytest.raises(OutputError, match=r"input: cases.jsonl \(\w{12}\) → cases.jsonl \(\w{12}"):
        ix.probe(sets.model(), other, begun, **CALL)
    monkeypatch.setattr("introspect.runs.plan.code_digest", lambda: "other")
    with pytest.raises(OutputError, match=r"code: \w{12} → other"):
        ix.probe(sets.model(), given, begun, **CALL)


def test_overwrite_starts_over(begun, given, whole, tmp_path, monkeypatch):
    out = tmp_path / "x"
    ix.probe(sets.model(seed=1), given, out, **CALL)
    assert tables(out) != tables(begun)
    runs = counted_runs(monkeypatch)
    ix.probe(sets.model(), given, out, overwrite=True, **CALL)
    assert len(runs) == SHARDS
    assert tables(out) == tables(begun)
    # Also where the folder holds the very same probe.
    ix.probe(sets.model(), given, out, overwrite=True, **CALL)
    assert len(runs) == 2 * SHARDS


def test_a_damaged_plan_is_refused(given, begun, tmp_path):
    out = tmp_path / "x"
    ix.probe(sets.model(), given, out, **CALL)
    (out / "run.json").write_text("{")
    # Without its manifest, nobody knows what is of a run: not even --overwrite removes anything.
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"run\.json.*remove .* yourself") as refused:
            ix.probe(sets.model(), given, out, overwrite=overwrite, **CALL)
    assert tables(out) == tables(begun)
    # What the message advises helps.
    (named,) = re.findall(r"or remove '(.*)' yourself", str(refused.value))
    shutil.rmtree(named)
    ix.probe(sets.model(), given, out, **CALL)
    assert tables(out) == tables(begun)


def test_a_model_that_was_saved_meanwhile_is_the_same(given, tmp_path):
    model = load_text((type(sets.model().module)(sets.model().module.config), sets.tokenizer()))
    model.module.load_state_dict(sets.model().module.state_dict())
    model.module.eval()
    model.module.config.architectures = None
    ix.probe(model, given, tmp_path / "x", **CALL)
    model.module.save_pretrained(tmp_path / "model")
    assert model.module.config.architectures is not None
    ix.probe(model, given, tmp_path / "x", **CALL)
