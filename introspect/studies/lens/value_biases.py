"""The biases of values, which a head brings whatever the text says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from introspect.hooks import capture
from introspect.studies.lens.states import Run

# What an attention module reads its values from.
_READ = ("hidden_states", "key_value_states", "encoder_hidden_states")


def value_biases(run: Run) -> dict[tuple[str, int], torch.Tensor]:
    """Return what each head gives of its value bias alone, before the output projection.

    The model runs once more with zeros given to every attention module: the values are then their
    biases. A head that attends with all of its weight brings its bias at every token alike.

    Returns:
        By kind and layer, ``(num_heads, length, head_dim)``, float64.
    """
    layers = [each.layer for each in run.projections.values()]
    parents = [_parent(run.model.module, layer) for layer in layers]
    modules = [each for each in parents if each is not None]
    if not any(_has_bias(each, layers) for each in modules):
        return {
            (kind, number): torch.zeros_like(outputs[0], dtype=torch.float64)
            for kind in run.kinds
            for number, outputs in zip(
                run.captured.layers[kind], run.captured.head_outputs[kind], strict=True
            )
        }
    with _fed_with_zeros(modules):
        captured = capture(run.model.module, run.inputs, ("attentions", "values"))
    found = {}
    for kind, number in run.projections:
        if kind not in run.kinds:
            continue
        place = run.captured.layers[kind].index(number)
        weights = run.captured.attentions[kind][place][0].double()
        values = captured.values[kind][place][0].double()
        values = values.repeat_interleave(len(weights) // len(values), dim=0)
        found[kind, number] = weights.sum(-1)[..., None] * values[:, :1]
    return found


def _has_bias(module: nn.Module, outputs: list[nn.Module]) -> bool:
    """Check whether an attention module has any bias but that of its output projection."""
    own = {id(each) for layer in outputs for each in layer.parameters()}
    return any("bias" in name and id(each) not in own for name, each in module.named_parameters())


def _parent(model: nn.Module, layer: nn.Module) -> nn.Module | None:
    """Return the module that holds a layer."""
    for module in model.modules():
        if any(child is layer for child in module.children()):
            return module
    return None


@contextmanager
def _fed_with_zeros(modules: list[nn.Module]) -> Iterator[None]:
    """Give zeros to attention modules instead of states."""

    def zeroed(_: nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
        first = tuple(torch.zeros_like(each) for each in args[:1] if torch.is_tensor(each))
        named = {
            name: torch.zeros_like(each) if name in _READ and torch.is_tensor(each) else each
            for name, each in given.items()
        }
        return ((*first, *args[len(first) :]), named)

    with ExitStack() as stack:
        for module in modules:
            handle = module.register_forward_pre_hook(zeroed, with_kwargs=True)
            stack.callback(handle.remove)
        yield
