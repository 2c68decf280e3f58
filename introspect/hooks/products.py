"""The legacy route: queries, keys and values of models that bypass the attention interface.

Such a model still multiplies queries by keys, takes a softmax and multiplies the result by the
values. A mode that traces these three steps finds them without knowing the model. Its findings are
checked against the attention that the model returns, and refused if they do not match.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from introspect.errors import CaptureError
from introspect.hooks.interface import active_editors, unreadable
from introspect.hooks.running import Sign, Signs

#: All functions by which a model may call it; calls nested inside one of them are not seen again.
SOFTMAX = (torch.softmax, torch.nn.functional.softmax, torch.Tensor.softmax)


_PRODUCTS = (
    torch.matmul,
    torch.bmm,
    torch.Tensor.matmul,
    torch.Tensor.bmm,
    torch.Tensor.__matmul__,
)
_SUMMED_PRODUCTS = (torch.baddbmm, torch.Tensor.baddbmm)
_STEPS = (*SOFTMAX, *_PRODUCTS, *_SUMMED_PRODUCTS, torch.einsum)
_TOLERANCE = 1e-4
_HALF_TOLERANCE = 3e-2
# How many steps after its softmax a pattern is used, where heads are mixed in between.
_FEW_STEPS = 3


@dataclass(frozen=True, eq=False)
class Product:
    """A product ``left @ right`` of ``(..., rows, inner)`` and ``(..., inner, columns)``.

    ``order`` is the permutation that brings the dimensions of the computed result into this order,
    if they are in another.
    """

    left: torch.Tensor
    right: torch.Tensor
    result: torch.Tensor
    order: tuple[int, ...] | None = None

    def as_computed(self, result: torch.Tensor) -> torch.Tensor:
        """Return another result in the shape and order in which this one was computed."""
        shaped = result.reshape(self.result.shape)
        if self.order is None:
            return shaped
        return shaped.permute([self.order.index(place) for place in range(len(self.order))])


@dataclass(frozen=True, eq=False)
class Softmax:
    """The input and output of a softmax, and whether it is taken over the last dimension."""

    given: torch.Tensor
    result: torch.Tensor
    is_over_last: bool = True


Step = Product | Softmax


@dataclass(frozen=True)
class AttentionProducts:
    """The steps of a run that belong to one attention.

    Args:
        softmax: the number of the softmax that computes the pattern.
        weighing: the number of the product with the values.
        heads, key_value_heads: the number of heads of each kind.
        run: the signs of all steps of that run, by which another is held to it.
    """

    softmax: int
    weighing: int
    heads: int
    key_value_heads: int
    run: tuple[Sign, ...] = ()


class ProductTrace(TorchFunctionMode):
    """Records the batched products and softmaxes of this thread, in order, while it is open.

    Args:
        signs: tells which part of a model computes each, where that matters.

    Example:
        >>> with ProductTrace() as trace:
        ...     _ = torch.softmax(torch.tensor([1.0, 2.0]), dim=-1)
        >>> trace.events[0].given
        tensor([1., 2.])
    """

    def __init__(self, signs: Signs | None = None) -> None:
        super().__init__()
        self.events: list[Step] = []
        #: The sign of each step, if they are told apart.
        self.run: list[Sign] = []
        self._signs = signs

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run ``function``, and record it if it may be a step of attention."""
        result = function(*args, **(kwargs or {}))
        if step := step_of(function, args, kwargs or {}, result):
            self.events.append(step)
            if self._signs is not None:
                self.run.append(self._signs.sign(type(step).__name__))
        return result


def step_of(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], result: Any
) -> Step | None:
    """Return what a function computed, if it may be a step of attention, and can be read."""
    if function not in _STEPS or unreadable((result,)):
        return None
    if function in SOFTMAX:
        dim = kwargs.get("dim", args[1] if len(args) > 1 else -1)
        return Softmax(args[0] if args else kwargs["input"], result, dim in (-1, result.ndim - 1))
    if function in _PRODUCTS and result.ndim > 2:
        left, right, *_ = (*args, *(kwargs[n] for n in ("input", "other", "mat2") if n in kwargs))
        return Product(left, right, result)
    if function in _SUMMED_PRODUCTS:
        left, right = (*args[1:3], *(kwargs[n] for n in ("batch1", "batch2") if n in kwargs))
        return Product(left, right, result)
    if function is torch.einsum and len(args) == 3 and isinstance(args[0], str):
        return _from_einsum(args[0], args[1], args[2], result)
    return None


def parts_behind(own: torch.Tensor, trace: ProductTrace, model: str) -> dict[str, torch.Tensor]:
    """Find all parts of the attention that belong to a pattern.

    Args:
        own: ``(batch, num_heads, query_len, key_len)``, as the model returned it: its attention,
            or, in a few models, its scores.
        trace: the steps of the model's run.
        model: the model's name, for errors.

    Raises:
        CaptureError: a part was not found, or does not match the attention; the message says which.
    """
    place = _softmax_of(own, trace.events)
    if place is None:
        raise _missing("scores", model, "no softmax gave the attention that it returns")
    return parts_at(place, trace.events, own.shape, model)


def parts_at(
    place: int, events: Sequence[Step], shape: Sequence[int], model: str
) -> dict[str, torch.Tensor]:
    """Return all parts of the attention whose pattern a softmax computes.

    Args:
        place: the number of the softmax.
        events: the steps of the model's run.
        shape: of the pattern, ``(batch, num_heads, query_len, key_len)``.
        model: the model's name, for errors.

    Raises:
        CaptureError: a part was not found, or does not match the attention; the message says which.
    """
    batch, heads = shape[:2]
    softmax = events[place]
    assert isinstance(softmax, Softmax)
    attention = softmax.result.reshape(*shape)
    before = _product_before(place, events, attention.numel())
    if before is None:
        raise _missing("queries", model, "no product of two tensors came before its softmax")
    after = events[_weighing(place, events, attention, model)]
    assert isinstance(after, Product)
    parts = {
        "attentions": attention,
        "scores": softmax.given.reshape(attention.shape),
        "queries": by_head(before.left, batch, heads),
        "keys": by_head(before.right.transpose(-1, -2), batch, heads),
        "values": by_head(after.right, batch, heads),
        "head_outputs": by_head(after.result, batch, heads),
    }
    _check(attention, parts, model)
    return parts


def products_behind(own: torch.Tensor, trace: ProductTrace, model: str) -> AttentionProducts:
    """Find the steps of a run that belong to a pattern.

    Args:
        own: ``(batch, num_heads, query_len, key_len)``, as the model returned it.
        trace: the steps of the model's run.
        model: the model's name, for errors.

    Raises:
        CaptureError: they were not found, or do not match the attention.
    """
    parts = parts_behind(own, trace, model)
    softmax = _softmax_of(own, trace.events)
    assert softmax is not None
    return products_at(softmax, trace.events, parts, model, run=trace.run)


def weighing_after(place: int, events: Sequence[Step], size: int) -> int | None:
    """Return the number of the product in which a pattern weighs something, if there is one.

    Between its softmax and that product heads may be mixed, or weights changed.
    """
    for number in range(place + 1, min(len(events), place + 1 + _FEW_STEPS)):
        event = events[number]
        if isinstance(event, Product) and event.left.numel() == size:
            return number
    return None


def products_at(
    place: int,
    events: Sequence[Step],
    parts: Mapping[str, torch.Tensor],
    model: str,
    *,
    run: Sequence[Sign],
) -> AttentionProducts:
    """Return the steps that belong to the softmax at ``place``, whose parts are known."""
    weighing = _weighing(place, events, parts["attentions"], model)
    heads, shared = parts["head_outputs"].shape[1], parts["values"].shape[1]
    return AttentionProducts(place, weighing, heads, shared, tuple(run))


def _check(attention: torch.Tensor, parts: Mapping[str, torch.Tensor], model: str) -> None:
    """Check that the scores give the attention, and that the head outputs follow from it."""
    if active_editors():
        return  # an intervention may have changed the patterns or the heads' outputs
    softmax = parts["scores"].float().softmax(-1)
    tolerance = _TOLERANCE if attention.element_size() > 2 else _HALF_TOLERANCE
    if not (softmax - attention).abs().max() <= tolerance:
        raise _missing("scores", model, "their softmax is not the attention that it returns")
    values = parts["values"]
    repeated = values.repeat_interleave(attention.shape[1] // values.shape[1], dim=1)
    expected = attention.to(repeated.dtype) @ repeated
    scale = expected.abs().max().clamp(min=1)
    if not (expected - parts["head_outputs"]).abs().max() <= tolerance * scale:
        raise _missing("values", model, "weighed by the attention they are not the heads' output")


def _softmax_of(own: torch.Tensor, events: Sequence[Step]) -> int | None:
    """Return the index of the softmax whose output or input is what the model returned."""
    for place, event in enumerate(events):
        if isinstance(event, Softmax) and event.result.numel() == own.numel():
            for side in (event.result, event.given):
                if torch.allclose(side.reshape(own.shape), own, atol=1e-6, rtol=0):
                    return place
    return None


def _product_before(place: int, events: Sequence[Step], size: int) -> Product | None:
    """Return the first product of that size since the previous softmax; later ones add to it."""
    product = None
    for event in reversed(events[:place]):
        if isinstance(event, Softmax):
            break
        if event.result.numel() == size:
            product = event
    return product


def _weighing(place: int, events: Sequence[Step], attention: torch.Tensor, model: str) -> int:
    """Return the index of the product with the values, after the softmax at ``place``."""
    for number, event in enumerate(events[place + 1 :], start=place + 1):
        is_weighing = isinstance(event, Product) and event.left.numel() == attention.numel()
        if is_weighing and event.right.shape[-2] == attention.shape[-1]:  # type: ignore[union-attr]
            return number
    raise _missing("values", model, "no product followed its softmax")


def by_head(tensor: torch.Tensor, batch: int, heads: int) -> torch.Tensor:
    """Reshape to ``(batch, num_heads, length, size)``, with fewer heads if they are shared."""
    if tensor.ndim == 4 and tensor.shape[0] == batch:
        return tensor
    if tensor.ndim == 3 and tensor.shape[0] == batch and heads > 1:
        return tensor[:, None]  # one head for all queries
    return tensor.reshape(batch, -1, *tensor.shape[-2:])


def _from_einsum(
    equation: str, left: torch.Tensor, right: torch.Tensor, result: torch.Tensor
) -> Product | None:
    """Express a two-operand einsum with one summed index as a product of matrices."""
    inputs, _, output = equation.replace(" ", "").partition("->")
    first, _, second = inputs.partition(",")
    summed = [letter for letter in first if letter in second and letter not in output]
    shared = [letter for letter in output if letter in first and letter in second]
    rows = [letter for letter in output if letter in first and letter not in second]
    columns = [letter for letter in output if letter in second and letter not in first]
    if not (len(summed) == len(rows) == len(columns) == 1 and len(shared) == 2):
        return None
    batch = "".join(shared)
    if first.index(batch[0]) > first.index(batch[1]) and second.index(batch[0]) > second.index(
        batch[1]
    ):
        batch = batch[::-1]

    def ordered(tensor: torch.Tensor, letters: str, wanted: str) -> torch.Tensor:
        return tensor.permute([letters.index(letter) for letter in wanted])

    wanted = batch + rows[0] + columns[0]
    return Product(
        ordered(left, first, batch + rows[0] + summed[0]),
        ordered(right, second, batch + summed[0] + columns[0]),
        ordered(result, output, wanted),
        order=tuple(output.index(letter) for letter in wanted),
    )


def _missing(part: str, model: str, why: str) -> CaptureError:
    return CaptureError(
        f"Expected to find the {part} of {model}, which computes attention by itself, but {why}. "
        "Ask for 'attentions' alone, which it returns."
    )
