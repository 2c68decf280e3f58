"""The numbers of a probe are those of one text at a time, whatever runs together and however."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import transformers as tf
from hypothesis import given as forall
from hypothesis import strategies as st

import introspect as ix
from introspect.data import own_cases, write_jsonl
from introspect.errors import SelectionError
from introspect.models import BatchLimits, length_batches, load_text
from introspect.runs import WorkerOptions
from introspect.runs.rows import ProbeRow, Shard
from introspect.runs.shard import by_analyzer, run_shard
from introspect.runs.worker import Worker
from introspect.studies.coreference import (
    DIRECTIONS,
    EVERY_DIRECTION,
    CaseColumns,
    score_case,
)
from introspect.studies.heads import RolesAnalyzer
from tests import models_zoo
from tests.closeness import assert_close, assert_same_table
from tests.runs import sets
from tests.runs.sets import CALL
from tests.tokenizers_zoo import byte_level

pytestmark = pytest.mark.usefixtures("lean")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_jsonl(tmp_path_factory.mktemp("given") / "own.jsonl", sets.cases())


def rows_of(cases) -> Shard:
    return Shard.of(0, [ProbeRow(case.id, case.text, case) for case in cases])


def columns(model, cases=None, **options):
    """The cases through a worker, and the routes that it took."""
    worker = Worker(model, WorkerOptions(**options))
    result = run_shard(worker, worker.prepare(rows_of(cases or sets.cases())))
    assert result.rejects == ()
    found = CaseColumns.from_state(by_analyzer(result.arrays)["coreference"])
    return found, result


def assert_as_score_case(found, model, cases, *, mention="mean", weights="raw"):
    """By the independent way: a record of each text alone, and a loop over its candidates."""
    include = ("value_norms",) if weights == "norm" else ()
    assert list(found.names) == [case.id for case in cases]
    kind = {"kind": "encoder"} if model.is_encoder_decoder else {}
    for number, case in enumerate(cases):
        record = model.capture(case.text, include=("attentions", *include), **kind)
        for place, scores in enumerate(score_case(record, case, mention=mention, weights=weights)):
            assert scores.direction == DIRECTIONS[place]
            ours = found.weights[found.of(number), place]
            assert_close(ours, scores.weights)
            seen = scores.observable.numpy()
            np.testing.assert_array_equal(found.observable[number, place], seen)


def of_two_words():
    """Our cases, with the word before each candidate as a part of it: sum, mean and max differ."""
    cases = []
    for case in sets.cases():
        widened = []
        for candidate in case.candidates:
            start, end = candidate.span
            before = case.text[:start].rstrip().rfind(" ") + 1
            clear = not (before < case.pronoun[1] and case.pronoun[0] < end)
            widened.append(replace(candidate, span=(before if clear else start, end)))
        cases.append(replace(case, candidates=tuple(widened)))
    assert sum(" " in c.phrase(c.candidates[0].span) for c in cases) > len(cases) / 2
    return cases


@pytest.mark.slow
@pytest.mark.parametrize("mention", ["mean", "sum", "max", "last"])
def test_each_case_alone_has_the_numbers_of_score_case(mention):
    cases = of_two_words()
    found, _ = columns(sets.model(), cases, mention=mention, limits=BatchLimits(texts=1))
    assert_as_score_case(found, sets.model(), cases, mention=mention)


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["raw", "renormalized", "norm"])
@pytest.mark.parametrize("mention", ["mean", "max"])
def test_a_batch_has_the_numbers_of_score_case(mention, weights):
    cases = of_two_words()
    found, _ = columns(sets.model(), cases, mention=mention, weights=weights)
    assert_as_score_case(found, sets.model(), cases, mention=mention, weights=weights)


@pytest.mark.parametrize("weights", ["raw", "renormalized", "norm"])
def test_a_probe_has_the_tables_of_score(weights, path, tmp_path):
    model = models_zoo.minilm()
    run = ix.probe(model, path, tmp_path / "x", weights=weights, **CALL | {"shard_rows": 7})
    alone = ix.score(model, sets.cases(), weights=weights, options=sets.FEW)
    assert_same_table(run.scores.heads, alone.heads)
    assert_same_table(run.scores.baselines, alone.baselines)
    ours = pd.read_parquet(tmp_path / "x" / "cases.parquet")
    theirs = alone.cases
    assert list(ours["id"].astype(str)) == list(theirs["id"].astype(str))
    for name in ("antecedent_weight", "distractor_weight", "credit"):
        assert_close(ours[name], theirs[name])


def test_a_probe_of_the_last_position_has_the_tables_of_score_and_says_so(path, tmp_path):
    model = sets.model("llama")
    run = ix.probe(model, path, tmp_path / "x", last_position=True, **CALL)
    alone = ix.score(model, sets.cases(), last_position=True, options=sets.FEW)
    assert_same_table(run.scores.heads, alone.heads)
    assert set(alone.heads["direction"]) == set(EVERY_DIRECTION)
    page = run.report.read_text(encoding="utf-8")
    assert "what the last position of each text attends to was scored" in page
    assert "last_position_to_candidate" in page and "⇥ from the last position" in page
    without = ix.probe(model, path, tmp_path / "y", **CALL)
    assert "last position" not in without.report.read_text(encoding="utf-8")
    both = alone.heads["direction"].isin(DIRECTIONS)
    columns = ["n", "n_not_observable", "accuracy", "margin"]
    assert_same_table(without.scores.heads[columns], alone.heads[both][columns])


def test_the_last_position_of_texts_without_cases_is_refused(tmp_path):
    with pytest.raises(SelectionError, match=r"`last_position`, got roles. Leave the option out"):
        ix.probe(sets.model(), ["w1 w2"], tmp_path / "x", last_position=True)
    assert not any((tmp_path / "x").glob("*.html"))


# Rows alone


MODELS = {"minilm": models_zoo.minilm, "llama": lambda: sets.model("llama")}


@pytest.mark.parametrize("name", MODELS)
def test_rows_alone_give_the_numbers_of_whole_patterns(name):
    model = MODELS[name]()
    whole, by_whole = columns(model)
    rows, by_rows = columns(model, limits=BatchLimits(weights=1))
    assert by_rows.counts.routes != by_whole.counts.routes and len(by_rows.counts.routes) == 1
    for field in ("weights", "received"):
        assert_close(getattr(rows, field), getattr(whole, field))
    np.testing.assert_array_equal(rows.observable, whole.observable)
    # A causal model cannot look ahead, and every case has its pronoun after its candidates.
    unseen = [(~whole.observable[:, place]).all(-1).sum() for place in (0, 1)]
    after = sum(max(c.span[0] for c in case.candidates) > case.pronoun[0] for case in sets.cases())
    assert unseen == ([0, 0] if name == "minilm" else [after, len(sets.cases())])


def test_rows_alone_stay_within_the_limit_of_weights():
    """Whole patterns are made where they fit, and rows where they do not."""
    cases = sets.cases()
    longest = max(len(case.text.split(" ")) for case in cases) + 2
    _, small = columns(sets.model(), limits=BatchLimits(texts=1, weights=4 * longest**2))
    assert len(small.counts.routes) == 1
    _, both = columns(sets.model(), limits=BatchLimits(texts=1, weights=4 * (longest - 1) ** 2))
    assert len(both.counts.routes) == 2


# Padding and neighbors


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_neighbors_and_padding_change_nothing(name):
    model = sets.model(name)
    ours, _ = columns(model, limits=BatchLimits(texts=1))
    for limits in (BatchLimits(texts=5), BatchLimits(tokens=100), BatchLimits()):
        theirs, _ = columns(model, limits=limits)
        assert_close(theirs.weights, ours.weights)
        assert_close(theirs.received, ours.received)
        np.testing.assert_array_equal(theirs.observable, ours.observable)
    backwards, _ = columns(model, sets.cases()[::-1])
    assert list(backwards.names) == list(ours.names)[::-1]
    again = backwards.taken(range(len(backwards) - 1, -1, -1))
    assert_close(again.weights, ours.weights)


def test_only_the_layers_asked_for(path, tmp_path):
    whole, _ = columns(sets.model())
    some, _ = columns(sets.model(), layers=(0, 2))
    assert some.layers == (0, 2)
    assert_close(some.weights, whole.weights[:, :, [0, 2]])
    run = ix.probe(sets.model(), path, tmp_path / "x", layers=[1], **CALL)
    assert set(run.scores.heads["layer"]) == {1}
    with pytest.raises(SelectionError, match="7"):
        ix.probe(sets.model(), path, tmp_path / "y", layers=[7], **CALL)


def test_the_model_runs_no_further_than_the_last_layer_asked_for():
    model, ran = sets.model(), []
    hooks = [
        layer.register_forward_pre_hook(lambda *_, number=number: ran.append(number))
        for number, layer in enumerate(model.module.encoder.layer)
    ]
    try:
        columns(model, sets.cases()[:2], layers=(0,))
    finally:
        for hook in hooks:
            hook.remove()
    assert ran == [0]


# Other architectures


def roles_one_by_one(model, texts) -> pd.DataFrame:
    analyzer = RolesAnalyzer()
    kind = {"kind": "encoder"} if model.is_encoder_decoder else {}
    for text in texts:
        analyzer.update(model.capture(text, **kind))
    return analyzer.compute()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t5", "bart", "bloom", "deberta", "gpt2", "gemma3"])
def test_every_kind_of_model_has_the_numbers_of_one_text_at_a_time(name, tmp_path):
    model = sets.model(name)
    found, result = columns(model)
    assert_as_score_case(found, model, sets.cases())
    texts = [case.text for case in sets.cases()]
    run = ix.probe(model, sets.text_file(tmp_path, texts), tmp_path / "x", **CALL)
    ours = run.analyzers["roles"].compute()
    pd.testing.assert_frame_equal(ours, roles_one_by_one(model, texts), rtol=1e-4, atol=1e-5)
    assert result.counts.largest_error is None or result.counts.largest_error < 1e-4


def test_models_that_take_no_mask_get_texts_of_one_length():
    inner = sets.model("gpt2").module

    class Alone(type(inner)):
        def forward(self, input_ids=None):
            shapes.append(tuple(input_ids.shape))
            return super().forward(input_ids)

    shapes: list[tuple[int, ...]] = []
    module = Alone(inner.config)
    module.load_state_dict(inner.state_dict())
    model = load_text((module.eval(), sets.tokenizer()))
    assert not Worker(model, WorkerOptions()).runner.takes_mask
    found, _ = columns(model)
    lengths = sorted(len(case.text.split(" ")) + 2 for case in sets.cases())
    assert sorted(n for count, n in shapes for _ in range(count)) == lengths
    assert any(count > 1 for count, _ in shapes)
    theirs, _ = columns(sets.model("gpt2"))
    assert_close(found.weights, theirs.weights)


def test_words_of_several_tokens_are_words(tmp_path):
    """A byte-level tokenizer, whose mentions are many tokens long."""
    config = models_zoo.ALL["llama"]()
    config.vocab_size, config.max_position_embeddings = 300, 512
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = tf.AutoModel.from_config(config).eval()
    model = load_text((module, byte_level()))
    found, _ = columns(model, own_cases("en")[:6])
    assert_as_score_case(found, model, own_cases("en")[:6])


# Batches


@forall(
    st.lists(st.integers(1, 300), max_size=60),
    st.integers(1, 20),
    st.integers(1, 2_000),
    st.integers(1, 200_000),
    st.integers(1, 16),
    st.booleans(),
)
def test_batches_hold_every_text_once_and_within_limits(
    lengths, texts, tokens, weights, num_heads, alike
):
    limits = BatchLimits(texts=texts, tokens=tokens, weights=weights)
    batches = list(length_batches(lengths, limits, num_heads=num_heads, alike=alike))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        if len(batch) > 1:
            assert len(batch) <= texts
            assert len(batch) * longest <= tokens
            assert len(batch) * num_heads * longest**2 <= weights
        if alike:
            assert len({lengths[i] for i in batch}) == 1
    # Short ones first, and no batch could have held the first text of the next one.
    for batch, following in zip(batches, batches[1:], strict=False):
        assert lengths[batch[-1]] <= lengths[following[0]]
        held, length = len(batch) + 1, lengths[following[0]]
        fits = held <= texts and held * length <= tokens and held * num_heads * length**2 <= weights
        assert not fits or (alike and lengths[batch[0]] != length)


@pytest.mark.parametrize("name", ["texts", "tokens", "weights"])
def test_limits_below_one_are_refused(name):
    with pytest.raises(SelectionError, match=f"limit of {name}.* got 0"):
        BatchLimits(**{name: 0})


def test_several_analyzers_in_one_pass_are_as_each_alone(path, tmp_path, monkeypatch):
    names = ["coreference", "roles", "similarity"]
    attend, calls = Worker.attend, []
    monkeypatch.setattr(Worker, "attend", lambda *args: (calls.append(1), attend(*args))[1])
    together = ix.probe(sets.model(), path, tmp_path / "x", analyzers=names, **CALL)
    assert len(calls) == 4
    for name in names[1:]:
        alone = ix.probe(sets.model(), path, tmp_path / name, analyzers=[name], **CALL)
        ours, theirs = (r.folder / f"{name}.parquet" for r in (together, alone))
        assert ours.read_bytes() == theirs.read_bytes()
    alone = ix.probe(sets.model(), path, tmp_path / "c", **CALL)
    for name in ("heads.csv", "cases.parquet"):
        assert (together.folder / name).read_bytes() == (alone.folder / name).read_bytes()
    summary = json.loads((together.folder / "summary.json").read_text())
    assert summary["texts"] == 32


@pytest.mark.slow
def test_lanes_change_no_byte(path, tmp_path):
    names = ["coreference", "roles", "similarity"]
    call = {**CALL, "analyzers": names, "batch_size": 2, "shard_rows": 16}
    one = ix.probe(sets.model(), path, tmp_path / "x", **call)
    three = ix.probe(sets.model(), path, tmp_path / "y", **call | {"threads": 3})
    for shard in (one.folder / "shards").glob("*.safetensors"):
        theirs = three.folder / "shards" / shard.name
        assert theirs.read_bytes() == shard.read_bytes()
    files = (*sets.TABLES, "roles.parquet", "similarity.parquet")
    assert sets.tables(one.folder, files) == sets.tables(three.folder, files)
