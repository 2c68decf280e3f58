"""The classes of patterns, by the shares of their attention near the diagonal and in columns."""

from __future__ import annotations

from typing import NamedTuple

import torch

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
