"""One run of a model: its arguments, and its attention by whichever route it is available."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from introspect.errors import CaptureError, SelectionError
from introspect.hooks.interface import IMPLEMENTATION, Watcher, watching
from introspect.hooks.loans import borrowed_attention
from introspect.hooks.observation import OWN_OUTPUTS, AllSeen, Observation, are_weights
from introspect.hooks.products import (
    AttentionProducts,
    ProductTrace,
    parts_behind,
    products_behind,
)
from introspect.hooks.watchers import WholeWatcher

INTERFACE_ROUTE = "attention interface"
ROWS_ROUTE = "selected rows beside the model's own implementation"
OUTPUT_ROUTE = "the model's own output"
_PRODUCTS_ROUTE = "the model's own output, and the products around its softmax"

_PATTERN_DIMENSIONS = 4


def run_arguments(module: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``inputs`` on the model's device, without a cache, which changes the last digits.

    Raises:
        CaptureError: the model has no weights in memory.
    """
    arguments = placed(module, inputs)
    if "use_cache" in inspect.signature(module.forward).parameters:
        arguments.setdefault("use_cache", False)
    return arguments


def placed(module: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Move ``inputs`` to the model's device.

    Raises:
        CaptureError: the model has no weights in memory.
    """
    device = _device(module)
    return {k: v.to(device) if torch.is_tensor(v) else v for k, v in inputs.items()}


def accepted(module: nn.Module, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Select the inputs that the module's forward method takes."""
    parameters = inspect.signature(module.forward).parameters
    return {name: value for name, value in inputs.items() if name in parameters}


def checked_rows(rows: Any, arguments: Mapping[str, Any]) -> torch.Tensor:
    """Return ``rows`` as positions: ``(num_rows,)`` for all batch items, or ``(batch, num_rows)``.

    Raises:
        SelectionError: the rows do not fit the batch or the length, or the inputs have no tokens.
    """
    ids = next(
        (arguments[n] for n in ("decoder_input_ids", "input_ids") if n in arguments),
        arguments.get("inputs_embeds"),
    )
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


def _device(module: nn.Module) -> torch.device:
    parameter = next(module.parameters(), None)
    if parameter is None:
        raise CaptureError(f"Expected a model with weights, but {type(module).__name__} has none.")
    _check_weights(module)
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


def run_whole(
    module: nn.Module,
    arguments: dict[str, Any],
    wanted: tuple[str, ...],
    observation: Observation,
) -> tuple[Any, str, list[torch.Tensor]]:
    """Run the model and let the observation see whole patterns, by whichever route is available.

    Returns:
        The model's output, the route, and the differences between weights × values and the heads'
        outputs.
    """
    watcher = WholeWatcher(wanted, observation.see)
    output = run_watched(module, arguments, observation, watcher)
    route = INTERFACE_ROUTE
    if observation.has_seen_nothing:
        output, route = observe_own_output(module, arguments, wanted, observation)
    elif missing := observation.missing_kinds:
        # Some models have a custom encoder with an ordinary decoder (PEGASUS-X).
        _, own = observe_own_output(module, arguments, wanted, observation, missing)
        own_kinds = [kind for kind in missing if kind not in observation.missing_kinds]
        route = f"{route}; {', '.join(own_kinds)}: {own}" if own_kinds else route
    observation.check(module)
    return output, route, watcher.output_errors


def run_watched(
    module: nn.Module, arguments: dict[str, Any], observation: Observation, watcher: Watcher
) -> Any:
    """Return the model's output, or ``None`` if the run was stopped because all was seen."""
    try:
        with (
            torch.no_grad(),
            borrowed_attention(module, IMPLEMENTATION),
            observation.hooks(),
            watching(watcher),
        ):
            return module(**arguments)
    except AllSeen:
        return None


def observe_own_output(
    module: nn.Module,
    arguments: dict[str, Any],
    wanted: tuple[str, ...],
    observation: Observation,
    kinds: Sequence[str] = tuple(OWN_OUTPUTS),
) -> tuple[Any, str]:
    """Take the attention that the model returns when it runs eagerly, and the parts behind it.

    Returns:
        The model's output, and the route.

    Raises:
        CaptureError: a part cannot be found by watching the model's products.
    """
    if wanted == ("attentions",):
        output = _run_eagerly(module, arguments)
        own = list(own_attention(output, kinds))
        if all(are_weights(weights) for _, _, weights in own):
            for kind, number, weights in own:
                observation.take(kind, number, {"attentions": weights})
            return output, OUTPUT_ROUTE
    with ProductTrace() as trace:
        output = _run_eagerly(module, arguments)
    for kind, number, weights in own_attention(output, kinds):
        parts = parts_behind(weights, trace, type(module).__name__)
        observation.take(kind, number, {name: parts[name] for name in wanted})
    return output, _PRODUCTS_ROUTE


def products_of_own_output(
    module: nn.Module, arguments: dict[str, Any]
) -> dict[tuple[str, int], AttentionProducts]:
    """Find the steps of a run that are the model's attentions, by kind and layer.

    Raises:
        CaptureError: they cannot be found by watching the model's products.
    """
    with ProductTrace() as trace:
        output = _run_eagerly(module, arguments)
    return {
        (kind, number): products_behind(weights, trace, type(module).__name__)
        for kind, number, weights in own_attention(output, tuple(OWN_OUTPUTS))
    }


def _run_eagerly(module: nn.Module, arguments: dict[str, Any]) -> Any:
    with torch.no_grad(), borrowed_attention(module, "eager"):
        return module(**arguments, output_attentions=True)


def own_attention(output: Any, kinds: Sequence[str]) -> Iterator[tuple[str, int, torch.Tensor]]:
    """Yield the kind, the layer and the attention that the model returned."""
    returned = output if hasattr(output, "get") else {}
    for kind in kinds:
        own = next((returned[n] for n in OWN_OUTPUTS[kind] if returned.get(n)), ())
        for number, weights in enumerate(own):
            # Some return local and global attention separately, in a form that is not a pattern.
            if torch.is_tensor(weights) and weights.ndim == _PATTERN_DIMENSIONS:
                yield kind, number, weights
