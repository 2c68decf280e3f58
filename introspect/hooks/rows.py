"""Rows of an attention, computed alongside the model's run by its own eager function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from introspect.hooks.interface import AttentionCall


class RowsNotRecomputableError(Exception):
    """Rows computed separately are not what the model computes: use the whole pattern."""


def eager_rows(
    call: AttentionCall, rows: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    """Compute the output and weights of some rows by the model's eager function, and their mask."""
    mask = _row_mask(call, rows)
    output, weights = replace(
        call,
        queries=pick_rows(call.queries, rows, dim=2),
        mask=mask,
        arguments=_row_arguments(call, rows),
    ).eager()
    return output, weights, mask


def pick_rows(tensor: torch.Tensor, rows: torch.Tensor, dim: int) -> torch.Tensor:
    """Select rows, ``(num_rows,)`` or ``(batch, num_rows)``, along a dimension after the batch."""
    if rows.ndim == 1:
        return tensor.index_select(dim, rows)
    batch, count = rows.shape
    if tensor.shape[0] != batch:
        tensor = tensor.expand(batch, *tensor.shape[1:])
    shape = [batch, *([1] * (tensor.ndim - 1))]
    shape[dim] = count
    sizes = [count if d == dim else size for d, size in enumerate(tensor.shape)]
    return tensor.gather(dim, rows.view(shape).expand(sizes))


def _row_mask(call: AttentionCall, rows: torch.Tensor) -> torch.Tensor | None:
    """Return the rows of the mask in the form that eager attention adds to the scores."""
    query_len, key_len = call.queries.shape[2], call.keys.shape[2]
    lowest = torch.finfo(call.queries.dtype).min
    mask = call.mask
    if mask is None:
        if not _is_causal(call):
            return None
        # The last query sees all keys: earlier keys may come from a cache.
        last = (rows + key_len - query_len).view(-1, 1, rows.shape[-1], 1)
        allowed = torch.arange(key_len, device=rows.device) <= last
    elif mask.ndim != 4 or mask.shape[-1] != key_len:
        raise RowsNotRecomputableError("its mask has another form")
    else:
        picked = mask if mask.shape[2] == 1 else pick_rows(mask, rows, dim=2)
        if picked.dtype != torch.bool:
            return picked
        allowed = picked
    zero = torch.zeros((), dtype=call.queries.dtype, device=rows.device)
    return torch.where(allowed, zero, lowest)


def _is_causal(call: AttentionCall) -> bool:
    """Return whether the model's own function would mask the future without an explicit mask."""
    named = call.arguments[1].get("is_causal")
    is_causal = getattr(call.module, "is_causal", True) if named is None else named
    return bool(is_causal) and call.queries.shape[2] > 1


def _row_arguments(
    call: AttentionCall, rows: torch.Tensor
) -> tuple[tuple[object, ...], Mapping[str, object]]:
    """Return the other arguments, with the rows selected of those that have one for each query."""
    positional, named = call.arguments
    bias = named.get("position_bias")
    if isinstance(bias, torch.Tensor) and bias.ndim == 4 and bias.shape[2] > 1:
        named = {**named, "position_bias": pick_rows(bias, rows, dim=2)}
    return positional, named
