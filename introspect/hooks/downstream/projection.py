"""The output projection of an attention module, and the values of each head after it.

Its name differs from model to model (``o_proj``, ``c_proj``, BERT's sibling ``output.dense``), but
its input does not: the concatenated outputs of all heads. So it is found by its input in a real
run, and checked against its output: if the weighted and projected values of all heads do not add up
to it, an error is raised and no number is returned.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from introspect.changes import Changes
from introspect.errors import CaptureError
from introspect.functional import value_norms
from introspect.hooks.loans import hook_after, without_dropout
from introspect.hooks.watchers import same_output
from introspect.records import PARTS_BY_NAME
from introspect.text import quantity

#: The parts from which the norms of values are derived.
BEHIND_NORMS = PARTS_BY_NAME["value_norms"].behind


Linear = nn.Linear | Conv1D

# So many unit vectors are given to a module at a time, to ask what it does with them.
_MOST_ASKED = 1024


@dataclass(frozen=True, eq=False)
class Projection:
    """The map that takes the outputs of all heads of an attention module.

    Args:
        layer: the module that computes it: a linear layer, or what an adapter or a quantization
            has put in its place.
        num_heads: the number of heads that its input consists of.
        rows: ``(num_heads * head_dim, hidden_size)``: what it makes of each number of its input.
        bias: what it adds, ``(hidden_size,)``; ``None`` where it adds nothing.
        is_coarse: whether it is quantized, and may compute in coarser numbers than its input's.
    """

    layer: nn.Module
    num_heads: int
    rows: torch.Tensor
    bias: torch.Tensor | None = None
    is_coarse: bool = False

    @property
    def by_head(self) -> torch.Tensor:
        """``(num_heads, head_dim, hidden_size)``: the part of the map that each head uses."""
        return self.rows.reshape(self.num_heads, -1, self.rows.shape[-1])

    def norms(self, values: torch.Tensor) -> torch.Tensor:
        """Compute the norm of each projected value, for any run of this module or a whole batch.

        Args:
            values: ``(batch, num_key_value_heads, key_len, head_dim)``, as an attention module
                passes them on.

        Returns:
            ``(batch, num_heads, key_len)``.
        """
        return value_norms(values, self.by_head)

    def output(self, attentions: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Compute the sum over heads and keys of the weighted and projected values, plus the bias.

        Args:
            attentions: ``(batch, num_heads, query_len, key_len)``.
            values: ``(batch, num_key_value_heads, key_len, head_dim)``.
        """
        repeated = values.repeat_interleave(self.num_heads // values.shape[1], dim=1)
        heads = attentions.to(values.dtype) @ repeated
        total = torch.einsum("bhqd,hdm->bqm", heads, self.by_head.to(values.dtype))
        return total if self.bias is None else total + self.bias


def written_map(layer: nn.Module) -> tuple[torch.Tensor, torch.Tensor | None] | None:
    """Return the rows and the bias of a linear layer as its weights have them.

    ``None`` where they cannot be read: they are packed (quantized) or not in memory (offloaded).
    """
    if not isinstance(layer, Linear):
        return None
    weight, bias = layer.weight.detach(), layer.bias
    if weight.device.type == "meta" or not weight.is_floating_point() or weight.ndim != 2:
        return None
    shape = (layer.nx, layer.nf) if isinstance(layer, Conv1D) else weight.shape
    if isinstance(layer, nn.Linear) and weight.shape != (layer.out_features, layer.in_features):
        return None
    rows = weight if isinstance(layer, Conv1D) else weight.T
    is_whole = tuple(weight.shape) == tuple(shape)
    return (rows, None if bias is None else bias.detach()) if is_whole else None


def asked_map(layer: nn.Module, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the rows and the bias of a module as it answers unit vectors.

    Args:
        layer: the module.
        like: its input in a run, ``(..., size)``.
    """
    size = like.shape[-1]
    _unpack(layer)
    # A quantized layer computes with its whole numbers where it is asked for a gradient.
    with torch.enable_grad(), without_dropout(layer):
        zero = like.new_zeros(1, 1, size, requires_grad=True)
        bias = layer(zero)[0, 0].detach()
        rows = []
        for first in range(0, size, _MOST_ASKED):
            units = torch.eye(size, dtype=like.dtype, device=like.device)[None]
            some = units[:, first : first + _MOST_ASKED].requires_grad_()
            rows.append(layer(some)[0].detach() - bias)
    return torch.cat(rows), bias if bool(bias.any()) else None


def _unpack(layer: nn.Module) -> None:
    """Undo the packing of weights for a processor, which a run does again."""
    for part in layer.modules():
        if is_coarse(part):
            part.state_dict()


def is_coarse(layer: nn.Module) -> bool:
    """Return whether a layer is quantized by bitsandbytes, or holds one that is."""
    return any(type(part).__module__.startswith("bitsandbytes") for part in layer.modules())


@dataclass(frozen=True, eq=False)
class SeenLayer:
    """A layer that ran, with its input and its output.

    Args:
        layer: the layer.
        given: its input.
        result: its output.
        order: its place among all that ran.
        version: how often its output had been written to when it gave it.
        is_alone: whether it was given this input and no other tensor.
    """

    layer: nn.Module
    given: torch.Tensor
    result: torch.Tensor
    order: int = 0
    version: int = 0
    is_alone: bool = True

    @property
    def output(self) -> torch.Tensor:
        """The output as the layer gave it, also where the model has added to it in place since."""
        if self.result._version == self.version:
            return self.result
        with torch.no_grad(), without_dropout(self.layer):
            again: torch.Tensor = self.layer(self.given)
        return again


class LinearLog:
    """Records the input and output of each linear layer of a model, in this thread, while open."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._thread = threading.get_ident()
        #: The layers that ran, in order.
        self.seen: list[SeenLayer] = []
        #: The modules with weights that ran, linear layers and whatever holds them, in order.
        self.maps: list[SeenLayer] = []
        self._weighty: set[nn.Module] = set()
        self._count = 0

    def notes(self, part: nn.Module) -> bool:
        """Return whether a part of the model is one of the layers to record."""
        return isinstance(part, Linear | nn.MultiheadAttention)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Record the layers that run while the context is open."""
        parts = [
            part
            for part in self._module.modules()
            if part is not self._module or isinstance(part, nn.MultiheadAttention)
        ]
        self._weighty = {part for part in parts if _has_weights(part)}
        noted = [part for part in parts if part in self._weighty or self.notes(part)]
        with Changes() as changes:
            hook_after(changes, noted, self._note, with_kwargs=True)
            yield

    def _note(self, layer: nn.Module, args: tuple[Any, ...], *rest: Any) -> None:
        # Hooks belong to the module, so runs in other threads call them too. A run that is under
        # way when the hook is removed still calls it, then without kwargs.
        if threading.get_ident() != self._thread:
            return
        kwargs, result = rest
        tensors = [each for each in (*args, *kwargs.values()) if torch.is_tensor(each)]
        made = result[0] if isinstance(result, tuple) and result else result
        if not tensors or not torch.is_tensor(made):
            return
        self._count += 2  # room for what a module has computed, but not called
        seen = SeenLayer(
            layer=layer,
            given=tensors[0].detach(),
            result=made.detach(),
            order=self._count,
            version=made._version,
            is_alone=len(tensors) == 1 and torch.is_tensor(result),
        )
        if layer in self._weighty:
            self.maps.append(seen)
        is_several = isinstance(layer, nn.MultiheadAttention)
        if self.notes(layer) and args and (torch.is_tensor(result) or is_several):
            self.seen.append(seen)

    def given(self, head_outputs: torch.Tensor) -> list[SeenLayer]:
        """Return the modules that received these head outputs, those that hold others first.

        Args:
            head_outputs: ``(batch, num_heads, query_len, head_dim)``.
        """
        given = head_outputs.transpose(1, 2).flatten(2)
        found = [seen for seen in self.maps if seen.is_alone and _is_given(seen, given)]

        def held(seen: SeenLayer) -> int:
            inside = set(seen.layer.modules())
            return sum(other.layer in inside for other in found)

        return sorted(found, key=lambda seen: (-held(seen), seen.order))

    def within_torch(self, head_outputs: torch.Tensor) -> list[SeenLayer]:
        """Return the projections that torch may have given these head outputs in its own code.

        ``nn.MultiheadAttention`` does not call its ``out_proj``, but multiplies with its weights;
        what the whole module returned is the result.

        Args:
            head_outputs: ``(batch, num_heads, query_len, head_dim)``.
        """
        given = head_outputs.transpose(1, 2).flatten(2)
        found = []
        for seen in self.maps:
            several = seen.layer
            if isinstance(several, nn.MultiheadAttention) and seen.result.numel() == given.numel():
                is_batch_first = several.batch_first or seen.result.ndim < given.ndim
                result = seen.result if is_batch_first else seen.result.transpose(0, 1)
                own = replace(seen, layer=several.out_proj, given=given, result=result)
                found.append(replace(own, order=seen.order - 1))
        return found

    def beside(self, seen: SeenLayer, head_outputs: torch.Tensor) -> list[SeenLayer]:
        """Return the modules that received head outputs too, apart from a layer and its parts."""
        inside = set(seen.layer.modules())
        return [
            other
            for other in self.given(head_outputs)
            if other.layer not in inside and seen.layer not in set(other.layer.modules())
        ]

    def around(self, *layers: SeenLayer) -> SeenLayer | None:
        """Return the innermost module that holds layers."""
        last = max(seen.order for seen in layers)
        for other in self.maps:
            inside = set(other.layer.modules()) - {other.layer} if other.order > last else set()
            if all(seen.layer in inside for seen in layers):
                return other
        return None


def _is_given(seen: SeenLayer, given: torch.Tensor) -> bool:
    is_of_size = seen.given.numel() == given.numel() and seen.given.shape[-1] == given.shape[-1]
    return is_of_size and torch.equal(seen.given.reshape(given.shape), given)


def _has_weights(part: nn.Module) -> bool:
    """Return whether a module has a matrix in it, as a parameter or, quantized, as a buffer."""
    return any(tensor.ndim >= 2 for tensor in (*part.parameters(), *part.buffers()))


def held_projection(
    log: LinearLog, parts: Mapping[str, torch.Tensor], model: str
) -> tuple[Projection, SeenLayer]:
    """Find the output projection of one layer, and check it against its output.

    The outermost module that is given the heads' outputs and maps them linearly is taken: an
    adapter holds the layer that it adapts.

    Args:
        log: what the linear layers computed in that run.
        parts: ``attentions``, ``values`` and ``head_outputs`` of the layer.
        model: the model's name, for errors.

    Returns:
        The projection, and its run.

    Raises:
        CaptureError: no layer received the heads' outputs unchanged, or the heads' contributions
            do not add up to its output.
    """
    outputs = parts["head_outputs"]
    found = log.given(outputs) or log.within_torch(outputs)
    if not found:
        raise refused(
            model,
            "no linear layer is given the outputs of its heads as they are: what comes between, "
            "such as a gate, would change the norms",
        )
    attentions, values = parts["attentions"], parts["values"]
    heads = outputs.shape[1]
    if values.shape[2] != attentions.shape[-1] or heads % values.shape[1]:
        raise refused(model, "its values are not those of the keys that are attended to")
    nearest = float("inf")
    for seen in found:
        for projection in _maps_of(seen, heads):
            difference, is_same = _difference(projection, seen, attentions, values)
            if is_same:
                return projection, seen
            nearest = min(nearest, difference)
    raise refused(
        model,
        f"they add up to something else, {quantity(nearest)} away: its layer does more than "
        "multiply with its weights",
    )


def _maps_of(seen: SeenLayer, heads: int) -> Iterator[Projection]:
    """Yield the map of a layer, as its weights have it and then as it answers when asked."""
    written = written_map(seen.layer)
    size = seen.given.shape[-1]
    if written is not None and written[0].shape == (size, seen.result.shape[-1]):
        yield Projection(seen.layer, heads, *written)
    try:
        rows, bias = asked_map(seen.layer, seen.given)
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError):
        return  # it takes something else than one state
    if rows.shape == (size, seen.result.shape[-1]):
        yield Projection(seen.layer, heads, rows, bias, is_coarse(seen.layer))


def held_rows(layer: nn.Module, given: torch.Tensor, result: torch.Tensor) -> torch.Tensor | None:
    """Return what a module makes of each number of its input, if a linear map is all that it does.

    Args:
        layer: the module.
        given: its input in a run, ``(..., size)``.
        result: its output in that run, ``(..., width)``.

    Returns:
        ``(size, width)``; ``None`` if the map, with its bias, does not give that output.
    """
    for found in _maps_of(SeenLayer(layer, given, result), 1):
        made = given.to(found.rows.dtype) @ found.rows
        made = made if found.bias is None else made + found.bias
        numbers = torch.bfloat16 if found.is_coarse else result.dtype
        allowed = same_output(numbers) * result.abs().max().clamp(min=1)
        if bool((made - result).abs().max() <= allowed):
            return found.rows
    return None


def _difference(
    projection: Projection, seen: SeenLayer, attentions: torch.Tensor, values: torch.Tensor
) -> tuple[float, bool]:
    """Return how far a map is from the layer's output, and whether that is rounding."""
    batch, _, length, _ = attentions.shape
    result = seen.output.reshape(batch, length, -1)
    difference = (projection.output(attentions, values) - result).abs().max()
    numbers = torch.bfloat16 if projection.is_coarse else result.dtype
    is_same = bool(difference <= same_output(numbers) * result.abs().max().clamp(min=1))
    return float(difference), is_same


def refused(model: str, why: str) -> CaptureError:
    """Return the error of a model whose heads' contributions cannot be told apart."""
    return CaptureError(
        f"Expected the values of {model} to add up, weighed and projected, to the output of its "
        f"attention, but {why}. Leave 'value_norms', 'residual_norms' and 'contributions' out of "
        "`include`, and take raw weights."
    )
