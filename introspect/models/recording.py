"""Build the record of one text from the results of one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from introspect.errors import CaptureError
from introspect.records import AttentionRecord, TokenSequence

if TYPE_CHECKING:
    from introspect.hooks import Captured

__all__ = ["make_record", "stacked"]


def make_record(
    captured: Captured,
    kind: str,
    *,
    queries: TokenSequence,
    keys: TokenSequence,
    name: str,
    parts: Sequence[str] = (),
    notices: Sequence[str] = (),
) -> AttentionRecord:
    """Build the record of the only item of a batch.

    Args:
        captured: the results of the run.
        kind: the kind of attention.
        queries: the tokens that attend.
        keys: the tokens attended to.
        name: the model's name, for errors.
        parts: the other parts to include besides the attention.
        notices: notices for the reader.

    Raises:
        CaptureError: the run has no such attention or part, or its shape does not match the tokens.
    """
    if kind not in captured.attentions:
        raise CaptureError(
            f"Expected {kind} attention from {name}, got only "
            f"{', '.join(captured.attentions)}. Ask for one of those with `kind`."
        )
    attentions = stacked(captured.attentions[kind])
    if attentions.shape[2:] != (len(queries), len(keys)):
        raise CaptureError(
            f"Expected {kind} attention over {len(queries)} × {len(keys)} tokens "
            f"from {name}, got {tuple(attentions.shape[2:])}: it attends within windows "
            "or blocks and returns only those. Use introspect.capture to have them as they are."
        )
    lacking = [part for part in parts if kind not in getattr(captured, part)]
    if lacking:
        raise CaptureError(
            f"Expected {', '.join(lacking)} of the {kind} attention of {name}, but there is none: "
            "what is added to attention to another text is a state of its own token, which is none "
            "of the keys. Take 'value_norms', or another `kind`."
        )
    return AttentionRecord(
        attentions=attentions,
        parts={part: stacked(getattr(captured, part)[kind]) for part in parts},
        queries=queries,
        keys=keys,
        kind=kind,
        layers=tuple(captured.layers[kind]),
        certificate=captured.certificate,
        notices=tuple(dict.fromkeys(notices)),
    )


def stacked(layers: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack the layers of the only item of the batch to ``(num_layers, heads, ...)``.

    Raises:
        CaptureError: the layers have different shapes.
    """
    shapes = {tuple(layer.shape[1:]) for layer in layers}
    if len(shapes) > 1:
        raise CaptureError(
            f"Expected layers of one shape, got {sorted(shapes)}: some layers have other heads or "
            "see other tokens. Capture them apart with `layers`."
        )
    return torch.stack([layer[0].float().cpu() for layer in layers])
