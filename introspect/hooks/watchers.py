"""Watchers that keep whole patterns, or only the requested rows, of each attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

from introspect.errors import CaptureError, SelectionError
from introspect.hooks.interface import Attended, AttentionCall
from introspect.hooks.products import ProductTrace, Softmax
from introspect.hooks.rotary import ROTARY_PARTS, before_rotary
from introspect.records import names_of_parts

#: The parts of an attention module that can be captured.
PARTS = names_of_parts("attention", "rotary")

Parts = Mapping[str, torch.Tensor]
Receiver = Callable[[AttentionCall, Parts], None]

# What is computed here, and so is nobody else's to write to.
_OWN_TENSORS = ("attentions", "scores", "visible")

# This many weights of a pattern are computed at a time when only their sum is needed.
_MOST_WEIGHTS = 1 << 24

# What is added to the score of a key that a query may not see; a bias of positions is less.
_HIDDEN = -9_000.0

_SAME_OUTPUT = {torch.float32: 1e-4, torch.float64: 1e-8}
_SAME_ATTENTION = {torch.float32: 1e-5, torch.float64: 1e-10}
_SAME_HALF = 3e-2


class RowsNotRecomputableError(Exception):
    """Rows computed separately are not what the model computes: use the whole pattern."""


def same_output(dtype: torch.dtype) -> float:
    """Return the largest difference allowed, in units of the larger of 1 and the largest value."""
    return _SAME_OUTPUT.get(dtype, _SAME_HALF)


def same_attention(dtype: torch.dtype) -> float:
    """Return the largest difference allowed between sums of few terms, such as weights."""
    return _SAME_ATTENTION.get(dtype, _SAME_HALF)


class WholeWatcher:
    """Computes attention with the model's own eager function and passes on the parts.

    Args:
        include: the parts to pass on.
        receive: called with the call and its parts.
    """

    needs_eager_masks = True

    def __init__(self, include: tuple[str, ...], receive: Receiver) -> None:
        self._include = include
        self._receive = receive
        #: For each module, the difference between weights × values and its output.
        self.output_errors: list[torch.Tensor] = []
        #: The weights that modules of one's own may have been handed, and how often written to.
        self.handed_out: list[tuple[torch.Tensor, int]] = []

    def attend(self, call: AttentionCall) -> Attended:
        """Compute the attention of one module."""
        scores = None
        if "scores" in self._include:
            with ProductTrace() as trace:
                output, weights = call.eager()
            scores = _scores(call, trace, weights)
        else:
            output, weights = call.eager()
        if weights is not None and not call.is_edited:
            self.output_errors += _last_row_error(weights, call.values, output)
        available = {
            "attentions": weights,
            "scores": scores,
            "queries": call.queries,
            "keys": call.keys,
            "values": call.values,
            "head_outputs": output.transpose(1, 2),
        }
        if set(ROTARY_PARTS) & set(self._include):
            available |= before_rotary(call)
        parts = {name: available[name] for name in self._include}
        parts["visible"] = _visible(call, weights)
        kept = {n: t.detach() for n, t in parts.items() if t is not None}
        if call.own is not None:
            # A module of one's own may write over what it has handed on, or is handed.
            kept = {n: t if n in _OWN_TENSORS else t.clone() for n, t in kept.items()}
            self.handed_out += [] if weights is None else [(weights, weights._version)]
        self._receive(call, kept)
        return output, weights


class RowWatcher:
    """Lets the model run as usual, and computes the requested rows alongside.

    Each row's output is compared with the model's: a row that is not the model's own is an error,
    never a number.

    Args:
        rows: query positions, ``(num_rows,)`` for all items of the batch or
            ``(batch, num_rows)``.
        has_rows: returns whether the rows are positions of a module's queries.
        receive: called with the call and its parts.
        counted: ``(batch, query_len)``, bool: also pass on, as ``received``, the total attention
            that each key receives from these queries, ``(batch, num_heads, 1, key_len)``. The
            pattern that is summed is computed a few rows at a time.
        length: the number of tokens that the rows are places of.
    """

    needs_eager_masks = False

    def __init__(
        self,
        rows: torch.Tensor,
        has_rows: Callable[[torch.nn.Module], bool],
        receive: Receiver,
        counted: torch.Tensor | None = None,
        *,
        length: int | None = None,
    ) -> None:
        self._rows = rows
        self._length = length
        self._has_rows = has_rows
        self._receive = receive
        self._counted = counted
        #: For each module, the difference between the rows' outputs and the model's own.
        self.output_errors: list[torch.Tensor] = []

    def attend(self, call: AttentionCall) -> Attended:
        """Compute the attention of one module."""
        output, weights = call.plain()
        if not self._has_rows(call.module):
            return output, weights
        if self._length is not None and call.queries.shape[2] != self._length:
            raise not_by_token(type(call.module).__name__, call.queries.shape[2], self._length)
        if call.is_edited:
            raise RowsNotRecomputableError("it is edited, which is done to whole patterns")
        rows = self._rows.to(output.device)
        if self._length is None and int(rows.max()) >= call.queries.shape[2]:
            raise SelectionError(
                f"Expected `rows` in 0–{call.queries.shape[2] - 1}, the queries of "
                f"{type(call.module).__name__}, got {sorted(set(rows.flatten().tolist()))}."
            )
        row_output, row_weights, mask = eager_rows(call, rows)
        expected = pick_rows(output.transpose(1, 2), rows, dim=2)
        tolerance = same_output(output.dtype)
        difference = (row_output.transpose(1, 2) - expected).abs_()
        if mask is not None:
            # For a row that may attend to no key, as in padding, each kernel returns something
            # else.
            looks_nowhere = mask.amax(-1, keepdim=True) < torch.finfo(mask.dtype).min / 2
            difference.masked_fill_(looks_nowhere, 0)
        scale = expected.nan_to_num().abs().max().clamp(min=1)
        largest = difference.max()
        if row_weights is None or not largest <= tolerance * scale:
            raise RowsNotRecomputableError(type(call.module).__name__)
        self.output_errors.append(largest)
        parts = {"attentions": row_weights.detach()}
        everything = torch.zeros((), device=output.device).expand_as(row_weights)
        parts["visible"] = _allowed(everything if mask is None else mask)
        if self._counted is not None:
            parts["received"] = _received(call, self._counted.to(output.device))
        self._receive(call, parts)
        return output, weights


def _visible(call: AttentionCall, weights: torch.Tensor | None) -> torch.Tensor | None:
    """Return which keys the mask lets each query see, where the mask is that of the pattern."""
    mask = call.mask
    if call.own is not None and mask is None and weights is not None:
        shape = (1, 1, *weights.shape[-2:])
        everything = torch.ones(shape, dtype=torch.bool, device=weights.device)
        return everything.tril() if call.arguments[1]["is_causal"] else everything
    if mask is None or weights is None or mask.ndim != weights.ndim:
        return None
    is_added = mask.dtype != torch.bool or not call.is_eager
    fits = all(m in (1, w) for m, w in zip(mask.shape, weights.shape, strict=True))
    # A model may mask what a mask of one row for all queries does not say.
    is_whole = mask.shape[-2:] == weights.shape[-2:]
    return _allowed(mask) if is_added and fits and is_whole else None


def _allowed(mask: torch.Tensor) -> torch.Tensor:
    """Return ``(batch or 1, 1, rows, key_len)``, true where a mask leaves a key visible."""
    allowed = mask if mask.dtype == torch.bool else mask > _HIDDEN
    return allowed.any(1, keepdim=True)


def not_by_token(name: str, queries: int, tokens: int) -> CaptureError:
    """Return the error of places among tokens, in attention whose queries are something else."""
    return CaptureError(
        f"Expected as many queries as tokens, to find a token's place, but {name} has {queries} "
        f"queries for {tokens} tokens: they are a picture's, or an adapter's prompt is among them. "
        "Capture the attention whole, without places."
    )


def _received(call: AttentionCall, counted: torch.Tensor) -> torch.Tensor:
    """Sum what each key receives from the counted queries, ``(batch, num_heads, 1, key_len)``."""
    batch, heads, query_len, _ = call.queries.shape
    some = max(1, _MOST_WEIGHTS // (batch * heads * call.keys.shape[2]))
    total: torch.Tensor | None = None
    for first in range(0, query_len, some):
        rows = torch.arange(first, min(first + some, query_len), device=counted.device)
        _, weights, _ = eager_rows(call, rows)
        if weights is None:
            raise RowsNotRecomputableError(type(call.module).__name__)
        # Rows of padding may hold NaN, and 0 × NaN is NaN.
        is_counted = counted[:, None, rows, None]
        column_sums = weights.masked_fill(~is_counted, 0).sum(2, keepdim=True, dtype=torch.float32)
        total = column_sums if total is None else total + column_sums
    assert total is not None, "attention without a query"
    return total.detach()


def _last_row_error(
    weights: torch.Tensor, values: torch.Tensor, output: torch.Tensor
) -> list[torch.Tensor]:
    """Compute the difference between weights × values and the output for each head's last query.

    One row costs almost nothing, and any row reveals a head that is mistaken for another.
    """
    batch, heads, _, key_len = weights.shape
    shared, size = values.shape[1], values.shape[-1]
    row = weights[:, :, -1].to(values.dtype)
    if values.shape[2] != key_len or heads % shared or output.shape[2:] != (heads, size):
        return []
    expected = row.reshape(batch, shared, heads // shared, key_len) @ values
    error = expected.reshape(batch, heads, size) - output[:, -1]
    return [error.detach().abs().max()]


def _scores(call: AttentionCall, trace: ProductTrace, weights: torch.Tensor | None) -> torch.Tensor:
    """Return the input of the softmax that gave the weights, without the column of a sink."""
    softmaxes = [step for step in trace.events if isinstance(step, Softmax)]
    for step in reversed(softmaxes):
        if weights is not None and step.result.shape[:-1] == weights.shape[:-1]:
            return step.given[..., : weights.shape[-1]]
    raise CaptureError(
        f"Expected a softmax in the attention of {type(call.module).__name__}, but none gave its "
        "weights: this model has no scores in that sense. Leave 'scores' out of `include`."
    )


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
