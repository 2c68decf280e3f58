"""Batches of texts, and the base classes of analyzers that process them one layer at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from introspect.errors import InputError, SelectionError
from introspect.models import StaticEmbeddings
from introspect.records import AttentionRecord, TokenSequence

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: All data that an analyzer has collected, as plain arrays.
State = dict[str, npt.NDArray[Any]]

Reduced = TypeVar("Reduced")
#: A named tuple of arrays whose last dimension is the heads.
Sums = TypeVar("Sums", bound=tuple[npt.NDArray[Any], ...])


@dataclass(frozen=True, eq=False)
class Texts:
    """A batch of texts, as a model reads them, padded at their ends to one length.

    Args:
        sequences: the tokens of each text, without padding.
        items: the item that accompanies each text: a case, a sentence of a treebank, or ``None``.
        embeddings: the input embeddings of the model that reads them, where they are known.
        ids: the id of each text, where they have one.

    Raises:
        InputError: there is no text, or not one item for each text.

    Example:
        >>> texts = Texts((TokenSequence(("a", "b")), TokenSequence(("c",))), (None, None))
        >>> texts.lengths, texts.length, texts.is_token.tolist()
        ((2, 1), 2, [[True, True], [True, False]])
    """

    sequences: tuple[TokenSequence, ...]
    items: tuple[Any, ...]
    embeddings: StaticEmbeddings | None = None
    ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.sequences or len(self.sequences) != len(self.items):
            raise InputError(
                "Expected at least one text and an item for each, got "
                f"{len(self.sequences)} texts and {len(self.items)} items. Give None for a text "
                "that comes with nothing."
            )

    def __len__(self) -> int:
        return len(self.sequences)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """The number of tokens of each text, including special tokens."""
        return tuple(len(sequence) for sequence in self.sequences)

    @property
    def length(self) -> int:
        """The number of tokens of the longest text, to which the others are padded."""
        return max(self.lengths)

    @cached_property
    def is_token(self) -> torch.Tensor:
        """Tokens that are not padding, ``(batch, length)``, bool."""
        return torch.arange(self.length) < torch.tensor(self.lengths)[:, None]

    @cached_property
    def is_query(self) -> torch.Tensor:
        """Tokens that are neither padding nor special, ``(batch, length)``, bool."""
        found = torch.zeros(len(self), self.length, dtype=torch.bool)
        for row, sequence in zip(found, self.sequences, strict=True):
            row[: len(sequence)] = ~torch.tensor(sequence.special_tokens_mask, dtype=torch.bool)
        return found


class BatchAnalyzer(Protocol):
    """An analyzer that receives a model's attention batch by batch, one layer at a time.

    ``begin`` sets the texts, ``see`` is called once for each layer, and ``end`` counts the batch;
    the next ``begin`` discards an unfinished batch. However the texts are divided into batches and
    parts, in whatever order, the same attention gives the same result to the last bit.
    """

    def begin(self, texts: Texts) -> None:
        """Start a batch."""

    def see(self, layer: int, attentions: torch.Tensor) -> None:
        """Process one layer, ``(batch, num_heads, length, length)``; padding may hold any value."""

    def end(self) -> None:
        """Finish the batch and count it."""

    def merge(self, other: Any) -> None:
        """Take over what another analyzer has collected from other texts."""

    def compute(self) -> Any:
        """Return the result over all texts."""

    def state(self) -> State:
        """Return all collected data and the options as arrays."""

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Restore the analyzer that had this state."""


@runtime_checkable
class RowAnalyzer(BatchAnalyzer, Protocol):
    """An analyzer for which some rows of each pattern are enough, where whole ones are too large.

    It may also name further ``parts`` of a capture; ``see`` is then called with them too.
    """

    def rows(self) -> torch.Tensor:
        """Return the query positions that it reads of each text, ``(batch, num_rows)``."""
        ...

    def see_rows(self, layer: int, rows: torch.Tensor, received: torch.Tensor) -> None:
        """Process those rows of a layer, and the attention that each key gets from all rows.

        Args:
            layer: its number in the model.
            rows: ``(batch, num_heads, num_rows, length)``.
            received: sums over all rows, ``(batch, num_heads, 1, length)``.
        """


@runtime_checkable
class ItemAnalyzer(BatchAnalyzer, Protocol):
    """An analyzer that keeps a result for each text, in the order in which the texts came."""

    def __len__(self) -> int:
        """Return the number of texts."""
        ...

    def taken(self, order: Sequence[int]) -> Self:
        """Return an analyzer of some of the texts, in another order."""
        ...

    def called(self, item: Any) -> Self:
        """Return the analyzer of one text under the name of another item with the same content."""
        ...


class LayerByLayer(ABC, Generic[Reduced]):
    """A base class of batch analyzers that keeps the layers of a batch until it is complete.

    Subclasses define what a layer is reduced to (``_reduce``) and how a batch is added (``_add``).
    """

    _texts: Texts | None = None
    _reduced: dict[int, Reduced] | None = None

    @abstractmethod
    def _reduce(self, texts: Texts, attentions: torch.Tensor) -> Reduced:
        """Reduce one layer, ``(batch, num_heads, length, length)``."""

    @abstractmethod
    def _add(self, texts: Texts, reduced: Mapping[int, Reduced]) -> None:
        """Add a batch by layers, or raise an error and leave everything unchanged."""

    def begin(self, texts: Texts) -> None:
        """Start a batch, and discard any unfinished one."""
        self._texts, self._reduced = texts, {}

    def see(self, layer: int, attentions: torch.Tensor) -> None:
        """Process one layer of the batch.

        Args:
            layer: its number in the model, higher than that of the layer before.
            attentions: ``(batch, num_heads, length, length)``, in any floating type. Rows and
                columns of padding may hold anything.

        Raises:
            InputError: no batch was begun, the shape does not match its texts, or the layers are
                not in ascending order. The batch is discarded.
        """
        texts, reduced = self._begun()
        self._drop()
        shape, expected = tuple(attentions.shape), (len(texts), texts.length, texts.length)
        if len(shape) != 4 or (shape[0], *shape[2:]) != expected:
            raise InputError(
                f"Expected attention of shape ({len(texts)}, num_heads, {texts.length}, "
                f"{texts.length}), for {len(texts)} texts padded to {texts.length} tokens, got "
                f"{shape}. Give a whole layer of the batch that was begun."
            )
        if reduced and layer <= max(reduced):
            raise InputError(
                f"Expected layers in ascending order, got {layer} after {max(reduced)}. "
                "Begin a new batch before the model runs again."
            )
        reduced[layer] = self._reduce(texts, attentions)
        self._texts, self._reduced = texts, reduced

    def end(self) -> None:
        """Count the batch.

        Raises:
            InputError: no batch was begun, no layer of it was seen, or it is of a different model
                than earlier ones.
        """
        texts, reduced = self._begun()
        self._drop()
        if not reduced:
            raise InputError(
                "Expected at least one layer of the batch before its end, got none. "
                "Call `see` with each layer."
            )
        self._add(texts, reduced)

    def _take(self, record: AttentionRecord, item: object = None) -> None:
        """Process one text as a batch of its own."""
        self.begin(Texts((record.keys,), (item,)))
        for layer, pattern in zip(record.layers, record.attentions, strict=True):
            self.see(layer, pattern[None])
        self.end()

    def _begun(self) -> tuple[Texts, dict[int, Reduced]]:
        if self._texts is None or self._reduced is None:
            raise InputError(
                "Expected a batch to be begun first. Call `begin` with its texts, then `see` with "
                "each layer, then `end`; begin again after an error."
            )
        return self._texts, self._reduced

    def _drop(self) -> None:
        self._texts = self._reduced = None


class SummedByLayer(LayerByLayer[Sums]):
    """A base class of batch analyzers that reduce a layer to arrays which add up over texts.

    Subclasses define what a layer is reduced to (``_reduce``). All layers together have one more
    dimension, before the heads.
    """

    _layers: tuple[int, ...] = ()
    _sums: Sums | None = None
    _num_tokens: int = 0
    _num_texts: int = 0

    def _add(self, texts: Texts, reduced: Mapping[int, Sums]) -> None:
        kind = type(next(iter(reduced.values())))
        sums = kind(*(np.stack(each, axis=-2) for each in zip(*reduced.values(), strict=True)))
        self._join(tuple(reduced), sums, int(texts.is_query.sum()), len(texts))

    def _join(self, layers: tuple[int, ...], sums: Sums, num_tokens: int, num_texts: int) -> None:
        if self._sums is None:
            self._layers, self._sums = layers, sums
        else:
            ours = self._layers, self._sums[0].shape[-1]
            check_one_model(ours, (layers, sums[0].shape[-1]))
            self._sums = plus(self._sums, sums)
        self._num_tokens += num_tokens
        self._num_texts += num_texts

    def _take_over(self, other: Self) -> None:
        """Add what another analyzer with the same options has collected from other texts."""
        if other._sums is not None:
            self._join(other._layers, other._sums, other._num_tokens, other._num_texts)

    def _collected(self, kind: type[Sums]) -> State:
        """Return all collected data as arrays."""
        names = kind._fields  # type: ignore[attr-defined]
        empty = (np.zeros(0, np.int64) for _ in names)
        return {
            "layers": np.array(self._layers, dtype=np.int64),
            "num_tokens": np.array(self._num_tokens),
            "num_texts": np.array(self._num_texts),
            **dict(zip(names, empty if self._sums is None else self._sums, strict=True)),
        }

    def _restore(self, state: State, kind: type[Sums]) -> Self:
        """Take the data that ``_collected`` returned."""
        if layers := tuple(state["layers"].tolist()):
            names = kind._fields  # type: ignore[attr-defined]
            sums = kind(*(np.array(state[name]) for name in names))
            self._join(layers, sums, int(state["num_tokens"]), int(state["num_texts"]))
        return self


def plus(one: Sums, other: Sums) -> Sums:
    """Add two tuples of arrays, array by array."""
    return type(one)(*(a + b for a, b in zip(one, other, strict=True)))


def check_one_model(known: tuple[Sequence[int], int], given: tuple[Sequence[int], int]) -> None:
    """Check that a record has the layers and heads of earlier ones.

    Args:
        known: the numbers of the layers, and how many heads each has.
        given: the same of the record.

    Raises:
        InputError: it is of another model.
    """
    if given != known:
        raise InputError(
            f"Expected records of one model, got {len(known[0])} layers of {known[1]} heads and "
            f"{len(given[0])} of {given[1]}. Use one analyzer for each model."
        )


def check_is_self(record: AttentionRecord, sought: str) -> None:
    """Check that the attention is of a text over all of itself.

    Raises:
        SelectionError: the attention is from one text to another, or covers only some tokens.
    """
    if record.kind == "cross" or record.queries != record.keys:
        raise SelectionError(
            f"Expected attention of a text over all of itself to find {sought}, got kind "
            f"{record.kind!r} with {len(record.queries)} queries and {len(record.keys)} keys. "
            "Capture all rows, with kind='encoder' or kind='decoder' of an encoder-decoder."
        )


# A weight of a float32 model is itself only accurate to 2⁻²⁴ near 1.
_GRAIN = 2.0**-24

#: Totals up to this value are exact.
EXACT_UP_TO = _GRAIN * 2**53


def addable(sums: npt.ArrayLike) -> Floats:
    """Round what one text adds to a total to a multiple of 2⁻²⁴ (6e-8).

    float64 adds such numbers without error while a total stays below 2²⁹ (5e8), so one pass, and
    any division of the texts among workers in any order, give the same total to the last bit. The
    rounding changes the sum of a text by at most 3e-8, no more than the rounding of one weight near
    1.

    Example:
        >>> a, b, c = addable([0.1, 0.2, 0.3])
        >>> bool(a + b + c == c + b + a), 0.1 + 0.2 + 0.3 == 0.3 + 0.2 + 0.1
        (True, False)
    """
    return np.asarray(np.rint(np.asarray(sums, dtype=np.float64) / _GRAIN) * _GRAIN)


def evenly(count: int, most: int) -> npt.NDArray[np.int64]:
    """Return at most so many places from 0 to ``count - 1``, evenly spread with both ends.

    Example:
        >>> evenly(10, 4), evenly(2, 4), evenly(0, 4)
        (array([0, 3, 6, 9]), array([0, 1]), array([], dtype=int64))
    """
    spread = np.linspace(0, max(0, count - 1), min(most, count))
    return np.unique(spread.round().astype(np.int64))


def ratio(sums: npt.ArrayLike, counts: npt.ArrayLike) -> Floats:
    """Divide sums by counts; the mean is NaN where nothing was counted.

    Example:
        >>> ratio([1.0, 0.0], [4, 0])
        array([0.25,  nan])
    """
    total, n = np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    return np.asarray(np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0))


def known_means(values: Floats) -> Floats:
    """Compute the means of the columns over known values; NaN where none is known.

    Example:
        >>> known_means(np.array([[1.0, np.nan], [0.5, np.nan]]))
        array([0.75,  nan])
    """
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(0), known.sum(0))
