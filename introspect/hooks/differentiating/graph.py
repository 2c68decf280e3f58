"""A run whose attention weights are in the graph, so that they can be differentiated.

What other watchers hand over is cut off from the graph. This one puts the weights into it: each
module's output is made of the very tensor that is handed over, as weights × values, and is held to
what the model's own function gave. Models that compute attention by themselves return theirs: it
is in the graph, or it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from introspect.errors import CaptureError
from introspect.hooks.borrowing import borrowed_attention
from introspect.hooks.interface import IMPLEMENTATION, Attended, AttentionCall, watching
from introspect.hooks.observation import Observation
from introspect.hooks.own_output import OUTPUT_ROUTE, OWN_OUTPUTS, are_weights, own_attention

__all__ = [
    "GraphRun",
    "GraphWatcher",
    "LayerWeights",
    "check_can_differentiate",
    "not_in_graph",
    "run_in_graph",
    "run_with_weights",
]

_INTERFACE_ROUTE = "attention interface, with the weights in the graph"
_OWN_ROUTE = f"{OUTPUT_ROUTE}, in the graph"

# How far weights × values may be from what the model's own function gives.
_SAME_OUTPUT = {torch.float32: 1e-4, torch.float64: 1e-8}
_SAME_OUTPUT_HALF = 3e-2


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """The weights of one layer, in the graph.

    Args:
        kind: which kind of attention.
        layer: the model's own number.
        call: which call of an attention function it was, of all in the run.
        weights: ``(batch, num_heads, query_len, key_len)``.
    """

    kind: str
    layer: int
    call: int
    weights: torch.Tensor


@dataclass(frozen=True, eq=False)
class GraphRun:
    """What such a run gave.

    Args:
        output: what the model returned.
        layers: the weights of each layer that was asked for.
        route: how they were had.
        output_errors: for each module how far weights × values are from what it gives.
    """

    output: Any
    layers: Sequence[LayerWeights]
    route: str
    output_errors: Sequence[torch.Tensor]

    @property
    def is_replaceable(self) -> bool:
        """Whether the run can be made again with other weights."""
        return self.route == _INTERFACE_ROUTE


class GraphWatcher:
    """Computes attention so that its weights are in the graph of the output.

    Args:
        given: weights to use in place of the model's own, by the number of the call.
    """

    needs_eager_masks = True

    def __init__(self, given: Mapping[int, torch.Tensor] | None = None) -> None:
        self.receive: Callable[[AttentionCall, Mapping[str, torch.Tensor]], None] | None = None
        self.calls = 0
        #: For each module how far weights × values are from what it gives.
        self.output_errors: list[torch.Tensor] = []
        self._given = given or {}

    def attend(self, call: AttentionCall) -> Attended:
        """Compute the attention of one module."""
        output, weights = call.eager()
        name = type(call.module).__name__
        if weights is None:
            raise CaptureError(
                f"Expected attention weights from {name} to differentiate, got none."
            )
        difference = (_weighed(weights, call.values, output, name) - output).detach().abs().max()
        scale = output.detach().abs().max().clamp(min=1)
        if not difference <= _SAME_OUTPUT.get(output.dtype, _SAME_OUTPUT_HALF) * scale:
            raise _not_product(name)
        self.output_errors.append(difference)
        weights = self._given.get(self.calls, weights)
        if not weights.requires_grad:  # nothing that it was made of is to be differentiated
            weights.requires_grad_()
        self.calls += 1
        if self.receive is not None:
            self.receive(call, {"attentions": weights})
        return _weighed(weights, call.values, output, name), weights


def check_can_differentiate() -> None:
    """Refuse to differentiate where torch keeps nothing to do it with.

    Raises:
        CaptureError: within ``torch.inference_mode``.
    """
    if torch.is_inference_mode_enabled():
        raise CaptureError(
            "Expected to take gradients, but torch.inference_mode is on, in which there are none. "
            "Leave its block first; torch.no_grad may stay."
        )


def run_with_weights(
    module: nn.Module, arguments: dict[str, Any], layers: Sequence[int] | None
) -> GraphRun:
    """Run a model to its end, and hold its attention weights in the graph.

    Args:
        module: the model.
        arguments: of its ``forward``.
        layers: hand over only these layers, by the model's own numbers.

    Raises:
        CaptureError: the model's attention is not weights × values, or it has none; or nothing
            can be differentiated, in ``torch.inference_mode``.
        SelectionError: a layer that does not exist.
    """
    check_can_differentiate()
    found: list[LayerWeights] = []
    watcher = GraphWatcher()

    def take(kind: str, layer: int, parts: Mapping[str, torch.Tensor]) -> None:
        found.append(LayerWeights(kind, layer, watcher.calls - 1, parts["attentions"]))

    observation = Observation(module, layers, None, None, may_stop=False, receive=take)
    watcher.receive = observation.see
    output, route = run_in_graph(module, arguments, watcher, observation), _INTERFACE_ROUTE
    if observation.has_seen_nothing:
        with torch.enable_grad(), borrowed_attention(module, "eager"):
            output, route = module(**arguments, output_attentions=True), _OWN_ROUTE
        for kind, number, weights in own_attention(output, tuple(OWN_OUTPUTS)):
            if not (weights.requires_grad and are_weights(weights.detach())):
                raise not_in_graph(module)
            observation.take(kind, number, {"attentions": weights})
    observation.check(module)
    return GraphRun(output, found, route, watcher.output_errors)


def run_in_graph(
    module: nn.Module,
    arguments: dict[str, Any],
    watcher: GraphWatcher,
    observation: Observation | None = None,
) -> Any:
    """The model's output, with its graph."""
    with (
        torch.enable_grad(),
        borrowed_attention(module, IMPLEMENTATION),
        nullcontext() if observation is None else observation.hooks(),
        watching(watcher),
    ):
        return module(**arguments)


def _weighed(
    weights: torch.Tensor, values: torch.Tensor, output: torch.Tensor, name: str
) -> torch.Tensor:
    """Weights × values, in the form that an attention function gives."""
    heads, shared = weights.shape[1], values.shape[1]
    if values.shape[2] != weights.shape[-1] or heads % shared:
        raise _not_product(name)
    repeated = values.repeat_interleave(heads // shared, dim=1)
    product = (weights.to(values.dtype) @ repeated).transpose(1, 2)
    if product.shape != output.shape:
        raise _not_product(name)
    return product.contiguous()


def _not_product(name: str) -> CaptureError:
    return CaptureError(
        f"Expected the output of {name} as its weights times its values, to differentiate it by "
        "the weights, but it is something else: it does more than weigh. Take raw weights."
    )


def not_in_graph(module: nn.Module) -> CaptureError:
    """The error of a model whose attention is not what its output was made of."""
    return CaptureError(
        f"Expected the attention that {type(module).__name__} returns as a part of the graph of "
        "its output, but it is none: there are no gradients of it. Take raw weights, or give the "
        "model parameters that require gradients."
    )
