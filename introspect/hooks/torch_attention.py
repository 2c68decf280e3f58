"""The route through torch's own attention functions, in any module.

Code that does not call transformers' attention interface calls
``torch.nn.functional.scaled_dot_product_attention`` or ``nn.MultiheadAttention``. A mode sees these
calls in the thread that runs, finds the module that makes each, and hands it to the same editors
and watchers as a call of the interface. While it is open, torch takes none of its fused paths
through whole layers, which show no attention.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from introspect.changes import Changes
from introspect.hooks.head_layout import MAPPED_BATCH, HeadLayout
from introspect.hooks.interface import (
    Attended,
    AttentionCall,
    OwnFunctions,
    attended,
    check_readable,
    unreadable,
)
from introspect.hooks.loans import hook_before, push_mode
from introspect.hooks.own_products import OwnProducts
from introspect.hooks.products import SOFTMAX, Product, Step, step_of
from introspect.hooks.provenance import Provenance
from introspect.hooks.running import Running, Signs
from introspect.hooks.unwrapping import unwrapped

#: How certificates name the route.
TORCH_ROUTE = "torch's own attention functions"


_here = threading.local()


def watch_torch(
    changes: Changes, module: nn.Module, trace: OwnProducts | None = None
) -> TorchAttention:
    """Let the attention of a module without a transformers model be seen and changed.

    Args:
        changes: what it lasts as long as.
        module: the module.
        trace: receives the products and softmaxes of the run too.
    """
    mode = TorchAttention(module, trace)
    mode.attach(changes)
    push_mode(changes, mode)
    return mode


class TorchAttention(TorchFunctionMode):
    """Hands the attention that a module computes by torch's functions to editors and watchers.

    Args:
        module: the module; the attention of others is left alone.
        trace: receives the products and softmaxes of a run too.
    """

    def __init__(self, module: nn.Module, trace: OwnProducts | None = None) -> None:
        super().__init__()
        self._name = type(module).__name__
        self._module = unwrapped(module)
        self._thread = threading.get_ident()
        self._running = Running(self._module)
        self._signs = Signs(self._module, by_weights=True)
        self._provenance = Provenance(self._module)
        self._trace = trace
        #: The functions seen, each once, in the order of their first call.
        self.functions: dict[str, None] = {}

    def attach(self, changes: Changes) -> None:
        """Note what the parts of the module are given, as long as the changes last."""
        self._provenance.attach(changes)
        hook_before(changes, [self._module], self._begin)
        # Without its fast path, which shows no attention, it takes no nested tensors.
        several = [
            part for part in self._module.modules() if isinstance(part, nn.MultiheadAttention)
        ]
        hook_before(changes, several, self._check)

    def _begin(self, *_: Any) -> None:
        if threading.get_ident() == self._thread:
            self._signs.begin()

    def _check(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None
    ) -> None:
        if threading.get_ident() == self._thread:
            check_readable(self._name, (*args, *(kwargs or {}).values()))

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run ``function``; attention by the watcher of this thread, if there is one."""
        named = kwargs or {}
        name = getattr(function, "__name__", "")
        step: Step | None = None
        if getattr(_here, "is_attending", False):
            return function(*args, **named)
        self._signs.use(function, args, named)
        if name == "scaled_dot_product_attention" and (within := self._running.modules()):
            with _attending():
                result: Any = self._by_torch(within, *args, **named)
        elif name == "multi_head_attention_forward" and (within := self._running.modules()):
            with _attending():
                result = self._of_several_heads(within, args, named)
        else:
            result = function(*args, **named)
            if self._trace is not None:
                if step := step_of(function, args, named, result):
                    self._add(self._trace, step, [*args, *named.values()])
                elif function in SOFTMAX:
                    self._trace.unreadable = unreadable((result,)) or self._trace.unreadable
        self.functions.setdefault(name)
        self._provenance.note(function, args, named, result)
        if self._trace is not None and step is not None:
            self._trace.note_result(result, self._provenance)
        return result

    def _add(self, trace: OwnProducts, step: Step, given: Sequence[Any]) -> None:
        within = self._running.modules()
        sign = self._signs.sign(type(step).__name__, within)
        tensors = [each for each in given if torch.is_tensor(each)]
        of = self._provenance
        if isinstance(step, Product):
            operands = tensors[-2:]
            is_cross = len(operands) == 2 and of.is_cross(operands[0], operands[1], within)
            origins = tuple(map(of.origin, operands))
            trace.add(step, sign, within, origins, is_cross=is_cross)
        else:
            trace.add(step, sign, within, (of.origin(step.given),))

    def _by_torch(
        self,
        within: Sequence[nn.Module],
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> torch.Tensor:
        """Compute a call of ``scaled_dot_product_attention``."""
        check_readable(self._name, (query, key, value))
        is_cross = self._provenance.is_cross(query, key, within)
        layout = HeadLayout.of(query, within[0], self._provenance.batch(within))
        mask = None if attn_mask is None else layout.mask_by_head(attn_mask)
        is_causal_given = is_causal
        if is_causal and query.shape[-2] != key.shape[-2]:
            # Torch lets the first query see the first key; elsewhere the last see the last.
            mask, is_causal = _causal(query, key), False
        shape = (*query.shape[:-1], value.shape[-1])
        by_head = layout.by_head(query), layout.by_head(key), layout.by_head(value)

        def plain(module: nn.Module, *given: Any, **options: Any) -> Attended:
            if any(one is not other for one, other in zip(by_head, given, strict=False)):
                return _fused(module, *given, **options)
            # Laid out otherwise, it might be computed by another kernel.
            output = functional.scaled_dot_product_attention(
                query, key, value, attn_mask, dropout_p, is_causal_given, scale=scale,
                enable_gqa=enable_gqa,
            )  # fmt: skip
            return layout.by_head(output).transpose(1, 2), None

        options = {"is_causal": is_causal, "scale": scale, "dropout": dropout_p}
        sign = self._signs.sign("attention", within)
        own = OwnFunctions(plain, _eager, sign, is_cross=is_cross)
        q, k, v = by_head
        output, _ = attended(AttentionCall(within[0], q, k, v, mask, ((), options), own))
        return output.transpose(1, 2).reshape(shape)

    def _of_several_heads(
        self, within: Sequence[nn.Module], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Compute a call of ``multi_head_attention_forward`` by torch's own code.

        Only the last step of that code is done here, on the projected queries, keys and values.
        """
        given = dict(zip(_NAMES, args, strict=False)) | dict(kwargs)
        query, key = given["query"], given["key"]
        check_readable(self._name, (query, key, given["value"]))
        is_cross = self._provenance.is_cross(query, key, within[1:], are_mapped=False)
        needs_weights = given.get("need_weights", True)
        own = OwnFunctions(
            _with_weights if needs_weights else _fused,
            _with_weights if needs_weights else _eager,
            self._signs.sign("attention", within),
            is_eager=needs_weights,
            is_cross=is_cross,
        )
        seen: list[torch.Tensor | None] = []

        def attend(
            q: torch.Tensor,
            k: torch.Tensor,
            v: torch.Tensor,
            mask: torch.Tensor | None = None,
            dropout: float = 0.0,
            is_causal: bool = False,
        ) -> torch.Tensor:
            options = {"is_causal": is_causal, "scale": None, "dropout": dropout}
            output, weights = attended(AttentionCall(within[0], q, k, v, mask, ((), options), own))
            seen.append(weights)
            return output.transpose(1, 2)

        places = _MULTI_HEAD.__globals__ | {
            "has_torch_function": lambda _: False,
            "scaled_dot_product_attention": attend,
        }
        forward = FunctionType(
            _MULTI_HEAD.__code__,
            places,
            "forward",
            _MULTI_HEAD.__defaults__,
            _MULTI_HEAD.__closure__,
        )
        forward.__kwdefaults__ = _MULTI_HEAD.__kwdefaults__
        output, _ = forward(**{**given, "need_weights": False})
        if not needs_weights:
            return output, None
        weights = seen[0]
        assert weights is not None, "attention that is computed with its weights"
        if given.get("average_attn_weights", True):
            weights = weights.mean(1)
        return output, weights if query.ndim == MAPPED_BATCH else weights.squeeze(0)


@contextmanager
def _attending() -> Iterator[None]:
    """See no attention within attention: what computes it may be one of torch's functions too."""
    _here.is_attending = True
    try:
        yield
    finally:
        _here.is_attending = False


_MULTI_HEAD: Any = functional.multi_head_attention_forward
_NAMES = _MULTI_HEAD.__code__.co_varnames[: _MULTI_HEAD.__code__.co_argcount]


def _causal(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    shape = (query.shape[-2], key.shape[-2])
    return torch.ones(shape, dtype=torch.bool, device=query.device).tril()[None, None]


def _fused(
    _: nn.Module,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
    *,
    is_causal: bool,
    scale: float | None,
    dropout: float,
) -> Attended:
    """Compute attention by torch's fused function, which returns no weights."""
    output = functional.scaled_dot_product_attention(
        queries,
        keys,
        values,
        mask,
        dropout,
        is_causal,
        scale=scale,
        enable_gqa=queries.shape[1] != keys.shape[1],
    )
    return output.transpose(1, 2), None


def _eager(
    module: nn.Module,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
    *,
    is_causal: bool,
    scale: float | None,
    dropout: float,
    is_safe: bool = True,
) -> Attended:
    """Compute attention with its weights; if safe, a query that may see no key has weights of 0."""
    scores = _scores(queries, keys, mask, is_causal=is_causal, scale=scale)
    weights = torch.softmax(scores, -1)
    if is_safe and mask is not None:
        lowest = torch.finfo(scores.dtype).min
        weights = weights.masked_fill(scores.amax(-1, keepdim=True) < lowest / 2, 0)
    return _weighed(weights.to(queries.dtype), values, dropout)


def _with_weights(*given: Any, **options: Any) -> Attended:
    """Compute attention as ``nn.MultiheadAttention`` does when it returns its weights.

    A query that may see no key has weights that are not a number.
    """
    return _eager(*given, **options, is_safe=False)


def _scores(
    queries: torch.Tensor,
    keys: torch.Tensor,
    mask: torch.Tensor | None,
    *,
    is_causal: bool,
    scale: float | None,
) -> torch.Tensor:
    """Return the input of the softmax, in single precision at least."""
    wide = torch.promote_types(queries.dtype, torch.float32)
    by = 1 / math.sqrt(queries.shape[-1]) if scale is None else scale
    repeated = _repeated(keys, queries.shape[1])
    scores = (queries.to(wide) * by) @ repeated.to(wide).transpose(-1, -2)
    if mask is None:
        mask = _causal(queries, keys) if is_causal else None
    if mask is None:
        return scores
    return scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask


def _repeated(shared: torch.Tensor, heads: int) -> torch.Tensor:
    """Return keys or values for each head of the queries."""
    groups = heads // shared.shape[1]
    return shared if groups == 1 else shared.repeat_interleave(groups, dim=1)


def _weighed(weights: torch.Tensor, values: torch.Tensor, dropout: float) -> Attended:
    kept = functional.dropout(weights, dropout) if dropout else weights
    repeated = _repeated(values, weights.shape[1])
    return (kept @ repeated).transpose(1, 2), weights
