"""What the reader of a record must know of its weights, where they are no shares."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from introspect.functional import ROUNDING, readable_heads
from introspect.records.facts import Head
from introspect.text import counted, listed, quantity, verb, whole

_NAMED = 3


def notices_of_weights(attentions: torch.Tensor, layers: Sequence[int]) -> tuple[str, ...]:
    """Return what a reader must know of weights that are not ``are_shares``.

    Args:
        attentions: ``(num_layers, num_heads, query_len, key_len)``.
        layers: the model's own number of each layer.
    """
    readable = readable_heads(attentions)
    weights = attentions[readable]
    return (*_not_finite(readable, layers), *_negative(weights), *_not_one(weights.sum(-1)))


def _not_finite(readable: torch.Tensor, layers: Sequence[int]) -> list[str]:
    if readable.all():
        return []
    heads = [str(Head(layers[row], head)) for row, head in (~readable).nonzero().tolist()]
    if len(heads) == readable.numel():
        which = f"None of the {counted(len(heads), 'head')} can be read: their"
    else:
        which = (
            f"{int(readable.sum())} of {counted(readable.numel(), 'head')} can be read. Of "
            f"{listed(heads, most=_NAMED)} the"
        )
    return [
        f"{which} attention is not finite (NaN or infinite), as where float16 overflows. Run the "
        "model in float32 or bfloat16."
    ]


def _negative(weights: torch.Tensor) -> list[str]:
    """Return a notice about the weights of readable heads, ``(num_heads, query_len, key_len)``."""
    negative = weights[weights < -ROUNDING]
    if not len(negative):
        return []
    return [
        f"{whole(len(negative))} of {counted(weights.numel(), 'weight')} "
        f"{verb(len(negative), 'is', 'are')} negative, down to {quantity(float(negative.min()))}: "
        "they are no shares of a whole, as scores before the softmax are none."
    ]


def _not_one(sums: torch.Tensor) -> list[str]:
    """Return a notice about the rows of readable heads, ``(num_heads, query_len)``."""
    wrong = sums[(sums - 1).abs() > ROUNDING]
    if not len(wrong):
        return []
    least, most = quantity(float(wrong.min())), quantity(float(wrong.max()))
    sums_to = least if least == most else f"between {least} and {most}"
    return [
        f"{whole(len(wrong))} of {counted(sums.numel(), 'row')} "
        f"{verb(len(wrong), 'does', 'do')} not sum to 1 but to {sums_to}: there a weight is no "
        "share of a whole, as with attention sinks, scores before the softmax or rows that were "
        "cut."
    ]
