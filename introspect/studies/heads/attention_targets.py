"""The roles of the tokens that each head attends to: sinks, neighbors, repetitions, punctuation."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import torch

from introspect.errors import InputError, SelectionError
from introspect.functional import (
    countable_rows,
    in_grains,
    make_summable_,
    offset_totals,
    offsets_between,
    row_entropy,
    visible_offsets,
    weighted_totals,
)
from introspect.records import AttentionRecord, TokenSequence
from introspect.studies.analyzer import (
    Floats,
    Integers,
    State,
    SummedByLayer,
    Texts,
    check_is_self,
    plus,
    ratio,
)
from introspect.studies.said_tokens import is_punctuation, said

# The number of weights to process at a time: 1 MB in float32, which fits in a core's own cache.
_AT_ONCE = 1 << 18


class Seen(NamedTuple):
    """What the queries of a part can see within a mask's limits.

    Args:
        num_visible: ``(num_texts, length)``: the number of keys.
        has_key: ``(num_texts, num_roles, length)``, bool: for special, first, same_token,
            punctuation and each offset whether there is such a key.
        even: ``(num_texts, 1, length, length)``: attention that is the same to all of them.
    """

    num_visible: torch.Tensor
    has_key: torch.Tensor
    even: torch.Tensor


@dataclass(frozen=True, eq=False)
class Part:
    """Texts of a batch that are processed together, padded to the longest of them.

    Args:
        start: the index of the first of them in the batch.
        lengths: the length of each text.
        is_token: ``(num_texts, length)``, bool: not padding.
        is_query: the same shape: neither padding nor special.
        factors: ``(num_texts, 4, length, length)``, float64: for each query, the keys with the
            roles special, same_token and punctuation, as 1 and 0, and the distance of each key.
    """

    start: int
    lengths: tuple[int, ...]
    is_token: torch.Tensor
    is_query: torch.Tensor
    factors: torch.Tensor
    _seen: dict[object, Seen] = field(default_factory=dict)

    def of(self, attentions: torch.Tensor) -> torch.Tensor:
        """Select the attention of these texts from that of the whole batch."""
        length = max(self.lengths)
        return attentions[self.start : self.start + len(self.lengths), :, :length, :length]

    def to(self, device: torch.device) -> Part:
        """Return a copy on the device of the attention."""
        return replace(
            self,
            is_token=self.is_token.to(device),
            is_query=self.is_query.to(device),
            factors=self.factors.to(device),
        )

    def seen(self, lowest: torch.Tensor, highest: torch.Tensor, offsets: tuple[int, ...]) -> Seen:
        """Find which keys each query can see within a mask's limits.

        Args:
            lowest: ``(num_texts,)``, from ``visible_offsets``.
            highest: likewise.
            offsets: the offsets that have a role.

        Most models use one mask for all layers, so the result is cached.
        """
        limits = (*lowest.tolist(), *highest.tolist(), offsets)
        if limits not in self._seen:
            self._seen[limits] = self._find_seen(lowest, highest, offsets)
        return self._seen[limits]

    def _find_seen(
        self, lowest: torch.Tensor, highest: torch.Tensor, offsets: tuple[int, ...]
    ) -> Seen:
        length = max(self.lengths)
        between = offsets_between(length, length)
        is_token, keys = self.is_token.cpu(), self.factors[:, :3].cpu() > 0
        visible = (lowest[:, None, None] <= between) & (between <= highest[:, None, None])
        visible &= is_token[:, :, None] & is_token[:, None, :]
        special, same, punctuation = (keys & visible[:, None]).any(-1).unbind(1)
        first = visible[:, :, 0] & (torch.arange(length) > 0)
        places = [_by_query(visible.diagonal(o, dim1=1, dim2=2), o, length) for o in offsets]
        roles = [special, first, same, punctuation, *places]
        num_visible = visible.sum(-1)
        even = visible.float() / num_visible.clamp(min=1)[..., None]
        return Seen(num_visible, torch.stack(roles, dim=1), even[:, None])


def _by_query(values: torch.Tensor, offset: int, length: int) -> torch.Tensor:
    """Convert a diagonal to one value for each query, false for queries without such a key."""
    found = torch.zeros(len(values), length, dtype=torch.bool)
    start = max(-offset, 0)
    found[:, start : start + values.shape[1]] = values
    return found


def place_offsets(reach: int) -> tuple[int, ...]:
    """Return the offsets that have roles: the token itself, the previous, the next, then further.

    Example:
        >>> place_offsets(2)
        (0, -1, 1, -2, 2)
    """
    return (0, *(sign * k for k in range(1, reach + 1) for sign in (-1, 1)))


def parts_of(texts: Texts, num_heads: int) -> Iterator[Part]:
    """Split a batch into parts that are processed one at a time, in order."""
    start = 0
    while start < len(texts):
        stop, longest = start, 0
        while stop < len(texts):
            longest = max(longest, texts.lengths[stop])
            if stop > start and (stop + 1 - start) * num_heads * longest**2 > _AT_ONCE:
                break
            stop += 1
        yield _part(texts, start, stop)
        start = stop


def _part(texts: Texts, start: int, stop: int) -> Part:
    lengths = texts.lengths[start:stop]
    length = max(lengths)
    factors = torch.zeros(stop - start, 4, length, length, dtype=torch.float64)
    factors[:, 3] = offsets_between(length, length).abs()
    for keys, tokens in zip(factors, texts.sequences[start:stop], strict=True):
        n = len(tokens)
        keys[0, :n, :n] = torch.tensor(tokens.special_tokens_mask)
        keys[1, :n, :n] = _same_token(tokens)
        keys[2, :n, :n] = torch.tensor(_punctuation(tokens))
    is_token, is_query = (mask[start:stop, :length] for mask in (texts.is_token, texts.is_query))
    return Part(start, lengths, is_token, is_query, factors)


def _same_token(tokens: TokenSequence) -> torch.Tensor:
    """Mark other occurrences of the same vocabulary entry, ``(length, length)``, bool."""
    # A word of several pieces, or a token without an id, is identified by its text.
    entries = [
        label if number < 0 else number
        for number, label in zip(tokens.token_ids, tokens.tokens, strict=True)
    ]
    numbers: dict[int | str, int] = {}
    index = torch.tensor([numbers.setdefault(entry, len(numbers)) for entry in entries])
    return (index[:, None] == index).fill_diagonal_(False)


def _punctuation(tokens: TokenSequence) -> list[bool]:
    """Mark tokens that consist only of characters of Unicode's category P."""
    return [
        not is_special and is_punctuation(said(tokens, index))
        for index, is_special in enumerate(tokens.special_tokens_mask)
    ]


def log2_up_to(length: int) -> torch.Tensor:
    """Return ``log2`` of 0 to ``length``, with 0 for 0; float64, equal at every position."""
    return torch.tensor([0.0] + [math.log2(n) for n in range(1, length + 1)], dtype=torch.float64)


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

    Roles overlap: the previous token may be a special one, so shares of attention do not sum to 1.

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


class _Totals(NamedTuple):
    """Totals of one layer of one batch.

    Args:
        sums: ``(num_roles, num_heads)``, over all tokens that count.
        counts: the same shape: the number of these tokens.
        missing: ``(num_heads,)``, the number of missing rows.
        even: as ``sums``, of even attention over the visible tokens, the same for every head.
        even_counts: as ``counts``.
    """

    sums: Floats
    counts: Integers
    missing: Integers
    even: Floats
    even_counts: Integers


@dataclass
class RolesAnalyzer(SummedByLayer[_Totals]):
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

    def _reduce(self, texts: Texts, attentions: torch.Tensor) -> _Totals:
        if not self._parts:
            parts = parts_of(texts, attentions.shape[1])
            self._parts = [part.to(attentions.device) for part in parts]
        first, *others = (_layer(part.of(attentions), part, self.reach) for part in self._parts)
        return functools.reduce(plus, others, first)

    def _add(self, texts: Texts, reduced: Mapping[int, _Totals]) -> None:
        self._parts = []
        super()._add(texts, reduced)

    def merge(self, other: RolesAnalyzer) -> None:
        """Take over what another analyzer has collected from other texts.

        Raises:
            InputError: the two are of different models, or have different roles.
        """
        if self.reach != other.reach:
            raise InputError(
                f"Expected analyzers of one `reach` to merge, got {self.reach} and {other.reach}."
            )
        self._take_over(other)

    def compute(self) -> pd.DataFrame:
        """Return a table with one row for each layer and head.

        Returns:
            Columns ``layer``, ``head``, ``n_texts``, ``n_tokens`` (queries that are not special
            tokens), ``n_missing`` (those of them whose row is NaN or empty, left out everywhere);
            then the mean of each role, NaN without an observation; then ``n_`` and the name of each
            role: the number of tokens in its mean; then ``even_`` and the name: the mean of a head
            that attends equally to all that the mask lets it see.

        Raises:
            InputError: there are no texts.
        """
        if self._sums is None:
            raise InputError("Expected at least one text to find roles in, got none.")
        sums, counts, missing, even, even_counts = self._sums
        num_layers, num_heads = missing.shape
        means, even_means = ratio(sums, counts), ratio(even, even_counts)
        columns = {
            "layer": np.repeat(self._layers, num_heads),
            "head": np.tile(np.arange(num_heads), num_layers),
            "n_texts": self._num_texts,
            "n_tokens": self._num_tokens,
            "n_missing": missing.ravel(),
        }
        columns |= {name: means[i].ravel() for i, name in enumerate(self._names)}
        columns |= {f"n_{name}": counts[i].ravel() for i, name in enumerate(self._names)}
        columns |= {f"even_{name}": even_means[i].ravel() for i, name in enumerate(self._names)}
        return pd.DataFrame(columns)

    def state(self) -> State:
        """Return all collected data and ``reach`` as arrays."""
        return {"reach": np.array(self.reach), **self._collected(_Totals)}

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Restore the analyzer that had this state."""
        return cls(reach=int(state["reach"]))._restore(state, _Totals)


def _layer(pattern: torch.Tensor, part: Part, reach: int) -> _Totals:
    """Sum the roles of one layer over the texts of a part.

    Args:
        pattern: ``(num_texts, num_heads, length, length)``.
        part: its texts, on the same device.
        reach: how many positions before and after a token have a role.
    """
    offsets = place_offsets(reach)
    num_visible, has_key, even = part.seen(*visible_offsets(pattern, part.lengths), offsets)
    # Even attention runs along as one more head.
    rows = torch.cat([pattern.float(), even.to(pattern.device)], dim=1)
    weights, missing = countable_rows(rows, part.is_query, part.is_token)
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
    by_role = torch.stack([values.sum(0) for values in sums]).cpu().numpy()
    number = counts.sum(0).long().cpu().numpy()
    shape = (len(by_role), pattern.shape[1])
    return _Totals(
        by_role[:, :-1],
        number[:, :-1],
        missing[:, :-1].sum((0, 2)).cpu().numpy(),
        np.broadcast_to(by_role[:, -1:], shape).copy(),
        np.broadcast_to(number[:, -1:], shape).copy(),
    )
