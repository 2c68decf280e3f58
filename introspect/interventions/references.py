"""Run the inputs that an intervention takes values from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from introspect.errors import SelectionError, TextError
from introspect.hooks import (
    IMPLEMENTATION,
    Captured,
    Edit,
    Visible,
    borrowed_attention,
    has_own_attention,
    placed,
    unedited,
)
from introspect.interventions.intervention import Intervention, ModelLike, module_of
from introspect.models import Model, encode_batch, length_limit, mask_of, padded, run_inputs
from introspect.records import Kind

#: A text, for a model of this package, or what a module's ``forward`` takes.
Inputs = str | Mapping[str, Any]
_BATCH = 32


@dataclass(frozen=True, eq=False)
class Reference:
    """A part of a layer on one input, without padding: ``(num_heads, length, size)``, by layer."""

    parts: Mapping[int, torch.Tensor]

    @property
    def length(self) -> int:
        """Number of tokens."""
        return next(iter(self.parts.values())).shape[1]


def run_references(
    model: ModelLike,
    references: Iterable[Inputs] | Inputs,
    *,
    kind: Kind,
    layers: Sequence[int],
) -> list[Reference]:
    """Return the head outputs of some layers, on each of several inputs.

    Raises:
        SelectionError: no reference, or texts for a module that has no tokenizer.
        TextError: a text cannot be read.
    """
    runs = []
    for inputs in _batches(model, references):
        tensors = run_parts(module_of(model), inputs, "head_outputs", kind, layers)
        is_read = _is_read(inputs, kind, next(iter(tensors.values())))
        runs += [
            Reference({layer: tensor[row][:, mask] for layer, tensor in tensors.items()})
            for row, mask in enumerate(is_read)
        ]
    if not runs:
        raise SelectionError(
            "Expected at least one text in `reference`, got none. Give texts like those that the "
            "model is to be asked about."
        )
    return runs


def run_source(
    model: ModelLike, source: Inputs | Captured, part: str, kind: Kind, layers: Sequence[int]
) -> Mapping[int, torch.Tensor]:
    """Return a part of some layers, by layer, on one input or from a capture."""
    if isinstance(source, Captured):
        parts = getattr(source, part).get(kind, ())
        return dict(zip(source.layers.get(kind, ()), parts, strict=False))
    if not isinstance(source, str | Mapping):
        raise SelectionError(
            "Expected one `source`: a text, what the model's forward takes, or what ix.capture "
            f"gave, got {type(source).__name__}. Give several texts as one padded batch."
        )
    inputs = next(iter(_batches(model, source)))
    return run_parts(module_of(model), inputs, part, kind, layers)


def run_parts(
    module: nn.Module,
    inputs: Mapping[str, Any],
    part: str,
    kind: Kind,
    layers: Sequence[int],
    *,
    run: nn.Module | None = None,
) -> dict[int, torch.Tensor]:
    """Return a part of some layers, from a run of the model without any intervention.

    The model's own implementation runs, with its cache, so that patching the values back in is
    exact to the last bit.

    Args:
        module: the model.
        inputs: the inputs of the module that is run.
        part: which part.
        kind: the kind of attention.
        layers: which layers.
        run: the part of the model that is run, such as an encoder; all of it by default.
    """
    seen: dict[int, torch.Tensor] = {}

    def noted(layer: int) -> Edit:
        def unchanged(tensor: torch.Tensor, _visible: Visible) -> torch.Tensor:
            seen[layer] = tensor.detach()
            return tensor

        return Edit(kind, layer, part, unchanged)

    arguments = placed(module, inputs)
    if has_own_attention(module) and "input_ids" in arguments:
        arguments = run_inputs(module, arguments)  # it may call the tokens otherwise
    watch = Intervention(module, [noted(layer) for layer in layers], f"{part} noted")
    with unedited(), torch.no_grad(), borrowed_attention(module, IMPLEMENTATION), watch:
        (run or module)(**arguments)
    return seen


def _batches(
    model: ModelLike, references: Iterable[Inputs] | Inputs
) -> Iterator[Mapping[str, Any]]:
    each = [references] if isinstance(references, str | Mapping) else list(references)
    texts = [one for one in each if isinstance(one, str)]
    if texts and not isinstance(model, Model):
        raise SelectionError(
            "Expected inputs as tensors for a bare module, got a text. Give a dictionary of what "
            "its forward takes, or a model of ix.load, which has a tokenizer."
        )
    yield from (one for one in each if not isinstance(one, str))
    for start in range(0, len(texts), _BATCH):
        yield _encoded(model, texts[start : start + _BATCH])  # type: ignore[arg-type]


def _encoded(model: Model, texts: Sequence[str]) -> dict[str, torch.Tensor]:
    if model.is_encoder_decoder:
        raise SelectionError(
            f"Expected inputs as tensors for {model.name}, an encoder-decoder, got a text: what "
            "its decoder reads must be given as well."
        )
    with model.tokenizing():
        limit = length_limit(model.module, model.tokenizer)
        encoded = encode_batch(model.tokenizer, texts, limit=limit)
        for one in encoded:
            if isinstance(one, TextError):
                raise one
        return padded(model.tokenizer, encoded)  # type: ignore[arg-type]


def _is_read(inputs: Mapping[str, Any], kind: Kind, like: torch.Tensor) -> torch.Tensor:
    """Return which tokens of each item are not padding, ``(batch, length)``."""
    batch, _, length = like.shape[:3]
    mask = mask_of(inputs, kind)
    if mask is None or mask.shape != (batch, length):
        return torch.ones(batch, length, dtype=torch.bool, device=like.device)
    return mask.to(like.device).bool()
