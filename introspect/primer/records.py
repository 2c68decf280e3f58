"""Conversion of the primer's attention to a record, which every view shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from introspect.errors import RecordError
from introspect.primer.attention import Attended
from introspect.records import AttentionRecord, Certificate, TokenSequence


def record_of(
    attended: Attended | Sequence[Attended],
    tokens: Sequence[str],
    *,
    query_tokens: Sequence[str] | None = None,
) -> AttentionRecord:
    """Convert the primer's attention to a record with all its parts, for every view.

    Args:
        attended: one step of attention, or one for each layer. Without a batch: ``(length, dim)``,
            or with a head dimension first, ``(num_heads, length, dim)``.
        tokens: the names of the keys.
        query_tokens: the names of the queries, where they differ from the keys: the record is then
            of cross-attention.

    Raises:
        RecordError: there is a batch dimension, or shapes do not fit the tokens.

    Example:
        >>> from introspect.primer import plain_attention
        >>> record = record_of(plain_attention(torch.eye(2)), ["a", "b"])
        >>> record.attentions.shape, sorted(record.parts)
        (torch.Size([1, 1, 2, 2]), ['head_outputs', 'keys', 'queries', 'scores', 'values'])
    """
    layers = [attended] if isinstance(attended, Attended) else list(attended)
    if not layers:
        raise RecordError("Expected at least one layer of attention, got none. Give one step.")
    parts = {
        name: torch.stack([_with_heads(getattr(layer, field)) for layer in layers])
        for name, field in (
            ("attentions", "weights"),
            ("scores", "scores"),
            ("queries", "query"),
            ("keys", "key"),
            ("values", "value"),
            ("head_outputs", "output"),
        )
    }
    attentions = parts.pop("attentions")
    keys = word_sequence(tokens)
    return AttentionRecord(
        attentions=attentions,
        queries=keys if query_tokens is None else word_sequence(query_tokens),
        keys=keys,
        kind="self" if query_tokens is None else "cross",
        certificate=_certificate(attentions),
        # A page cannot hold infinity: masked scores get the lowest finite number, as in models.
        parts={**parts, "scores": parts["scores"].clamp(min=torch.finfo(torch.float32).min)},
    )


def _with_heads(part: torch.Tensor) -> torch.Tensor:
    """Return a part as ``(num_heads, length, size)``, detached from the training graph."""
    part = part.detach().float()
    if part.ndim == 2:
        return part[None]
    if part.ndim == 3:
        return part
    raise RecordError(
        f"Expected attention of one text, (length, dim) or (num_heads, length, dim), got "
        f"{tuple(part.shape)}. Take one item of the batch."
    )


def word_sequence(tokens: Sequence[str]) -> TokenSequence:
    """Build a token sequence whose tokens are the words of a text; the text is the words joined.

    Example:
        >>> word_sequence(["我", "写", "代码"]).texts
        ('我写代码',)
    """
    is_spaced = all(token.isascii() for token in tokens)
    text, offsets = "", []
    for token in tokens:
        if is_spaced and text:
            text += " "
        offsets.append((len(text), len(text) + len(token)))
        text += token
    sequence = TokenSequence(tokens=tuple(tokens), offsets=tuple(offsets))
    return replace(sequence, texts=(text,))


def _certificate(attentions: torch.Tensor) -> Certificate:
    error = float((attentions.sum(-1) - 1).abs().max())
    return Certificate(
        route="computed by introspect.primer",
        max_row_sum_error=error,
        torch_version=torch.__version__,
    )
