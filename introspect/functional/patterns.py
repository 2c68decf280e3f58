"""The shape of a head's pattern: visible keys, offsets, sole maxima, and classes of shapes.

All functions take ``(..., query_len, key_len)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch


def offsets_between(query_len: int, key_len: int) -> torch.Tensor:
    """Return how many positions each key is after each query, ``(query_len, key_len)``.

    Example:
        >>> offsets_between(2, 2).tolist()
        [[0, 1], [-1, 0]]
    """
    return torch.arange(key_len) - torch.arange(query_len)[:, None]


def visible_offsets(
    attentions: torch.Tensor, lengths: Sequence[int] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find how far before and after itself a layer's mask lets a query see.

    The mask is the same for all heads of a layer and produces weights of exactly 0. It is assumed
    to be a band, as causal masks and sliding windows are: the offsets from the furthest before to
    the furthest after a query at which any head of the layer gives attention from any query. Within
    the band, a weight of 0 is what a head gave, even where half precision has rounded a small
    weight down. A mask of another shape (such as a window plus some keys that all queries see) is
    replaced by the band around it.

    Args:
        attentions: ``(..., num_heads, length, length)``, all rows; with ``lengths``
            ``(batch, num_heads, length, length)``.
        lengths: the length of each text, where the rest is padding.

    Returns:
        Lowest and highest offset, ``(...)`` each, on the CPU; the lowest is above the highest where
        nothing is visible. Weights that are NaN are ignored.

    Example:
        >>> visible_offsets(torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]]))
        (tensor(-1), tensor(0))
    """
    length = attentions.shape[-1]
    if lengths is None:
        inside = torch.tensor(True)
    else:
        last = torch.tensor(lengths) - 1
        text = torch.arange(len(lengths))
        corners = torch.stack([attentions[text, :, last, 0], attentions[text, :, 0, last]])
        if bool(((corners != 0) & ~corners.isnan()).any(-1).all()):
            # The last token sees the first and the first sees the last: the mask has no limits.
            return -last, last
        is_token = torch.arange(length) <= last[:, None]
        inside = is_token[:, :, None] & is_token[:, None, :]
    given = ((attentions != 0) & ~attentions.isnan()).any(dim=-3).cpu() & inside
    offsets = offsets_between(length, length)
    lowest = offsets.where(given, 2 * length).flatten(-2).amin(-1)
    highest = offsets.where(given, -2 * length).flatten(-2).amax(-1)
    return lowest, highest


def visible_keys(attentions: torch.Tensor) -> torch.Tensor:
    """Return which keys the mask lets each query see: those within ``visible_offsets``.

    Args:
        attentions: ``(..., num_heads, length, length)``, all rows.

    Returns:
        ``(..., length, length)``, bool.

    Example:
        >>> visible_keys(torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]]))
        tensor([[ True, False, False],
                [ True,  True, False],
                [False,  True,  True]])
    """
    lowest, highest = (limit[..., None, None] for limit in visible_offsets(attentions))
    offsets = offsets_between(attentions.shape[-1], attentions.shape[-1])
    return (lowest <= offsets) & (offsets <= highest)


def even_attention(attentions: torch.Tensor) -> torch.Tensor:
    """Return the pattern of a head that attends equally to all that the mask lets each query see.

    Args:
        attentions: ``(..., num_heads, length, length)``, all rows.

    Returns:
        ``(..., length, length)``, float64; rows sum to 1, or are 0 where nothing is visible.

    Example:
        >>> even_attention(torch.tensor([[[1.0, 0.0], [0.9, 0.1]]]))
        tensor([[1.0000, 0.0000],
                [0.5000, 0.5000]], dtype=torch.float64)
    """
    visible = visible_keys(attentions).double()
    return visible / visible.sum(-1, keepdim=True).clamp(min=1)


#: The classes, in the order in which they are tried, except ``vertical_diagonal``, tried first.
PATTERN_CLASSES = ("vertical", "diagonal", "vertical_diagonal", "block", "heterogeneous")

#: A pattern is vertical or diagonal if at least this share of its attention is.
WHOLE_SHARE = 0.5
#: It is both if each share is at least this large,
PART_SHARE = 0.25
#: and their sum at least this large.
BOTH_SHARES = 0.75
#: It is a block if this share of its attention to ordinary tokens stays in the query's own segment.
BLOCK_SHARE = 0.9
#: A row counts if it can see this many keys: among fewer, some are always near or stand out.
FEWEST_KEYS = 8

_COLUMNS = 2


class Shares(NamedTuple):
    """Shares of attention of patterns, ``(...)`` each, float64, 0 to 1; NaN where no row counts.

    Args:
        diagonal: attention to the token itself and its two neighbors.
        vertical: of the rest, the share of the two keys that get the most from all queries.
        within: attention to ordinary tokens of the query's own segment.
        across: attention to ordinary tokens of other segments; NaN where there is only one.
    """

    diagonal: torch.Tensor
    vertical: torch.Tensor
    within: torch.Tensor
    across: torch.Tensor


def pattern_shares(
    attentions: torch.Tensor,
    is_row: torch.Tensor,
    visible: torch.Tensor,
    segments: torch.Tensor,
) -> Shares:
    """Compute the shares of a pattern near its diagonal, in columns, and within segments.

    Args:
        attentions: ``(..., n, n)``, all rows.
        is_row: ``(..., n)``, bool: the queries that count, if they see enough keys.
        visible: ``(n, n)``, bool: the keys that the mask lets each query see.
        segments: ``(n,)``: the number of each token's segment; below 0 for special tokens.

    Example:
        >>> n = 12
        >>> previous = torch.eye(n).roll(-1, -1).T  # each attends to the token before
        >>> everything = torch.ones(n, n, dtype=torch.bool)
        >>> found = pattern_shares(previous, everything[0], everything, torch.zeros(n))
        >>> round(float(found.diagonal), 3), pattern_class(found)
        (0.917, tensor(1))
    """
    rows = is_row & (visible.sum(-1) >= FEWEST_KEYS)
    count = rows.sum(-1).double()
    weights = attentions.double().masked_fill(~rows[..., None], 0)
    columns = weights.sum(-2)
    given = columns[..., segments >= 0].sum(-1)
    near = torch.zeros_like(given)
    for offset in (-1, 0, 1):
        neighbors = weights.diagonal(offset, dim1=-2, dim2=-1)
        near += neighbors.sum(-1)
        columns[..., max(offset, 0) :][..., : neighbors.shape[-1]] -= neighbors
    own = _within(weights, segments)
    return Shares(
        diagonal=near / count,
        vertical=columns.topk(min(_COLUMNS, columns.shape[-1]), dim=-1).values.sum(-1) / count,
        within=(given if own is None else own) / count,
        across=torch.full_like(given, torch.nan) if own is None else (given - own) / count,
    )


def _within(weights: torch.Tensor, segments: torch.Tensor) -> torch.Tensor | None:
    """Sum ordinary tokens' attention within their segment; ``None`` if there is only one."""
    numbers = sorted({number for number in segments.tolist() if number >= 0})
    if len(numbers) < 2:
        return None
    members = [segments == number for number in numbers]
    return sum(weights[..., of, :][..., of].sum((-2, -1)) for of in members)  # type: ignore[return-value]


def pattern_class(shares: Shares) -> torch.Tensor:
    """Return the class of each pattern, an index into ``PATTERN_CLASSES``; -1 if no row counts.

    The classes are tried in this order: ``vertical_diagonal`` where each share is at least 0.25
    and their sum at least 0.75; ``vertical`` and ``diagonal`` where the share is at least 0.5;
    ``block`` where ordinary tokens of two segments get at least 0.5, nine tenths of it within the
    query's own; else ``heterogeneous``.

    Returns:
        ``(...)``, integers.
    """
    diagonal, vertical, within, across = shares
    is_both = torch.minimum(vertical, diagonal) >= PART_SHARE
    is_both &= vertical + diagonal >= BOTH_SHARES
    ordinary = within + across
    is_block = (ordinary >= WHOLE_SHARE) & (within >= BLOCK_SHARE * ordinary)
    classes = torch.full(diagonal.shape, PATTERN_CLASSES.index("heterogeneous"))
    for name, holds in (
        ("block", is_block),
        ("diagonal", diagonal >= WHOLE_SHARE),
        ("vertical", vertical >= WHOLE_SHARE),
        ("vertical_diagonal", is_both),
    ):
        classes = classes.masked_fill(holds, PATTERN_CLASSES.index(name))
    return classes.masked_fill(diagonal.isnan(), -1)


def sole_maximum(attentions: torch.Tensor) -> torch.Tensor:
    """Return the key with the most attention from each query; -1 if it is tied or there is none.

    Args:
        attentions: ``(..., query_len, key_len)``; a row of zeros or with NaN has no maximum.

    Returns:
        ``(..., query_len)``, positions of keys.

    Example:
        >>> sole_maximum(torch.tensor([[0.2, 0.8], [0.5, 0.5]]))
        tensor([ 1, -1])
    """
    best = attentions.amax(-1, keepdim=True)
    is_sole = ((attentions == best).sum(-1) == 1) & (best[..., 0] > 0)
    return attentions.argmax(-1).masked_fill(~is_sole, -1)
