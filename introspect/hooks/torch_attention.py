"""The route through torch's own attention functions, in any module.

Code that does not call transformers' attention interface calls
``torch.nn.functional.scaled_dot_product_attention`` or ``nn.MultiheadAttention``. A mode sees these
calls in the thread that runs, finds the module that makes each, and hands it to the same editors
and watchers as a call of the interface. While it is open, torch takes none of its fused paths
through whole layers, which show no attention.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from introspect.changes import Changes
from introspect.errors import CaptureError
from introspect.hooks.interface import Attended, AttentionCall, OwnFunctions, attended
from introspect.hooks.loans import push_mode
from introspect.hooks.products import (
    AttentionProducts,
    Product,
    Softmax,
    Step,
    parts_at,
    products_at,
    step_of,
    weighing_after,
)
from introspect.hooks.provenance import Origin, Provenance, follows
from introspect.hooks.unwrapping import unwrapped

#: How certificates name the route.
TORCH_ROUTE = "torch's own attention functions"

# The attributes under which a module of one's own says how many heads it has.
_HEADS = ("num_heads", "n_heads", "n_head", "heads", "nhead", "num_attention_heads", "attn_heads")
_BY_HEAD = 4
_MAPPED_BATCH = 3

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
        self._parts = set(unwrapped(module).modules())
        self._provenance = Provenance(unwrapped(module))
        self._trace = trace
        #: The functions seen, each once, in the order of their first call.
        self.functions: dict[str, None] = {}

    def attach(self, changes: Changes) -> None:
        """Note what the parts of the module are given, as long as the changes last."""
        self._provenance.attach(changes)

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
        if name == "scaled_dot_product_attention" and (within := self._running()):
            with _attending():
                result: Any = self._by_torch(within, *args, **named)
        elif name == "multi_head_attention_forward" and (within := self._running()):
            with _attending():
                result = self._of_several_heads(within, args, named)
        else:
            result = function(*args, **named)
            if self._trace is not None and (step := step_of(function, args, named, result)):
                self._add(self._trace, step, [*args, *named.values()])
        self.functions.setdefault(name)
        self._provenance.note(function, args, named, result)
        if self._trace is not None and step is not None:
            self._trace.note_result(result, self._provenance)
        return result

    def _add(self, trace: OwnProducts, step: Step, given: Sequence[Any]) -> None:
        within = self._running(3)
        tensors = [each for each in given if torch.is_tensor(each)]
        owner = next((each for each in within if not _is_step(each)), None)
        of = self._provenance
        if isinstance(step, Product):
            operands = tensors[-2:]
            is_cross = len(operands) == 2 and of.is_cross(operands[0], operands[1], within)
            origins = tuple(map(of.origin, operands))
            trace.add(step, owner, within, origins, is_cross=is_cross)
        else:
            trace.add(step, owner, within, (of.origin(step.given),))

    def _running(self, depth: int = 2) -> list[nn.Module]:
        """Return the module's parts whose code is running, the innermost first."""
        found: list[nn.Module] = []
        frame = sys._getframe(depth)
        while frame is not None:
            owner = frame.f_locals.get("self") if "self" in frame.f_code.co_varnames else None
            if isinstance(owner, nn.Module) and owner in self._parts and owner not in found[-1:]:
                found.append(owner)
            frame = frame.f_back  # type: ignore[assignment]
        return found

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
        self._check(query, key, value)
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
        own = OwnFunctions(plain, _eager, is_cross=is_cross)
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
        self._check(query, key, given["value"])
        is_cross = self._provenance.is_cross(query, key, within[1:], are_mapped=False)
        needs_weights = given.get("need_weights", True)
        own = OwnFunctions(
            _with_weights if needs_weights else _fused,
            _with_weights if needs_weights else _eager,
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
        return output, weights if query.ndim == _MAPPED_BATCH else weights.squeeze(0)

    def _check(self, *tensors: torch.Tensor) -> None:
        if any(each.is_nested for each in tensors):
            raise CaptureError(
                f"Expected tensors of one length in the attention of {self._name}, got nested "
                "ones. Pad them (torch.nested.to_padded_tensor) and give a mask of the padding."
            )


class OwnProducts:
    """The products and softmaxes of a run, with what computes each and what it was made of."""

    def __init__(self) -> None:
        self.events: list[Step] = []
        self._notes: list[_Noted] = []
        #: The size of the batch of the run.
        self.batch: int | None = None

    def add(
        self,
        step: Step,
        owner: nn.Module | None,
        within: Sequence[nn.Module],
        origins: tuple[Origin | None, ...],
        *,
        is_cross: bool = False,
    ) -> None:
        """Note a step, with the origins of its operands."""
        used = (step.left, step.right) if isinstance(step, Product) else (step.given,)
        versions = [(tensor, tensor._version) for tensor in (step.result, *used)]
        self.events.append(step)
        self._notes.append(_Noted(owner, within, origins, is_cross, versions))

    def note_result(self, result: Any, provenance: Provenance) -> None:
        """Note the origin of what the last step gave, once it is known."""
        self.batch = provenance.batch(self._notes[-1].within)
        self._notes[-1].result = provenance.origin(result)

    def attentions(self, model: str) -> Iterator[OwnAttention]:
        """Yield the attentions among the steps, in their order.

        A softmax over the last dimension of a product of two states, which weighs a third, is one.

        Args:
            model: the model's name, for errors.

        Raises:
            CaptureError: heads cannot be told from texts, or what was computed has been changed in
                place since.
        """
        for place, event in enumerate(self.events):
            note = self._notes[place]
            if not isinstance(event, Softmax) or not event.is_over_last or note.owner is None:
                continue
            if event.result.ndim < _MAPPED_BATCH or (before := self._scores_of(place)) is None:
                continue
            after = weighing_after(place, self.events, event.result.numel())
            if after is None or not self._notes[after].has_states:
                continue
            layout = HeadLayout.of(event.result, note.within[0], self.batch)
            self._check_unchanged(note.owner, before, place, after)
            kind = "cross" if self._notes[before].is_cross else "self"
            shape = layout.by_head(event.result).shape
            yield self._attention(place, after, note.owner, kind, shape, model)

    def _attention(
        self,
        place: int,
        after: int,
        owner: nn.Module,
        kind: str,
        shape: Sequence[int],
        model: str,
    ) -> OwnAttention:
        weighing = self.events[after]
        assert isinstance(weighing, Product)
        try:
            parts = parts_at(place, self.events, shape, model)
            products = products_at(place, self.events, parts, model)
        except (CaptureError, RuntimeError):
            # What weighs is not the softmax: heads are mixed, or some weights changed, in between.
            return OwnAttention(owner, kind, {"attentions": weighing.left.reshape(*shape)}, None)
        if self._weighs_again(place, after):
            kept = ("attentions", "scores", "queries", "keys")
            return OwnAttention(owner, kind, {name: parts[name] for name in kept}, None)
        return OwnAttention(owner, kind, parts, products)

    def _scores_of(self, place: int) -> int | None:
        """Return the number of the product of two states that a softmax is taken of."""
        of_softmax = self._notes[place].origins[0]
        for number in range(place - 1, -1, -1):
            event, note = self.events[number], self._notes[number]
            if not isinstance(event, Product) or event.result.numel() != (
                self.events[place].result.numel()
            ):
                continue
            if note.result is None or not note.has_states:
                continue
            is_near = note.owner is self._notes[place].owner
            if follows(of_softmax, note.result, most_maps=1 if is_near else 0):
                return number
            return None
        return None

    def _weighs_again(self, place: int, after: int) -> bool:
        """Return whether a pattern weighs something else besides, such as values of positions."""
        weights = self.events[after].left  # type: ignore[union-attr]
        pointers = {t.untyped_storage().data_ptr() for t in (weights, self.events[place].result)}
        later = [each for each in self.events[after + 1 :] if isinstance(each, Product)]
        return any(
            operand.untyped_storage().data_ptr() in pointers
            for each in later
            for operand in (each.left, each.right)
        )

    def _check_unchanged(self, owner: nn.Module, *places: int) -> None:
        # Scores are masked and scaled in place before the softmax, which is taken of what is left.
        before, *later = (self._notes[place].versions for place in places)
        versions = [*before[1:], *(each for of_step in later for each in of_step)]
        if any(tensor._version != version for tensor, version in versions):
            raise CaptureError(
                f"Expected the queries, keys, values and weights of {type(owner).__name__} to stay "
                "as they were when it attended, but it writes over them later. Let it make new "
                "tensors, such as x = x * y for x *= y."
            )


@dataclass
class _Noted:
    """What is known of a step of a run."""

    owner: nn.Module | None
    within: Sequence[nn.Module]
    origins: tuple[Origin | None, ...]
    is_cross: bool
    versions: list[tuple[torch.Tensor, int]]  # of the result first, then of what it was made of
    result: Origin | None = None

    @property
    def has_states(self) -> bool:
        """Return whether the right side of a product is of states, not weights themselves.

        A gate multiplies states by weights, takes a softmax and multiplies by weights again.
        """
        return len(self.origins) == 2 and self.origins[1] is not None


class OwnAttention(NamedTuple):
    """An attention that a module computes by products and a softmax.

    Args:
        module: the module.
        kind: ``self`` or ``cross``.
        parts: what it computes, as far as it is by head.
        products: its steps in the run; none where they are more than a product, a softmax and a
            product, so that nothing can be changed.
    """

    module: nn.Module
    kind: str
    parts: Mapping[str, torch.Tensor]
    products: AttentionProducts | None


def _is_step(module: nn.Module) -> bool:
    """Return whether a module is a step of another's code, such as ``nn.Softmax``."""
    return isinstance(module, nn.Softmax | nn.Dropout | nn.Linear)


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
        if query.ndim < _MAPPED_BATCH:
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
        if mask.ndim <= 2:
            return mask.reshape(1, 1, *([1] * (2 - mask.ndim)), *mask.shape)
        if self._is_fused:
            if mask.shape[0] == 1:
                return mask[None]
            return mask.reshape(self._lead[0], -1, *mask.shape[-2:])
        lead = math.prod(self._lead)
        if mask.ndim > _BY_HEAD:
            whole = (*self._lead, mask.shape[-3], *mask.shape[-2:])
            return mask.expand(whole).reshape(lead, *mask.shape[-3:])
        if mask.ndim == _BY_HEAD and len(self._lead) > 1:
            whole = (*self._lead, *mask.shape[-3:])
            return mask.expand(whole).reshape(lead, *mask.shape[-3:])
        return mask if mask.ndim == _BY_HEAD else mask[None]


def _unclear(module: nn.Module, query: torch.Tensor) -> CaptureError:
    return CaptureError(
        f"Expected attention of {type(module).__name__} over (batch, num_heads, length, size), got "
        f"queries or weights of shape {tuple(query.shape)}, of which texts and heads cannot be "
        "told apart. Give heads a dimension of their own after the batch; or one text at a time, "
        "to a module that has their number as `num_heads`."
    )


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
