"""The output projections of a model, found once, for runs that keep no patterns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from introspect.errors import CaptureError
from introspect.hooks.borrowing import borrowed_attention
from introspect.hooks.capturing import run_arguments
from introspect.hooks.interface import IMPLEMENTATION, AttentionCall, watching
from introspect.hooks.projection import BEHIND_NORMS, LinearLog, Projection, held_projection
from introspect.hooks.watchers import Parts, WholeWatcher

__all__ = ["find_projections"]


def find_projections(module: nn.Module, inputs: Mapping[str, Any]) -> dict[nn.Module, Projection]:
    """The output projection of each attention module, by one run on some text.

    In a later run ``found[call.module].norms(call.values)`` gives the norms of a whole batch,
    ``(batch, num_heads, key_len)``, from the values that the attention module hands over.

    Args:
        module: a transformers model that computes attention through the attention interface.
        inputs: what its ``forward`` takes; any text does.

    Raises:
        CaptureError: the model computes attention by itself, or what its values bring does not add
            up to the output of a projection.
    """
    name = type(module).__name__
    arguments = run_arguments(module, inputs)
    log = LinearLog(module)
    seen: list[tuple[nn.Module, Parts]] = []

    def receive(call: AttentionCall, parts: Parts) -> None:
        seen.append((call.module, parts))

    with (
        torch.no_grad(),
        borrowed_attention(module, IMPLEMENTATION),
        log.open(),
        watching(WholeWatcher(BEHIND_NORMS, receive)),
    ):
        module(**arguments)
    if not seen:
        raise CaptureError(
            f"Expected {name} to compute attention through transformers' attention interface, "
            "but it computes it by itself: norms are had of whole captures only. Capture each "
            "text with include=('value_norms',)."
        )
    return {part: held_projection(log, parts, name) for part, parts in seen}
