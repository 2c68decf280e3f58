"""A model whose folder changes while the app is open, and one that cannot be loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import transformers as tf
from safetensors.torch import load_file, save_file

from tests import models_zoo
from tests.app.test_pages import errors, frames, said
from tests.tokenizers_zoo import word_level

TEXT = "the cat sat on the mat"


@pytest.fixture
def folder(tmp_path) -> Path:
    models_zoo.build("bert").save_pretrained(tmp_path / "m")
    word_level(TEXT.split()).save_pretrained(tmp_path / "m")
    return tmp_path / "m"


def opened(app, folder: Path):
    page = app()
    page.selectbox(key="model").set_value("another …").run()
    page.text_input(key="name").set_value(str(folder)).run()
    page.text_area(key="text").set_value(TEXT).run()
    page.segmented_control(key="view").set_value("head").run()
    return page


def change(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state = {name: -weights for name, weights in state.items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_model_whose_folder_changes_is_loaded_again_and_said(app, folder):
    page = opened(app, folder)
    assert errors(page) == []
    before = frames(page)
    page.run()
    assert frames(page) == before and not page.toast
    change(folder)
    page.run()
    assert errors(page) == []
    assert "have changed" in page.toast[0].value
    assert frames(page) != before
    page.run()
    assert not page.toast


class Panic(BaseException):
    """As Rust's panics arrive."""


@pytest.mark.parametrize("error", [Panic("no such id"), PermissionError(13, "denied"), KeyError(7)])
def test_a_model_that_cannot_be_loaded_leaves_the_app_alive(app, folder, monkeypatch, error):
    def failing(*_, **__):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(tf.AutoModel, "from_pretrained", failing)
        page = opened_up_to_the_error(app, folder)
        assert list(page.exception) == []
        assert any("Expected to load" in said(each) for each in page.error)
    page.selectbox(key="model").set_value("pronoun").run()
    assert errors(page) == []


def opened_up_to_the_error(app, folder: Path):
    page = app()
    page.selectbox(key="model").set_value("another …").run()
    page.text_input(key="name").set_value(str(folder)).run()
    return page
