"""A cache of results, and attention that is kept beside the tables."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

import introspect as ix
from introspect.data import write_jsonl
from introspect.errors import InputError, OutputError
from introspect.runs import CacheOptions, SavedAttention, shard
from introspect.runs.cache import Cache
from introspect.runs.worker import Worker
from tests.closeness import assert_close, assert_same_table
from tests.runs import sets
from tests.runs.sets import CALL, tables

pytestmark = pytest.mark.usefixtures("lean")


@pytest.fixture
def cache(tmp_path):
    return CacheOptions(str(tmp_path / "results.sqlite"))


def kept(run) -> int:
    return json.loads((run.folder / "summary.json").read_text())["texts_from_cache"]


def file_of(folder, cases, name="c.jsonl"):
    return write_jsonl(folder / name, cases)


def assert_same_cases(ours, theirs) -> None:
    a, b = (run.scores.cases for run in (ours, theirs))
    assert list(a["id"]) == list(b["id"]) and list(a["group"]) == list(b["group"])
    for name in ("antecedent_weight", "distractor_weight"):
        assert_close(a[name], b[name])
    pd.testing.assert_series_equal(a["credit"], b["credit"], check_dtype=False)


def test_a_second_set_runs_only_what_it_does_not_share(cache, tmp_path, monkeypatch):
    cases = sets.cases()
    first = ix.probe(
        sets.model(), file_of(tmp_path, cases[:12]), tmp_path / "x", cache=cache, **CALL
    )
    assert kept(first) == 0
    renamed = [replace(case, id=f"new-{case.id}", group=f"g-{case.id}") for case in cases[8:20]]
    path = file_of(tmp_path, renamed, "second.jsonl")
    texts = []
    attend = Worker.attend

    def counted(self, batch, prepared, analyzers):
        texts.extend(prepared.rows[i].id for i in batch)
        return attend(self, batch, prepared, analyzers)

    with monkeypatch.context() as patched:
        patched.setattr(Worker, "attend", counted)
        second = ix.probe(sets.model(), path, tmp_path / "y", cache=cache, **CALL)
    assert sorted(texts) == sorted(f"new-{case.id}" for case in cases[12:20])
    assert kept(second) == 4
    alone = ix.probe(sets.model(), path, tmp_path / "z", **CALL)
    assert_same_cases(second, alone)
    assert list(second.scores.cases["id"].unique()) == [case.id for case in renamed]
    assert set(second.scores.cases["group"]) == {case.group for case in renamed}


def test_the_same_text_as_another_case_is_not_shared(cache, tmp_path):
    case = sets.cases()[0]
    turned = replace(
        case, candidates=tuple(replace(c, antecedent=not c.antecedent) for c in case.candidates)
    )
    ix.probe(sets.model(), file_of(tmp_path, [case]), tmp_path / "x", cache=cache, **CALL)
    path = file_of(tmp_path, [turned], "t.jsonl")
    run = ix.probe(sets.model(), path, tmp_path / "y", cache=cache, **CALL)
    assert kept(run) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"mention": "max"},
        {"weights": "renormalized"},
        {"last_position": True},
        {"layers": [0, 1]},
        {"analyzers": ["coreference", "roles"]},
        {"model": sets.model(seed=1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_results_under_other_options_are_not_taken(change, cache, tmp_path):
    path = file_of(tmp_path, sets.cases()[:4])
    call = {"model": sets.model(), "inputs": path, "cache": cache, **CALL}
    ix.probe(out=tmp_path / "x", **call)
    assert kept(ix.probe(out=tmp_path / "y", **call)) == 4
    assert kept(ix.probe(out=tmp_path / "z", **call | change)) == 0


def test_every_analyzer_is_taken_from_the_cache(cache, tmp_path):
    path = file_of(tmp_path, sets.cases()[:9])
    call = {**CALL, "analyzers": ["coreference", "roles", "similarity"]}
    plain = ix.probe(sets.model(), path, tmp_path / "x", **call)
    filled = ix.probe(sets.model(), path, tmp_path / "y", cache=cache, **call)
    taken = ix.probe(sets.model(), path, tmp_path / "z", cache=cache, **call)
    assert (kept(filled), kept(taken)) == (0, 9)
    for run in (filled, taken):
        assert_same_cases(run, plain)
        for name in ("roles", "similarity"):
            ours, theirs = (pd.read_parquet(r.folder / f"{name}.parquet") for r in (run, plain))
            assert_same_table(ours, theirs)
    assert tables(filled.folder) == tables(taken.folder)


def test_trees_are_taken_from_the_cache_whatever_their_lines(cache, tmp_path):
    tree = "1\tw1\t_\tNOUN\t_\t_\t0\troot\t_\t_\n2\tw2\t_\tNOUN\t_\t_\t1\tnmod\t_\t_\n\n"
    first, second = tmp_path / "a.conllu", tmp_path / "b.conllu"
    first.write_text(tree)
    second.write_text("# text = w1 w2\n# newpar\n" + tree)
    ix.probe(sets.model(), first, tmp_path / "x", cache=cache, **CALL)
    run = ix.probe(sets.model(), second, tmp_path / "y", cache=cache, **CALL)
    assert kept(run) == 1


def test_what_was_not_used_for_longest_goes_first(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("introspect.runs.cache.time.time", lambda: now[0])
    cache = Cache(CacheOptions(str(tmp_path / "c"), bytes=300, identity="i"))
    keys = [cache.key(str(number)) for number in range(5)]
    for number in range(3):
        now[0] += 1
        cache.put({keys[number]: bytes(100)})
    now[0] += 1
    assert set(cache.get(keys)) == set(keys[:3])
    now[0] += 1
    cache.get([keys[0]])
    now[0] += 1
    cache.put({keys[3]: bytes(100)})
    # The first one was used since; of the others one goes.
    assert keys[0] in cache.get([keys[0]]) and keys[3] in cache.get([keys[3]])
    assert len(cache.get(keys)) == 3
    now[0] += 1
    cache.put({keys[4]: bytes(1_000)})  # more than all of it
    assert cache.get(keys) == {}


def test_keys_are_of_the_identity_and_the_text(tmp_path):
    path = str(tmp_path / "c")
    one, other = (Cache(CacheOptions(path, identity=i)) for i in ("a", "b"))
    one.put({one.key("x"): b"1"})
    assert one.get([one.key("x")]) == {one.key("x"): b"1"}
    assert other.get([other.key("x")]) == {}
    assert one.key("x") != one.key("y")
    many = {one.key(str(i)): bytes([i % 256]) for i in range(1_200)}
    one.put(many)
    assert one.get(list(many)) == many


def test_a_cache_that_is_none_says_so(tmp_path):
    path = tmp_path / "c"
    path.write_bytes(b"no data base at all" * 100)
    call = {"cache": CacheOptions(str(path)), **CALL}
    given = file_of(tmp_path, sets.cases()[:2])
    with pytest.raises(OutputError, match="Expected a cache at .*leave the cache out"):
        ix.probe(sets.model(), given, tmp_path / "x", **call)
    assert path.read_bytes().startswith(b"no data base")


# Saved attention


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_saved_attention_is_that_of_a_capture(precision, tmp_path):
    model, cases = sets.model(), sets.cases()
    path = file_of(tmp_path, cases)
    out = tmp_path / "x"
    ix.probe(model, path, out, save_attention=precision, batch_size=3, **CALL)
    saved = SavedAttention(out)
    assert set(saved) == {case.id for case in cases}
    assert len(saved) == len(cases)
    for case in cases:
        ours, theirs = saved[case.id], model.capture(case.text)
        assert ours.attentions.dtype == torch.float32
        assert ours.layers == theirs.layers
        assert ours.queries == theirs.queries and ours.keys == theirs.keys
        assert_close(ours.attentions, theirs.attentions, dtype=getattr(torch, precision))


def test_only_the_layers_asked_for_are_saved(tmp_path):
    path = file_of(tmp_path, sets.cases()[:2])
    ix.probe(sets.model(), path, tmp_path / "x", save_attention="float32", layers=[2], **CALL)
    record = SavedAttention(tmp_path / "x")[sets.cases()[0].id]
    assert record.layers == (2,)
    whole = sets.model().capture(sets.cases()[0].text)
    assert_close(record.attentions, whole.attentions[2:])


def test_the_index_is_whole_after_a_stop_and_a_damaged_shard(tmp_path, monkeypatch):
    path, out = file_of(tmp_path, sets.cases()), tmp_path / "x"
    call = {**CALL, "save_attention": "float16"}
    run, calls = shard.run_shard, []

    def stopped(self, prepared):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run(self, prepared)

    with monkeypatch.context() as patched:
        patched.setattr(shard, "run_shard", stopped)
        with pytest.raises(KeyboardInterrupt):
            ix.probe(sets.model(), path, out, **call)
    (out / "shards").joinpath("manifest.jsonl").write_bytes(b"")
    ix.probe(sets.model(), path, out, **call)
    saved = SavedAttention(out)
    assert set(saved) == {case.id for case in sets.cases()}
    index = (out / "attention" / "index.jsonl").read_text().splitlines()
    assert len(index) == len(sets.cases())
    assert all((out / "attention" / json.loads(line)["file"]).exists() for line in index)
    assert saved[sets.cases()[-1].id].attentions.shape[0] == 3


def test_attention_is_saved_also_of_texts_that_the_cache_knows(cache, tmp_path):
    path = file_of(tmp_path, sets.cases()[:6])
    ix.probe(sets.model(), path, tmp_path / "x", cache=cache, **CALL)
    call = {**CALL, "save_attention": "float32"}
    ix.probe(sets.model(), path, tmp_path / "y", cache=cache, **call)
    assert len(SavedAttention(tmp_path / "y")) == 6


def test_ids_with_any_character_are_found_again(tmp_path):
    """Some of them end a line, but only for Unicode."""
    names = ["a\u2028b", "c\x85d", 'e"\\n', "f/g", "中"]
    cases = [replace(case, id=name) for case, name in zip(sets.cases(), names, strict=False)]
    path, out = file_of(tmp_path, cases), tmp_path / "x"
    ix.probe(sets.model(), path, out, save_attention="float16", **CALL)
    assert set(SavedAttention(out)) == set(names)
    assert SavedAttention(out)["a\u2028b"].keys.texts == (cases[0].text,)


def test_windows_are_saved_as_parts(tmp_path):
    path = sets.text_file(tmp_path, ["w1 " * 50, "w2"])
    out = tmp_path / "x"
    ix.probe(sets.model(), path, out, save_attention="float16", long="window", **CALL)
    assert sorted(SavedAttention(out)) == ["texts.txt:1#1", "texts.txt:1#2", "texts.txt:2"]


def test_no_saved_attention_says_so(tmp_path):
    ix.probe(sets.model(), file_of(tmp_path, sets.cases()[:2]), tmp_path / "x", **CALL)
    with pytest.raises(InputError, match="--save-attention"):
        SavedAttention(tmp_path / "x")
