"""Running a model once and keeping what its attention modules computed."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import transformers
from torch import nn

from introspect.errors import CaptureError, SelectionError
from introspect.hooks.borrowing import attention_implementation, borrowed_attention
from introspect.hooks.following.blocks import BlockLog
from introspect.hooks.following.derived import DERIVED, DerivedParts, held_projections
from introspect.hooks.following.projection import BEHIND_NORMS, LinearLog, Projection
from introspect.hooks.interface import IMPLEMENTATION, Watcher, watching
from introspect.hooks.observation import AllSeen, Observation
from introspect.hooks.own_output import observe_own_output
from introspect.hooks.rows import RowsNotRecomputableError, pick_rows
from introspect.hooks.watchers import PARTS as WATCHED_PARTS
from introspect.hooks.watchers import RowWatcher, WholeWatcher
from introspect.records import Certificate

__all__ = ["PARTS", "Captured", "capture", "find_projections"]

#: What can be captured of a model's attention.
PARTS = (*WATCHED_PARTS, *DERIVED)

INTERFACE_ROUTE = "attention interface"
ROWS_ROUTE = "selected rows beside the model's own implementation"

PartByKind = Mapping[str, list[torch.Tensor]]


@dataclass(frozen=True, eq=False)
class Captured:
    """What one run of a model gave.

    Each part is a mapping from the kind of attention (``self``; or ``encoder``, ``decoder``,
    ``cross``) to a list over layers; a part that was not asked for is empty.

    Args:
        attentions: ``(batch, num_heads, query_len, key_len)``; of selected rows
            ``(batch, num_heads, num_rows, key_len)``.
        layers: the model's own number of each layer.
        output: what the model returned; ``None`` if it was stopped after the last layer asked for.
        certificate: how it was captured.
        scores: what the softmax was given, shaped like the attentions.
        queries: ``(batch, num_heads, query_len, head_dim)``, after rotary embedding.
        keys: ``(batch, num_key_value_heads, key_len, head_dim)``, before they are repeated for
            grouped queries.
        values: the same.
        head_outputs: ``(batch, num_heads, query_len, value_dim)``, before the output projection.
        value_norms: ``(batch, num_heads, key_len)``: the length of each value after its head's part
            of the output projection (Kobayashi et al. 2020).
        residual_norms: ``(batch, 1, n, n)``: the length of what each key brings through all heads,
            the residual and the layer norm (Kobayashi et al. 2021); not of cross-attention.
        contributions: ``(batch, 1, n, n)``: the share of each key in what the block gives (Ferrando
            et al. 2022); not of cross-attention.
        gradients: shaped like the attentions, as ``capture_gradients`` gives them.
        integrated_gradients: the same.
    """

    attentions: PartByKind
    layers: Mapping[str, list[int]]
    output: Any
    certificate: Certificate
    scores: PartByKind = field(default_factory=dict)
    queries: PartByKind = field(default_factory=dict)
    keys: PartByKind = field(default_factory=dict)
    values: PartByKind = field(default_factory=dict)
    head_outputs: PartByKind = field(default_factory=dict)
    value_norms: PartByKind = field(default_factory=dict)
    residual_norms: PartByKind = field(default_factory=dict)
    contributions: PartByKind = field(default_factory=dict)
    gradients: PartByKind = field(default_factory=dict)
    integrated_gradients: PartByKind = field(default_factory=dict)


def capture(
    module: nn.Module,
    inputs: Mapping[str, Any],
    include: Sequence[str] | str = ("attentions",),
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    rows: Sequence[int] | Sequence[Sequence[int]] | torch.Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Captured:
    """Run ``module`` on ``inputs`` and capture its attention.

    The model's own code runs, whatever implementation it was loaded with; it is put back as it was,
    also after an exception. No gradients, no dropout. The run stops after the last layer asked for.

    Args:
        module: any transformers model that computes attention through the attention interface, or
            that returns it.
        inputs: what the model's ``forward`` takes, a dictionary of tensors.
        include: which parts to keep: ``attentions``, ``scores``, ``queries``, ``keys``,
            ``values``, ``head_outputs``, ``value_norms``, ``residual_norms``, ``contributions``.
        layers: keep only these layers, by the model's own numbers.
        heads: keep only these heads, in this order; keys and values, which heads may share, stay
            whole.
        rows: only these query positions, the same for all items of the batch or a list for each;
            of an encoder-decoder those of the decoder, for its own attention and to the encoder.
            The model runs as it was loaded, so the cost grows with the rows, not with the square
            of the length.
        dtype: keep the parts in this type; by default as they are computed.

    Raises:
        CaptureError: a part cannot be had from this model, or it has no weights in memory.
        SelectionError: a part, layer, head or row that does not exist.
    """
    wanted = _checked_parts(include)
    if layers is not None and not list(layers):
        raise SelectionError(
            "Expected at least one layer in `layers`, got none. Leave it out to keep all of them."
        )
    if heads is not None and not list(heads):
        raise SelectionError(
            "Expected at least one head in `heads`, got none. Leave it out to keep all of them."
        )
    module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
    arguments = run_arguments(module, inputs)
    if set(DERIVED) & set(wanted) and rows is None:
        return _capture_with_derived(module, arguments, wanted, layers, heads, dtype)
    observation = Observation(module, layers, heads, dtype)
    if rows is None:
        return _capture_whole(module, arguments, wanted, observation)
    if wanted != ("attentions",):
        raise SelectionError(
            f"Expected include=('attentions',) with `rows`, got {wanted}: of single rows only the "
            "attention is computed. Leave `rows` out to have the other parts."
        )
    chosen = checked_rows(rows, arguments)
    try:
        watcher = RowWatcher(chosen, observation.has_rows, observation.see)
        output = run_watched(module, arguments, observation, watcher)
    except RowsNotRecomputableError:
        whole = _capture_whole(module, arguments, wanted, Observation(module, layers, heads, dtype))
        return _with_rows(whole, chosen)
    observation.check(module)
    return _captured(module, observation, output, ROWS_ROUTE, watcher.output_errors)


def _capture_whole(
    module: nn.Module,
    arguments: dict[str, Any],
    wanted: tuple[str, ...],
    observation: Observation,
) -> Captured:
    """Whole patterns: through the interface, or as the model returns them."""
    output, route, output_errors = run_whole(module, arguments, wanted, observation)
    captured = _captured(module, observation, output, route, output_errors)
    if lacking := observation.missing_kinds:
        note = f"{', '.join(lacking)} attention is not captured: the model does not return it whole"
        captured = replace(captured, certificate=replace(captured.certificate, note=note))
    return captured


def run_whole(
    module: nn.Module,
    arguments: dict[str, Any],
    wanted: tuple[str, ...],
    observation: Observation,
) -> tuple[Any, str, list[torch.Tensor]]:
    """Run the model and let the observation see whole patterns, whichever way they come.

    Returns:
        The model's output, the route, and how far weights × values are from the heads' outputs.
    """
    watcher = WholeWatcher(wanted, observation.see)
    output = run_watched(module, arguments, observation, watcher)
    route = INTERFACE_ROUTE
    if observation.has_seen_nothing:
        output, route = observe_own_output(module, arguments, wanted, observation)
    elif missing := observation.missing_kinds:
        # Some have an encoder of their own making beside an ordinary decoder (PEGASUS-X).
        _, own = observe_own_output(module, arguments, wanted, observation, missing)
        found = [kind for kind in missing if kind not in observation.missing_kinds]
        route = f"{route}; {', '.join(found)}: {own}" if found else route
    observation.check(module)
    return output, route, watcher.output_errors


def _capture_with_derived(
    module: nn.Module,
    arguments: dict[str, Any],
    wanted: tuple[str, ...],
    layers: Sequence[int] | None,
    heads: Sequence[int] | None,
    dtype: torch.dtype | None,
) -> Captured:
    """Whole patterns, and the parts that follow from all heads of a layer."""
    watched = [part for part in wanted if part not in DERIVED]
    inner = tuple(dict.fromkeys((*watched, *BEHIND_NORMS)))
    log = BlockLog(module)
    with log.open():
        captured = _capture_whole(module, arguments, inner, Observation(module, layers, None, None))
    behind = {part: getattr(captured, part) for part in BEHIND_NORMS}
    asked = [part for part in wanted if part in DERIVED]
    derived = DerivedParts(log, behind, asked, type(module).__name__)
    # Heads are chosen and numbers shortened only now: the sum is over all of them.
    chooser = Observation(module, layers, heads, dtype)
    given = {part: getattr(captured, part) for part in watched} | derived.parts
    chosen: dict[str, Any] = {part: {} for part in BEHIND_NORMS}
    for part, by_kind in given.items():
        chosen[part] = {
            kind: [chooser.kept(part, one) for one in of_kind] for kind, of_kind in by_kind.items()
        }
    error = largest_of(derived.errors)
    certificate = replace(captured.certificate, max_decomposition_error=error)
    return replace(captured, **chosen, certificate=certificate)


def find_projections(
    module: nn.Module, inputs: Mapping[str, Any]
) -> dict[tuple[str, int], Projection]:
    """The output projection of each layer, by its kind of attention and number.

    In a later run ``found[kind, layer].norms(values)`` gives the norms of a whole batch,
    ``(batch, num_heads, key_len)``. That it is what the model's layer does is proved on these
    inputs.

    Args:
        module: the model.
        inputs: what its ``forward`` takes; a short text will do.

    Raises:
        CaptureError: a layer has none, or does more than multiply with its weights.
    """
    arguments = run_arguments(module, inputs)
    log = LinearLog(module)
    with log.open():
        observation = Observation(module, None, None, None)
        captured = _capture_whole(module, arguments, BEHIND_NORMS, observation)
    behind = {part: getattr(captured, part) for part in BEHIND_NORMS}
    projections = held_projections(log, behind, type(module).__name__)
    return {
        (kind, layer): projection
        for kind, found in projections.items()
        for layer, projection in zip(captured.layers[kind], found, strict=True)
    }


def run_watched(
    module: nn.Module, arguments: dict[str, Any], observation: Observation, watcher: Watcher
) -> Any:
    """The model's output; ``None`` where it was stopped because all was seen."""
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


def _captured(
    module: nn.Module,
    observation: Observation,
    output: Any,
    route: str,
    output_errors: Sequence[torch.Tensor],
) -> Captured:
    return Captured(
        **{name: observation.parts.get(name, {}) for name in WATCHED_PARTS},
        layers=observation.layers,
        output=output,
        certificate=certificate_of(
            module, observation.parts.get("attentions", {}), route, output_errors
        ),
    )


def certificate_of(
    module: nn.Module,
    attentions: PartByKind,
    route: str,
    output_errors: Sequence[torch.Tensor] = (),
) -> Certificate:
    """What is known without another run of the model."""
    parameter = next(module.parameters())
    return Certificate(
        route=route,
        max_row_sum_error=_max_row_sum_error(attentions) if attentions else None,
        max_head_output_error=largest_of([float(error) for error in output_errors]),
        attn_implementation=attention_implementation(module),
        dtype=str(parameter.dtype).removeprefix("torch."),
        device=str(parameter.device),
        torch_version=torch.__version__,
        transformers_version=transformers.__version__,
    )


def _with_rows(whole: Captured, rows: torch.Tensor) -> Captured:
    """The rows of whole patterns, with a certificate that says how they were had."""
    attentions = {
        kind: [pick_rows(layer, rows.to(layer.device), dim=2) for layer in layers]
        for kind, layers in whole.attentions.items()
        if kind != "encoder"
    }
    note = "rows cannot be computed by themselves in this model: taken from the whole pattern"
    return replace(whole, attentions=attentions, certificate=replace(whole.certificate, note=note))


def _checked_parts(include: Sequence[str] | str) -> tuple[str, ...]:
    parts = (include,) if isinstance(include, str) else tuple(dict.fromkeys(include))
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        came = ", ".join(map(repr, unknown)) or "nothing"
        raise SelectionError(f"Expected `include` from {', '.join(PARTS)}, got {came}.")
    return parts


def checked_rows(rows: Any, arguments: Mapping[str, Any]) -> torch.Tensor:
    """Positions for all items of the batch, ``(num_rows,)``, or ``(batch, num_rows)``."""
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


def run_arguments(module: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """``inputs`` where the model is, and no cache: one changes the last digits.

    Raises:
        CaptureError: the model has no weights in memory.
    """
    arguments = placed(module, inputs)
    if "use_cache" in inspect.signature(module.forward).parameters:
        arguments.setdefault("use_cache", False)
    return arguments


def placed(module: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """``inputs`` where the model is.

    Raises:
        CaptureError: the model has no weights in memory.
    """
    device = _device(module)
    return {k: v.to(device) if torch.is_tensor(v) else v for k, v in inputs.items()}


def largest_of(values: Sequence[float]) -> float | None:
    """The largest value, ``None`` without any; NaN where one is, which ``max`` would lose."""
    return max(values, key=lambda value: (math.isnan(value), value)) if values else None


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
            return  # weights that were moved to disk are on the meta device, and come back by it
        for name, parameter in part._parameters.items():
            if parameter is not None and parameter.device.type == "meta":
                empty.append(f"{place}.{name}")
    if empty:
        raise CaptureError(
            f"Expected {type(module).__name__} with its weights in memory, but {len(empty)} of "
            f"them are on the meta device, for example {empty[0]}. Load the weights first."
        )


def _max_row_sum_error(attentions: Mapping[str, list[torch.Tensor]]) -> float:
    errors = [
        float((layer.float().sum(-1) - 1).abs().max())
        for layers in attentions.values()
        for layer in layers
    ]
    return largest_of(errors) or 0.0
