"""Run a model once and keep what its attention modules compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from introspect.calls import checked_call
from introspect.changes import scoped
from introspect.errors import SelectionError
from introspect.hooks.arguments import checked_rows, is_ordinary, num_tokens, run_arguments
from introspect.hooks.captured import (
    NOT_COMPARED,
    Captured,
    TowersByKind,
    certificate_of,
    held_to_the_model,
    largest_of,
    noted,
)
from introspect.hooks.downstream.blocks import DERIVED, BlockLog, DerivedParts, held_projections
from introspect.hooks.downstream.projection import BEHIND_NORMS, Projection
from introspect.hooks.interface import active_editors
from introspect.hooks.layout import learn_layout
from introspect.hooks.observation import Observation, Receive
from introspect.hooks.run import ROWS_ROUTE, run_watched, run_whole
from introspect.hooks.unwrapping import attending_module, has_own_attention, watched_module
from introspect.hooks.watchers import PARTS as WATCHED_PARTS
from introspect.hooks.watchers import RowsNotRecomputableError, RowWatcher, pick_rows
from introspect.records import Certificate, names_of_parts

#: The parts of a model's attention that can be captured.
PARTS = names_of_parts("attention", "rotary", "projection", "block")


@checked_call
def capture(
    module: nn.Module,
    inputs: Mapping[str, Any] | Sequence[Any] | torch.Tensor,
    include: Sequence[str] | str = ("attentions",),
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    rows: Sequence[int] | Sequence[Sequence[int]] | torch.Tensor | None = None,
    dtype: torch.dtype | None = None,
    kind: str | None = None,
) -> Captured:
    """Run ``module`` on ``inputs`` and capture its attention.

    The model's own code runs, whatever implementation it was loaded with, and the model is
    restored, even after an exception. There are no gradients and no dropout. The run stops after
    the last requested layer.

    Args:
        module: any transformers model that computes attention through the attention interface, or
            that returns it; or a module without one that calls ``scaled_dot_product_attention``,
            ``nn.MultiheadAttention``, or a product, a softmax and a product.
        inputs: the arguments of the model's ``forward``, a dictionary of tensors; or one tensor or
            several, by position.
        include: the parts to keep: ``attentions``, ``scores``, ``queries``, ``keys``,
            ``values``, ``head_outputs``, ``queries_before_rotary``, ``keys_before_rotary``,
            ``value_norms``, ``residual_norms``, ``contributions``.
        layers: keep only these layers, by the model's own numbers.
        heads: keep only these heads, in this order. Keys and values, which heads may share, are
            kept whole.
        rows: keep only these query positions, the same for all items of the batch or a list for
            each. For an encoder-decoder they are positions of the decoder, in its self-attention
            and its cross-attention. The model runs as it was loaded, so the cost grows with the
            rows, not with the square of the length.
        dtype: keep the parts in this type; by default as they are computed.
        kind: keep only this kind of attention. Of a model that reads pictures too, a kind is of a
            tower: ``vision``, ``text``, ``text-to-image``; ``layers``, ``heads`` and ``rows`` are
            of the tower of the words where no kind is named.

    Raises:
        CaptureError: a part is not available for this model, or it has no weights in memory.
        SelectionError: a part, layer, head or row does not exist.
    """
    wanted = _checked_parts(include)
    for name, some in (("layer", layers), ("head", heads)):
        if some is not None and not list(some):
            raise SelectionError(
                f"Expected at least one {name} in `{name}s`, got none. Leave it out to keep all of "
                "them."
            )
    module = watched_module(module)
    arguments = run_arguments(module, inputs)
    if rows is None:
        return _capture_compared(module, arguments, wanted, layers, heads, dtype, kind)
    observation = Observation(module, layers, heads, dtype, kind=kind)
    if wanted != ("attentions",):
        raise SelectionError(
            f"Expected include=('attentions',) with `rows`, got {wanted}: of single rows only the "
            "attention is computed. Leave `rows` out to have the other parts."
        )
    own = has_own_attention(module)
    chosen = checked_rows(rows, arguments, of_any=own)
    observation.check_has_rows()
    try:
        length = None if own else num_tokens(arguments)
        watcher = RowWatcher(chosen, observation.has_rows, observation.see, length=length)
        output = run_watched(module, arguments, observation, watcher)
        observation.check_rows()
    except RowsNotRecomputableError:
        again = Observation(module, layers, heads, dtype, kind=kind, is_of_words=True)
        return _with_rows(_capture_whole(module, arguments, wanted, again), chosen)
    observation.check(module)
    return _captured(module, observation, output, ROWS_ROUTE, watcher.output_errors)


def _capture_compared(
    module: nn.Module,
    arguments: dict[str, Any],
    wanted: tuple[str, ...],
    layers: Sequence[int] | None,
    heads: Sequence[int] | None,
    dtype: torch.dtype | None,
    kind: str | None,
) -> Captured:
    """Capture whole patterns, and hold the output to the model's own if its inputs are unusual."""
    # Other inputs than tokens may mean something else to eager attention than to what the model
    # runs.
    # What torch's functions do with theirs is known.
    own = has_own_attention(module)
    is_compared = not own and not is_ordinary(arguments) and not active_editors()
    may_stop = not is_compared
    observation = Observation(module, layers, heads, dtype, may_stop=may_stop, kind=kind)
    if set(DERIVED) & set(wanted):
        captured = _capture_with_derived(
            module, arguments, wanted, layers, observation, may_stop=may_stop, kind=kind
        )
    else:
        captured = _capture_whole(module, arguments, wanted, observation)
    if own and layers is None and not active_editors():
        by_kind = captured.attentions.values() if heads is None else ()
        learn_layout(module, observation, (layer for layers in by_kind for layer in layers))
    if is_compared:
        return held_to_the_model(module, arguments, captured)
    return replace(captured, certificate=noted(captured.certificate, NOT_COMPARED))


def _capture_whole(
    module: nn.Module,
    arguments: dict[str, Any],
    wanted: tuple[str, ...],
    observation: Observation,
) -> Captured:
    """Capture whole patterns, through the interface or as the model returns them."""
    output, route, output_errors = run_whole(module, arguments, wanted, observation)
    captured = _captured(module, observation, output, route, output_errors)
    if lacking := observation.missing_kinds:
        note = f"{', '.join(lacking)} attention is not captured: the model does not return it whole"
        captured = replace(captured, certificate=noted(captured.certificate, note))
    return captured


def _capture_with_derived(
    module: nn.Module,
    arguments: dict[str, Any],
    wanted: tuple[str, ...],
    layers: Sequence[int] | None,
    chooser: Observation,
    *,
    may_stop: bool,
    kind: str | None,
) -> Captured:
    """Capture whole patterns, and the parts derived from all heads of a layer."""
    watched = [part for part in wanted if part not in DERIVED]
    inner = tuple(dict.fromkeys((*watched, *BEHIND_NORMS)))
    log = BlockLog(module)
    with log.open():
        observation = Observation(module, layers, None, None, may_stop=may_stop, kind=kind)
        captured = _capture_whole(module, arguments, inner, observation)
    behind = {part: getattr(captured, part) for part in BEHIND_NORMS}
    asked = [part for part in wanted if part in DERIVED]
    derived = DerivedParts(log, behind, asked, type(module).__name__)
    # Select heads and convert the type only now: the sum needs all heads at full precision.
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
    """Find the output projection of each layer, by kind of attention and layer number.

    In a later run ``found[kind, layer].norms(values)`` returns the norms of a whole batch,
    ``(batch, num_heads, key_len)``. These inputs verify that it matches the model's layer.

    Args:
        module: the model.
        inputs: the arguments of its ``forward``; a short text is enough.

    Raises:
        CaptureError: a layer has none, or does more than multiply by its weights.
    """
    return capture_with_projections(module, inputs)[1]


@scoped
def capture_with_projections(
    module: nn.Module, inputs: Mapping[str, Any]
) -> tuple[Captured, dict[tuple[str, int], Projection]]:
    """Capture ``attentions``, ``values`` and ``head_outputs``, and find the output projections.

    Args:
        module: the model, which nothing edits: with an edit, values need not add up to the output.
        inputs: the arguments of its ``forward``.

    Raises:
        CaptureError: as in ``find_projections``.
    """
    module = watched_module(module)
    arguments = run_arguments(module, inputs)
    log = BlockLog(module)
    with log.open():
        observation = Observation(module, None, None, None, is_of_words=True)
        captured = _capture_whole(module, arguments, BEHIND_NORMS, observation)
    behind = {part: getattr(captured, part) for part in BEHIND_NORMS}
    projections = held_projections(log, behind, type(module).__name__)
    return captured, {
        (kind, layer): projection
        for kind, of_kind in projections.items()
        for layer, (projection, _) in zip(captured.layers[kind], of_kind, strict=True)
    }


def _captured(
    module: nn.Module,
    observation: Observation,
    output: Any,
    route: str,
    output_errors: Sequence[torch.Tensor],
) -> Captured:
    seen = observation.parts.get("attentions", {})
    certificate = certificate_of(module, seen, route, output_errors)
    note = observation.tower_note or observation.note
    if not note and (inner := watched_module(module)) is not attending_module(module):
        # Whatever else the module computes is not looked at.
        note = f"of the {type(attending_module(module)).__name__} in {type(inner).__name__} alone"
    main = observation.main_kind
    by_kind = {
        name: TowersByKind.of(observation.parts.get(name, {}), main)
        for name in (*WATCHED_PARTS, "visible")
    }
    return Captured(
        **by_kind,
        layers=TowersByKind.of(observation.layers, main),
        output=output,
        certificate=replace(certificate, note=note),
        modules=observation.modules,
    )


def _with_rows(whole: Captured, rows: torch.Tensor) -> Captured:
    """Return rows of the whole patterns, with a certificate that says how they were obtained.

    Raises:
        SelectionError: a row does not exist.
    """
    shapes = [layer.shape for layers in whole.attentions.values() for layer in layers]
    if int(rows.max()) >= (fewest := min(shape[2] for shape in shapes)):
        raise SelectionError(
            f"Expected `rows` in 0–{fewest - 1}, got {sorted(set(rows.flatten().tolist()))}."
        )
    attentions = {
        kind: [pick_rows(layer, rows.to(layer.device), dim=2) for layer in layers]
        for kind, layers in whole.attentions.items()
        if kind != "encoder"
    }
    note = "rows cannot be computed by themselves in this model: taken from the whole pattern"
    return replace(whole, attentions=attentions, certificate=noted(whole.certificate, note))


def _checked_parts(include: Sequence[str] | str) -> tuple[str, ...]:
    parts = (include,) if isinstance(include, str) else tuple(dict.fromkeys(include))
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        came = ", ".join(map(repr, unknown)) or "nothing"
        raise SelectionError(f"Expected `include` from {', '.join(PARTS)}, got {came}.")
    return parts


@scoped
def stream(
    module: nn.Module,
    inputs: Mapping[str, Any],
    receive: Receive,
    include: tuple[str, ...] = ("attentions",),
    *,
    layers: Sequence[int] | None = None,
    rows: Sequence[Sequence[int]] | torch.Tensor | None = None,
    counted: torch.Tensor | None = None,
) -> tuple[dict[str, list[int]], Certificate]:
    """Run ``module`` on ``inputs``, and pass the parts of each layer to ``receive``.

    This works like ``capture``, but keeps nothing: a layer's tensors can be freed as soon as
    ``receive`` returns. The run stops after the last of ``layers``: name all of them to skip what a
    model computes after its last attention.

    Args:
        module: any transformers model that ``capture`` takes.
        inputs: the arguments of its ``forward``.
        receive: called with the kind of attention, the layer's number and its parts.
        include: the parts to pass on.
        layers: only these layers, by the model's own numbers; all by default.
        rows: only these query positions, ``(batch, num_rows)``; the model runs as it was loaded.
        counted: with ``rows``, also sum the attention that each key receives from these queries:
            ``(batch, query_len)``, bool; passed on as ``received``, ``(batch, num_heads, 1,
            key_len)``.

    Returns:
        The layers that were seen, by kind, and a certificate.

    Raises:
        RowsNotRecomputableError: rows computed separately are not what the model computes. Some
            layers may have been passed on already: start over without ``rows``.
        CaptureError, SelectionError: as for ``capture``.
    """
    module = watched_module(module)
    arguments = run_arguments(module, inputs)
    observation = Observation(module, layers, None, None, receive=receive)
    if rows is None:
        _, route, errors = run_whole(module, arguments, include, observation)
    else:
        own = has_own_attention(module)
        chosen = checked_rows(rows, arguments, of_any=own)
        length = None if own else num_tokens(arguments)
        watcher = RowWatcher(chosen, observation.has_rows, observation.see, counted, length=length)
        run_watched(module, arguments, observation, watcher)
        observation.check_rows()
        observation.check(module)
        route, errors = ROWS_ROUTE, watcher.output_errors
    return observation.layers, certificate_of(module, {}, route, errors)
