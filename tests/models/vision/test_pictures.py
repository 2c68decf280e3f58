"""What is taken as a picture, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from introspect.errors import (
    InputError,
)
from introspect.models import load
from tests.models.vision.helpers import build, picture, processor


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


def test_a_turned_photograph_is_put_upright_and_grey_is_read_as_color(tmp_path):
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
        (np.zeros((3, 8, 8), np.uint8), "Put the colors last"),
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
