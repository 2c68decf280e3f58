"""Attention that any program made: read into patterns, or refused in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from numbers import Number
from typing import Any

import numpy as np
import torch

from introspect.errors import RecordError
from introspect.text import counted, listed

#: What a model's output calls each kind of attention.
_FIELDS = {
    "self": "attentions",
    "encoder": "encoder_attentions",
    "decoder": "decoder_attentions",
    "cross": "cross_attentions",
}
_NO_WEIGHTS = (
    "sdpa and flash attention return no weights. Load the model with "
    'attn_implementation="eager" and call it with output_attentions=True, or capture it: '
    "ix.capture(model, inputs), or ix.load(…).capture(text)."
)
_SHAPE = "(num_heads, query_len, key_len)"


@dataclass(frozen=True, eq=False)
class Patterns:
    """Attention of one text.

    Args:
        attentions: ``(num_layers, num_heads, query_len, key_len)``.
        layers: the model's own number of each layer.
        generated: whether it was put together from the steps of ``generate``.
        prompt: how many tokens the first of these steps read.
    """

    attentions: torch.Tensor
    layers: tuple[int, ...]
    generated: bool = False
    prompt: int = 0


def read_patterns(given: Any, kind: str) -> Patterns:
    """Return the patterns of attention in any of its usual forms.

    Args:
        given: an array ``(num_heads, query_len, key_len)`` of one layer, an array or a sequence
            over layers of them, with or without a batch of 1, with ``None`` for layers that have
            no attention; the steps of ``generate``; or a model's output.
        kind: which attention of an output to take.

    Raises:
        RecordError: it is none of these; the message says what to hand over.
    """
    held = _by_kind(given)
    if held is None:
        return _read(given, kind)
    present = {name: value for name, value in held.items() if value is not None and len(value)}
    if not present:
        raise RecordError(f"Expected an output with attentions, got one without: {_NO_WEIGHTS}")
    if kind == "self" and kind not in present:
        kind = getattr(held, "main", kind)  # of several towers that of the words is meant
    if kind not in present:
        raise RecordError(
            f"Expected {kind} attention in the output, but it has only "
            f"{listed(present)} attention. Say which with kind={next(iter(present))!r}."
        )
    patterns = _read(present[kind], kind)
    numbers = getattr(given, "layers", None)
    if not isinstance(numbers, Mapping):
        return patterns
    return replace(patterns, layers=tuple(numbers[kind]))


def _by_kind(given: Any) -> Mapping[str, Any] | None:
    """Return the attention of a model's output by its kind; ``None`` for anything else."""
    if isinstance(given, torch.Tensor | np.ndarray | Sequence):
        return None
    fields = given if isinstance(given, Mapping) else {}
    held = {
        name: fields.get(field) if field in fields else getattr(given, field, None)
        for name, field in _FIELDS.items()
        if field in fields or hasattr(given, field)
    }
    # What ix.capture returns has a mapping from kinds.
    by_kind = held.get("self")
    return by_kind if isinstance(by_kind, Mapping) else held or None


def _read(given: Any, kind: str) -> Patterns:
    if _is_array(given) or _is_numbers(given):
        return _of_array(_tensor(given))
    if not isinstance(given, list | tuple):
        raise RecordError(
            "Expected attention as an array, as a list over layers of arrays, or as a model's "
            f"output with attentions, got {_named(given)}. If a model returned it: {_NO_WEIGHTS}"
        )
    if given and all(map(_is_step, given)):
        return _of_steps(given, kind)
    return _of_layers(given)


def _is_array(given: Any) -> bool:
    is_objects = isinstance(given, np.ndarray) and given.dtype == object
    return not is_objects and (hasattr(given, "__array__") and hasattr(given, "shape"))


def _is_numbers(given: Any) -> bool:
    """Return whether this is a list of lists of numbers."""
    if not isinstance(given, list | tuple) or any(item is None for item in given):
        return False
    first = given
    while isinstance(first, list | tuple) and first:
        first = first[0]
    return isinstance(first, Number)


def _is_step(given: Any) -> bool:
    """Return whether this is what ``generate`` returns of a step: one array for each layer."""
    return (
        isinstance(given, list | tuple)
        and any(map(_is_array, given))
        and all(item is None or _is_array(item) for item in given)
    )


def _tensor(given: Any) -> torch.Tensor:
    if isinstance(given, torch.Tensor):
        if given.is_meta or given.is_complex():
            kind = (
                "of the meta device, which has no numbers. Load the weights, and run the model"
                if given.is_meta
                else "of complex numbers. Hand over the weights, which are shares of a whole"
            )
            raise RecordError(f"Expected attention weights, got a tensor {kind}.")
        return given.detach().to_dense() if given.layout != torch.strided else given.detach()
    try:
        array = np.asarray(given)
        if array.dtype.kind not in "bifu":
            array = array.astype(np.float32)
        return torch.from_numpy(np.require(array, requirements=("C", "W")))
    except (TypeError, ValueError) as error:
        raise RecordError(
            f"Expected attention as an array of numbers, got {_named(given)} that is none: {error}."
        ) from error


def _of_array(array: torch.Tensor) -> Patterns:
    if array.ndim == 5:
        return _of_layers(list(array if array.shape[0] > 1 or array.shape[1] == 1 else array[0]))
    if array.ndim not in (3, 4):
        raise RecordError(
            f"Expected attention of shape (num_layers, num_heads, query_len, key_len), or {_SHAPE} "
            f"of one layer, got {tuple(array.shape)}. The matrix of one head is attention[None]."
        )
    return _of_layers(list(array) if array.ndim == 4 else [array])


def _of_layers(given: Sequence[Any]) -> Patterns:
    numbers = _present(given)
    layers = {number: _squeezed(given[number], f"layer {number}") for number in numbers}
    return Patterns(_stacked(layers), numbers)


def _of_steps(steps: Sequence[Sequence[Any]], kind: str) -> Patterns:
    if len({len(step) for step in steps}) > 1:
        raise RecordError(
            "Expected as many layers in each step of generate, got "
            f"{listed(sorted({len(step) for step in steps}))}. Hand over the steps of one call."
        )
    numbers = _present(steps[0])
    layers = {
        number: _stitched(
            [_squeezed(step[number], f"layer {number}") for step in steps],
            "rows" if kind == "cross" else "causal",
        )
        for number in numbers
    }
    prompt = _squeezed(steps[0][numbers[0]], f"layer {numbers[0]}").shape[1]
    return Patterns(_stacked(layers), numbers, generated=True, prompt=prompt)


def _present(layers: Sequence[Any]) -> tuple[int, ...]:
    """Return the numbers of the layers that are there, by which the model counts them."""
    numbers = tuple(number for number, layer in enumerate(layers) if layer is not None)
    if not numbers:
        got = f"{counted(len(layers), 'layer')} without any" if len(layers) else "none"
        raise RecordError(f"Expected at least one layer of attention, got {got}: {_NO_WEIGHTS}")
    return numbers


def _squeezed(layer: Any, name: str) -> torch.Tensor:
    """Return a layer as ``(num_heads, query_len, key_len)``."""
    if isinstance(layer, list | tuple) and not _is_numbers(layer):
        raise RecordError(
            f"Expected {name} as an array, got {_named(layer)}. Of a model's output hand over "
            "output.attentions, not the whole."
        )
    array = _tensor(layer)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 4 and array.shape[0] > 1:
        raise RecordError(
            f"Expected the attention of one text, got a batch of {array.shape[0]} texts or beams "
            f"in {name}, {tuple(array.shape)}. Take one, [layer[:1] for layer in attentions], "
            "without its padding; or use model.capture_many(texts)."
        )
    if 0 in array.shape[-3:]:
        raise RecordError(
            f"Expected at least one head and token, got {tuple(array.shape)} in {name}."
        )
    if array.ndim != 3:
        raise RecordError(
            f"Expected each layer as {_SHAPE}, got {tuple(array.shape)} in {name}. A list of heads "
            "of one layer is torch.stack(heads)."
        )
    return array


def _stacked(layers: Mapping[int, torch.Tensor]) -> torch.Tensor:
    shapes = {tuple(layer.shape): number for number, layer in layers.items()}
    if len(shapes) > 1:
        each = listed(f"{shape} in layer {number}" for shape, number in shapes.items())
        raise RecordError(
            f"Expected layers of equal {_SHAPE}, got {each}. Take layers of one kind, and None for "
            "each of the others, which keeps the numbers."
        )
    device = next(iter(layers.values())).device
    return torch.stack([layer.to(device) for layer in layers.values()])


def _stitched(steps: Sequence[torch.Tensor], how: str) -> torch.Tensor:
    """Return one pattern from the steps of ``generate``, of which each adds rows."""
    if all(step.shape[1] > 1 for step in steps[1:]) and _grows(steps):
        return steps[-1]  # without a cache, each step has the rows before it too
    rows = torch.cat([_widened(step, steps[-1].shape[-1]) for step in steps], dim=1)
    if how == "rows":
        _check_steps(steps, all(step.shape[-1] == rows.shape[-1] for step in steps))
        return rows
    if len({step.shape[-1] for step in steps}) == 1:
        # A cache of a fixed size has room for tokens that never came.
        _check_steps(steps, rows.shape[-1] >= rows.shape[1])
        return rows[..., : rows.shape[1]]
    is_whole = steps[0].shape[1] == steps[0].shape[2]
    adds = all(b.shape[2] == a.shape[2] + b.shape[1] for a, b in pairwise(steps))
    _check_steps(steps, is_whole and adds)
    return rows


def _grows(steps: Sequence[torch.Tensor]) -> bool:
    return all(b.shape[1] == a.shape[1] + 1 for a, b in pairwise(steps))


def _widened(step: torch.Tensor, key_len: int) -> torch.Tensor:
    """Give a step a weight of 0 for each later token."""
    return torch.nn.functional.pad(step, (0, max(key_len - step.shape[-1], 0)))


def _check_steps(steps: Sequence[torch.Tensor], fits: bool) -> None:
    if not fits:
        shapes = [tuple(step.shape) for step in steps]
        raise RecordError(
            "Expected steps of generate that each add rows and as many keys to those before, got "
            f"{listed(shapes, most=4)}. Generate with a cache that keeps all keys "
            '(cache_implementation="dynamic"), or capture the whole text with ix.load(…).'
        )


def _named(given: Any) -> str:
    name = type(given).__name__
    return "None" if given is None else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
