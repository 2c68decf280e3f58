"""Rows whose attention is not finite are rejected, and the others count as if they were alone."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import introspect as ix
from introspect.data import write_jsonl
from introspect.errors import CaptureError, InputError
from introspect.models import BatchLimits, load_text
from introspect.studies.coreference import CandidateFeatures, CoreferenceAnalyzer
from introspect.studies.coreference.linear_probe import linear_probe
from introspect.studies.runner import BatchRunner, NotFiniteError
from tests import models_zoo
from tests.closeness import assert_same_table
from tests.runs import sets
from tests.runs.sets import CALL

pytestmark = pytest.mark.usefixtures("lean")


def overflowing(word: str, name: str = "bert"):
    """A model in which whatever holds the word becomes NaN, as float16 that overflows."""
    whole = sets.model(name)
    module = models_zoo.build(name, config=whole.module.config)
    module.load_state_dict(whole.module.state_dict())
    with torch.no_grad():
        number = whole.tokenizer.convert_tokens_to_ids(word)
        module.get_input_embeddings().weight[number] = torch.nan
    return load_text((module.eval(), whole.tokenizer))


def marked(cases, *places):
    """The cases, of which some hold the word w7."""
    return [
        replace(case, text=f"{case.text} w7") if place in places else case
        for place, case in enumerate(cases)
    ]


@pytest.mark.parametrize("options", [{}, {"batch_size": 1}], ids=["batches", "one by one"])
def test_such_cases_are_rejected_and_the_others_count(tmp_path, options):
    cases = sets.cases()[:12]
    path = write_jsonl(tmp_path / "c.jsonl", marked(cases, 1, 6))
    alone = [case for place, case in enumerate(cases) if place not in (1, 6)]
    clean = write_jsonl(tmp_path / "d.jsonl", alone)
    call = CALL | options
    run = ix.probe(overflowing("w7"), path, tmp_path / "x", **call)
    assert [(reject.line, reject.kind) for reject in run.rejects] == [
        (2, "not_finite"),
        (7, "not_finite"),
    ]
    assert all("float16 overflows" in reject.reason for reject in run.rejects)
    other = ix.probe(sets.model(), clean, tmp_path / "y", **call)
    for name in ("heads.parquet", "cases.parquet"):
        tables = [pd.read_parquet(each.folder / name) for each in (run, other)]
        assert_same_table(*tables)
    assert (tmp_path / "x" / "report.html").exists()


def test_such_texts_are_rejected_by_every_analyzer(tmp_path):
    path = sets.text_file(tmp_path, ["w1 w2 w3", "w1 w7 w3", "w4 w5", "w7"])
    run = ix.probe(overflowing("w7"), path, tmp_path / "x", **CALL)
    assert [reject.line for reject in run.rejects] == [2, 4]
    clean = sets.text_file(tmp_path, ["w1 w2 w3", "w4 w5"])
    alone = ix.probe(sets.model(), clean, tmp_path / "y", **CALL)
    roles = [pd.read_parquet(each.folder / "roles.parquet") for each in (run, alone)]
    assert_same_table(*roles)


def test_a_set_of_nothing_else_is_refused_with_the_reason(tmp_path):
    path = sets.text_file(tmp_path, ["w7 w1", "w2 w7"])
    with pytest.raises(InputError, match=r"2 rows were rejected.*Expected finite attention"):
        ix.probe(overflowing("w7"), path, tmp_path / "x", **CALL)


def test_ix_score_names_the_case():
    cases = marked(sets.cases()[:3], 1)
    with pytest.raises(CaptureError, match=r"Case .*: Expected finite attention.*layer 0"):
        ix.score(overflowing("w7"), cases)


@pytest.mark.parametrize("weights", [1, 10**9], ids=["rows alone", "whole patterns"])
@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_a_run_names_the_places_in_its_batch(weights, name):
    model = overflowing("w7", name)
    cases = marked(sets.cases()[:5], 0, 3)
    encoded = model.encoded([case.text for case in cases])
    runner = BatchRunner(model, limits=BatchLimits(weights=weights))
    analyzer = CoreferenceAnalyzer()
    with pytest.raises(NotFiniteError) as caught:
        runner.run(encoded, cases, [analyzer])
    assert caught.value.places == (0, 3)
    assert len(analyzer) == 0
    kept = [1, 2, 4]
    runner.run([encoded[i] for i in kept], [cases[i] for i in kept], [analyzer])
    assert len(analyzer) == 3


def test_the_error_reaches_another_process():
    error = pickle.loads(pickle.dumps(NotFiniteError([1, 3], 2)))
    assert (error.places, error.layer) == ((1, 3), 2)
    assert "layer 2" in str(error)


def test_a_linear_probe_names_a_case_that_is_not_finite():
    def features(number: int) -> CandidateFeatures:
        weights = np.random.default_rng(number).random((2, 2, 1, 2))
        if number == 5:
            weights[0, 0, 0, 1] = np.nan
        return CandidateFeatures(f"c{number}", f"g{number}", weights, (True, False))

    with pytest.raises(InputError, match="finite weights.*'c5'.*Leave the case out"):
        linear_probe([features(number) for number in range(30)], folds=2)
