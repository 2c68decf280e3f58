"""The weights of a head: as captured, without special tokens, or by norm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args
from weakref import WeakKeyDictionary

import torch

from introspect.calls import checked_call
from introspect.errors import SelectionError
from introspect.functional import norm_weights
from introspect.records.attention import AttentionRecord
from introspect.records.attribution import (
    alti,
    carried,
    flow,
    gradient_attention,
    integrated_gradients,
    relevance,
    residual_norms,
    rollout,
    why_not_square,
)
from introspect.records.parts import names_of_parts

Weights = Literal["raw", "renormalized", "norm"]
WEIGHT_OPTIONS: tuple[Weights, ...] = get_args(Weights)

(_NORMS,) = names_of_parts("projection")
_GRADIENTS = names_of_parts("gradient")


@checked_call
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
    return norm_weights(record.attentions, norms_of_values(record))


def norms_of_values(record: AttentionRecord) -> torch.Tensor:
    """Return the norms of what each key adds, ``(num_layers, num_heads, key_len)``.

    Raises:
        SelectionError: the record carries none.
    """
    return carried(record, _NORMS)


def parts_for(weights: Weights) -> tuple[str, ...]:
    """Return what must be captured besides the attention to compute these weights."""
    return (_NORMS,) if weights == "norm" else ()


def checked_weights(weights: str, allowed: Sequence[str] = WEIGHT_OPTIONS) -> None:
    """Raise a ``SelectionError`` unless the weights are known."""
    if weights not in allowed:
        raise SelectionError(f"Expected `weights` as one of {', '.join(allowed)}, got {weights!r}.")


#: A page of more tokens has none of these but norms: a map is as large as one head's attention
#: in every layer.
LARGEST_SHOWN = 256


@dataclass(frozen=True)
class Method:
    """One method of weighting what a token receives from another.

    Args:
        function: from a record to the tensor.
        part: what must be captured besides the attention; ``None`` if the attention suffices.
        label: its name in words.
        number: what one number means.
        by_head: whether each head has its own map; else one map covers all of them.
        through: whether a layer's map covers all layers up to it.
        bounded: whether its numbers lie between 0 and 1.
        square: whether it applies only to self-attention.
        offered: whether a page offers it by default if the record supports it;
            false for slow methods.
    """

    function: Callable[[AttentionRecord], torch.Tensor]
    part: str | None
    label: str
    number: str
    by_head: bool = False
    through: bool = False
    bounded: bool = False
    square: bool = True
    offered: bool = True

    @property
    def is_gradient(self) -> bool:
        """Return whether it needs a number to differentiate."""
        return self.part in _GRADIENTS


#: The methods by their names for ``weights=`` in the views.
METHODS = {
    "norm": Method(
        norms,
        "value_norms",
        "by norm",
        "weight × length of what the key brings",
        by_head=True,
        square=False,
    ),
    "residual_norm": Method(
        residual_norms,
        "residual_norms",
        "norm with residual",
        "length of what the key brings through the block",
    ),
    "rollout": Method(
        rollout,
        None,
        "rollout",
        "share of the input token, by rollout",
        through=True,
        bounded=True,
    ),
    "even_rollout": Method(
        partial(rollout, even=True),
        None,
        "rollout of even attention",
        "share of the input token, if all heads attended evenly to what they may see",
        through=True,
        bounded=True,
    ),
    "flow": Method(
        flow,
        None,
        "flow",
        "maximum flow to the input token",
        through=True,
        bounded=True,
        offered=False,
    ),
    "alti": Method(
        alti,
        "contributions",
        "ALTI",
        "contribution of the input token, by ALTI",
        through=True,
        bounded=True,
    ),
    "gradient_attention": Method(
        gradient_attention,
        "gradients",
        "gradient × attention",
        "weight × its gradient, where positive",
        by_head=True,
        square=False,
    ),
    "relevance": Method(
        relevance,
        "gradients",
        "relevance",
        "relevance of the input token, by gradients through all layers",
        through=True,
    ),
    "integrated_gradients": Method(
        integrated_gradients,
        "integrated_gradients",
        "integrated gradients",
        "integrated gradient of the weight",
        by_head=True,
        square=False,
    ),
}


_whole: WeakKeyDictionary[AttentionRecord, dict[str, torch.Tensor]] = WeakKeyDictionary()


def attributed(record: AttentionRecord, weights: str) -> torch.Tensor:
    """Compute the numbers of a method by its name.

    Args:
        record: the attention, and what else the method needs.
        weights: a name in ``METHODS``.

    Returns:
        ``(num_layers, num_heads or 1, query_len, key_len)``.

    Raises:
        SelectionError: the method is unknown, or the record does not support it.
    """
    if weights not in METHODS:
        raise SelectionError(f"Expected a method as one of {', '.join(METHODS)}, got {weights!r}.")
    method = METHODS[weights]
    if method.by_head:
        return method.function(record)
    # A view is drawn and described from the same numbers: a map of each layer is small, and going
    # through all layers is slow.
    known = _whole.setdefault(record, {})
    if weights not in known:
        known[weights] = method.function(record)
    return known[weights]


def parts_of(weights: str, own: Sequence[str] = ("raw",)) -> tuple[str, ...]:
    """Return what must be captured besides the attention for weights that need only a text.

    Args:
        weights: one of ``own``, or a method's name.
        own: names that need nothing.

    Raises:
        SelectionError: the weights are unknown, or need a number to differentiate.
    """
    if weights in own:
        return ()
    alone = [name for name, method in METHODS.items() if not method.is_gradient]
    if weights not in METHODS:
        known = ", ".join((*own, *alone))
        raise SelectionError(f"Expected `weights` as one of {known}, got {weights!r}.")
    if weights not in alone:
        raise SelectionError(
            f"Expected weights that follow from the text alone, got {weights!r}, which needs a "
            "number to differentiate. In Python: model.capture(text, include=("
            f"{METHODS[weights].part!r},), of=...)."
        )
    part = METHODS[weights].part
    return () if part is None else (part,)


def offered(record: AttentionRecord) -> tuple[str, ...]:
    """Return the names of the methods that a page offers for a record: those that are fast."""
    is_square = why_not_square(record) is None
    return tuple(
        name
        for name, method in METHODS.items()
        if method.offered
        and (method.part is None or method.part in record.parts)
        and (is_square or not method.square)
        and (name == "norm" or len(record.keys) <= LARGEST_SHOWN)
    )
