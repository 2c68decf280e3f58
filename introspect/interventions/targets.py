"""The heads that an intervention applies to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from numbers import Integral
from operator import index

from introspect.errors import SelectionError
from introspect.hooks import AttentionLayout
from introspect.records import Head

__all__ = [
    "HeadLike",
    "HeadsByLayer",
    "checked_kind",
    "chosen_positions",
    "heads_by_layer",
    "in_words",
]

#: A head, as ``Head(3, 1)``, ``(3, 1)`` or ``"L3H1"``; ``"L3"`` is the whole layer.
HeadLike = Head | tuple[int, int] | str
HeadsByLayer = dict[int, list[int]]

_NAME = re.compile(r"[Ll](?P<layer>\d{1,4})(?:[Hh](?P<head>\d{1,4}))?")


def checked_kind(layout: AttentionLayout, kind: str | None) -> str:
    """Return the kind of attention that is meant.

    Raises:
        SelectionError: the model does not have it, or has several kinds and none is named.
    """
    kinds = layout.kinds
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
    kind: str,
    heads: Iterable[HeadLike] | HeadLike | None,
    layers: Sequence[int] | None = None,
) -> HeadsByLayer:
    """Return the heads of each layer, sorted and without duplicates.

    Args:
        layout: the attention layout of the model.
        kind: the kind of attention.
        heads: the heads; all of ``layers`` by default.
        layers: whole layers, in addition to the heads; without either, all layers.

    Raises:
        SelectionError: a head or layer that does not exist, or none at all.
    """
    wanted: list[HeadLike] = _as_list(heads)
    if heads is None and layers is None:
        layers = layout.layers(kind)
    pairs = [pair for each in wanted for pair in _pairs(layout, kind, each)]
    numbers = _layer_numbers(() if layers is None else layers)
    pairs += [pair for layer in numbers for pair in _pairs(layout, kind, f"L{layer}")]
    if not pairs:
        raise SelectionError("Expected at least one head, got none. Name one, for example 'L3H1'.")
    found: HeadsByLayer = {}
    for layer, head in sorted(set(pairs)):
        found.setdefault(layer, []).append(head)
    return found


def in_words(heads: HeadsByLayer, layout: AttentionLayout, kind: str) -> str:
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


def _as_list(heads: Iterable[HeadLike] | HeadLike | None) -> list[HeadLike]:
    if heads is None:
        return []
    if isinstance(heads, str):
        return list(re.split(r"[,\s]+", heads.strip()))
    if isinstance(heads, tuple) and len(heads) == 2 and all(isinstance(n, Integral) for n in heads):
        return [heads]  # type: ignore[list-item]
    return list(heads)  # type: ignore[arg-type]


def _pairs(layout: AttentionLayout, kind: str, head: HeadLike) -> list[tuple[int, int]]:
    layer, number = _parsed(head)
    layers = layout.layers(kind)
    if layer not in layers:
        raise SelectionError(
            f"Expected a layer of {_range(layers)} for {kind} attention, got {layer} "
            f"({_shown(head)}). Layers are numbered from 0."
        )
    count = layout.heads[kind, layer].heads
    if number is None:
        return [(layer, each) for each in range(count)]
    if not 0 <= number < count:
        raise SelectionError(
            f"Expected a head of 0–{count - 1} in layer {layer}, got {number} ({_shown(head)}). "
            "Heads are numbered from 0."
        )
    return [(layer, number)]


def _parsed(head: HeadLike) -> tuple[int, int | None]:
    if isinstance(head, str):
        match = _NAME.fullmatch(head.strip())
        if match:
            return int(match["layer"]), int(match["head"]) if match["head"] else None
    else:
        try:
            layer, number = head
            return index(layer), index(number)
        except (TypeError, ValueError):
            pass
    raise SelectionError(f"Expected a head such as 'L3H1' or (3, 1), got {head!r}.")


def _layer_numbers(layers: Sequence[int]) -> list[int]:
    try:
        return [index(layer) for layer in layers]
    except TypeError as error:
        raise SelectionError(
            f"Expected `layers` as a list of whole numbers, such as [3], got {layers!r}."
        ) from error


def _shown(head: HeadLike) -> str:
    return head if isinstance(head, str) else str(Head(*map(index, head)))


def _range(layers: Sequence[int]) -> str:
    if list(layers) == list(range(layers[0], layers[-1] + 1)):
        return f"{layers[0]}–{layers[-1]}"
    return ", ".join(map(str, layers))


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
