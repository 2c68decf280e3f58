"""Which vision models can be loaded, from folders and in pairs."""

from __future__ import annotations

import sys

import pytest
import torch
import transformers as tf
from PIL import Image

from introspect.errors import (
    CaptureError,
    MissingExtraError,
    ModelError,
)
from introspect.models import Model, VisionModel, load
from tests.closeness import assert_close
from tests.models.vision.helpers import SIZE, build, clip, cropping, picture, processor
from tests.tokenizers_zoo import word_level

# Models whose attention is not between all patches


OTHERS = {
    "windows": (
        lambda: tf.SwinConfig(
            image_size=32,
            patch_size=4,
            embed_dim=16,
            depths=[1, 1],
            num_heads=[2, 2],
            window_size=4,
        ),
        "attends within windows, merges patches",
    ),
    "hidden patches": (lambda: tf.ViTMAEConfig(**SIZE), "hides some and shuffles the rest"),
    "all patches shuffled": (lambda: tf.ViTMAEConfig(**SIZE, mask_ratio=0.0), "shuffles the rest"),
    "tokens at the end": (
        lambda: tf.YolosConfig(**{**SIZE, "image_size": [32, 32]}, num_detection_tokens=5),
        "tokens of its own",
    ),
    "overlapping patches": (lambda: tf.SegformerConfig(), "names no patch_size"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_model_whose_tokens_are_not_the_patches_is_refused(name):
    make, expected = OTHERS[name]
    torch.manual_seed(0)
    model = load((tf.AutoModel.from_config(make()).eval(), processor()))
    with pytest.raises(CaptureError, match=expected):
        model.capture(picture())


def test_a_processor_that_cuts_the_picture_itself_is_refused():
    with pytest.raises(CaptureError, match=r"one picture \(1, 3, height, width\), got"):
        load((build("vit"), tf.Siglip2ImageProcessorPil())).capture(picture())


# Loading


def test_a_folder_with_a_vision_model(tmp_path):
    build("vit").save_pretrained(tmp_path)
    processor().save_pretrained(tmp_path)
    model = load(tmp_path)
    assert isinstance(model, VisionModel)
    assert model.revision.startswith("sha256:")
    expected = load((build("vit"), processor())).capture(picture())
    record = model.capture(picture())
    assert_close(record.attentions, expected.attentions)
    assert record.certificate.model == tmp_path.name
    assert load(model) is model
    assert isinstance(load(tmp_path, tower="vision"), VisionModel)
    with pytest.raises(ModelError, match="Expected a model with a text tower"):
        load(tmp_path, tower="text")


def test_a_folder_without_its_image_processor_is_refused(tmp_path):
    build("vit").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="Expected to load"):
        load(tmp_path)


def test_without_pillow_the_extra_is_named(tmp_path, monkeypatch):
    build("vit").save_pretrained(tmp_path)
    processor().save_pretrained(tmp_path)
    Image.fromarray(picture()).save(tmp_path / "picture.png")
    model = load((build("vit"), processor()))
    monkeypatch.setitem(sys.modules, "PIL", None)
    for act in (lambda: load(tmp_path), lambda: model.capture(tmp_path / "picture.png")):
        with pytest.raises(MissingExtraError, match=r'pip install "pillow>='):
            act()


def test_each_tower_of_clip_by_itself():
    vision = load((clip().vision_model, cropping()))
    record = vision.capture(picture(), certify=True)
    assert record.attentions.shape == (3, 4, 17, 17)
    assert record.certificate.max_difference_from_eager <= 1e-6
    words = load((clip().text_model, word_level(["a", "red", "cat"])))
    assert isinstance(words, Model)
    record = words.capture("a red cat", certify=True)
    assert record.attentions.shape[:2] == (2, 4)
    assert record.grid is None
    assert record.certificate.max_difference_from_eager <= 1e-6


def test_a_folder_with_all_of_clip_needs_the_name_of_a_tower(tmp_path):
    clip().save_pretrained(tmp_path)
    cropping().save_pretrained(tmp_path)
    word_level(["a", "red", "cat"]).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r'tower="vision" or tower="text".*vision_model, image_'):
        load(tmp_path)
    vision, text = load(tmp_path, tower="vision"), load(tmp_path, tower="text")
    expected = load((clip().vision_model, cropping())).capture(picture())
    assert_close(vision.capture(picture()).attentions, expected.attentions)
    assert text.capture("a red cat").attentions.shape[:2] == (2, 4)
    assert isinstance(load((clip(), cropping()), tower="vision"), VisionModel)
    with pytest.raises(ModelError, match="reads both"):
        load((clip(), cropping()))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: load((build("vit"), word_level(["a"]))), "Expected an image processor for"),
        (lambda: load((clip().text_model, cropping())), "Expected a model that reads pictures"),
        (
            lambda: load((build("vit"), processor()), tower="sound"),
            "as vision or text, got 'sound'",
        ),
        (lambda: load((build("vit"), processor()), tower="text"), "which reads pictures only"),
    ],
)
def test_what_does_not_fit_together_is_refused(make, expected):
    with pytest.raises(ModelError, match=expected):
        make()


def test_a_processor_of_both_gives_its_image_processor():
    both = tf.CLIPProcessor(cropping(), word_level(["a"]))
    assert load((clip().vision_model, both)).processor is both.image_processor
