"""Folders: what loads, what is refused, and no code or pickle of a stranger."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from introspect.errors import ModelError
from introspect.models import load
from tests import models_zoo
from tests.models.loading.helpers import EXPECTED_SHAPE, change_json, tiny

# --- folders --------------------------------------------------------------------------------------


def test_a_saved_folder_loads_with_its_weights(folder):
    model = load(str(folder))
    assert model.name == "tiny-bert"
    assert model.revision.startswith("sha256:")
    for name, value in tiny().state_dict().items():
        assert torch.equal(model.module.state_dict()[name], value)


def test_a_loaded_model_captures(folder):
    assert load(str(folder)).capture("the cat sat").attentions.shape == EXPECTED_SHAPE


def test_a_loaded_model_is_ready_to_use(folder):
    module = load(str(folder)).module
    assert not module.training
    assert module.config._attn_implementation == "sdpa"


def test_a_folder_asks_nothing_of_the_hub(folder, asked):
    load(str(folder))
    assert asked == []


def test_other_weights_have_another_revision(folder):
    before = load(str(folder)).revision
    state = load_file(folder / "model.safetensors")
    state["embeddings.LayerNorm.bias"] += 1
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert load(str(folder)).revision != before


def test_a_folder_under_the_home_is_found_by_its_tilde(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert load("~/tiny-bert").name == "tiny-bert"


def test_a_folder_without_a_configuration_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        load(str(tmp_path))


def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="there are none beside"):
        load(str(folder))


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "t5"])
def test_a_folder_without_a_tokenizer_is_refused(name, tmp_path):
    # transformers makes one up, with no word in it.
    models_zoo.build(name).save_pretrained(tmp_path / "alone")
    with pytest.raises(ModelError, match="'alone'.*tokenizer"):
        load(str(tmp_path / "alone"))


def test_missing_weights_of_a_layer_are_refused_and_named(folder):
    state = load_file(folder / "model.safetensors")
    del state["encoder.layer.1.attention.self.query.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"encoder\.layer\.1\.attention\.self\.query\.weight"):
        load(str(folder))


def test_a_missing_pooler_changes_no_attention_and_is_allowed(folder):
    before = load(str(folder)).capture("the cat sat")
    state = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in state.items() if "pooler" not in name}
    assert len(kept) < len(state)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    after = load(str(folder)).capture("the cat sat")
    assert torch.equal(before.attentions, after.attentions)


def test_weights_that_do_not_fit_the_configuration_are_refused(folder):
    change_json(folder / "config.json", intermediate_size=64)
    with pytest.raises(ModelError, match="tiny-bert"):
        load(str(folder))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_file_is_a_model_error(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="tiny-bert"):
        load(str(folder))


def test_an_unknown_architecture_is_refused(folder):
    change_json(folder / "config.json", model_type="no-such-model", architectures=["NoSuch"])
    with pytest.raises(ModelError, match="tiny-bert"):
        load(str(folder))


# --- pickles and foreign code -----------------------------------------------------------------


@pytest.fixture
def pickled(folder) -> Path:
    torch.save(tiny().state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def test_pickled_weights_are_refused(pickled):
    with pytest.raises(ModelError, match="pickle.*--allow-pickle"):
        load(str(pickled))


def test_pickled_weights_load_when_they_are_asked_for(pickled):
    module = load(str(pickled), allow_pickle=True).module
    for name, value in tiny().state_dict().items():
        assert torch.equal(module.state_dict()[name], value)


def test_safe_weights_are_taken_where_both_are_there(folder):
    (folder / "pytorch_model.bin").write_bytes(b"not even a pickle")
    load(str(folder))
    load(str(folder), allow_pickle=True)


def write_code(folder: Path) -> Path:
    """Code beside the model that leaves a mark if anyone imports it."""
    mark = folder.parent / "ran"
    (folder / "foreign.py").write_text(
        "import pathlib\n"
        f"pathlib.Path({str(mark)!r}).write_text('ran')\n"
        "from transformers import BertConfig as Config, BertModel as Network\n"
        "from transformers import PreTrainedTokenizerFast as Words\n"
    )
    return mark


def test_code_of_a_repository_is_not_run_where_the_library_has_the_architecture(folder):
    mark = write_code(folder)
    change_json(
        folder / "config.json",
        auto_map={"AutoConfig": "foreign.Config", "AutoModel": "foreign.Network"},
    )
    change_json(
        folder / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "foreign.Words"]}
    )
    assert type(load(str(folder)).module) is tf.BertModel
    assert not mark.exists()


def test_a_repository_that_needs_code_of_its_own_is_refused(folder):
    mark = write_code(folder)
    change_json(
        folder / "config.json",
        model_type="foreign",
        auto_map={"AutoConfig": "foreign.Config", "AutoModel": "foreign.Network"},
    )
    with pytest.raises(ModelError, match="code of its own"):
        load(str(folder))
    assert not mark.exists()
