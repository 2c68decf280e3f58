"""Runs whose attention weights are in the graph, so that gradients can be taken of them.

Other watchers hand over tensors detached from the graph. This one puts the weights into the graph:
each module's output is computed as weights × values from the very tensor that is handed over, and
is checked against the output of the model's own function. Models that compute attention themselves
return it: it must be in the graph, or the model is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from introspect.changes import Changes
from introspect.errors import CaptureError
from introspect.hooks.arguments import ran
from introspect.hooks.interface import IMPLEMENTATION, Attended, AttentionCall, watching
from introspect.hooks.loans import borrowed_attention
from introspect.hooks.observation import OWN_OUTPUTS, Observation, are_weights
from introspect.hooks.run import OUTPUT_ROUTE, own_attention, run_returning_attention
from introspect.hooks.torch_attention import watch_torch
from introspect.hooks.unwrapping import has_own_attention
from introspect.hooks.watchers import same_output

_INTERFACE_ROUTE = "attention interface, with the weights in the graph"
_OWN_ROUTE = f"{OUTPUT_ROUTE}, in the graph"


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """The weights of one layer, in the graph.

    Args:
        kind: the kind of attention.
        layer: the model's own number of the layer.
        call: the index of the attention call among all calls of the run.
        weights: ``(batch, num_heads, query_len, key_len)``.
    """

    kind: str
    layer: int
    call: int
    weights: torch.Tensor


@dataclass(frozen=True, eq=False)
class GraphRun:
    """The results of a run with its weights in the graph.

    Args:
        output: the model's output.
        layers: the weights of each requested layer.
        route: how the weights were obtained.
        output_errors: for each module, the difference between weights × values and its output.
    """

    output: Any
    layers: Sequence[LayerWeights]
    route: str
    output_errors: Sequence[torch.Tensor]

    @property
    def is_replaceable(self) -> bool:
        """Return whether the run can be repeated with other weights."""
        return self.route == _INTERFACE_ROUTE


class GraphWatcher:
    """Computes attention so that its weights are in the graph of the output.

    Args:
        given: weights to use in place of the model's own, by call number.
    """

    needs_eager_masks = True

    def __init__(self, given: Mapping[int, torch.Tensor] | None = None) -> None:
        self.receive: Callable[[AttentionCall, Mapping[str, torch.Tensor]], None] | None = None
        self.calls = 0
        #: For each module, the difference between weights × values and its output.
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
        if not difference <= same_output(output.dtype) * scale:
            raise _not_product(name)
        self.output_errors.append(difference)
        weights = self._given.get(self.calls, weights)
        if not weights.requires_grad:  # nothing it was computed from requires a gradient
            weights.requires_grad_()
        self.calls += 1
        if self.receive is not None:
            self.receive(call, {"attentions": weights})
        return _weighed(weights, call.values, output, name), weights


def check_can_differentiate() -> None:
    """Raise an error where torch does not record what a gradient needs.

    Raises:
        CaptureError: the call is within ``torch.inference_mode``.
    """
    if torch.is_inference_mode_enabled():
        raise CaptureError(
            "Expected to take gradients, but torch.inference_mode is on, in which there are none. "
            "Leave its block first; torch.no_grad may stay."
        )


def run_with_weights(
    module: nn.Module, arguments: dict[str, Any], layers: Sequence[int] | None
) -> GraphRun:
    """Run a model to its end and keep its attention weights in the graph.

    Args:
        module: the model.
        arguments: the arguments of its ``forward``.
        layers: return only these layers, by the model's own numbers.

    Raises:
        CaptureError: the model's attention is not weights × values, or it has none; or nothing
            can be differentiated, in ``torch.inference_mode``.
        SelectionError: a layer does not exist.
    """
    check_can_differentiate()
    layer_weights: list[LayerWeights] = []
    watcher = GraphWatcher()

    def take(kind: str, layer: int, parts: Mapping[str, torch.Tensor]) -> None:
        layer_weights.append(LayerWeights(kind, layer, watcher.calls - 1, parts["attentions"]))

    observation = Observation(module, layers, None, None, may_stop=False, receive=take)
    watcher.receive = observation.see
    output, route = run_in_graph(module, arguments, watcher, observation), _INTERFACE_ROUTE
    if observation.has_seen_nothing:
        with torch.enable_grad(), borrowed_attention(module, "eager"):
            output, route = run_returning_attention(module, arguments), _OWN_ROUTE
        for kind, number, weights in own_attention(output, tuple(OWN_OUTPUTS)):
            if not (weights.requires_grad and are_weights(weights.detach())):
                raise not_in_graph(module)
            observation.take(kind, number, {"attentions": weights})
    observation.check(module)
    return GraphRun(output, layer_weights, route, watcher.output_errors)


def run_in_graph(
    module: nn.Module,
    arguments: dict[str, Any],
    watcher: GraphWatcher,
    observation: Observation | None = None,
) -> Any:
    """Run the model and return its output with its graph."""
    with (
        torch.enable_grad(),
        borrowed_attention(module, IMPLEMENTATION),
        Changes() as changes,
        watching(watcher),
    ):
        if observation is not None:
            observation.attach(changes)
        if has_own_attention(module):
            watch_torch(changes, module)
        return ran(module, arguments)


def _weighed(
    weights: torch.Tensor, values: torch.Tensor, output: torch.Tensor, name: str
) -> torch.Tensor:
    """Compute weights × values in the shape that an attention function returns."""
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
    """Return the error for a model whose output was not computed from the attention it returns."""
    return CaptureError(
        f"Expected the attention that {type(module).__name__} returns as a part of the graph of "
        "its output, but it is none: there are no gradients of it. Take raw weights, or give the "
        "model parameters that require gradients."
    )
