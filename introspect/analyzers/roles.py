"""What each head looks at, whatever it means: sinks, neighbours, repetitions, punctuation."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from introspect.analyzers.sums import addable, ratio
from introspect.errors import InputError, SelectionError
from introspect.functional.patterns import (
    offset_keys,
    row_distance,
    row_entropy,
    row_masses,
    visible_keys,
)
from introspect.records import AttentionRecord, TokenSequence

__all__ = ["ALL_ROLES", "DEFAULT_REACH", "RolesAnalyzer", "role_names"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: How many places before and after a token have a column of their own.
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
    """The roles, and what each one is in a line.

    Args:
        reach: how many places before and after a token have a role of their own; at least 1.

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


#: Names and definitions of the roles of a ``RolesAnalyzer`` as it is by default. Roles overlap: the
#: previous token may be a special one, so shares of attention do not sum to 1.
ALL_ROLES: Mapping[str, str] = MappingProxyType(role_names())


@dataclass
class RolesAnalyzer:
    """The mean of every role over the tokens of any number of texts.

    Every token that is no special token counts once as a query. For a role it counts where it can
    see a key of that role: a text without punctuation says nothing about attention to punctuation,
    and a causal model's row nothing about the next token.

    One pass over all records and any merge of parts, in any order, give the same table to the last
    bit (see ``sums.addable``).

    Args:
        reach: how many places before and after a token have a column of their own.
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

    def update(self, record: AttentionRecord) -> None:
        """Add the tokens of one text.

        Args:
            record: attention of a text over all of itself, of tokens or of words.

        Raises:
            SelectionError: attention from one text to another, or of some of its tokens only.
            InputError: the record is of another model than those before.
        """
        _check_is_self(record)
        self._fit(record.layers, record.num_heads)
        queries = ~torch.tensor(record.queries.special_tokens_mask)
        keys = _role_keys(record.keys, self.reach)
        for row, pattern in enumerate(record.attentions):
            # Layer by layer: in float64 a whole record would be several times its own size.
            values, observed, missing = _layer(pattern, queries, keys)
            known = observed & ~missing
            self._sums[:, row] += addable(values.masked_fill(~known, 0).sum(-1).numpy())
            self._counts[:, row] += known.sum(-1).numpy()
            self._missing[row] += missing.sum(-1).numpy()
        self._num_tokens += int(queries.sum())
        self._num_texts += 1

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
        """One row for each layer and head.

        Returns:
            Columns ``layer``, ``head``, ``n_texts``, ``n_tokens`` (queries that are no special
            tokens), ``n_missing`` (those of them whose row is NaN or empty, left out everywhere);
            then the mean of each role, NaN without an observation; then ``n_`` and the name of each
            role: the tokens that its mean is over.

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

    def _fit(self, layers: tuple[int, ...], num_heads: int) -> None:
        """Make room at the first record; after that, expect its layers and heads."""
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


def _check_is_self(record: AttentionRecord) -> None:
    if record.kind == "cross" or record.queries != record.keys:
        raise SelectionError(
            "Expected attention of a text over all of itself to find roles, got "
            f"kind {record.kind!r} with {len(record.queries)} queries and {len(record.keys)} keys. "
            "Capture all rows, with kind='encoder' or kind='decoder' of an encoder-decoder."
        )


def _layer(
    pattern: torch.Tensor, queries: torch.Tensor, keys: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Roles of one layer.

    Args:
        pattern: ``(num_heads, query_len, key_len)``.
        queries: ``(query_len,)``, bool: which rows count.
        keys: ``(num_key_roles, query_len, key_len)``, bool.

    Returns:
        Values ``(num_roles, num_heads, num_queries)``; whether a query has a key of the role,
        ``(num_roles, 1, num_queries)``; and whether a row says nothing, ``(num_heads,
        num_queries)``.
    """
    rows, visible = pattern[:, queries], visible_keys(pattern)[queries]
    num_visible = visible.sum(-1)
    bits = row_entropy(rows)
    shape = [
        bits,
        bits / num_visible.double().log2(),
        rows.amax(-1).double(),
        row_distance(pattern)[:, queries],
    ]
    values = torch.cat([torch.stack(shape), row_masses(rows, keys[:, queries])])
    has_any = num_visible > 0
    # With one key to look at there is no choice, and no share of one.
    has_shape = torch.stack([has_any, num_visible > 1, has_any, has_any])
    has_key = (keys[:, queries] & visible).any(-1)
    missing = rows.isnan().any(-1) | (rows.sum(-1) == 0)
    return values, torch.cat([has_shape, has_key])[:, None], missing


def _role_keys(tokens: TokenSequence, reach: int) -> torch.Tensor:
    """The keys of each role seen from each query, ``(num_key_roles, length, length)``, bool."""
    n = len(tokens)
    is_self = offset_keys(n, n, 0)
    is_first = torch.arange(n)[None] == 0
    masks = [
        torch.tensor(tokens.special_tokens_mask).expand(n, n),
        is_first.expand(n, n) & ~is_self,
        _same_token(tokens) & ~is_self,
        torch.tensor(_punctuation(tokens)).expand(n, n),
        is_self,
    ]
    masks += [offset_keys(n, n, sign * k) for k in range(1, reach + 1) for sign in (-1, 1)]
    return torch.stack(masks)


def _same_token(tokens: TokenSequence) -> torch.Tensor:
    # A word of several pieces, or a token given without an id, is known by what it says.
    entries = [
        label if number < 0 else number
        for number, label in zip(tokens.token_ids, tokens.tokens, strict=True)
    ]
    numbers: dict[int | str, int] = {}
    index = torch.tensor([numbers.setdefault(entry, len(numbers)) for entry in entries])
    return index[:, None] == index


def _punctuation(tokens: TokenSequence) -> list[bool]:
    """Which tokens are nothing but characters of Unicode's category P."""
    return [
        not is_special and _is_punctuation(_said(tokens, index))
        for index, is_special in enumerate(tokens.special_tokens_mask)
    ]


def _said(tokens: TokenSequence, index: int) -> str:
    """The token's own part of the text, without what a vocabulary writes around it."""
    (start, end), number = tokens.offsets[index], tokens.sequence_ids[index]
    if number is None or start >= end or number >= len(tokens.texts):
        return tokens.tokens[index]
    return tokens.texts[number][start:end]


def _is_punctuation(text: str) -> bool:
    said = text.strip()
    return bool(said) and all(unicodedata.category(character)[0] == "P" for character in said)
