"""Inputs and models that change while they are read: no table is of two of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import introspect as ix
from introspect.data import write_jsonl
from introspect.errors import InputError, ModelError
from introspect.models import load, loader
from introspect.runs.worker import Worker
from tests import models_zoo
from tests.runs import sets
from tests.runs.sets import CALL
from tests.tokenizers_zoo import word_level

pytestmark = pytest.mark.usefixtures("lean")


def grows(path: Path) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(path.read_text(encoding="utf-8").splitlines()[0] + "\n")


def is_cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def is_replaced(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content.replace(b"a", b"b"))


def is_touched(path: Path) -> None:
    os.utime(path)


@pytest.fixture
def during(monkeypatch):
    """Let something happen while the first batch of a probe runs."""

    def happen(act) -> None:
        attend, acted = Worker.attend, []

        def acting(self, *args):
            if not acted:
                acted.append(act())
            return attend(self, *args)

        monkeypatch.setattr(Worker, "attend", acting)

    return happen


@pytest.mark.parametrize("change", [grows, is_cut, is_replaced])
def test_an_input_that_changes_while_it_is_read_is_refused(tmp_path, during, change):
    path = write_jsonl(tmp_path / "cases.jsonl", sets.cases()[:16])
    during(lambda: change(path))
    with pytest.raises(InputError, match=r"'cases.jsonl' to stay as it is"):
        ix.probe(sets.model(), path, tmp_path / "run", **CALL)
    assert not (tmp_path / "run" / "heads.csv").exists()


def test_an_input_that_is_gone_at_the_end_is_refused(tmp_path, during):
    path = write_jsonl(tmp_path / "cases.jsonl", sets.cases()[:8])
    during(path.unlink)
    with pytest.raises(InputError):
        ix.probe(sets.model(), path, tmp_path / "run", **CALL)


def test_an_input_with_another_time_and_the_same_bytes_is_the_same(tmp_path, during):
    path = write_jsonl(tmp_path / "cases.jsonl", sets.cases()[:8])
    during(lambda: is_touched(path))
    assert ix.probe(sets.model(), path, tmp_path / "run", **CALL).scores is not None


@pytest.fixture
def folder(tmp_path) -> Path:
    models_zoo.build("bert").save_pretrained(tmp_path / "m")
    word_level(["the", "cat"]).save_pretrained(tmp_path / "m")
    return tmp_path / "m"


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_model_that_changes_while_it_is_loaded_is_refused(folder, name, monkeypatch):
    stored = loader.names_stored

    def changing(files):
        os.utime(folder / name, ns=(1, 1))
        return stored(files)

    monkeypatch.setattr(loader, "names_stored", changing)
    with pytest.raises(ModelError, match="have changed"):
        load(folder)
    monkeypatch.undo()
    assert load(folder).capture("the cat").num_layers == 3


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs here")
@pytest.mark.parametrize("name", ["tokenizer.json", "config.json", "added_tokens.json"])
def test_a_fifo_in_a_model_is_refused_before_it_is_opened(folder, name):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(ModelError, match=f"{name}' is a FIFO|no config.json"):
        load(folder)
