"""How attention was captured, and how far it is from the model's own."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from operator import index
from typing import TYPE_CHECKING, NamedTuple, Self

from introspect.errors import CallError, SelectionError
from introspect.text import decimal

_NAME = re.compile(r"[Ll](?P<layer>\d{1,4})(?:[Hh](?P<head>\d{1,4}))?")


@dataclass(frozen=True)
class Certificate:
    """How attention was captured, and how far it is from the model's own.

    Args:
        route: the way it was observed.
        max_row_sum_error: the largest distance of a row's sum from 1.
        max_head_output_error: the largest absolute difference between weights × values and
            the head's output, checked at the last query of each head, or at the requested rows;
            ``None`` where the values were not captured.
        max_difference_from_eager: the largest absolute difference from the attention that the
            model itself returns when it runs eagerly; ``None`` where that was not computed.
        max_output_difference: the largest absolute difference between the model's output with and
            without the capture; ``None`` where that was not computed.
        max_decomposition_error: the largest absolute difference between an attention block as a sum
            over its keys and its output; ``None`` where it was not decomposed.
        gradient_of: what was differentiated, in words; ``None`` without gradients.
        gradient_of_value: the value of that quantity.
        max_completeness_error: of integrated gradients, the largest absolute difference between
            their sum over a layer and the change that the layer's attention makes.
        note: why a figure is missing, if any is.
        unused: weights of the checkpoint, and settings of the configuration, that the model does
            not use; empty where it uses all.
        attn_implementation: the implementation that the model runs without a capture.
    """

    route: str
    max_row_sum_error: float | None = None
    max_head_output_error: float | None = None
    max_difference_from_eager: float | None = None
    max_output_difference: float | None = None
    max_decomposition_error: float | None = None
    gradient_of: str | None = None
    gradient_of_value: float | None = None
    max_completeness_error: float | None = None
    note: str = ""
    unused: str = ""
    attn_implementation: str | None = None
    model: str | None = None
    revision: str | None = None
    tokenizer: str | None = None
    dtype: str = "float32"
    device: str = "cpu"
    torch_version: str = ""
    transformers_version: str = ""


class _Place(NamedTuple):
    """A layer and a head in it."""

    layer: int
    head: int


class Head(_Place):
    """One attention head; ``str`` returns the short name.

    Its fields are the layer, by the model's own number, and the head in it, both from 0.

    Raises:
        CallError: they are no whole numbers.

    Example:
        >>> str(Head(3, 1))
        'L3H1'
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __new__(cls, layer: int, head: int) -> Self:
            """Return the head of a layer."""

    else:

        def __new__(cls, *given, **named):
            """Return the head of a layer."""
            try:
                place = _Place(*given, **named)
                # As an index each is a whole number, of Python or of NumPy.
                index(place.layer), index(place.head)
            except TypeError as error:
                got = ", ".join(map(repr, (*given, *named.values()))) or "nothing"
                raise CallError(
                    f"Expected the layer and the head of ix.Head as whole numbers, got {got:.100}. "
                    'The call is ix.Head(layer, head); ix.Head.parse("L3H1") reads a name.'
                ) from error
            return tuple.__new__(cls, place)

    def __str__(self) -> str:
        return f"L{self.layer}H{self.head}"

    @classmethod
    def parse(cls, name: str) -> Head:
        """Return the head with a short name.

        Raises:
            SelectionError: the name is not like ``L3H1``.

        Example:
            >>> Head.parse("L3H1")
            Head(layer=3, head=1)
        """
        layer, head = layer_and_head(name)
        if head is None:
            raise _no_head(name)
        return cls(layer, head)


#: A head, as ``Head(3, 1)``, ``(3, 1)`` or ``"L3H1"``.
HeadLike = Head | tuple[int, int] | str


def layer_and_head(head: HeadLike) -> tuple[int, int | None]:
    """Return the two numbers of a head; of a whole layer, ``L3``, the second is ``None``.

    Raises:
        SelectionError: it names neither a head nor a layer.
    """
    if isinstance(head, str):
        if match := _NAME.fullmatch(head.strip()):
            return int(match["layer"]), int(match["head"]) if match["head"] else None
    else:
        try:
            layer, number = head
            return index(layer), index(number)
        except (TypeError, ValueError):
            pass
    raise _no_head(head)


def as_head(head: HeadLike, counts: Mapping[int, int]) -> Head:
    """Return a head that exists.

    Args:
        head: the head, as ``Head(3, 1)``, ``(3, 1)`` or ``"L3H1"``.
        counts: the number of heads of each layer.

    Raises:
        SelectionError: it is no head, or there is no such head; the message says which exist.

    Example:
        >>> as_head("L3H1", dict.fromkeys(range(6), 12))
        Head(layer=3, head=1)
    """
    layer, number = layer_and_head(head)
    if number is None:
        raise _no_head(head)
    if not 0 <= number < counts.get(layer, 0):
        raise SelectionError(f"Expected a head of {_extent(layer, counts)}, got L{layer}H{number}.")
    return Head(layer, number)


def listed_heads(heads: Iterable[HeadLike] | HeadLike | None) -> list[HeadLike]:
    """Return one head, several, or names divided by commas or spaces, as a list."""
    if heads is None:
        return []
    if isinstance(heads, str):
        return list(re.split(r"[,\s]+", heads.strip()))
    if isinstance(heads, tuple) and len(heads) == 2 and all(isinstance(n, Integral) for n in heads):
        return [heads]  # type: ignore[list-item]
    return list(heads)  # type: ignore[arg-type]


def _extent(layer: int, counts: Mapping[int, int]) -> str:
    """Return the first and last head; of the layer alone, where only the head is out of range."""
    if layer in counts:
        return f"L{layer}H0–L{layer}H{counts[layer] - 1}"
    layers = sorted(counts)
    if layers == list(range(layers[0], layers[-1] + 1)):
        return f"L{layers[0]}H0–L{layers[-1]}H{counts[layers[-1]] - 1}"
    return ", ".join(f"L{each}H0–L{each}H{counts[each] - 1}" for each in layers)


def _no_head(given: object) -> SelectionError:
    return SelectionError(f"Expected a head such as L3H1, got {given!r}.")


@dataclass(frozen=True)
class PatchGrid:
    """Positions in an image of the tokens of a vision model.

    Args:
        rows: how many patches the image was cut into from top to bottom.
        columns: how many from left to right.
        first: the index of the first patch among the tokens; the others follow, row by row.
        patch: height and width of a patch in pixels; ``None`` where that is not known.

    Example:
        >>> PatchGrid(rows=2, columns=3, first=1).index(1, 0)
        4
    """

    rows: int
    columns: int
    first: int = 0
    patch: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self.rows * self.columns

    def index(self, row: int, column: int) -> int:
        """Return the index of a patch among the tokens."""
        return self.first + row * self.columns + column


@dataclass(frozen=True)
class AudioFrames:
    """Positions in a waveform of the frames that a model of sound attends to.

    The frames of the sound are the first keys of a record. Those after them, if any, are padding:
    some models read sound of one length only.

    Args:
        count: how many frames begin within the sound.
        step: samples from the beginning of a frame to that of the next.
        sampling_rate: samples in a second.
        samples: how many samples the sound has.
        reach: the samples that the first frame is computed from, half-open; the first may lie
            before the sound.

    Example:
        >>> frames = AudioFrames(50, step=320, sampling_rate=16_000, samples=16_000)
        >>> frames.start(10), frames.at(0.21)
        (0.2, 10)
    """

    count: int
    step: int
    sampling_rate: int
    samples: int
    reach: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return self.count

    @property
    def seconds(self) -> float:
        """The length of the sound in seconds."""
        return self.samples / self.sampling_rate

    def start(self, frame: int) -> float:
        """Return when a frame begins, in seconds; it ends where the next one begins."""
        return frame * self.step / self.sampling_rate

    def at(self, seconds: float) -> int:
        """Return the frame of a time, in seconds from the beginning of the sound.

        Raises:
            SelectionError: the sound has no frame there.
        """
        # A time that is written in decimals may be a hair before its frame.
        place = seconds * self.sampling_rate / self.step + 1e-6
        if not 0 <= place < self.count:
            raise SelectionError(
                f"Expected a time within a frame of the sound, from 0 to "
                f"{decimal(self.start(self.count))} s, where the last one ends, and not that end; "
                f"got {seconds} s."
            )
        return math.floor(place)

    def window(self, frame: int) -> tuple[int, int]:
        """Return the samples that a frame is computed from, half-open; some may be padding."""
        first, last = self.reach
        return first + frame * self.step, last + frame * self.step
