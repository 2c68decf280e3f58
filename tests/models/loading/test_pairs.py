"""A module with its tokenizer, and models with the head that they were saved with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from introspect.errors import ModelError
from introspect.models import Model, load
from introspect.models.loader import barless, silent
from tests import models_zoo
from tests.models.loading.helpers import EXPECTED_SHAPE, tiny, tokenizer
from tests.writers_zoo import writer

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


def test_a_python_tokenizer_of_another_model_is_refused(folder):
    with pytest.raises(ModelError, match="256 entries.*got 64"):
        load((tiny(), tf.ByT5Tokenizer()))
    for path in folder.glob("*tokenizer*"):
        path.unlink()
    tf.ByT5Tokenizer().save_pretrained(folder)
    with pytest.raises(ModelError, match="256 entries.*in 'tiny-bert'"):
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
    assert load(writing_folder, lm_head=True).module.can_generate()


def test_a_folder_with_its_head_writes_and_is_captured(writing_folder):
    text = "the cat sat"
    record = load(writing_folder, lm_head=True).capture(text, generate=4)
    assert torch.equal(record.attentions, writer("llama").capture(text, generate=4).attentions)


def test_a_head_that_is_missing_is_not_made_up(writing_folder):
    weights = load_file(writing_folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "lm_head" not in name}
    save_file(kept, writing_folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lm_head"):
        load(writing_folder, lm_head=True)
    load(writing_folder)


@pytest.mark.parametrize("named", [None, ["NoSuchModel"]])
def test_a_configuration_that_names_no_class_with_a_head_is_refused(writing_folder, named):
    path = writing_folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "architectures": named}))
    with pytest.raises(ModelError, match="name the class with its LM head"):
        load(writing_folder, lm_head=True)


@pytest.fixture
def talkative():
    """transformers as it is at first; a command that ran before has silenced it for good."""
    verbosity = tf.utils.logging.get_verbosity()
    shows_bars = tf.utils.logging.is_progress_bar_enabled()
    tf.utils.logging.set_verbosity_warning()
    tf.utils.logging.enable_progress_bar()
    yield
    tf.utils.logging.set_verbosity(verbosity)
    if not shows_bars:
        tf.utils.logging.disable_progress_bar()


def is_talkative():
    shows_bars = tf.utils.logging.is_progress_bar_enabled()
    return shows_bars and tf.utils.logging.get_verbosity() == tf.utils.logging.WARNING


@pytest.mark.usefixtures("talkative")
def test_a_local_model_is_loaded_without_a_word(capfd):
    """Weights that the layers do not need are no news; what is missing is an error already."""
    load("pronoun")
    assert capfd.readouterr() == ("", "")
    assert is_talkative()


@pytest.mark.usefixtures("talkative")
def test_two_threads_that_load_put_back_what_the_first_found():
    one, other = silent(), silent()
    bars, other_bars = barless(), barless()
    for each in (one, bars, other, other_bars):
        each.__enter__()
    for each in (one, bars):
        each.__exit__(None, None, None)
        assert not is_talkative()
    for each in (other, other_bars):
        each.__exit__(None, None, None)
    assert is_talkative()
