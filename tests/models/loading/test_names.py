"""Names, the hub and its cache."""

from __future__ import annotations

import huggingface_hub
import pytest
import transformers as tf

from introspect.errors import ModelError
from introspect.models import load
from tests.models.loading.helpers import COMMIT, EXPECTED_SHAPE, put_in_cache

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


@pytest.mark.parametrize("name", ["two words", "-bad-", "org/na me", "a--b", "nul\0"])
def test_a_name_that_cannot_be_one_is_refused_without_asking(name, asked):
    with pytest.raises(ModelError, match="cannot be one"):
        load(name)
    assert asked == []


def test_a_name_of_other_letters_is_refused_by_us_or_by_the_hub(asked):
    """Huggingface-hub 2 allows no such name; 1.31 does, and asks for it."""
    with pytest.raises(ModelError, match="cannot be one|find the model '日本'") as refused:
        load("日本")
    assert ("cannot be one" in str(refused.value)) == (asked == [])


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
