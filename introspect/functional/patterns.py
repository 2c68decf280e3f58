"""What a head's pattern looks like, whatever it means: spread, sinks, positions.

All functions take ``(..., query_len, key_len)``. Those first named give one number for each
pattern, ``(...)``, in float64; rows that a model leaves empty (a mask that lets them look nowhere)
count as they are. ``totals`` has what means over many texts are made of.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from introspect.functional.totals import row_entropy

__all__ = [
    "entropy",
    "mass_on",
    "offset_mass",
    "offsets_between",
    "visible_keys",
    "visible_offsets",
]


def entropy(attentions: torch.Tensor) -> torch.Tensor:
    r"""How widely a head spreads its attention, in bits, in the mean over queries.

    .. math:: -\frac{1}{n} \sum_i \sum_j \alpha_{ij} \log_2 \alpha_{ij}

    0 for heads that look at one token, :math:`\log_2` of the number of keys for even attention.

    Source: Clark et al. 2019, "What Does BERT Look At?", section 3.3.

    Example:
        >>> entropy(torch.tensor([[0.5, 0.5], [1.0, 0.0]]))
        tensor(0.5000, dtype=torch.float64)
    """
    return row_entropy(attentions).mean(-1)


def mass_on(
    attentions: torch.Tensor, keys: Sequence[bool], queries: Sequence[bool] | None = None
) -> torch.Tensor:
    """How much of a query's attention goes to some of the keys, in the mean over queries.

    Args:
        attentions: ``(..., query_len, key_len)``.
        keys: which keys, for example the special tokens.
        queries: over which queries; all by default.

    Returns:
        From 0 to 1; NaN without any query.

    Example:
        >>> mass_on(torch.tensor([[0.7, 0.3], [0.1, 0.9]]), [True, False])
        tensor(0.4000, dtype=torch.float64)
    """
    rows = attentions.double()
    if queries is not None:
        rows = rows[..., torch.tensor(list(queries), dtype=torch.bool), :]
    return rows[..., torch.tensor(list(keys), dtype=torch.bool)].sum(-1).mean(-1)


def offset_mass(attentions: torch.Tensor, offset: int) -> torch.Tensor:
    """How much a token gives to the one that stands ``offset`` places after it.

    -1 is the previous token, 0 the token itself, 1 the next one; the mean is over queries that have
    such a token.

    Returns:
        From 0 to 1; NaN where no query has one.

    Example:
        >>> offset_mass(torch.tensor([[1.0, 0.0], [0.8, 0.2]]), -1)
        tensor(0.8000, dtype=torch.float64)
    """
    return attentions.double().diagonal(offset, dim1=-2, dim2=-1).mean(-1)


def offsets_between(query_len: int, key_len: int) -> torch.Tensor:
    """How many places after each query each key stands, ``(query_len, key_len)``.

    Example:
        >>> offsets_between(2, 2).tolist()
        [[0, 1], [-1, 0]]
    """
    return torch.arange(key_len) - torch.arange(query_len)[:, None]


def visible_offsets(
    attentions: torch.Tensor, lengths: Sequence[int] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The furthest before and after itself that a layer's mask lets a query see.

    The mask is the same for all heads of a layer and gives weights of exactly 0. It is taken for a
    band, which causal masks and sliding windows are: the offsets from the furthest before to the
    furthest after a query at which any head of the layer gives any query's attention. Within it, 0
    is what a head gave, also where half precision has rounded a small weight down. Masks of other
    shapes (some keys that all can see, beside a window) are taken for the band around them.

    Args:
        attentions: ``(..., num_heads, length, length)``, all rows; with ``lengths``
            ``(batch, num_heads, length, length)``.
        lengths: of each text, where the rest is padding.

    Returns:
        Lowest and highest offset, ``(...)`` each, on the CPU; the lowest is above the highest where
        nothing is seen. A weight that is NaN shows nothing.

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
            # The last sees the first and the first the last: a mask without limits.
            return -last, last
        is_token = torch.arange(length) <= last[:, None]
        inside = is_token[:, :, None] & is_token[:, None, :]
    given = ((attentions != 0) & ~attentions.isnan()).any(dim=-3).cpu() & inside
    offsets = offsets_between(length, length)
    lowest = offsets.where(given, 2 * length).flatten(-2).amin(-1)
    highest = offsets.where(given, -2 * length).flatten(-2).amax(-1)
    return lowest, highest


def visible_keys(attentions: torch.Tensor) -> torch.Tensor:
    """Which keys the mask lets each query see: those within ``visible_offsets``.

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
