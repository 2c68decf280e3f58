"""The engine of many processes: the same bytes as one, also where processes are lost."""

from __future__ import annotations

import importlib.util
import os
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest

import introspect as ix
from introspect.errors import CaptureError, MissingExtraError, OutputError
from introspect.probing import RayOptions
from introspect.probing.store import ShardStore
from tests.probing import sets
from tests.probing.poison import Poison
from tests.probing.sets import CALL, tables

pytestmark = pytest.mark.usefixtures("lean")

TWO = {"engine": "ray", "ray": RayOptions(actors=2)}


@pytest.fixture(scope="module")
def cluster():
    """Two processors on this machine, for all tests here."""
    ray = pytest.importorskip("ray", reason="ray (extra ray) is missing")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    return sets.case_file(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def serial(given, tmp_path_factory):
    out = tmp_path_factory.mktemp("serial") / "x"
    ix.probe(sets.model(), given, out, **CALL)
    return out


def shards(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "shards").glob("*.safetensors")}


@contextmanager
def poisoned(word: str, times: int, folder: Path):
    """The model, which ends the process that runs this word, so many times."""
    folder.mkdir()
    token = sets.tokenizer().get_vocab()[word]
    hook = sets.model().module.register_forward_pre_hook(
        Poison(token, times, folder, os.getpid()), with_kwargs=True
    )
    try:
        yield sets.model()
    finally:
        hook.remove()


#: In the third shard only.
WORD = next(
    word
    for word in sets.cases()[16].text.split()
    if sum(word in case.text.split() for case in sets.cases()) == 1
)


def test_two_actors_give_the_bytes_of_one_process(cluster, given, serial, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # and a path that holds only here
    ix.probe(sets.model(), given, "x", **CALL, **TWO)
    assert shards(tmp_path / "x") == shards(serial)
    assert tables(tmp_path / "x") == tables(serial)


def test_an_actor_that_dies_is_made_anew_and_its_shards_run_again(cluster, given, serial, tmp_path):
    with poisoned(WORD, 2, tmp_path / "deaths") as model:
        ix.probe(model, given, tmp_path / "x", **CALL, **TWO)
    # Two processes died of it, one after the other.
    deaths = [path.name.split("-")[1] for path in (tmp_path / "deaths").iterdir()]
    assert len(set(deaths)) == 2
    assert shards(tmp_path / "x") == shards(serial)
    assert tables(tmp_path / "x") == tables(serial)
    entries = (tmp_path / "x" / "shards" / "manifest.jsonl").read_text().splitlines()
    assert len(entries) == 5


def test_a_shard_that_always_takes_its_actor_with_it_is_named(cluster, given, serial, tmp_path):
    out = tmp_path / "x"
    with (
        poisoned(WORD, 99, tmp_path / "deaths") as model,
        pytest.raises(CaptureError, match=r"shard 2 to run.*lost 4 times.*is kept"),
    ):
        ix.probe(model, given, out, **CALL, **TWO)
    assert len(list((tmp_path / "deaths").iterdir())) == 4
    done = ShardStore(out / "shards").entries
    assert 2 not in done and len(done) >= 1
    # One process goes on where many have failed.
    ix.probe(sets.model(), given, out, **CALL)
    assert shards(out) == shards(serial)
    assert tables(out) == tables(serial)


def test_ray_goes_on_where_one_process_stopped(cluster, given, serial, tmp_path):
    out = tmp_path / "x"
    ix.probe(sets.model(), given, out, **CALL)
    manifest = out / "shards" / "manifest.jsonl"
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:2]))
    ix.probe(sets.model(), given, out, **CALL, **TWO)
    assert shards(out) == shards(serial)
    assert tables(out) == tables(serial)


def test_an_error_in_an_actor_is_the_error_of_the_probe(cluster, given, tmp_path):
    """A folder where the file of a shard should be, which no permission of root's removes."""
    out = tmp_path / "x"
    ix.probe(sets.model(), given, out, **CALL)
    (file,) = (out / "shards").glob("000001-*")
    file.unlink()
    file.mkdir()
    with pytest.raises(OutputError, match=r"000001-\w+\.safetensors"):
        ix.probe(sets.model(), given, out, **CALL, **TWO)


def test_other_analyzers_are_the_same_by_ray(cluster, given, tmp_path):
    call = {**CALL, "analyzers": ["coreference", "roles"], "save_attention": "float16"}
    ix.probe(sets.model(), given, tmp_path / "x", **call)
    ix.probe(sets.model(), given, tmp_path / "y", **call, **TWO)
    names = ("roles.parquet", "roles.csv", "attention/index.jsonl")
    assert tables(tmp_path / "x", names) == tables(tmp_path / "y", names)


def test_without_ray_the_message_has_the_command(given, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(MissingExtraError, match=r"pip install .*\[ray\]"):
        ix.probe(sets.model(), given, tmp_path / "x", **CALL, **TWO)
