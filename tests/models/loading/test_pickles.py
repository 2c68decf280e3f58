"""Pickled weights are refused on every way in, before anything is unpickled."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch
import transformers as tf

import introspect as ix
from introspect.errors import IntrospectError, ModelError, RecordError
from introspect.models import load
from introspect.models.sources import check_hub_weights
from tests.models.loading.helpers import change_json, put_in_cache, tiny


@pytest.fixture
def unpickled(monkeypatch) -> list[str]:
    """What reaches torch's reader of pickles."""
    files: list[str] = []

    def note(file, *_, **__):
        files.append(str(file))
        raise pickle.UnpicklingError("reached")

    monkeypatch.setattr(torch, "load", note)
    return files


def bomb(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weight": [1.0]}))


def index(folder: Path, name: str, file: str) -> None:
    places = dict.fromkeys(tiny().state_dict(), file)
    (folder / name).write_text(json.dumps({"metadata": {}, "weight_map": places}))


def decoy_beside_an_index(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "decoy.safetensors")
    bomb(folder / "pytorch_model.bin")
    index(folder, "model.safetensors.index.json", "pytorch_model.bin")


def index_of_both(folder: Path) -> None:
    decoy_beside_an_index(folder)
    places = dict.fromkeys(tiny().state_dict(), "decoy.safetensors")
    places["pooler.dense.bias"] = "pytorch_model.bin"
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def named_by_the_configuration(folder: Path) -> None:
    bomb(folder / "adapter_model.bin")
    change_json(folder / "config.json", transformers_weights="adapter_model.bin")


def index_named_by_the_configuration(folder: Path) -> None:
    bomb(folder / "x.bin")
    index(folder, "x.safetensors.index.json", "x.bin")
    change_json(folder / "config.json", transformers_weights="x.safetensors.index.json")


def alone(folder: Path, name: str = "pytorch_model.bin") -> None:
    (folder / "model.safetensors").unlink()
    bomb(folder / name)


def of_another_ending(folder: Path) -> None:
    alone(folder, "weights.ckpt")


def decoy_of_another_name(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    bomb(folder / "pytorch_model.bin")


WAYS = (
    decoy_beside_an_index, index_of_both, named_by_the_configuration, decoy_of_another_name,
    index_named_by_the_configuration, alone, of_another_ending,
)  # fmt: skip


@pytest.mark.parametrize("spoil", WAYS, ids=lambda spoil: spoil.__name__)
def test_pickles_in_a_folder_are_refused_unread(folder, spoil, unpickled):
    spoil(folder)
    for options in ({}, {"lm_head": True}):
        with pytest.raises(ModelError, match="a pickle: loading one can run any code"):
            load(folder, **options)
    assert unpickled == []


@pytest.mark.parametrize("spoil", WAYS[:3], ids=lambda spoil: spoil.__name__)
def test_pickles_in_the_cache_are_refused_unread(folder, empty_cache, spoil, unpickled, asked):
    spoil(folder)
    put_in_cache(empty_cache, "some/model", folder)
    with pytest.raises(ModelError):
        load("some/model")
    assert unpickled == []


@pytest.mark.parametrize("spoil", [WAYS[0], WAYS[2], WAYS[4]], ids=lambda spoil: spoil.__name__)
def test_pickles_on_the_hub_are_refused_before_they_are_fetched(folder, spoil, monkeypatch):
    spoil(folder)

    def fetched(_, name, **__):
        return str(folder / name) if (folder / name).is_file() else None

    monkeypatch.setattr("transformers.utils.hub.cached_file", fetched)
    monkeypatch.setattr(huggingface_hub.HfApi, "file_exists", lambda *_: True)
    with pytest.raises(ModelError, match="a pickle"):
        check_hub_weights("some/model")


def test_the_hub_is_looked_at_before_it_is_loaded_from(folder, monkeypatch, unpickled):
    decoy_beside_an_index(folder)

    class Session:
        def head(self, *_: object, **__: object) -> None:
            return None

    def fetched(_, name, **__):
        return str(folder / name) if (folder / name).is_file() else None

    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    monkeypatch.setattr(
        huggingface_hub.HfApi, "file_exists", lambda _, __, name: (folder / name).is_file()
    )
    monkeypatch.setattr("transformers.utils.hub.cached_file", fetched)
    monkeypatch.setattr(tf.AutoModel, "from_pretrained", lambda *_, **__: unpickled.append("hub"))
    with pytest.raises(ModelError, match="a pickle"):
        load("some/model")
    assert unpickled == []


@pytest.mark.parametrize("place", ["../elsewhere.safetensors", "/etc/weights.safetensors"])
def test_an_index_names_files_of_its_own_folder(folder, place):
    shutil.copy(folder / "model.safetensors", folder.parent / "elsewhere.safetensors")
    (folder / "model.safetensors").unlink()
    index(folder, "model.safetensors.index.json", place)
    with pytest.raises(ModelError, match="lies elsewhere"):
        load(folder)


@pytest.mark.parametrize("name", ["model.pt", "weights.bin", "all.pth", "old.ckpt", "a.pkl"])
def test_a_file_of_pickles_is_no_model(tmp_path, name, unpickled, asked, monkeypatch):
    bomb(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for given in (tmp_path / name, name):
        with pytest.raises(ModelError, match=f"{name}, a pickle"):
            load(given)
    assert (unpickled, asked) == ([], [])


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "notes.txt"])
def test_a_file_in_place_of_its_folder_is_refused_in_words(folder, name, asked):
    (folder / "notes.txt").write_text("a note")
    with pytest.raises(ModelError, match=f"folder of a model, got the file .*{name}"):
        load(folder / name)
    assert asked == []


def test_a_sharded_model_loads_and_its_revision_is_that_of_its_files(folder):
    whole = load(folder).module.state_dict()
    tiny().save_pretrained(folder, max_shard_size="50KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    (folder / "zz.safetensors").write_bytes(b"of something else")
    model = load(folder)
    assert all(torch.equal(whole[name], each) for name, each in model.module.state_dict().items())
    (folder / "zz.safetensors").write_bytes(b"changed")
    assert load(folder).revision == model.revision
    part = next(folder.glob("model-0*.safetensors"))
    content = bytearray(part.read_bytes())
    content[-1] ^= 1
    part.write_bytes(content)
    assert load(folder).revision != model.revision


def test_with_permission_a_pickle_beside_an_index_loads(folder):
    state = tiny().state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    index(folder, "pytorch_model.bin.index.json", "pytorch_model.bin")
    model = load(folder, allow_pickle=True)
    assert torch.equal(model.module.state_dict()["embeddings.LayerNorm.bias"],
                       state["embeddings.LayerNorm.bias"])  # fmt: skip


def test_modules_of_sentence_transformers_are_left_alone(folder, unpickled):
    (folder / "2_Dense").mkdir()
    bomb(folder / "2_Dense" / "pytorch_model.bin")
    modules = [{"path": "", "type": "Transformer"}, {"path": "2_Dense", "type": "Dense"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    load(folder)
    assert unpickled == []


# --- adapters and records -------------------------------------------------------------------------


def adapter(folder: Path, base: Path, **changes: object) -> Path:
    folder.mkdir()
    config = {"peft_type": "LORA", "base_model_name_or_path": str(base), "r": 2,
              "target_modules": ["query"], "task_type": None}  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps({**config, **changes}))
    return folder


def test_pickled_adapters_are_refused_unread(folder, tmp_path, unpickled):
    pytest.importorskip("peft")
    place = adapter(tmp_path / "adapter", folder)
    bomb(place / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"adapter_model\.bin, a pickle"):
        load(place)
    shutil.copy(folder / "model.safetensors", place / "decoy.safetensors")
    with pytest.raises(ModelError, match=r"adapter_model\.bin, a pickle"):
        load(place)
    assert unpickled == []


def test_a_pickled_base_of_an_adapter_is_refused_unread(folder, tmp_path, unpickled):
    pytest.importorskip("peft")
    place = adapter(tmp_path / "adapter", folder)
    shutil.copy(folder / "model.safetensors", place / "adapter_model.safetensors")
    decoy_beside_an_index(folder)
    with pytest.raises(ModelError, match="a pickle"):
        load(place)
    assert unpickled == []


@pytest.mark.parametrize("as_its_own", [False, True])
def test_an_adapter_of_an_adapter_is_refused(folder, tmp_path, as_its_own):
    pytest.importorskip("peft")
    first = adapter(tmp_path / "first", tmp_path / "first" if as_its_own else folder)
    second = adapter(tmp_path / "second", first)
    for place in (first, second):
        shutil.copy(folder / "model.safetensors", place / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="an adapter itself"):
        load(second)


def test_a_mixture_of_adapters_is_refused(folder, tmp_path):
    pytest.importorskip("peft")
    place = adapter(tmp_path / "mix", folder, peft_type="XLORA", adapters={"a": "./elsewhere"})
    shutil.copy(folder / "model.safetensors", place / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="mixture"):
        load(place)


@pytest.mark.parametrize("name", ["record.pt", "record.safetensors", "record"])
def test_a_pickle_is_no_record(tmp_path, name, unpickled):
    bomb(tmp_path / name)
    with pytest.raises(RecordError):
        ix.AttentionRecord.load(tmp_path / name)
    with pytest.raises(IntrospectError):
        ix.SavedAttention(tmp_path / name)
    assert unpickled == []
