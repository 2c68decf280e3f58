"""Damaged and foreign folders of runs: refused in one line, or the same tables as before."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import introspect as ix
from introspect.data import grammar_cases, write_jsonl
from introspect.errors import InputError, IntrospectError, OutputError, RecordError
from introspect.io import read_run
from introspect.models import load
from introspect.runs import CacheOptions, SavedAttention
from introspect.runs.cache import Cache
from introspect.runs.plan import check_same
from introspect.runs.store import ShardStore
from introspect.runs.tables import gather
from introspect.views import causal_view
from tests.mutations import DEEP, WRONG, damaged, json_damaged
from tests.runs import sets
from tests.runs.sets import CALL, TABLES, tables

pytestmark = pytest.mark.usefixtures("lean")

seeds = st.integers(0, 2**48)


@pytest.fixture(scope="module")
def probed(tmp_path_factory, lean) -> tuple[Path, Path]:
    """A finished probe with attention, and its input."""
    place = tmp_path_factory.mktemp("probed")
    path = write_jsonl(place / "cases.jsonl", sets.cases()[:16])
    ix.probe(sets.model(), path, place / "run", save_attention="float32", **CALL)
    return place / "run", path


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("damaged")


# --- the plan, the manifest and the shards --------------------------------------------------------


def _set(plan: dict) -> dict:
    """A plan without what is not set, which is the same as what is not there."""
    return {name: value for name, value in plan.items() if value is not None}


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None)
@given(seed=seeds)
def test_a_damaged_plan_is_refused_or_the_same(probed, place, seed):
    run = json.loads((probed[0] / "run.json").read_text())
    damage = json_damaged(json.dumps(run), random.Random(seed))
    (place / "run.json").write_text(damage, encoding="utf-8")
    try:
        read = read_run(place)
        check_same(run["plan"], read["plan"], place)
        assert _set(read["plan"]) == _set(run["plan"])
    except OutputError as error:
        assert "\n" not in str(error)


@pytest.mark.slow
@settings(max_examples=1_000, deadline=None)
@given(seed=seeds)
def test_a_damaged_shard_runs_again_or_is_the_same(probed, seed, place):
    random_ = random.Random(seed)
    folder = place / "shards"
    if not folder.exists():
        shutil.copytree(probed[0] / "shards", folder)
    whole = ShardStore(probed[0] / "shards").entries
    path = random_.choice(sorted(folder.iterdir()))
    content = path.read_bytes()
    try:
        if path.suffix == ".jsonl" and random_.random() < 0.7:
            lines = content.decode().splitlines()
            number = random_.randrange(len(lines))
            lines[number] = json_damaged(lines[number], random_)
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        else:
            path.write_bytes(damaged(content, random_))
        store = ShardStore(folder)
        for number, entry in whole.items():
            assert store.done(number, entry.content) in (None, entry)
        try:
            assert gather(store, list(store.entries.values())).counts.rows <= 16
        except OutputError as error:
            assert "Run the same command again" in str(error)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_probe_ends_with_the_same_tables(probed, tmp_path, seed):
    folder, path = probed
    shutil.copytree(folder, tmp_path / "run")
    random_ = random.Random(seed)
    shards = sorted((tmp_path / "run" / "shards").iterdir())
    for each in [shards[seed % len(shards)], tmp_path / "run" / "shards" / "manifest.jsonl"]:
        each.write_bytes(damaged(each.read_bytes(), random_))
    for name in (*TABLES, "summary.json"):
        each = tmp_path / "run" / name
        each.write_bytes(damaged(each.read_bytes(), random_))
    ix.probe(sets.model(), path, tmp_path / "run", save_attention="float32", **CALL)
    assert tables(tmp_path / "run") == tables(folder)


@pytest.mark.parametrize(
    "content", [DEEP, '{"plan":' * 50_000, "[]", "7", '{"plan": []}', "", "\ufeff{}", "\0"]
)
def test_a_foreign_plan_is_one_line(probed, tmp_path, content):
    _, path = probed
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(content)
    with pytest.raises(OutputError) as caught:
        ix.probe(sets.model(), path, tmp_path / "run", **CALL)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "run" / "run.json").read_text() == content


def test_fingerprints_of_other_types_are_shown_as_they_are(tmp_path):
    begun = {"input": [{"sha256": 7, "name": "a"}, 3]}
    for value in (begun["input"], [{"sha256": None, "name": []}], WRONG[-1], {"a": 1}):
        with pytest.raises(OutputError, match="has changed: input"):
            check_same({"input": "other"}, {"input": value}, tmp_path)


def test_damaged_rejects_are_one_line(probed, tmp_path):
    _, path = probed
    run = ix.probe(sets.model(), path, tmp_path / "run", **CALL)
    for content in (DEEP, '{"source": 3}', "[]", '{"source": "a", "line": "x"}', "\xff"):
        (run.folder / "rejects.jsonl").write_bytes(content.encode("latin-1"))
        with pytest.raises(InputError, match="rejected rows"):
            _ = run.rejects


# --- the cache ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A cache with results of a probe."""
    place = tmp_path_factory.mktemp("cache")
    path = write_jsonl(place / "c.jsonl", sets.cases()[:8])
    ix.probe(sets.model(), path, place / "x", cache=CacheOptions(str(place / "c.db")), **CALL)
    return place / "c.db"


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(seed=seeds)
def test_a_damaged_result_is_computed_again(place, kept, seed):
    random_ = random.Random(seed)
    path = place / "c.db"
    if not path.exists():
        shutil.copy(kept, path)
    with sqlite3.connect(path) as base:
        rows = base.execute("SELECT key, value FROM results").fetchall()
        key, value = random_.choice(rows)
        wrong = random_.choice((damaged(value, random_), "text", 7, None, 2.5, b""))
        base.execute("UPDATE results SET value = ?, size = ? WHERE key = ?", (wrong, "x", key))
    base.close()
    try:
        cache = Cache(CacheOptions(str(path)))
        found = cache.get([key for key, _ in rows])
        assert key not in found or wrong == value
        assert set(found) >= {each for each, _ in rows} - {key}
        cache.put({b"new": b"result"})
    finally:
        with sqlite3.connect(path) as base:
            base.execute("DELETE FROM results WHERE key = ?", (b"new",))
            base.execute("INSERT OR REPLACE INTO results VALUES (?, ?, 1, 0)", (key, value))
        base.close()


@settings(max_examples=100, deadline=None)
@given(seed=seeds)
def test_a_damaged_cache_is_refused_or_read(place, kept, seed):
    path = place / "damaged.db"
    for each in place.glob("damaged.db*"):
        each.unlink()
    path.write_bytes(damaged(kept.read_bytes(), random.Random(seed)))
    try:
        cache = Cache(CacheOptions(str(path)))
        cache.get([b"key"])
        cache.put({b"key": b"result"})
        assert cache.get([b"key"]) == {b"key": b"result"}
    except OutputError as error:
        assert "Expected a cache" in str(error)


@pytest.mark.parametrize(
    "made", ["CREATE TABLE results (key, value)", "CREATE VIEW results AS SELECT 1 AS key", None]
)
def test_a_foreign_database_is_no_cache(tmp_path, made):
    path = tmp_path / "foreign.db"
    if made is None:
        path.write_text("notes, and no database at all, of more than a hundred characters " * 30)
    else:
        with sqlite3.connect(path) as base:
            base.execute(made)
        base.close()
    before = path.read_bytes() if made is None else None
    with pytest.raises(OutputError, match="Expected a cache"):
        Cache(CacheOptions(str(path))).put({b"key": b"result"})
    assert before is None or path.read_bytes() == before


# --- saved attention ------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(seed=seeds)
def test_damaged_attention_is_refused_or_the_same(probed, place, seed):
    random_ = random.Random(seed)
    folder = place / "saved"
    if not folder.exists():
        shutil.copytree(probed[0] / "attention", folder / "attention")
    whole = SavedAttention(probed[0])
    path = random_.choice(sorted((folder / "attention").iterdir()))
    content = path.read_bytes()
    if path.suffix == ".jsonl" and random_.random() < 0.7:
        first, *others = content.decode().splitlines()
        changed = "\n".join([json_damaged(first, random_), *others]).encode("utf-8")
    else:
        changed = damaged(content, random_)
    path.write_bytes(changed)
    try:
        saved = SavedAttention(folder)
        for name in list(saved)[:3]:
            assert saved[name].attentions.equal(whole[name].attentions)
            assert saved[name].keys == whole[name].keys
    except (InputError, RecordError) as error:
        assert "saved attention" in str(error) or "attention of" in str(error)
    finally:
        path.write_bytes(content)


def test_an_index_that_leads_elsewhere_is_refused(probed, tmp_path):
    from introspect.io import sealed

    (tmp_path / "attention").mkdir()
    entry = {"id": "a", "file": "../secret.safetensors", "key": "0"}
    (tmp_path / "attention" / "index.jsonl").write_text(sealed(entry))
    with pytest.raises(RecordError, match="no file of this folder"):
        SavedAttention(tmp_path)["a"]


# --- the folder of a causal run -------------------------------------------------------------------


@pytest.fixture(scope="module")
def effects(tmp_path_factory) -> tuple[pd.DataFrame, dict]:
    """The table of a causal study, and how it was measured."""
    model = load("pronoun", lm_head=True)
    study = ix.causal_study(model, grammar_cases(6), share=None, minimal_pairs=False)
    return study.heads, dict(study.heads.attrs)


def written(place: Path, table: pd.DataFrame, summary: str) -> Path:
    place.mkdir(exist_ok=True)
    table = table.copy()
    table.attrs = {}
    table.to_csv(place / "effects.csv", index=False)
    (place / "summary.json").write_text(summary, encoding="utf-8")
    return place


@settings(max_examples=200, deadline=None)
@given(seed=seeds)
def test_a_damaged_summary_is_refused_or_drawn(effects, place, seed):
    table, attrs = effects
    folder = written(place / "causal", table, json_damaged(json.dumps(attrs), random.Random(seed)))
    try:
        view = causal_view(folder)
        assert view.subtitle and view.notices is not None
    except IntrospectError as error:
        assert "\n" not in str(error).strip()


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_a_damaged_table_is_refused_or_drawn(effects, place, seed):
    table, attrs = effects
    folder = written(place / "causal", table, json.dumps(attrs))
    path = folder / "effects.csv"
    random_ = random.Random(seed)
    lines = path.read_text().splitlines()
    row = random_.randrange(len(lines))
    cells = lines[row].split(",")
    cells[random_.randrange(len(cells))] = random_.choice(
        ("", "x", "-1", "0.5", "1e308", "inf", "nan", "99999999999", "True", "1j", '"')
    )
    lines[row] = ",".join(cells)
    path.write_text("\n".join(lines))
    try:
        causal_view(folder).to_html()
    except IntrospectError as error:
        assert "effects" in str(error) or "causal" in str(error)


def test_other_parquet_files_are_refused_in_words(effects, tmp_path):
    table, attrs = effects
    written(tmp_path / "run", table, json.dumps(attrs))
    path = tmp_path / "run" / "effects.parquet"
    odd = table.assign(effect=[[1.0]] * len(table))
    twice = pa.table([pa.array([0]), pa.array([1])], names=["layer", "layer"])
    for other in (table.assign(effect="x"), odd, table.drop(columns="head"), table.iloc[:0]):
        other.attrs = {}
        other.to_parquet(path)
        with pytest.raises(InputError):
            causal_view(path)
    for content in (twice, pa.table({"layer": pa.array([pa.scalar(0)])})):
        pq.write_table(content, path)
        with pytest.raises(InputError):
            causal_view(path)
    for content in (b"PAR1", b"", np.arange(9).tobytes(), DEEP.encode()):
        path.write_bytes(content)
        with pytest.raises(InputError):
            causal_view(path)
