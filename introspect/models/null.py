"""The null model: the same architecture with untrained random weights."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from introspect.errors import ModelError
from introspect.models.model import Model


def null_model(model: Model, seed: int = 0) -> Model:
    """Build a freshly initialized copy of the model's architecture, with the same tokenizer.

    The scores of its heads show what tokens, positions and the mask yield without any training.
    The weights are drawn as transformers draws them before training, so its heads attend almost
    uniformly.

    Args:
        model: the model, which is left unchanged, as is torch's random state.
        seed: the random seed of the weights; the same seed gives the same weights.

    Returns:
        A model whose name and revision say "random weights, seed …", in evaluation mode, with the
        device, the precision and the attention implementation of ``model``.

    Raises:
        ModelError: the module cannot be built from its configuration.
    """
    identity = f"random weights, seed {seed}"
    name = f"{model.name} ({identity})"
    fresh = _initialized(model.module, name, seed)
    _check_same_shapes(model, fresh)
    # Weights are drawn in the default precision, then converted to that of their counterparts.
    for own, given in _counterparts(fresh, model.module):
        own.data = own.data.to(device=given.device, dtype=given.dtype)
    return replace(model, module=fresh.eval(), name=name, revision=identity)


def _initialized(module: nn.Module, name: str, seed: int) -> nn.Module:
    config: Any = copy.deepcopy(getattr(module, "config", None))
    try:
        config.name_or_path = name  # otherwise records would carry the trained model's name
        if getattr(config, "_commit_hash", None):
            config._commit_hash = None
        # Not torch.manual_seed, which would seed every accelerator as well.
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.default_generator.manual_seed(seed)
            fresh: nn.Module = type(module)(config)
    except Exception as error:  # whatever the constructor of an unknown class raises
        raise ModelError(
            f"Expected a transformers module that its configuration can build again, but "
            f"{type(module).__name__} failed: {error} Give the plain model without adapters."
        ) from error
    return fresh


def _check_same_shapes(model: Model, fresh: nn.Module) -> None:
    """Check that the configuration reflects later changes (heads pruned, tokens added).

    Raises:
        ModelError: a parameter has another shape than the configuration describes.
    """
    given, built = (
        {name: tuple(part.shape) for name, part in module.named_parameters()}
        for module in (model.module, fresh)
    )
    if different := [n for n in given | built if given.get(n) != built.get(n)]:
        first = different[0]
        raise ModelError(
            f"Expected the configuration of {model.name} to describe its module, but "
            f"{first} has the shape {given.get(first)} and would have {built.get(first)}. "
            "Give the model as it was loaded."
        )


def _counterparts(fresh: nn.Module, given: nn.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Pair the parameters and buffers of one module with those of the other."""
    pairs = []
    for own, other in (
        (fresh.named_parameters(), dict(given.named_parameters())),
        (fresh.named_buffers(), dict(given.named_buffers())),
    ):
        pairs += [(tensor, other[name]) for name, tensor in own if name in other]
    return pairs
