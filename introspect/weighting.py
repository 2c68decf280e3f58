"""The weights of a head: as captured, without special tokens, or by norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch

from introspect.errors import SelectionError
from introspect.functional.norms import norm_weights
from introspect.functional.renormalised import FLOOR, renormalised
from introspect.records import AttentionRecord

__all__ = ["WEIGHT_OPTIONS", "Weights", "checked_weights", "norms", "parts_for", "weighted"]

Weights = Literal["raw", "renormalised", "norm"]
WEIGHT_OPTIONS: tuple[Weights, ...] = get_args(Weights)

_NORMS = "value_norms"


def norms(record: AttentionRecord) -> torch.Tensor:
    r"""Compute the norm of the vector that each key contributes to each query, by layer and head.

    .. math:: \alpha_{ij} \, \lVert v_j W_O \rVert

    A large weight on a small vector moves little: most attention to special tokens is of this kind.

    Args:
        record: captured with ``include=("value_norms",)``.

    Returns:
        ``(num_layers, num_heads, query_len, key_len)``, from 0 up; rows do not sum to 1.

    Raises:
        SelectionError: the record carries no norms of values.

    Source: Kobayashi et al. 2020, "Attention is Not Only a Weight: Analyzing Transformers with
    Vector Norms".
    """
    if _NORMS not in record.parts:
        raise SelectionError(
            "Expected a record with the norms of its values, but it carries "
            f"{', '.join(record.parts) or 'the attention only'}. Capture it with "
            "include=('value_norms',); a record by word has none."
        )
    return norm_weights(record.attentions, record.parts[_NORMS])


def parts_for(weights: Weights) -> tuple[str, ...]:
    """Return what must be captured besides the attention to compute these weights."""
    return (_NORMS,) if weights == "norm" else ()


def checked_weights(weights: str, allowed: Sequence[str] = WEIGHT_OPTIONS) -> None:
    """Raise a ``SelectionError`` unless the weights are known."""
    if weights not in allowed:
        raise SelectionError(f"Expected `weights` as one of {', '.join(allowed)}, got {weights!r}.")


def weighted(record: AttentionRecord, weights: Weights) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weights of a record that are scored, and the mass removed from each row.

    Args:
        record: attention of a text over itself.
        weights: ``raw``; ``renormalised``: special tokens and the row's own position dropped, and
            the rest of a row rescaled to sum to 1 (a row with nothing left gives 0); or ``norm``:
            each weight times the norm of what it contributes.

    Returns:
        Shaped like the attentions, and ``(num_layers, num_heads, query_len)``; only renormalizing
        removes anything.

    Raises:
        SelectionError: unknown ``weights``, or a record without what they need.
    """
    checked_weights(weights)
    pattern = record.attentions
    if weights == "renormalised":
        kept, removed = renormalised(pattern, record.keys.special_tokens_mask, is_self=True)
        is_nothing_left = (1 - removed < FLOOR)[..., None]
        return kept.masked_fill(is_nothing_left, 0.0), removed
    return norms(record) if weights == "norm" else pattern, torch.zeros(pattern.shape[:-1])
