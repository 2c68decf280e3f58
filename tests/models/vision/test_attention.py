"""Attention of pictures is the model’s own; tokens and patches are where they lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from introspect.errors import (
    SelectionError,
)
from introspect.models import VisionModel, load
from introspect.records import PatchGrid
from tests.models.vision.helpers import CONFIGS, build, cropping, own_attention, picture, processor

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
