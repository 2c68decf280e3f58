"""The heads that an intervention applies to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index

from torch import nn

from introspect.errors import CaptureError, SelectionError
from introspect.hooks import AttentionLayout, attention_layout
from introspect.records import Head, HeadLike, Kind, as_head, layer_and_head, listed_heads

HeadsByLayer = dict[int, list[int]]


def checked_kind(layout: AttentionLayout, kind: Kind | None) -> Kind:
    """Return the kind of attention that is meant.

    Raises:
        SelectionError: the model does not have it, or has several kinds and none is named.
        CaptureError: none of its attentions can be changed.
    """
    kinds = layout.kinds
    if not kinds:
        raise CaptureError(
            "Expected attention by a product, a softmax and a product, to change it, but this "
            "module does more: it changes weights after the softmax, or weighs with them twice. "
            "Its weights can be captured, and no more."
        )
    if layout.main is not None and kind in (None, "self"):
        return layout.main
    if kind is None and len(kinds) == 1:
        return kinds[0]
    if kind is None:
        raise SelectionError(
            f"Expected `kind` for a model with several kinds of attention, got none. Give one of "
            f"{', '.join(kinds)}."
        )
    if kind not in kinds:
        raise SelectionError(f"Expected `kind` from {', '.join(kinds)}, got {kind!r}.")
    return kind


def heads_by_layer(
    layout: AttentionLayout,
    kind: Kind,
    heads: Iterable[HeadLike] | HeadLike | None,
    layers: Sequence[int] | None = None,
) -> HeadsByLayer:
    """Return the heads of each layer, sorted and without duplicates.

    Args:
        layout: the attention layout of the model.
        kind: the kind of attention.
        heads: the heads, ``"L3"`` for a whole layer; all of ``layers`` by default.
        layers: whole layers, in addition to the heads; without either, all layers.

    Raises:
        SelectionError: a head or layer that does not exist, or none at all.
    """
    wanted = listed_heads(heads)
    if heads is None and layers is None:
        layers = layout.layers(kind)
    pairs = [pair for each in wanted for pair in _pairs(layout, kind, each)]
    numbers = _layer_numbers(() if layers is None else layers)
    pairs += [pair for layer in numbers for pair in _pairs(layout, kind, f"L{layer}")]
    if not pairs:
        raise SelectionError("Expected at least one head, got none. Name one, for example 'L3H1'.")
    by_layer: HeadsByLayer = {}
    for layer, head in sorted(set(pairs)):
        by_layer.setdefault(layer, []).append(head)
    return by_layer


def names_of_heads(module: nn.Module, kind: Kind | None = None) -> list[str]:
    """Return the names of what can be changed: each layer as a whole, then its heads.

    Args:
        module: the transformers module.
        kind: for an encoder-decoder, ``encoder``, ``decoder`` or ``cross``.

    Raises:
        SelectionError: the model does not have this kind of attention.

    Example:
        >>> import introspect as ix
        >>> names_of_heads(ix.load("pronoun").module)[:3]
        ['L0', 'L0H0', 'L0H1']
    """
    layout = attention_layout(module)
    kind = checked_kind(layout, kind)
    return [
        name
        for layer in layout.layers(kind)
        for name in (f"L{layer}", *map(str, _pairs(layout, kind, f"L{layer}")))
    ]


def in_words(heads: HeadsByLayer, layout: AttentionLayout, kind: Kind) -> str:
    """Return the names of the heads; a whole layer is named as such.

    Example:
        >>> from introspect.hooks import HeadCount
        >>> two = AttentionLayout({("self", 0): HeadCount(2, 2), ("self", 1): HeadCount(2, 2)})
        >>> in_words({0: [0, 1], 1: [1]}, two, "self")
        'L0, L1H1'
    """
    names = []
    for layer, numbers in heads.items():
        is_whole = len(numbers) == layout.heads[kind, layer].heads
        names += [f"L{layer}"] if is_whole else [str(Head(layer, number)) for number in numbers]
    return ", ".join(names)


def _pairs(layout: AttentionLayout, kind: Kind, head: HeadLike) -> list[Head]:
    layer, number = layer_and_head(head)
    counts = {each: layout.heads[kind, each].heads for each in layout.layers(kind)}
    if number is not None:
        return [as_head(head, counts)]
    if layer not in counts:
        raise SelectionError(
            f"Expected a layer of {_range(list(counts))} for {kind} attention, got L{layer}. "
            "Layers are numbered from 0."
        )
    return [Head(layer, each) for each in range(counts[layer])]


def _layer_numbers(layers: Sequence[int]) -> list[int]:
    try:
        return [index(layer) for layer in layers]
    except TypeError as error:
        raise SelectionError(
            f"Expected `layers` as a list of whole numbers, such as [3], got {layers!r}."
        ) from error


def _range(layers: Sequence[int]) -> str:
    if len(layers) > 1 and list(layers) == list(range(layers[0], layers[-1] + 1)):
        return f"L{layers[0]}–L{layers[-1]}"
    return ", ".join(f"L{layer}" for layer in layers)


def chosen_positions(positions: Sequence[int], length: int, name: str = "positions") -> list[int]:
    """Return the positions after checking them.

    Raises:
        SelectionError: none, or one that a sequence of this length does not have.
    """
    try:
        chosen = [index(position) for position in positions]
    except TypeError:
        chosen = []
    if not chosen or not all(0 <= position < length for position in chosen):
        raise SelectionError(
            f"Expected `{name}` as whole numbers in 0–{length - 1}, got {positions!r}. Tokens are "
            "numbered from 0."
        )
    return chosen
