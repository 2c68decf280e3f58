"""Selection of the numbers that a view shows: the attention itself or another method's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from introspect.attribution import LARGEST_SHOWN, METHODS, attributed, offered
from introspect.errors import SelectionError
from introspect.records import AttentionRecord

__all__ = [
    "RAW",
    "by_method",
    "checked_weights",
    "is_whole",
    "page_methods",
    "scale_of",
    "whole_words",
]

RAW = "raw"


def checked_weights(record: AttentionRecord, weights: str, own: Sequence[str] = (RAW,)) -> None:
    """Raise an error unless the record can be shown with these weights.

    Args:
        record: the attention.
        weights: one of ``own``, or the name of a method.
        own: the weights that the view computes itself.

    Raises:
        SelectionError: there are no such weights, the record cannot provide them, or a page cannot
            hold them.
    """
    if weights in own:
        return
    if weights not in METHODS:
        known = ", ".join((*own, *METHODS))
        raise SelectionError(f"Expected `weights` as one of {known}, got {weights!r}.")
    if weights != "norm" and len(record.keys) > LARGEST_SHOWN:
        raise SelectionError(
            f"Expected at most {LARGEST_SHOWN} tokens to show by {weights}, got "
            f"{len(record.keys)}. Shorten the text, or show raw weights."
        )
    attributed(record, weights)


def by_method(record: AttentionRecord, weights: str) -> AttentionRecord:
    """Replace a record's attention with a method's numbers, with one head if the method has one."""
    if weights not in METHODS:
        return record
    return replace(record, attentions=attributed(record, weights), parts={})


def is_whole(weights: str) -> bool:
    """Return whether one map represents all heads together."""
    return weights in METHODS and not METHODS[weights].by_head


def scale_of(weights: str, shown: torch.Tensor) -> float:
    """Return the weight drawn at full strength: 1, or the largest shown if unbounded."""
    if weights not in METHODS or METHODS[weights].bounded:
        return 1.0
    largest = float(shown.nan_to_num(0.0).max())
    return largest if largest > 0 else 1.0


def page_methods(record: AttentionRecord, weights: str = RAW) -> tuple[str, ...]:
    """Return the methods that a page can show: those the record offers and the named one."""
    named = (weights,) if weights in METHODS else ()
    return tuple(dict.fromkeys((*offered(record), *named)))


def whole_words(weights: str, layer: int) -> str:
    """Describe a method that combines all heads, and its layer, in words."""
    method = METHODS[weights]
    where = f"up to layer {layer}" if method.through else f"layer {layer}"
    return f"{method.label[:1].upper()}{method.label[1:]}, {where}, all heads together"
