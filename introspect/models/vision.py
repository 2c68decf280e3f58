"""A vision model with its image processor, which captures the attention of an image."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from introspect.calls import checked_call, checked_class
from introspect.errors import CaptureError, InputError, MissingExtraError, ModelError
from introspect.hooks import Captured, capture, taken_by, unwrapped, verify
from introspect.io import regular
from introspect.models.fit import is_image_processor, reads_pictures
from introspect.models.run_plan import make_record, signed
from introspect.records import AttentionRecord, PatchGrid, TokenSequence
from introspect.text import shortened

Picture = npt.NDArray[np.uint8]

#: The labels of the tokens before the patches, in order, and the names of their weights in models.
_PREFIXES = (
    ("[CLS]", ("cls_token", "class_embedding")),
    ("[DIST]", ("distillation_token",)),
    ("[REG]", ("register_tokens",)),
)
_BATCH_DIMENSIONS = 4


@checked_class
@dataclass(frozen=True, eq=False)
class VisionModel:
    """A transformers module that reads images, with its image processor.

    Args:
        module: the transformers model: ViT, DeiT, DINOv2, CLIP's vision tower.
        processor: its image processor, or a processor that contains one.
        name: the name to report: hub id or folder.
        revision: the commit on the hub, or a digest of the weights.
        unused: weights of its checkpoint that it does not use, for the certificate.

    Raises:
        ModelError: the model does not read images, or the processor is not an image processor.
    """

    module: nn.Module
    processor: Any
    name: str = "model"
    revision: str | None = None
    unused: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "module", unwrapped(self.module))
        if not reads_pictures(self.module):
            raise ModelError(
                f"Expected a model that reads pictures for an image processor, got "
                f"{type(self.module).__name__}. Give load((module, tokenizer)) for a model of text."
            )
        processor = getattr(self.processor, "image_processor", self.processor)
        if not is_image_processor(processor):
            raise ModelError(
                f"Expected an image processor for {self.name}, which reads pictures, got "
                f"{type(processor).__name__}. Load it with AutoImageProcessor.from_pretrained."
            )
        object.__setattr__(self, "processor", processor)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.name}, {type(self.module).__name__}>"

    @checked_call
    def capture(
        self,
        image: Any,
        *,
        include: Sequence[str] = ("attentions",),
        layers: Sequence[int] | None = None,
        certify: bool = False,
    ) -> AttentionRecord:
        """Capture the attention of every layer and head for one image.

        The tokens are those that the model puts first (``[CLS]``, DeiT's ``[DIST]``, registers
        ``[REG1]``, …), then the patches, row by row: ``r0c0``, ``r0c1``, …; their positions are in
        ``record.grid``.

        Args:
            image: a path, a PIL image, or an array ``(height, width, 3)`` of uint8.
            include: the parts to keep besides the attention: ``scores``, ``queries``, ``keys``,
                ``values``, ``head_outputs``; they are in ``record.parts``.
            layers: only these layers, by the model's own numbers.
            certify: run the model twice more, to add to the certificate how much the capture
                differs from the attention that the model returns itself.

        Raises:
            InputError: the input is not an image, or cannot be read.
            SelectionError: the model does not have a layer or part.
            CaptureError: the attention cannot be observed, or is not between all patches.
        """
        wanted = tuple(dict.fromkeys([include] if isinstance(include, str) else include))
        inputs = self._inputs(image)
        height, width = inputs["pixel_values"].shape[-2:]
        captured = capture(self.module, inputs, ("attentions", *wanted), layers=layers)
        grid = self._grid(captured, int(height), int(width))
        if certify:
            captured = replace(captured, certificate=verify(self.module, inputs, captured))
        tokens = _tokens(self._prefix(), grid)
        record = make_record(
            captured,
            "self",
            queries=tokens,
            keys=tokens,
            name=self.name,
            parts=[part for part in wanted if part != "attentions"],
            notices=self._notices(inputs),
        )
        return replace(signed(record, self, self.processor), grid=grid)

    def picture(self, image: Any) -> Picture:
        """Return the image as the model sees it: resized and cropped, before normalization.

        Args:
            image: a path, a PIL image, or an array ``(height, width, 3)`` of uint8.

        Returns:
            ``(height, width, 3)``, uint8; a margin too small for a patch is left out.

        Raises:
            InputError: the input is not an image, or cannot be read.
            CaptureError: the processor does not produce an image from it.
        """
        pixels = self._processed(image, do_rescale=False, do_normalize=False)
        _check_pixels(self.name, pixels)
        patch_height, patch_width = self._patch_size()
        height, width = (int(n) for n in pixels.shape[-2:])
        whole = pixels[0].permute(1, 2, 0)[
            : height // patch_height * patch_height, : width // patch_width * patch_width
        ]
        shown: Picture = whole.round().clamp(0, 255).to(torch.uint8).numpy()
        return shown

    def _processed(self, image: Any, **options: Any) -> torch.Tensor:
        picture = _read(image)
        made = self.processor(images=picture, return_tensors="pt", **options)
        pixels: torch.Tensor = made["pixel_values"]
        return pixels

    def _inputs(self, image: Any) -> dict[str, Any]:
        """Build the arguments of the module's ``forward``."""
        pixels = self._processed(image)
        _check_pixels(self.name, pixels)
        parameter = next(self.module.parameters(), None)
        if parameter is not None:
            pixels = pixels.to(parameter.dtype)
        inputs: dict[str, Any] = {"pixel_values": pixels}
        takes = taken_by(self.module)
        trained_on = _pair(getattr(self.module.config, "image_size", None))
        is_other_size = trained_on is not None and trained_on != tuple(pixels.shape[-2:])
        if is_other_size and "interpolate_pos_encoding" in takes:
            inputs["interpolate_pos_encoding"] = True
        return inputs

    def _notices(self, inputs: dict[str, Any]) -> tuple[str, ...]:
        if "interpolate_pos_encoding" not in inputs:
            return ()
        height, width = inputs["pixel_values"].shape[-2:]
        expected = _pair(self.module.config.image_size)  # type: ignore[union-attr]
        assert expected is not None
        return (
            f"The model was trained on pictures of {expected[0]} × {expected[1]} pixels and was "
            f"given {height} × {width} (height × width): its positions are interpolated.",
        )

    def _patch_size(self) -> tuple[int, int]:
        config: Any = self.module.config
        size = _pair(getattr(config, "patch_size", None))
        if size is None:
            raise CaptureError(
                f"Expected patches of one size in {self.name}, but its configuration names no "
                "patch_size: it cuts the picture in another way. Choose a model such as ViT, DeiT, "
                "DINOv2 or CLIP's vision tower."
            )
        return size

    def _prefix(self) -> tuple[str, ...]:
        """Return the labels of the tokens before the patches, based on the model's weights."""
        return tuple(_prefix_labels(self.module))

    def _grid(self, captured: Captured, height: int, width: int) -> PatchGrid:
        """Return the grid of the patches.

        Raises:
            CaptureError: the attention is not between all patches of the image.
        """
        config: Any = self.module.config
        if getattr(config, "mask_ratio", None) is not None:
            raise CaptureError(
                f"Expected a model that reads all patches in their order, but {self.name} hides "
                "some and shuffles the rest. Load its weights as a ViTModel."
            )
        patch = self._patch_size()
        grid = PatchGrid(height // patch[0], width // patch[1], len(self._prefix()), patch)
        length = grid.first + len(grid)
        for layer in captured.attentions.get("self", ()):
            if layer.shape[0] != 1 or tuple(layer.shape[2:]) != (length, length):
                raise CaptureError(
                    f"Expected attention between {grid.first} first tokens and {grid.rows} × "
                    f"{grid.columns} patches from {self.name}, got shape {tuple(layer.shape)}: it "
                    "attends within windows, merges patches on its way (Swin), or adds tokens of "
                    "its own. Use introspect.capture to have the attention as it is."
                )
        return grid


def _read(image: Any) -> Picture:
    """Read an image as ``(height, width, 3)`` of uint8, upright.

    Raises:
        InputError: the input is not an image, or cannot be read.
        MissingExtraError: pillow is needed but not installed.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise InputError(
                f"Expected a picture as (height, width, 3) of uint8, got {image.shape} of "
                f"{image.dtype}. Put the colors last, from 0 to 255."
            )
        return np.ascontiguousarray(image)
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise MissingExtraError("pillow", "vision", "Reading a picture") from error

    if isinstance(image, Image.Image):
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    if not isinstance(image, str | os.PathLike):
        raise InputError(
            "Expected a picture as a path, a PIL image or an array (height, width, 3) of uint8, "
            f"got {type(image).__name__}."
        )
    try:
        with Image.open(os.fspath(regular(image))) as opened:
            return np.array(ImageOps.exif_transpose(opened).convert("RGB"))
    # The readers of the many formats raise any of these for a damaged or foreign file.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            f"Expected the path of a picture, got {shortened(os.fspath(image))!r}, which cannot be "
            f"read ({type(error).__name__}). A vision model reads no text: give a PNG or JPEG file."
        ) from error


def _check_pixels(name: str, pixels: Any) -> None:
    if (
        not torch.is_tensor(pixels)
        or pixels.ndim != _BATCH_DIMENSIONS
        or pixels.shape[:2] != (1, 3)
    ):
        came = tuple(pixels.shape) if hasattr(pixels, "shape") else type(pixels).__name__
        raise CaptureError(
            f"Expected the image processor of {name} to make one picture (1, 3, height, width), "
            f"got {came}. Models that cut a picture before they read it are not shown."
        )


def _prefix_labels(module: nn.Module) -> Iterator[str]:
    held = {name.rpartition(".")[2]: weights for name, weights in module.named_parameters()}
    for label, names in _PREFIXES:
        weights = next((held[name] for name in names if name in held), None)
        if weights is None:
            continue
        count = 1 if weights.ndim == 1 else weights.shape[-2]
        is_numbered = count > 1 or label == "[REG]"
        yield from (f"{label[:-1]}{n}]" if is_numbered else label for n in range(1, count + 1))


def _tokens(prefix: Sequence[str], grid: PatchGrid) -> TokenSequence:
    """Build the tokens of an image; each patch is a separate word."""
    patches = tuple(
        f"r{row}c{column}" for row in range(grid.rows) for column in range(grid.columns)
    )
    nothing = (None,) * len(prefix)
    return TokenSequence(
        tokens=(*prefix, *patches),
        word_ids=(*nothing, *range(len(patches))),
        special_tokens_mask=(*(True for _ in prefix), *(False for _ in patches)),
        sequence_ids=(*nothing, *(0 for _ in patches)),
        words=patches,
    )


def _pair(size: Any) -> tuple[int, int] | None:
    """Return the height and width of a configured size, which is one number or two."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, list | tuple) and len(size) == 2 and all(isinstance(n, int) for n in size):
        return int(size[0]), int(size[1])
    return None
