"""The figure of a picture, as data."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from introspect.errors import InputError, SelectionError
from introspect.records import AttentionRecord
from introspect.views import image_view
from introspect.views.image import OPACITY, png
from tests.views.image.helpers import (
    COLUMNS,
    FIRST,
    ROWS,
    TOKENS,
    picture,
    place,
    record_of,
    view_of,
)


def test_figure_lays_the_weights_of_one_patch_over_the_picture():
    record = record_of()
    figure = view_of(record, layer=1, head=2, patch=(2, 1)).figure
    (heatmap,) = figure.data
    row = record.attentions[1, 2, place(2, 1), FIRST:].double().reshape(ROWS, COLUMNS)
    assert np.allclose(heatmap.z, row, atol=1e-7)
    assert heatmap.zmin == 0 and heatmap.zmax == pytest.approx(float(row.max()))
    assert heatmap.text[2][1].startswith("r2c1: ")
    assert [stop[1] for stop in heatmap.colorscale] == [
        "rgba(24,88,168,0)",
        f"rgba(24,88,168,{OPACITY})",
    ]
    (image,) = figure.layout.images
    assert (image.x, image.y, image.sizex, image.sizey) == (-0.5, -0.5, COLUMNS, ROWS)
    assert image.layer == "below" and image.sizing == "stretch"
    assert tuple(figure.layout.yaxis.range) == (ROWS - 0.5, -0.5)
    assert figure.layout.title.text == "What r2c1 attends to (layer 1, H2)"


def test_figure_outlines_the_chosen_patch():
    outer, inner = view_of(patch=(2, 1)).figure.layout.shapes
    for shape in (outer, inner):
        assert (shape.x0, shape.x1, shape.y0, shape.y1) == (0.5, 1.5, 1.5, 2.5)
    assert view_of(patch="[CLS]").figure.layout.shapes == ()


def test_figure_of_what_attends_to_a_patch_in_the_mean_of_heads():
    record = record_of()
    view = view_of(record, layer=0, patch=(0, 3), side="key")
    column = record.attentions[0, :, FIRST:, place(0, 3)].double().mean(0)
    assert np.allclose(view.figure.data[0].z, column.reshape(ROWS, COLUMNS))
    assert view.figure.layout.title.text == "What r0c3 is attended by (layer 0, mean of 3 heads)"


def test_defaults_are_the_last_layer_all_heads_and_a_patch_in_the_middle():
    view = view_of(record_of(layers=(4, 9)))
    assert (view.layer, view.head, view.token, view.pinned) == (9, None, place(1, 2), False)


def test_figures_picture_is_grey_and_of_the_same_points():
    source = view_of().figure.layout.images[0].source
    shown = np.array(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))))
    assert shown.shape == (24, 32, 3)
    assert np.ptp(shown.astype(int), axis=2).max() == 0
    assert np.abs(shown[..., 0] - picture() @ [0.2126, 0.7152, 0.0722]).max() <= 0.5


def test_missing_weights_have_no_color_and_do_not_spoil_the_scale():
    record = record_of()
    record.attentions[:, :, place(0, 0), place(1, 1)] = float("nan")
    (heatmap,) = view_of(record, patch=(0, 0)).figure.data
    assert np.isnan(heatmap.z[1][1]) and 0 < heatmap.zmax <= 1


def test_png_holds_every_point():
    shown = Image.open(io.BytesIO(png(picture())))
    assert shown.format == "PNG" and shown.mode == "RGB"
    assert np.array_equal(np.array(shown), picture())


def test_a_pil_image_is_taken_too():
    assert np.array_equal(image_view(record_of(), Image.fromarray(picture())).picture, picture())


def test_hostile_labels_are_text_in_the_figure():
    tokens = ("<b>&", *TOKENS[1:])
    figure = view_of(record_of(tokens=tokens), patch="<b>&").figure
    assert "What &lt;b&gt;&amp; attends to" in figure.layout.title.text


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"layer": 2}, "Expected `layer` in 0–1, got 2"),
        ({"head": 3}, "in 0–2, got 3"),
        ({"patch": (3, 0)}, "within 3 × 4, got"),
        ({"patch": (0, -1)}, "within 3 × 4, got"),
        ({"patch": "cat"}, r"or one of \[CLS\], \[REG1\]"),
        ({"side": "left"}, "query or key, got 'left'"),
    ],
)
def test_what_does_not_exist_is_refused(options, expected):
    with pytest.raises(SelectionError, match=expected):
        view_of(**options)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.zeros((24, 24, 3), np.uint8), "24 × 32 .* got 24 × 24"),
        (np.zeros((48, 64, 3), np.uint8), "24 × 32 .* got 48 × 64"),
        (np.zeros((24, 32), np.uint8), "of uint8, got"),
        (np.zeros((24, 32, 3), np.float32), "of float32"),
        ("cat.png", "uint8, got"),
    ],
)
def test_another_picture_than_the_model_saw_is_refused(image, expected):
    with pytest.raises(InputError, match=expected):
        image_view(record_of(), image)


def test_without_the_size_of_a_patch_any_picture_of_whole_patches_will_do():
    record = record_of(patch=None)
    assert image_view(record, np.zeros((48, 64, 3), np.uint8)).picture.shape == (48, 64, 3)
    with pytest.raises(InputError, match="Expected the picture as the model saw it"):
        image_view(record, np.zeros((25, 32, 3), np.uint8))


def test_a_record_of_text_is_refused():
    record = AttentionRecord.from_tensors(torch.full((1, 1, 2, 2), 0.5), ["a", "b"])
    with pytest.raises(InputError, match="record without a `grid`"):
        image_view(record, picture())
