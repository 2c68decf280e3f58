"""One watched run of a model, by whichever route its attention is available."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from introspect.hooks.arguments import ran
from introspect.hooks.bypass import observe_own_output
from introspect.hooks.interface import IMPLEMENTATION, Watcher, watching
from introspect.hooks.loans import borrowed_attention
from introspect.hooks.observation import AllSeen, Observation
from introspect.hooks.watchers import WholeWatcher

INTERFACE_ROUTE = "attention interface"
ROWS_ROUTE = "selected rows beside the model's own implementation"


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
            return ran(module, arguments)
    except AllSeen:
        return None
