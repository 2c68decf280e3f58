"""The scripts of examples/, by the functions that their readers import, with one model."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import torch

import introspect as ix
from tests import models_zoo

FOLDER = Path(__file__).resolve().parent.parent / "examples"
TEXTS = ["The cat sat on the mat.", "It slept because it was tired.", "Dogs bark."]


@pytest.fixture(scope="module")
def model() -> ix.Model:
    return models_zoo.minilm()


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_batches_become_a_parquet_file(model, tmp_path, monkeypatch):
    script = example("batch_to_parquet")
    (tmp_path / "texts.txt").write_text("\n".join([*TEXTS, ""]), "utf-8")
    monkeypatch.setattr(script.ix, "load", lambda name: model)
    monkeypatch.setattr(
        sys, "argv", ["x", str(tmp_path / "texts.txt"), str(tmp_path / "out.parquet")]
    )
    script.main()
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert len(table) == 3 * 6 * 12
    words = model.capture(TEXTS[1]).words().attentions[3, 1]
    expected = sum(float(words[n + 1, n]) for n in range(len(words) - 1)) / (len(words) - 1)
    row = table.query("text == 1 and layer == 3 and head == 1")
    assert row["to_previous"].item() == pytest.approx(expected, abs=1e-5)


def test_a_report_for_each_file_and_a_reason_for_the_others(model, tmp_path):
    (tmp_path / "a.txt").write_text(TEXTS[0], "utf-8")
    (tmp_path / "empty.txt").write_text("", "utf-8")
    (tmp_path / "other.txt").write_bytes(b"\xff\xfe\xff")
    files = sorted(tmp_path.glob("*.txt"))
    refused = example("report_for_each_file").write_reports(model, files, tmp_path / "out")
    assert sorted(refused) == ["empty.txt", "other.txt"]
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["a.html"]


def test_a_model_that_lost_its_heads_is_noticed(model):
    script = example("check_heads")
    assert script.lost_heads(model, model, script.CASES).empty
    spoiled = ix.load("minilm")
    with torch.no_grad():
        for layer in spoiled.module.encoder.layer:
            layer.attention.self.query.weight.zero_()
    lost = script.lost_heads(model, replace(spoiled, name="spoiled"), script.CASES)
    assert (3, 1) in lost.index


def test_a_data_frame_gets_a_column(model):
    table = pd.DataFrame({"text": TEXTS[:2], "query": ["sat", "tired"], "key": ["cat", "slept"]})
    given = example("data_frame").with_weights(table, model)
    assert list(given.columns) == ["text", "query", "key", "weight"]
    for row in given.itertuples():
        pairs = ix.pair_table(model.capture(row.text), query=row.query, key=row.key)
        own = pairs.query("layer == 3 and head == 1")["weight"].item()
        assert row.weight == pytest.approx(own, abs=1e-5)


def test_progress_is_a_line_for_each_step(model):
    told = io.StringIO()
    count = example("live_progress").count_tokens(model, TEXTS, told)
    assert count == sum(len(model.tokens(text)) for text in TEXTS)
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    assert [line["done"] for line in lines] == [0, 1, 2, 3]
    assert {line["total"] for line in lines} == {3}
