"""Run a model once and pass on each layer as it is computed, without keeping any."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from introspect.hooks.arguments import checked_rows, run_arguments
from introspect.hooks.certificate import certificate_of
from introspect.hooks.observation import Observation, Receive
from introspect.hooks.running import ROWS_ROUTE, run_watched, run_whole
from introspect.hooks.watchers import RowWatcher
from introspect.records import Certificate

__all__ = ["Receive", "stream"]


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
    module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
    arguments = run_arguments(module, inputs)
    observation = Observation(module, layers, None, None, receive=receive)
    if rows is None:
        _, route, errors = run_whole(module, arguments, include, observation)
    else:
        chosen = checked_rows(rows, arguments)
        watcher = RowWatcher(chosen, observation.has_rows, observation.see, counted)
        run_watched(module, arguments, observation, watcher)
        observation.check(module)
        route, errors = ROWS_ROUTE, watcher.output_errors
    return observation.layers, certificate_of(module, {}, route, errors)
