"""The pieces that a probe is made of: shards, arrays, columns of cases."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from safetensors import SafetensorError

from introspect.data import Reject, Sentence, SyntaxWord, case_from_json, reject_to_json
from introspect.errors import OutputError
from introspect.io import pack, unpack
from introspect.runs.rows import ProbeRow, Shard, cut, unlike
from introspect.runs.shard import by_analyzer, run_shard
from introspect.runs.store import Counts, ShardEntry, ShardStore
from introspect.runs.worker import Worker, WorkerOptions
from introspect.studies.coreference import CaseColumns
from introspect.text import CorefCase
from tests.runs import sets

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)

# Shards

ROWS = st.lists(
    st.one_of(
        st.builds(ProbeRow, TEXT, TEXT),
        st.builds(Reject, TEXT, st.integers(0, 9), TEXT, TEXT),
    ),
    max_size=30,
)


@forall(ROWS, st.integers(1, 8))
def test_shards_are_the_rows_in_their_order(rows, size):
    shards = list(cut(iter(rows), size))
    assert [row for shard in shards for row in shard.rows] == rows
    assert [shard.index for shard in shards] == list(range(len(shards)))
    assert all(len(shard.rows) == size for shard in shards[:-1])
    assert all(1 <= len(shard.rows) <= size for shard in shards)
    again = list(cut(iter(rows), size))
    assert [shard.digest for shard in again] == [shard.digest for shard in shards]


@forall(ROWS, ROWS)
def test_a_digest_is_that_of_the_rows(ours, theirs):
    same = [_all_of(row) for row in ours] == [_all_of(row) for row in theirs]
    assert (Shard.of(0, ours).digest == Shard.of(5, theirs).digest) == same


def _all_of(row):
    return row if isinstance(row, Reject) else (row.id, row.text)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "other"},
        {"text": "The cat sat because it could."},
        {"group": "other"},
        {"extra": {"gender": "male"}},
        {"candidates": ()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_a_case_says_is_in_the_digest(change):
    case = CorefCase.from_words(
        "The dog sat because it could.", pronoun="it", antecedent="dog", id="c", group="g"
    )
    if "candidates" in change:
        change = {"candidates": tuple(replace(c, antecedent=False) for c in case.candidates)}
    other = replace(case, **change)
    rows = [ProbeRow("c", one.text, one) for one in (case, other)]
    digests = [Shard.of(0, [row]).digest for row in rows]
    assert digests[0] != digests[1]
    # Its names are of no consequence for what is found of it.
    names = {"id", "group", "extra"}
    assert (rows[0].meaning == rows[1].meaning) == (set(change) <= names)


def test_whatever_a_tree_says_is_in_the_digest():
    words = (SyntaxWord("w1", (0, 2), None, "root"),)
    tree = Sentence("w1", words, id="s", line=1)
    rows = [
        ProbeRow("r", "w1", each)
        for each in (tree, replace(tree, words=(replace(words[0], deprel="dep"),)))
    ]
    assert Shard.of(0, rows[:1]).digest != Shard.of(0, rows[1:]).digest
    assert rows[0].meaning != rows[1].meaning
    moved = replace(rows[0], item=replace(tree, id="t", line=7))
    assert moved.meaning == rows[0].meaning


def test_an_id_that_came_before_is_rejected_each_time():
    rows = [ProbeRow("a", "1"), ProbeRow("b", "2"), ProbeRow("a", "3", line=3), ProbeRow("a", "4")]
    found = list(unlike(rows))
    assert found[:2] == rows[:2]
    assert [(r.kind, r.line) for r in found[2:]] == [("duplicate_id", 3), ("duplicate_id", 0)]


# Arrays

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=":"), min_size=1)
NUMBERS = arrays_of.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.int32, np.uint8, np.bool_]),
    arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)
# NumPy drops NULs at the end of a string by itself.
WORDS = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))


@forall(st.dictionaries(NAMES, st.one_of(NUMBERS, WORDS.map(lambda w: np.array(w, dtype=str)))))
def test_arrays_come_back_as_they_were(arrays):
    packed = pack(arrays)
    assert pack(dict(reversed(arrays.items()))) == packed
    found = unpack(packed)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].shape == array.shape
        assert found[name].dtype.kind == array.dtype.kind
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize(
    "array",
    [
        np.array("中\u2028\U0001f408"),
        np.array(3.5),
        np.array([["a", "bb"], ["", "ü"]]),
        np.arange(24).reshape(2, 3, 4).swapaxes(0, 2),
        np.arange(10)[::-2],
        np.zeros((0, 3)),
    ],
    ids=["a text", "a number", "a table of texts", "axes swapped", "backwards", "nothing"],
)
def test_arrays_of_every_form_come_back(array):
    found = unpack(pack({"x": array}))["x"]
    np.testing.assert_array_equal(found, array)
    assert found.shape == array.shape and found.dtype.kind == array.dtype.kind


def test_damaged_bytes_are_refused():
    packed = pack({"x": np.arange(5)})
    for damaged in (packed[:-1], b"", b"\xff" * 40):
        with pytest.raises(SafetensorError):
            unpack(damaged)


# A store


def rejects(count: int) -> tuple[Reject, ...]:
    return tuple(
        Reject("a\u2028.txt", number, 'why "\\ \x85', "row\u2029\ud800", "text")
        for number in range(count)
    )


@pytest.mark.parametrize("count", [0, 1, 3])
def test_what_is_stored_is_read(count, tmp_path):
    store = ShardStore(tmp_path / "shards")
    store.create()
    given = {"roles/sums": np.arange(6.0).reshape(2, 3), "roles/names": np.array(["a", "中"])}
    counts = Counts(read=9, rows=6, tokens=7, rejected=count)
    entry = store.write(4, "f" * 64, given, rejects(count), counts)
    assert store.done(4, "f" * 64) is None  # not in the manifest yet
    store.record(entry)
    for again in (store, ShardStore(tmp_path / "shards")):
        found = again.done(4, "f" * 64)
        assert found == entry and found.rejected == count
        assert again.done(4, "e" * 64) is None and again.done(3, "f" * 64) is None
        arrays, lines = again.read(found)
        assert set(arrays) == set(given)
        assert lines == [reject_to_json(reject) for reject in rejects(count)]
        for name, array in given.items():
            np.testing.assert_array_equal(arrays[name], array)


def test_the_last_line_of_a_shard_counts(tmp_path):
    store = ShardStore(tmp_path)
    first, second = (store.write(0, c * 64, {}, (), Counts(read=1, rows=1, tokens=1)) for c in "ab")
    store.record(first)
    store.record(second)
    again = ShardStore(tmp_path)
    assert again.entries == {0: second}
    again.prune(1)
    assert not (tmp_path / first.file).exists() and (tmp_path / second.file).exists()
    again.prune(0)
    assert not (tmp_path / second.file).exists()
    with pytest.raises(OutputError, match="Run the same command again"):
        again.read(second)


def test_entries_have_all_that_json_can_hold():
    counts = {"read": 8, "rows": 7, "rejected": 1, "tokens": 99, "kept": 2, "backoffs": 1}
    known = counts | {"largest_error": 1e-7, "routes": ("a", "b")}
    entry = ShardEntry(3, "c" * 64, "d" * 64, 10, **known)
    found = json.loads(json.dumps(vars(entry)))
    assert ShardEntry(**found | {"routes": tuple(found["routes"])}) == entry
    twice = entry.plus(Counts(rows=1, largest_error=1e-8, routes=("b", "c")))
    assert vars(twice) == known | {"rows": 8, "routes": ("a", "b", "c")}


# Columns of cases


@pytest.fixture(scope="module", params=["raw", "renormalized", "norm"])
def columns(request) -> CaseColumns:
    cases = sets.cases()
    cases[3] = replace(cases[3], candidates=cases[3].candidates[:1])
    rows = [ProbeRow(case.id, case.text, case) for case in cases]
    worker = Worker(sets.model(), WorkerOptions(weights=request.param))
    arrays = run_shard(worker, worker.prepare(Shard.of(0, rows))).arrays
    found = CaseColumns.from_state(by_analyzer(arrays)["coreference"])
    return found


def assert_same_columns(ours: CaseColumns, theirs: CaseColumns) -> None:
    for name, value in vars(theirs).items():
        if name == "starts":
            continue
        assert type(getattr(ours, name)) is type(value), name
        np.testing.assert_array_equal(getattr(ours, name), value)


def test_columns_come_back_from_their_state(columns):
    packed = pack(columns.state())
    assert_same_columns(CaseColumns.from_state(unpack(packed)), columns)


@forall(st.data())
def test_columns_that_are_divided_and_joined_are_the_same(columns, data):
    """Any order of all cases, cut anywhere, and put back in order."""
    order = data.draw(st.permutations(range(len(columns))))
    where = data.draw(st.integers(1, len(columns) - 1))
    parts = [columns.taken(order[:where]), columns.taken(order[where:])]
    assert [len(part) for part in parts] == [where, len(columns) - where]
    joined = CaseColumns.joined(parts)
    assert joined.names == tuple(columns.names[i] for i in order)
    assert_same_columns(joined.taken(np.argsort(order).tolist()), columns)


def test_a_case_taken_alone_is_that_case(columns):
    scored = columns.scored()
    for number in (0, 3, 17):
        (alone,) = columns.taken([number]).scored()
        for name, value in vars(scored[number]).items():
            np.testing.assert_array_equal(getattr(alone, name), value)
    case = replace(case_from_json(columns.lines[5]), id="new", group="of its own")
    renamed = columns.taken([5]).called(case)
    assert (renamed.names, renamed.groups) == (("new",), ("of its own",))
    assert case_from_json(renamed.lines[0]) == case
    np.testing.assert_array_equal(renamed.weights, columns.weights[columns.of(5)])


# What goes to another process


def test_cases_can_be_pickled():
    for case in sets.cases():
        with_more = replace(case, extra={"gender": "male", "n": [1, 2]})
        for one in (case, with_more):
            again = pickle.loads(pickle.dumps(one))
            assert again == one and dict(again.extra) == dict(one.extra)
            with pytest.raises(TypeError):
                again.extra["x"] = 1


def test_shards_and_options_can_be_pickled():
    shard = Shard.of(2, [ProbeRow("a", c.text, c) for c in sets.cases()] + [*rejects(2)])
    assert pickle.loads(pickle.dumps(shard)) == shard
    options = WorkerOptions(layers=(0, 1), weights="norm")
    assert pickle.loads(pickle.dumps(options)) == options
    assert Counter(row.id for row in shard.rows if isinstance(row, ProbeRow)) == {"a": 32}
