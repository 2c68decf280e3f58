"""Running a model once and handing each layer on as it comes, so that none outlives its turn."""

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
    """Run ``module`` on ``inputs``, and give the parts of each layer to ``receive``.

    As ``capture``, but nothing is kept: a layer's tensors can be freed as soon as ``receive``
    returns. The run stops after the last of ``layers``: name all of them to leave out what a model
    does after its last attention.

    Args:
        module: any transformers model that ``capture`` takes.
        inputs: what its ``forward`` takes.
        receive: called with the kind of attention, the layer's number and its parts.
        include: which parts.
        layers: only these, by the model's own numbers; all by default.
        rows: only these query positions, ``(batch, num_rows)``; the model runs as it was loaded.
        counted: with ``rows``, also what each key gets from these queries together: ``(batch,
            query_len)``, bool; handed on as ``received``, ``(batch, num_heads, 1, key_len)``.

    Returns:
        The layers that were seen, by kind, and a certificate.

    Raises:
        RowsNotRecomputableError: rows by themselves are not what the model computes. Some layers
            may have been handed on already: begin anew without ``rows``.
        CaptureError, SelectionError: as ``capture``.
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
