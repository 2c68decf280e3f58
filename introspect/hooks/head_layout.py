"""How batch and heads lie in what a module of one's own hands to torch's functions."""

from __future__ import annotations

import math

import torch
from torch import nn

from introspect.errors import CaptureError

# The attributes under which a module of one's own says how many heads it has.
_HEADS = ("num_heads", "n_heads", "n_head", "heads", "nhead", "num_attention_heads", "attn_heads")
_BY_HEAD = 4
#: The dimensions of a batch of states.
MAPPED_BATCH = 3


class HeadLayout:
    """How the dimensions of a call are laid out by batch and head.

    Args:
        lead: the dimensions before the heads.
        heads: the number of heads of the queries.
        is_fused: whether heads and batch are one dimension.
    """

    def __init__(self, lead: tuple[int, ...], heads: int, *, is_fused: bool) -> None:
        self._lead = lead
        self._heads = heads
        self._is_fused = is_fused

    @classmethod
    def of(cls, query: torch.Tensor, module: nn.Module, batch: int | None) -> HeadLayout:
        """Return how the queries of a module are laid out.

        Raises:
            CaptureError: heads cannot be told from the batch.
        """
        named = {getattr(module, name, None) for name in _HEADS}
        if query.ndim >= _BY_HEAD:
            lead, heads = tuple(query.shape[:-3]), int(query.shape[-3])
            is_turned = len(lead) == 1 and heads == batch != lead[0] and heads not in named
            if is_turned or (len(lead) == 1 and lead[0] in named and heads not in named):
                raise _unclear(module, query)
            return cls(lead, heads, is_fused=False)
        if query.ndim < MAPPED_BATCH:
            return cls((1,), 1, is_fused=False)
        # Which of several texts and heads comes first in one dimension cannot be seen.
        count = query.shape[0]
        if count == batch and (batch == 1 or not named & set(range(2, 1 << 10))):
            return cls((count,), 1, is_fused=True)
        if batch == 1 and count in named:
            return cls((1,), count, is_fused=True)
        raise _unclear(module, query)

    def by_head(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, num_heads, length, size)``; keys may have fewer heads."""
        if self._is_fused:
            return tensor.reshape(self._lead[0], -1, *tensor.shape[-2:])
        heads = tensor.shape[-3] if tensor.ndim > 2 else 1
        lead = math.prod(tensor.shape[:-3]) if tensor.ndim > 2 else 1
        return tensor.reshape(lead, heads, *tensor.shape[-2:])

    def mask_by_head(self, mask: torch.Tensor) -> torch.Tensor:
        """Return a mask that broadcasts to ``(batch, num_heads, query_len, key_len)``."""
        if self._is_fused and mask.ndim == MAPPED_BATCH and mask.shape[0] > 1:
            return self.by_head(mask)
        if mask.ndim < _BY_HEAD:
            return mask.reshape(*[1] * (_BY_HEAD - mask.ndim), *mask.shape)
        if len(self._lead) == 1:
            return mask
        return mask.expand(*self._lead, *mask.shape[-3:]).flatten(end_dim=-4)


def _unclear(module: nn.Module, query: torch.Tensor) -> CaptureError:
    return CaptureError(
        f"Expected attention of {type(module).__name__} over (batch, num_heads, length, size), got "
        f"queries or weights of shape {tuple(query.shape)}, of which texts and heads cannot be "
        "told apart. Give heads a dimension of their own after the batch; or one text at a time, "
        "to a module that has their number as `num_heads`."
    )
