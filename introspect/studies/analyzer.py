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
from introspect.records import AttentionRecord, TokenSequence

#: All data that an analyzer has collected, as plain arrays.
State = dict[str, npt.NDArray[Any]]

Reduced = TypeVar("Reduced")


@dataclass(frozen=True, eq=False)
class Texts:
    """A batch of texts, as a model reads them, padded at their ends to one length.

    Args:
        sequences: the tokens of each text, without padding.
        items: the item that accompanies each text: a case, a sentence of a treebank, or ``None``.

    Raises:
        InputError: there is no text, or not one item for each text.

    Example:
        >>> texts = Texts((TokenSequence(("a", "b")), TokenSequence(("c",))), (None, None))
        >>> texts.lengths, texts.length, texts.is_token.tolist()
        ((2, 1), 2, [[True, True], [True, False]])
    """

    sequences: tuple[TokenSequence, ...]
    items: tuple[Any, ...]

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
    def from_state(cls, state: Mapping[str, npt.NDArray[Any]]) -> Self:
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


Floats = npt.NDArray[np.float64]

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
    grains: Floats = np.rint(np.asarray(sums, dtype=np.float64) / _GRAIN) * _GRAIN
    return grains


def ratio(sums: npt.ArrayLike, counts: npt.ArrayLike) -> Floats:
    """Divide sums by counts; the mean is NaN where nothing was counted.

    Example:
        >>> ratio([1.0, 0.0], [4, 0])
        array([0.25,  nan])
    """
    total, n = np.asarray(sums, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    means: Floats = np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)
    return means
