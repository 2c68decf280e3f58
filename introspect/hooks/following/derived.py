"""Parts derived from a layer's values and what its linear layers and norms computed in the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from introspect.hooks.following.blocks import BLOCK_PARTS, BlockLog, find_block, hold
from introspect.hooks.following.projection import (
    BEHIND_NORMS,
    LinearLog,
    Projection,
    held_projection,
)

__all__ = ["DERIVED", "DerivedParts", "held_projections"]

NORMS = "value_norms"
#: Parts that no attention module computes.
DERIVED = (NORMS, *BLOCK_PARTS)

PartByKind = Mapping[str, Sequence[torch.Tensor]]


def held_projections(
    log: LinearLog, behind: Mapping[str, PartByKind], model: str
) -> dict[str, list[Projection]]:
    """Find the output projection of each layer, by kind.

    Args:
        log: what the linear layers computed in that run.
        behind: ``attentions``, ``values`` and ``head_outputs`` of the run.
        model: the model's name, for errors.

    Raises:
        CaptureError: a layer has none, or does more than multiply by its weights.
    """
    return {
        kind: [held_projection(log, layer, model) for layer in _layers(behind, kind)]
        for kind in behind["attentions"]
    }


class DerivedParts:
    """The derived parts of one run, by name and kind.

    Args:
        log: what the linear layers and norms computed in that run.
        behind: ``attentions``, ``values`` and ``head_outputs`` of the run.
        wanted: the requested parts, from ``DERIVED``.
        model: the model's name, for errors.

    Raises:
        CaptureError: a part cannot be verified for this model; the message says why.
    """

    def __init__(
        self, log: BlockLog, behind: Mapping[str, PartByKind], wanted: Sequence[str], model: str
    ) -> None:
        self.parts: dict[str, dict[str, list[torch.Tensor]]] = {name: {} for name in wanted}
        #: For each block, the difference between the sum over its keys and its output.
        self.errors: list[float] = []
        for kind, projections in held_projections(log, behind, model).items():
            for projection, layer in zip(projections, _layers(behind, kind), strict=True):
                if NORMS in wanted:
                    self._take(kind, {NORMS: projection.norms(layer["values"])})
                # The residual added to cross-attention belongs to none of the other text's tokens.
                if kind != "cross" and set(wanted) & set(BLOCK_PARTS):
                    found, error = hold(find_block(log, projection, layer, model), model)
                    self._take(kind, found)
                    self.errors.append(error)

    def _take(self, kind: str, found: Mapping[str, torch.Tensor]) -> None:
        for name in self.parts.keys() & found.keys():
            self.parts[name].setdefault(kind, []).append(found[name])


def _layers(behind: Mapping[str, PartByKind], kind: str) -> list[dict[str, torch.Tensor]]:
    """Return the parts of each layer of a kind."""
    columns = zip(*(behind[part][kind] for part in BEHIND_NORMS), strict=True)
    return [dict(zip(BEHIND_NORMS, layer, strict=True)) for layer in columns]
