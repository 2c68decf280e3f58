"""The roles of the keys of a text, and which of these keys each query can see."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch

from introspect.analyzers.batches import Texts
from introspect.functional.patterns import offsets_between
from introspect.records import TokenSequence

__all__ = ["Part", "log2_up_to", "parts_of", "place_offsets"]

# The number of weights to process at a time: 1 MB in float32, which fits in a core's own cache.
_AT_ONCE = 1 << 18


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
    _seen: dict[object, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)

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

    def seen(
        self, lowest: torch.Tensor, highest: torch.Tensor, offsets: tuple[int, ...]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Find which keys each query can see within a mask's limits.

        Args:
            lowest: ``(num_texts,)``, from ``visible_offsets``.
            highest: likewise.
            offsets: the offsets that have a role.

        Returns:
            The number of keys, ``(num_texts, length)``; and for special, first, same_token,
            punctuation and each offset whether there is such a key, ``(num_texts, num_roles,
            length)``, bool. Most models use one mask for all layers, so the result is cached.
        """
        limits = (*lowest.tolist(), *highest.tolist(), offsets)
        if limits not in self._seen:
            self._seen[limits] = self._find_seen(lowest, highest, offsets)
        return self._seen[limits]

    def _find_seen(
        self, lowest: torch.Tensor, highest: torch.Tensor, offsets: tuple[int, ...]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        length = max(self.lengths)
        between = offsets_between(length, length)
        is_token, keys = self.is_token.cpu(), self.factors[:, :3].cpu() > 0
        visible = (lowest[:, None, None] <= between) & (between <= highest[:, None, None])
        visible &= is_token[:, :, None] & is_token[:, None, :]
        special, same, punctuation = (keys & visible[:, None]).any(-1).unbind(1)
        first = visible[:, :, 0] & (torch.arange(length) > 0)
        places = [_by_query(visible.diagonal(o, dim1=1, dim2=2), o, length) for o in offsets]
        roles = [special, first, same, punctuation, *places]
        return visible.sum(-1), torch.stack(roles, dim=1)


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
        not is_special and _is_punctuation(_said(tokens, index))
        for index, is_special in enumerate(tokens.special_tokens_mask)
    ]


def _said(tokens: TokenSequence, index: int) -> str:
    """Return the token's span of the text, without the markers that a vocabulary adds."""
    (start, end), number = tokens.offsets[index], tokens.sequence_ids[index]
    if number is None or start >= end or number >= len(tokens.texts):
        return tokens.tokens[index]
    return tokens.texts[number][start:end]


def _is_punctuation(text: str) -> bool:
    said = text.strip()
    return bool(said) and all(unicodedata.category(character)[0] == "P" for character in said)


def log2_up_to(length: int) -> torch.Tensor:
    """Return ``log2`` of 0 to ``length``, with 0 for 0; float64, equal at every position."""
    return torch.tensor([0.0] + [math.log2(n) for n in range(1, length + 1)], dtype=torch.float64)
