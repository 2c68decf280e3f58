"""Gradients of a number with respect to attention weights, by a backward pass through a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from introspect.changes import scoped
from introspect.errors import CaptureError, MissingExtraError, SelectionError
from introspect.hooks.arguments import run_arguments
from introspect.hooks.captured import Captured, certificate_of, largest_of
from introspect.hooks.gradients.graph import (
    GraphRun,
    GraphWatcher,
    LayerWeights,
    not_in_graph,
    run_in_graph,
    run_with_weights,
)
from introspect.hooks.unwrapping import watched_module
from introspect.hooks.watchers import same_attention
from introspect.records import names_of_parts

#: The default number of points of the integral.
STEPS = 32


def integrated(
    result: Callable[[torch.Tensor], torch.Tensor], weights: torch.Tensor, *, steps: int = STEPS
) -> tuple[torch.Tensor, float]:
    r"""Compute how much each weight of a layer contributes to a result, from no attention to all.

    .. math:: A \odot \int_0^1 \frac{\partial F(\alpha A)}{\partial A} \, d\alpha

    All heads of the layer are scaled together, and the other layers are recomputed accordingly.
    The integral uses Gauss–Legendre quadrature with ``steps`` points.

    Args:
        result: computes the number *F* from the layer's weights.
        weights: the layer's own weights, ``(batch, num_heads, query_len, key_len)``.
        steps: the number of points of the integral.

    Returns:
        The attribution, shaped like the weights and of either sign; and the difference of its sum
        from :math:`F(A) - F(0)`, which it would equal with infinitely many points.

    Raises:
        MissingExtraError: captum is not installed.

    Source: Hao et al. 2021, "Self-Attention Attribution: Interpreting Information Interactions
    Inside Transformer", equation 3; Sundararajan et al. 2017, "Axiomatic Attribution for Deep
    Networks", for the sum.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise MissingExtraError("captum", "captum", "Integrated gradients") from error
    # One run per step, so that a function of the output need not handle batches.
    method = IntegratedGradients(lambda given: result(given).reshape(1), multiply_by_inputs=True)
    attribution, delta = method.attribute(
        weights,
        baselines=torch.zeros_like(weights),
        n_steps=steps,
        method="gausslegendre",
        internal_batch_size=1,
        return_convergence_delta=True,
    )
    return attribution.detach(), float(delta.abs().max())


#: Parts that a backward pass computes.
GRADIENT_PARTS = names_of_parts("gradient")
GRADIENTS, INTEGRATED = GRADIENT_PARTS

#: Computes a number from a model's output: a tensor of one element, in its graph.
Objective = Callable[[Any], torch.Tensor]


@scoped
def capture_gradients(
    module: nn.Module,
    inputs: Mapping[str, Any],
    of: Objective,
    include: Sequence[str] = (GRADIENTS,),
    *,
    layers: Sequence[int] | None = None,
    steps: int = STEPS,
) -> Captured:
    r"""Run a model and differentiate a number with respect to its attention weights.

    .. math:: \frac{\partial y}{\partial A_{lh}}

    The derivative is total: it includes how a weight changes what later layers attend to.

    Args:
        module: any transformers model that computes attention through the attention interface, or
            returns it in the graph of its output.
        inputs: the arguments of the model's ``forward``.
        of: computes the number *y* from the model's output.
        include: ``gradients``, and ``integrated_gradients`` (by Captum, for models that use the
            attention interface).
        layers: only these layers, by the model's own numbers.
        steps: the number of points of the integral.

    Returns:
        The attentions and the parts, ``(batch, num_heads, query_len, key_len)`` by kind and layer.
        A weight on which the number does not depend has a gradient of 0.

    Raises:
        CaptureError: the model's attention is not weights × values, or not in the graph.
        SelectionError: a layer does not exist, or ``of`` does not return exactly one number that
            depends on the run.
        MissingExtraError: captum is needed but not installed.
    """
    module = watched_module(module)
    arguments = run_arguments(module, inputs)
    run = run_with_weights(module, arguments, layers)
    value = _number(of, run.output)
    tensors_of: dict[str, list[torch.Tensor]] = {}
    if GRADIENTS in include:
        tensors_of[GRADIENTS] = _gradients(module, run, value)
    errors: list[float] = []
    if INTEGRATED in include:
        tensors_of[INTEGRATED], errors = _integrated(module, arguments, of, run, steps)
    parts: dict[str, Any] = {
        name: _by_kind(run.layers, tensors) for name, tensors in tensors_of.items()
    }
    attentions = _by_kind(run.layers, [one.weights for one in run.layers])
    certificate = replace(
        certificate_of(module, attentions, run.route, run.output_errors),
        gradient_of=_name(of),
        gradient_of_value=float(value.detach()),
        max_completeness_error=largest_of(errors),
    )
    numbers: dict[str, list[int]] = {}
    for one in run.layers:
        numbers.setdefault(one.kind, []).append(one.layer)
    return Captured(
        attentions=attentions,
        layers=numbers,
        output=run.output,
        certificate=certificate,
        **parts,
    )


def with_gradients(captured: Captured, other: Captured) -> Captured:
    """Add the gradients of a second run of the same model on the same inputs to the first run.

    Raises:
        CaptureError: the attention of the two runs differs.
    """
    for kind, layers in captured.attentions.items():
        for one, again in zip(layers, other.attentions[kind], strict=True):
            difference = (one.double() - again.double()).abs().max()
            if not difference <= same_attention(again.dtype):
                raise CaptureError(
                    "Expected the same attention in a second run, to differentiate, but it is "
                    "another: the model does not compute the same twice. Switch off what is random."
                )
    certificate = replace(
        captured.certificate,
        route=f"{captured.certificate.route}; gradients: {other.certificate.route}",
        gradient_of=other.certificate.gradient_of,
        gradient_of_value=other.certificate.gradient_of_value,
        max_completeness_error=other.certificate.max_completeness_error,
    )
    parts: dict[str, Any] = {name: getattr(other, name) for name in GRADIENT_PARTS}
    return replace(captured, **parts, certificate=certificate)


def _gradients(module: nn.Module, run: GraphRun, value: torch.Tensor) -> list[torch.Tensor]:
    weights = [one.weights for one in run.layers]
    slopes = torch.autograd.grad(value, weights, allow_unused=True)
    # Weights that were put into the graph lack a gradient only if the number is computed before
    # them.
    if not run.is_replaceable and any(slope is None for slope in slopes):
        raise not_in_graph(module)
    return [
        torch.zeros_like(one) if slope is None else slope
        for one, slope in zip(weights, slopes, strict=True)
    ]


def _integrated(
    module: nn.Module, arguments: dict[str, Any], of: Objective, run: GraphRun, steps: int
) -> tuple[list[torch.Tensor], list[float]]:
    """Compute integrated gradients of each layer's attention, and their completeness errors."""
    if not run.is_replaceable:
        raise CaptureError(
            f"Expected {type(module).__name__} to compute attention through transformers' "
            "attention interface, where weights can be scaled, but it computes them itself. Leave "
            f"{INTEGRATED!r} out of `include`."
        )
    pairs = []
    for layer in run.layers:

        def result(weights: torch.Tensor, call: int = layer.call) -> torch.Tensor:
            return _number(of, run_in_graph(module, arguments, GraphWatcher({call: weights})))

        pairs.append(integrated(result, layer.weights.detach(), steps=steps))
    return [attribution for attribution, _ in pairs], [error for _, error in pairs]


def _number(of: Objective, output: Any) -> torch.Tensor:
    """Return the number as a scalar in the graph."""
    with torch.enable_grad():
        value = of(output)
    if not torch.is_tensor(value) or value.numel() != 1:
        came = f"shape {tuple(value.shape)}" if torch.is_tensor(value) else repr(value)
        raise SelectionError(
            f"Expected `of` to give one number as a tensor of one element, got {came}. Choose one, "
            "for example output.logits[0, -1, token_id]."
        )
    if not value.requires_grad:
        raise SelectionError(
            "Expected a number that follows from the run, but what `of` gives depends on nothing "
            "in it. Compute it from the tensors of the output, without detach() or item()."
        )
    with torch.enable_grad():
        return value.reshape(())


def _by_kind(
    layers: Sequence[LayerWeights], tensors: Sequence[torch.Tensor]
) -> dict[str, list[torch.Tensor]]:
    by_kind: dict[str, list[torch.Tensor]] = {}
    for layer, tensor in zip(layers, tensors, strict=True):
        by_kind.setdefault(layer.kind, []).append(tensor.detach())
    return by_kind


def _name(of: Objective) -> str:
    """Describe what was differentiated, in words."""
    return getattr(of, "__name__", None) or str(of)
