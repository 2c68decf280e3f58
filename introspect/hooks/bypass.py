"""The route for models that bypass the interface: the attention they return when run eagerly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from introspect.errors import CaptureError
from introspect.hooks.arguments import ran
from introspect.hooks.loans import borrowed_attention
from introspect.hooks.observation import Observation
from introspect.hooks.products import (
    AttentionProducts,
    ProductTrace,
    parts_behind,
    products_behind,
)
from introspect.hooks.unwrapping import is_adapted, taken_by

OUTPUT_ROUTE = "the model's own output"
_PRODUCTS_ROUTE = "the model's own output, and the products around its softmax"

#: The names under which a model returns each kind of attention itself.
OWN_OUTPUTS = {
    "self": ("attentions",),
    "encoder": ("encoder_attentions",),
    "decoder": ("decoder_attentions",),
    "cross": ("cross_attentions",),
}

_PATTERN_DIMENSIONS = 4

# Rounding in half precision may raise a weight above 1 by this much.
_ABOVE_ONE = 1e-2


def observe_own_output(
    module: nn.Module,
    arguments: dict[str, Any],
    wanted: tuple[str, ...],
    observation: Observation,
    kinds: Sequence[str] = tuple(OWN_OUTPUTS),
) -> tuple[Any, str]:
    """Take the attention that the model returns when it runs eagerly, and the parts behind it.

    Returns:
        The model's output, and the route.

    Raises:
        CaptureError: a part cannot be found by watching the model's products.
    """
    if wanted == ("attentions",):
        output = _run_eagerly(module, arguments)
        own = list(own_attention(output, kinds))
        if all(are_weights(weights) for _, _, weights in own):
            for kind, number, weights in own:
                observation.take(kind, number, {"attentions": weights})
            return output, OUTPUT_ROUTE
    with ProductTrace() as trace:
        output = _run_eagerly(module, arguments)
    for kind, number, weights in own_attention(output, kinds):
        parts = parts_behind(weights, trace, type(module).__name__)
        observation.take(kind, number, {name: parts[name] for name in wanted})
    return output, _PRODUCTS_ROUTE


def products_of_own_output(
    module: nn.Module, arguments: dict[str, Any]
) -> dict[tuple[str, int], AttentionProducts]:
    """Find the steps of a run that are the model's attentions, by kind and layer.

    Raises:
        CaptureError: they cannot be found by watching the model's products.
    """
    with ProductTrace() as trace:
        output = _run_eagerly(module, arguments)
    return {
        (kind, number): products_behind(weights, trace, type(module).__name__)
        for kind, number, weights in own_attention(output, tuple(OWN_OUTPUTS))
    }


def _run_eagerly(module: nn.Module, arguments: dict[str, Any]) -> Any:
    with torch.no_grad(), borrowed_attention(module, "eager"):
        return run_returning_attention(module, arguments)


def run_returning_attention(module: nn.Module, arguments: Mapping[str, Any]) -> Any:
    """Run a model that returns its attention if it is asked to.

    Raises:
        CaptureError: it cannot be asked, or does not run.
    """
    if not returns_attention(module):
        raise CaptureError(
            f"Expected {type(module).__name__} to compute attention through transformers' "
            "attention interface, or to return it when asked with output_attentions=True, but its "
            "forward does neither. Hand over a model that transformers has loaded."
        )
    return ran(module, arguments, output_attentions=True)


def returns_attention(module: nn.Module) -> bool:
    """Return whether a model can be asked for its attention."""
    is_of_transformers = isinstance(module, PreTrainedModel) or is_adapted(module)
    return is_of_transformers or "output_attentions" in taken_by(module)


def own_attention(output: Any, kinds: Sequence[str]) -> Iterator[tuple[str, int, torch.Tensor]]:
    """Yield the kind, the layer and the attention that the model returned."""
    returned = output if hasattr(output, "get") else {}
    for kind in kinds:
        own = next((returned[n] for n in OWN_OUTPUTS[kind] if returned.get(n)), ())
        for number, weights in enumerate(own):
            # Some return local and global attention separately, in a form that is not a pattern.
            if torch.is_tensor(weights) and weights.ndim == _PATTERN_DIMENSIONS:
                yield kind, number, weights


def are_weights(own: torch.Tensor) -> bool:
    """Return whether ``own`` can be attention: a few models return scores under that name."""
    return bool((own >= 0).all() and (own <= 1 + _ABOVE_ONE).all())
