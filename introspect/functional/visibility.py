"""Which keys a query may see, judged by positions and never by one weight of exactly 0."""

from __future__ import annotations

import torch

from introspect.functional.patterns import offsets_between


def assumed_mask(attentions: torch.Tensor) -> torch.Tensor:
    """Return which keys each query sees, for patterns whose mask is not known.

    Masks of four shapes are recognized: none, a causal one, a causal one after a prefix that all
    queries see, and a window of either. A key after the query is hidden if neither it nor any later
    key gets attention from an earlier query. A window is believed only if every key inside it gets
    attention from some head: where half precision rounds small weights to 0, the pattern has holes,
    and what lies outside of it may have been rounded as well.

    Args:
        attentions: ``(..., num_heads, query_len, key_len)``, all rows of one text.

    Returns:
        ``(..., query_len, key_len)``, bool. Attention from one text to another hides nothing.

    Example:
        >>> decisive = torch.tensor([[[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
        >>> assumed_mask(decisive)
        tensor([[ True, False, False],
                [ True,  True, False],
                [ True,  True,  True]])
    """
    query_len, key_len = attentions.shape[-2:]
    missing = attentions.isnan()
    seen = ((attentions != 0) & ~missing).any(-3)
    unknown = missing.all(-3)
    if query_len != key_len:
        return torch.ones_like(seen)
    offsets = offsets_between(query_len, key_len).to(seen.device)
    ahead = (seen & (offsets > 0)).any(-2)
    prefix = (ahead * torch.arange(1, key_len + 1, device=seen.device)).amax(-1)
    allowed = (offsets <= 0) | (torch.arange(key_len, device=seen.device) < prefix[..., None, None])
    lowest = offsets.where(seen, key_len).flatten(-2).amin(-1)[..., None, None]
    highest = offsets.where(seen, -key_len).flatten(-2).amax(-1)[..., None, None]
    window = allowed & (lowest <= offsets) & (offsets <= highest)
    is_dense = (seen | unknown | ~window).flatten(-2).all(-1)[..., None, None]
    return torch.where(is_dense & window.flatten(-2).any(-1)[..., None, None], window, allowed)
