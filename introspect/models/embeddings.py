"""The vectors that a model gives to tokens before any layer has read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from introspect.hooks import own_parameter


@dataclass(frozen=True, eq=False)
class StaticEmbeddings:
    """Input embeddings, centered over the vocabulary.

    Args:
        weights: ``(vocabulary, width)``, as the model keeps them.
        center: their mean, ``(width,)`` in float64.
    """

    weights: torch.Tensor
    center: torch.Tensor

    @classmethod
    def of(cls, module: nn.Module) -> StaticEmbeddings | None:
        """Return those of a model; ``None`` where it has none in memory."""
        try:
            table = module.get_input_embeddings()  # type: ignore[operator]
        except (AttributeError, NotImplementedError):
            return None
        weights = own_parameter(table, "weight")
        if weights is None or weights.ndim != 2:
            return None
        if weights.is_meta or not weights.is_floating_point():
            return None
        return cls(weights, weights.mean(0, dtype=torch.float64).cpu())

    def mean_of(self, token_ids: Sequence[int]) -> torch.Tensor | None:
        """Return the mean vector of some tokens, in float64; ``None`` if one is unknown."""
        if not token_ids or not all(0 <= one < len(self.weights) for one in token_ids):
            return None
        places = torch.tensor(token_ids, device=self.weights.device)
        return self.weights[places].double().mean(0).cpu() - self.center
