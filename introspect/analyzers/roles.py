"""The roles of the tokens that each head attends to: sinks, neighbors, repetitions, punctuation."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from introspect.analyzers.batches import LayerByLayer, State, Texts, check_is_self
from introspect.analyzers.role_keys import Part, log2_up_to, parts_of, place_offsets
from introspect.analyzers.sums import ratio
from introspect.errors import InputError, SelectionError
from introspect.functional.patterns import visible_offsets
from introspect.functional.totals import (
    countable_rows,
    in_grains,
    make_summable_,
    offset_totals,
    row_entropy,
    weighted_totals,
)
from introspect.records import AttentionRecord

__all__ = ["ALL_ROLES", "DEFAULT_REACH", "RolesAnalyzer", "role_names"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: How many positions before and after a token have a column of their own.
DEFAULT_REACH = 4

_SHAPE_ROLES = {
    "entropy": "how widely a token spreads its attention, in bits",
    "relative_entropy": "the same divided by the most it could be, log2 of the keys it can see",
    "largest": "the share of attention on the one token that gets most",
    "distance": "how many tokens away attention goes on average, special tokens included",
}
_KEY_ROLES = {
    "special": "attention to all special tokens together ([CLS], [SEP], <s>)",
    "first": "attention to the first token, special or not, from the tokens after it",
    "same_token": "attention to other occurrences of the same vocabulary entry",
    "punctuation": "attention to tokens that are nothing but punctuation, itself included",
    "self": "attention to the token itself",
    "previous": "attention to the token before it",
    "next": "attention to the token after it",
}


def role_names(reach: int = DEFAULT_REACH) -> dict[str, str]:
    """Return the roles with a one-line definition of each.

    Args:
        reach: how many positions before and after a token have a role of their own; at least 1.

    Raises:
        SelectionError: ``reach`` is less than 1.

    Example:
        >>> list(role_names(2))[-2:]
        ['before_2', 'after_2']
    """
    if reach < 1:
        raise SelectionError(
            f"Expected `reach` of at least 1, the previous and the next token, got {reach}."
        )
    places = {
        f"{side}_{k}": f"attention to the token {k} places {side} it"
        for k in range(2, reach + 1)
        for side in ("before", "after")
    }
    return {**_SHAPE_ROLES, **_KEY_ROLES, **places}


#: Names and definitions of the roles of a default ``RolesAnalyzer``. Roles overlap: the previous
#: token may be a special one, so shares of attention do not sum to 1.
ALL_ROLES: Mapping[str, str] = MappingProxyType(role_names())


class _Totals(NamedTuple):
    """Totals of one layer of one batch.

    Args:
        sums: ``(num_roles, num_heads)``, over all tokens that count.
        counts: the same shape: the number of these tokens.
        missing: ``(num_heads,)``, the number of missing rows.
    """

    sums: Floats
    counts: Integers
    missing: Integers

    def plus(self, other: _Totals) -> _Totals:
        """Add two totals."""
        return _Totals(
            self.sums + other.sums, self.counts + other.counts, self.missing + other.missing
        )


@dataclass
class RolesAnalyzer(LayerByLayer[_Totals]):
    """The mean of every role over the tokens of any number of texts.

    Every token that is not a special token counts once as a query. It counts for a role if it can
    see a key with that role: a text without punctuation gives no evidence about attention to
    punctuation, and a causal model's row gives none about the next token.

    This is a batch analyzer: it receives a model's attention layer by layer, or one record at a
    time. One pass over all texts, any division into batches with any padding, and any merge of
    parts, in any order, give the same table to the last bit (see ``functional.totals``).

    Args:
        reach: how many positions before and after a token have a column of their own.
    """

    reach: int = DEFAULT_REACH
    _layers: tuple[int, ...] = ()
    _sums: Floats = field(default_factory=lambda: np.zeros((0, 0, 0)))
    _counts: Integers = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=np.int64))
    _missing: Integers = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    _num_tokens: int = 0
    _num_texts: int = 0

    def __post_init__(self) -> None:
        self._names = tuple(role_names(self.reach))
        self._parts: list[Part] = []

    def update(self, record: AttentionRecord) -> None:
        """Add the tokens of one text, as a batch of its own.

        Args:
            record: attention of a text over all of itself, of tokens or of words.

        Raises:
            SelectionError: the attention is from one text to another, or covers only some tokens.
            InputError: the record is of a different model than earlier ones.
        """
        check_is_self(record, "roles")
        self._take(record)

    def begin(self, texts: Texts) -> None:
        """Start a batch, and discard any unfinished one."""
        super().begin(texts)
        self._parts = []

    def _look(self, texts: Texts, attentions: torch.Tensor) -> _Totals:
        if not self._parts:
            parts = parts_of(texts, attentions.shape[1])
            self._parts = [part.to(attentions.device) for part in parts]
        first, *others = (_layer(part.of(attentions), part, self.reach) for part in self._parts)
        return functools.reduce(_Totals.plus, others, first)

    def _add(self, texts: Texts, looks: Mapping[int, _Totals]) -> None:
        self._parts = []
        found = list(looks.values())
        self._fit(tuple(looks), found[0].sums.shape[1])
        self._sums += np.stack([totals.sums for totals in found], axis=1)
        self._counts += np.stack([totals.counts for totals in found], axis=1)
        self._missing += np.stack([totals.missing for totals in found])
        self._num_tokens += int(texts.is_query.sum())
        self._num_texts += len(texts)

    def merge(self, other: RolesAnalyzer) -> None:
        """Take over what another analyzer has collected from other texts.

        Raises:
            InputError: the two are of different models, or have different roles.
        """
        if self.reach != other.reach:
            raise InputError(
                f"Expected analyzers of one `reach` to merge, got {self.reach} and {other.reach}."
            )
        if not other._num_texts:
            return
        self._fit(other._layers, other._sums.shape[2])
        self._sums += other._sums
        self._counts += other._counts
        self._missing += other._missing
        self._num_tokens += other._num_tokens
        self._num_texts += other._num_texts

    def compute(self) -> pd.DataFrame:
        """Return a table with one row for each layer and head.

        Returns:
            Columns ``layer``, ``head``, ``n_texts``, ``n_tokens`` (queries that are not special
            tokens), ``n_missing`` (those of them whose row is NaN or empty, left out everywhere);
            then the mean of each role, NaN without an observation; then ``n_`` and the name of each
            role: the number of tokens in its mean.

        Raises:
            InputError: there are no texts.
        """
        if not self._num_texts:
            raise InputError("Expected at least one text to find roles in, got none.")
        num_layers, num_heads = self._missing.shape
        means = ratio(self._sums, self._counts)
        columns = {
            "layer": np.repeat(self._layers, num_heads),
            "head": np.tile(np.arange(num_heads), num_layers),
            "n_texts": self._num_texts,
            "n_tokens": self._num_tokens,
            "n_missing": self._missing.ravel(),
        }
        columns |= {name: means[i].ravel() for i, name in enumerate(self._names)}
        columns |= {f"n_{name}": self._counts[i].ravel() for i, name in enumerate(self._names)}
        return pd.DataFrame(columns)

    def state(self) -> State:
        """Return all collected data and ``reach`` as arrays."""
        return {
            "reach": np.array(self.reach),
            "layers": np.array(self._layers, dtype=np.int64),
            "sums": self._sums.copy(),
            "counts": self._counts.copy(),
            "missing": self._missing.copy(),
            "num_tokens": np.array(self._num_tokens),
            "num_texts": np.array(self._num_texts),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Restore the analyzer that had this state."""
        return cls(
            reach=int(state["reach"]),
            _layers=tuple(state["layers"].tolist()),
            _sums=np.array(state["sums"], dtype=np.float64),
            _counts=np.array(state["counts"], dtype=np.int64),
            _missing=np.array(state["missing"], dtype=np.int64),
            _num_tokens=int(state["num_tokens"]),
            _num_texts=int(state["num_texts"]),
        )

    def _fit(self, layers: tuple[int, ...], num_heads: int) -> None:
        """Allocate arrays at the first record, and require its layers and heads of later ones."""
        if not self._num_texts:
            shape = (len(self._names), len(layers), num_heads)
            self._layers, self._sums = layers, np.zeros(shape)
            self._counts, self._missing = np.zeros(shape, np.int64), np.zeros(shape[1:], np.int64)
        elif (layers, num_heads) != (self._layers, self._sums.shape[2]):
            raise InputError(
                f"Expected records of one model, got {len(self._layers)} layers of "
                f"{self._sums.shape[2]} heads and {len(layers)} of {num_heads}. "
                "Use one analyzer for each model."
            )


def _layer(pattern: torch.Tensor, part: Part, reach: int) -> _Totals:
    """Sum the roles of one layer over the texts of a part.

    Args:
        pattern: ``(num_texts, num_heads, length, length)``.
        part: its texts, on the same device.
        reach: how many positions before and after a token have a role.
    """
    offsets = place_offsets(reach)
    weights, missing = countable_rows(pattern, part.is_query, part.is_token)
    num_visible, has_key = part.seen(*visible_offsets(pattern, part.lengths), offsets)
    has_any = num_visible > 0
    # With only one visible key there is no choice, so its share is undefined.
    observed = torch.stack([has_any, num_visible > 1, has_any, has_any], dim=1)
    observed = torch.cat([observed, has_key], dim=1).to(weights.device, torch.float64)
    known = part.is_query[:, None] & ~missing
    bits = row_entropy(weights)
    make_summable_(weights)
    most = log2_up_to(pattern.shape[-1])[num_visible].to(bits.device)[:, None]
    relative = in_grains(bits / most).masked_fill(most == 0, 0)
    special, same, punctuation, distance = weighted_totals(weights, part.factors).unbind(-1)
    sums = [
        bits.sum(-1),
        relative.sum(-1),
        weights.amax(-1).sum(-1, dtype=torch.float64),
        distance,
        special,
        weights[..., 1:, 0].sum(-1, dtype=torch.float64),
        same,
        punctuation,
        *offset_totals(weights, offsets).unbind(-1),
    ]
    counts = observed @ known.transpose(1, 2).double()
    return _Totals(
        torch.stack([values.sum(0) for values in sums]).cpu().numpy(),
        counts.sum(0).long().cpu().numpy(),
        missing.sum((0, 2)).cpu().numpy(),
    )
