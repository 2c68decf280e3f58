"""Vision models: tiny random ones, whose attention must be their own, patch by patch."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image

import introspect as ix
from introspect.doctor import examination
from introspect.errors import (
    CaptureError,
    InputError,
    MissingExtraError,
    ModelError,
    RecordError,
    SelectionError,
)
from introspect.models import Model, VisionModel, load
from introspect.records import AttentionRecord, PatchGrid
from tests.tokenizers_zoo import word_level

SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
TEXT_SIZE = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 20,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
CONFIGS: dict[str, tuple[Callable[[], tf.PreTrainedConfig], tuple[str, ...]]] = {
    "vit": (lambda: tf.ViTConfig(**SIZE), ("[CLS]",)),
    "deit": (lambda: tf.DeiTConfig(**SIZE), ("[CLS]", "[DIST]")),
    "dinov2": (lambda: tf.Dinov2Config(**SIZE), ("[CLS]",)),
    "registers": (
        lambda: tf.Dinov2WithRegistersConfig(**SIZE, num_register_tokens=3),
        ("[CLS]", "[REG1]", "[REG2]", "[REG3]"),
    ),
    "dinov3": (
        lambda: tf.DINOv3ViTConfig(**SIZE, num_register_tokens=2),
        ("[CLS]", "[REG1]", "[REG2]"),
    ),
    "clip": (lambda: tf.CLIPVisionConfig(**SIZE), ("[CLS]",)),
    "siglip": (lambda: tf.SiglipVisionConfig(**SIZE), ()),
}


@functools.cache
def build(name: str) -> torch.nn.Module:
    """A model that attends unevenly: fresh weights would hide a patch at a wrong place."""
    return sharpened(tf.AutoModel.from_config(CONFIGS[name][0]()))


def sharpened(module: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(1)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, torch.nn.Linear | torch.nn.Conv2d):
                part.weight.normal_(std=3 / part.weight[0].numel() ** 0.5)
    return module.eval()


def processor(height: int = 32, width: int = 32) -> tf.ViTImageProcessorPil:
    return tf.ViTImageProcessorPil(size={"height": height, "width": width})


def cropping() -> tf.CLIPImageProcessorPil:
    return tf.CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )


def picture(height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


@functools.cache
def clip() -> tf.CLIPModel:
    text = tf.CLIPTextConfig(**TEXT_SIZE)
    vision = tf.CLIPVisionConfig(**SIZE)
    config = tf.CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict())
    return sharpened(tf.CLIPModel(config))


def own_attention(module: torch.nn.Module, **inputs: torch.Tensor) -> torch.Tensor:
    """What the model returns itself when it runs eagerly, ``(layers, heads, length, length)``."""
    before = module.config._attn_implementation
    module.set_attn_implementation("eager")
    with torch.no_grad():
        own = module(**inputs, output_attentions=True).attentions
    module.set_attn_implementation(before)
    return torch.cat(own)


# The attention


@pytest.mark.parametrize("name", CONFIGS)
def test_attention_is_the_models_own(name):
    model = load((build(name), processor()))
    assert isinstance(model, VisionModel)
    record = model.capture(picture(), certify=True)
    pixels = processor()(images=picture(), return_tensors="pt")["pixel_values"]
    own = own_attention(build(name), pixel_values=pixels)
    assert record.attentions.std() > 0.01
    assert (record.attentions - own).abs().max() <= 1e-6
    assert record.certificate.max_difference_from_eager <= 1e-6
    assert record.certificate.tokenizer == "ViTImageProcessorPil"


@pytest.mark.parametrize("name", CONFIGS)
def test_tokens_are_those_put_first_and_then_the_patches_row_by_row(name):
    prefix = CONFIGS[name][1]
    record = load((build(name), processor())).capture(picture())
    patches = [f"r{row}c{column}" for row in range(4) for column in range(4)]
    assert list(record.tokens) == [*prefix, *patches]
    mask = record.queries.special_tokens_mask
    assert mask == (True,) * len(prefix) + (False,) * 16
    assert record.grid == PatchGrid(4, 4, first=len(prefix), patch=(8, 8))
    assert record.tokens[record.grid.index(2, 3)] == "r2c3"


def test_the_label_of_a_patch_is_where_it_lies_in_the_picture():
    """A patch made bright changes the token of its own label before any layer mixes them."""
    model = load((build("vit"), processor()))
    before, after = picture(32, 32), picture(32, 32)
    after[16:24, 8:16] = 255 - after[16:24, 8:16]
    queries = [
        model.capture(p, include="queries", layers=[0]).parts["queries"] for p in (before, after)
    ]
    changed = (queries[0] - queries[1]).abs().amax(dim=(0, 1, 3)) > 1e-4
    tokens = model.capture(before).tokens
    assert [token for token, flag in zip(tokens, changed, strict=True) if flag] == ["r2c1"]


def test_a_picture_that_is_not_square():
    model = load((build("dinov2"), processor(24, 48)))
    record = model.capture(picture())
    assert (record.grid.rows, record.grid.columns) == (3, 6)
    assert record.tokens[-1] == "r2c5"
    assert model.picture(picture()).shape == (24, 48, 3)


def test_another_size_than_the_models_has_its_positions_interpolated_and_says_so():
    model = load((build("vit"), processor(24, 48)))
    record = model.capture(picture(), certify=True)
    assert (record.grid.rows, record.grid.columns) == (3, 6)
    assert record.notices == (
        "The model was trained on pictures of 32 × 32 pixels and was given 24 × 48 (height × "
        "width): its positions are interpolated.",
    )
    assert load((build("vit"), processor())).capture(picture()).notices == ()


def test_layers_and_parts_go_by_the_models_own_numbers():
    model = load((build("vit"), processor()))
    record = model.capture(picture(), include=("values", "scores"), layers=[2])
    assert record.layers == (2,)
    assert record.parts["scores"].shape == (1, 4, 17, 17)
    whole = model.capture(picture())
    assert torch.equal(record.attentions[0], whole.attentions[2])
    with pytest.raises(SelectionError, match="Expected `layers`"):
        model.capture(picture(), layers=[3])


# What the model sees


def test_picture_is_what_the_model_was_given():
    model = load((build("clip"), cropping()))
    seen = model.picture(picture())
    assert seen.shape == (32, 32, 3) and seen.dtype == np.uint8
    pixels = cropping()(images=picture(), return_tensors="pt")["pixel_values"][0]
    mean, std = (
        torch.tensor(v)[:, None, None] for v in (cropping().image_mean, cropping().image_std)
    )
    given = ((pixels * std + mean) * 255).permute(1, 2, 0)
    assert np.abs(seen - given.numpy()).max() < 0.01


def test_picture_leaves_out_a_margin_too_small_for_a_patch():
    model = load((build("dinov2"), processor(30, 45)))
    assert model.picture(picture()).shape == (24, 40, 3)
    grid = model.capture(picture()).grid
    assert (grid.rows, grid.columns) == (3, 5)


def test_a_path_a_pil_image_and_an_array_are_one_picture(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "picture.png")
    model = load((build("vit"), processor()))
    given = [picture(), Image.fromarray(picture()), tmp_path / "picture.png"]
    first, *others = [model.capture(image).attentions for image in [*given, str(given[2])]]
    assert all(torch.equal(first, other) for other in others)


def test_a_turned_photograph_is_put_upright_and_grey_is_read_as_colour(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera turned
    Image.fromarray(picture()).save(tmp_path / "turned.png", exif=exif)
    model = load((build("dinov2"), processor(48, 32)))
    upright = Image.fromarray(np.rot90(picture(), -1).copy())
    assert np.array_equal(model.picture(tmp_path / "turned.png"), model.picture(upright))
    assert model.picture(Image.fromarray(picture()).convert("L")).shape == (48, 32, 3)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("The cat sat on the mat.", "reads no text: give a PNG"),
        (3, "array .* got int"),
        (np.zeros((8, 8), np.uint8), r"\(height, width, 3\) of uint8, got \(8, 8\)"),
        (np.zeros((3, 8, 8), np.uint8), "Put the colours last"),
        (np.zeros((8, 8, 3), np.float32), "of float32"),
        (np.zeros((0, 8, 3), np.uint8), r"got \(0, 8, 3\)"),
    ],
)
def test_what_is_no_picture_is_refused(image, expected):
    model = load((build("vit"), processor()))
    for ask in (model.capture, model.picture):
        with pytest.raises(InputError, match=expected):
            ask(image)


def test_a_damaged_file_is_refused(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "whole.png")
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes((tmp_path / "whole.png").read_bytes()[:300])
    with pytest.raises(InputError, match="cannot be read"):
        load((build("vit"), processor())).capture(damaged)


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
    assert torch.allclose(record.attentions, expected.attentions, atol=1e-6)
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
        with pytest.raises(MissingExtraError, match=r"introspect-transformers\[vision\]"):
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
    assert torch.allclose(vision.capture(picture()).attentions, expected.attentions, atol=1e-6)
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


# The record


@pytest.mark.parametrize("patch", [(8, 8), None])
def test_the_grid_is_saved_with_the_record(tmp_path, patch):
    record = load((build("deit"), processor())).capture(picture())
    grid = PatchGrid(4, 4, first=2, patch=patch)
    record = AttentionRecord(
        attentions=record.attentions, queries=record.queries, keys=record.keys, grid=grid
    )
    again = AttentionRecord.load(record.save(tmp_path / "record.safetensors"))
    assert again.grid == grid
    assert again.queries == record.queries
    assert torch.equal(again.attentions, record.attentions)


def test_a_record_of_text_has_no_grid(tmp_path):
    record = AttentionRecord.from_tensors(torch.full((1, 1, 2, 2), 0.5), ["a", "b"])
    assert AttentionRecord.load(record.save(tmp_path / "r.safetensors")).grid is None


def test_a_patch_is_a_word_of_its_own():
    record = load((build("deit"), processor())).capture(picture())
    words = record.words()
    assert words.tokens == record.tokens
    assert torch.equal(words.attentions, record.attentions)
    assert words.grid == record.grid


@pytest.mark.parametrize("grid", [PatchGrid(2, 2), PatchGrid(1, 2, first=2), PatchGrid(0, 2)])
def test_a_grid_must_lie_among_the_tokens(grid):
    record = AttentionRecord.from_tensors(torch.full((1, 1, 3, 3), 1 / 3), ["a", "b", "c"])
    with pytest.raises(RecordError, match="Expected a grid of patches among the 3 key tokens"):
        AttentionRecord(
            attentions=record.attentions, queries=record.queries, keys=record.keys, grid=grid
        )


# What has to do with texts


@pytest.mark.parametrize("use", [ix.report, ix.score], ids=["report", "score"])
def test_what_needs_a_text_says_so(use):
    case = ix.CorefCase.from_words("The cat sat where it was.", pronoun="it", antecedent="cat")
    with pytest.raises(ModelError, match="reads text"):
        use(load((build("vit"), processor())), [case])


def test_the_doctor_examines_a_vision_model():
    rows = dict(examination(load((build("dinov2"), processor()))))
    assert rows["Image processor"] == "ViTImageProcessorPil"
    assert rows["Self attention"] == "3 layers × 4 heads, 17 × 17 tokens"
    assert rows["values"] == "3 × 4 × 17 × 8"
    assert rows["Largest difference from the attention that the model itself returns"][0] == "0"
