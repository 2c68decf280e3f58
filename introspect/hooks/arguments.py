"""Arguments of a run: inputs moved to the model's device, and checked rows."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import Cache

from introspect.errors import CaptureError, IntrospectError, SelectionError
from introspect.hooks.unwrapping import Anything, has_own_attention, taken_by

# What a run may write to: the caches of the generations of models, and states that some add to.
_WRITTEN_TO = ("past_key_values", "cache_params", "past_buckets_states", "mems", "inputs_embeds")


# Inputs that mean the same to every implementation of attention, with the dimensions they may have.
_ORDINARY = {
    "input_ids": 2,
    "attention_mask": 2,
    "token_type_ids": 2,
    "decoder_input_ids": 2,
    "decoder_attention_mask": 2,
    "pixel_values": 5,
    "interpolate_pos_encoding": 0,
    "use_cache": 0,
    "return_dict": 0,
    "output_hidden_states": 0,
}


_FAILURES = (
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    NotImplementedError,
    ValueError,
    AssertionError,
)


def run_arguments(
    module: nn.Module, inputs: Mapping[str, Any] | Sequence[Any] | torch.Tensor
) -> dict[str, Any]:
    """Return ``inputs`` on the model's device, without a cache, which changes the last digits.

    Raises:
        CaptureError: the inputs are no tensors, or the model has no weights in memory.
    """
    arguments = placed(module, _by_name(module, inputs))
    taken = taken_by(module)
    if not isinstance(taken, Anything) and "use_cache" in taken:
        arguments.setdefault("use_cache", False)
    return arguments


def _by_name(module: nn.Module, inputs: Any) -> Any:
    """Return inputs that are given by position under the names of a module's arguments."""
    given = [inputs] if torch.is_tensor(inputs) else inputs
    if isinstance(given, Mapping | str) or not isinstance(given, Sequence):
        return inputs
    if not any(map(torch.is_tensor, given)):
        return inputs
    parameters = inspect.signature(module.forward).parameters.values()
    names = [
        each.name
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    if len(names) < len(given):
        raise CaptureError(
            f"Expected at most {len(names)} inputs for {type(module).__name__}, whose arguments "
            f"are {', '.join(names) or 'not named'}, got {len(given)}. Give them by name."
        )
    return dict(zip(names, given, strict=False))


def ran(module: nn.Module, arguments: Mapping[str, Any], **more: Any) -> Any:
    """Run a model, and return its output; what it was given stays as it is.

    Args:
        module: the model.
        arguments: the arguments of its ``forward``. A cache among them is copied: a run adds its
            own keys to it.
        more: further arguments.

    Raises:
        CaptureError: the model does not run on these arguments.
    """
    own = {name: copied(name, value) for name, value in arguments.items()}
    with telling_failures(module, own):
        return module(**own, **more)


@contextmanager
def telling_failures(module: nn.Module, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Say of a model that fails on its arguments what it was given; it is not the caller's code.

    Raises:
        CaptureError: it failed.
    """
    try:
        yield
    except IntrospectError:
        raise
    except _FAILURES as error:
        raise _failed(module, arguments, error) from error
    except RuntimeError as error:
        # A caller may have a smaller batch to try where memory runs out.
        if isinstance(error, torch.OutOfMemoryError) or "memory" in str(error).lower():
            raise
        raise _failed(module, arguments, error) from error


def _failed(module: nn.Module, arguments: Mapping[str, Any], error: Exception) -> CaptureError:
    given = ", ".join(
        f"{name} {tuple(value.shape) if torch.is_tensor(value) else type(value).__name__}"
        for name, value in arguments.items()
        if not isinstance(value, bool | None)
    )
    line = (str(error).strip().splitlines() or ["no message"])[0].rstrip(".")
    return CaptureError(
        f"Expected {type(module).__name__} to run on {given or 'no inputs'}, but it failed with "
        f"{type(error).__name__}: {line}. Check them, by name and shape."
    )


def copied(name: str, value: Any) -> Any:
    """Return an argument that a run may write to as a copy, and any other as it is."""
    if torch.is_tensor(value):
        return value.clone() if name in _WRITTEN_TO else value
    if not (isinstance(value, Cache) or (name in _WRITTEN_TO and value is not None)):
        return value
    try:
        return copy.deepcopy(value)
    except (RuntimeError, TypeError) as error:
        raise CaptureError(
            f"Expected {name!r} that can be copied, as a run adds to it, got "
            f"{type(value).__name__}, which cannot. Make it under torch.no_grad()."
        ) from error


def placed(module: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Move ``inputs`` to the model's device.

    Raises:
        CaptureError: the model has no weights in memory.
    """
    if not isinstance(inputs, Mapping):
        raise CaptureError(
            "Expected tensors, by name as tokenizer(text, return_tensors='pt') gives them, or by "
            f"position, got {type(inputs).__name__}. For a text itself: "
            "ix.load((module, tokenizer)).capture(text)."
        )
    device = _device(module)
    return {k: v.to(device) if torch.is_tensor(v) else v for k, v in inputs.items()}


def accepted(module: nn.Module, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Select the inputs that the module's forward method takes.

    A module without a transformers model may call the tokens otherwise: its first argument is them.
    """
    taken = taken_by(module)
    selected = {name: value for name, value in inputs.items() if name in taken}
    if "input_ids" in inputs and "input_ids" not in taken and has_own_attention(module):
        first = next(iter(inspect.signature(module.forward).parameters))
        selected = {first: inputs["input_ids"], **selected}
    return selected


def checked_rows(rows: Any, arguments: Mapping[str, Any], *, of_any: bool = False) -> torch.Tensor:
    """Return ``rows`` as positions: ``(num_rows,)`` for all batch items, or ``(batch, num_rows)``.

    Args:
        rows: what the caller has given.
        arguments: the arguments of the run.
        of_any: whether the inputs may be anything, and each attention checks its rows by itself.

    Raises:
        SelectionError: the rows do not fit the batch or the length, or the inputs have no tokens.
    """
    ids = _tokens(arguments)
    if of_any:
        chosen = torch.as_tensor(rows)
        if chosen.ndim in (1, 2) and chosen.numel() and bool((chosen >= 0).all()):
            return chosen.long()
        raise SelectionError(f"Expected `rows` as a list of positions from 0, got {rows!r}.")
    if ids is None:
        raise SelectionError("Expected `input_ids` among the inputs, to choose rows of.")
    batch, length = ids.shape[:2]
    chosen = torch.as_tensor(rows)
    fits = chosen.ndim == 1 or (chosen.ndim == 2 and chosen.shape[0] == batch)
    if not fits or not chosen.numel():
        raise SelectionError(
            f"Expected `rows` as a list of positions, or one for each of the {batch} items of the "
            f"batch, got shape {tuple(chosen.shape)}."
        )
    if not bool(((chosen >= 0) & (chosen < length)).all()):
        raise SelectionError(
            f"Expected `rows` in 0–{length - 1}, got {sorted(set(chosen.flatten().tolist()))}."
        )
    return chosen.long()


def num_tokens(arguments: Mapping[str, Any]) -> int | None:
    """Return the number of tokens that a run reads; of an encoder-decoder, those that it writes."""
    ids = _tokens(arguments)
    return None if ids is None else int(ids.shape[1])


def _tokens(arguments: Mapping[str, Any]) -> torch.Tensor | None:
    names = ("decoder_input_ids", "decoder_inputs_embeds", "input_ids", "inputs_embeds")
    return next((arguments[n] for n in names if torch.is_tensor(arguments.get(n))), None)


def is_ordinary(arguments: Mapping[str, Any]) -> bool:
    """Return whether a run is given a text or a picture and which of it is padding, no more."""
    if "input_ids" in arguments and "pixel_values" in arguments:
        return False
    return all(
        name in _ORDINARY and (not torch.is_tensor(value) or value.ndim <= _ORDINARY[name])
        for name, value in arguments.items()
        if value is not None
    )


def _device(module: nn.Module) -> torch.device:
    parameter = next(module.parameters(), None)
    if parameter is None:  # what attends may be given all that it weighs
        return torch.device("cpu")
    _check_weights(module)
    if parameter.device.type != "meta":
        return parameter.device
    # Weights that accelerate keeps elsewhere come to the device on which they compute.
    for part in module.modules():
        device = getattr(getattr(part, "_hf_hook", None), "execution_device", None)
        if device is not None:
            return torch.device(device)
    return parameter.device


def _check_weights(module: nn.Module) -> None:
    empty = []
    for place, part in module.named_modules():
        if hasattr(part, "_hf_hook"):
            return  # weights offloaded to disk are on the meta device, and the hook restores them
        for name, parameter in part._parameters.items():
            if parameter is not None and parameter.device.type == "meta":
                empty.append(f"{place}.{name}")
    if empty:
        raise CaptureError(
            f"Expected {type(module).__name__} with its weights in memory, but {len(empty)} of "
            f"them are on the meta device, for example {empty[0]}. Load the weights first."
        )
