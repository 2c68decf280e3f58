"""Collect what attention modules compute, sorted by kind and numbered by layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from introspect.changes import Changes
from introspect.errors import CaptureError, SelectionError
from introspect.hooks.interface import AttentionCall
from introspect.hooks.layer_index import Numbering
from introspect.hooks.watchers import Parts
from introspect.records import CAPTURE_PARTS

#: The names under which a model returns each kind of attention itself.
OWN_OUTPUTS = {
    "self": ("attentions",),
    "encoder": ("encoder_attentions",),
    "decoder": ("decoder_attentions",),
    "cross": ("cross_attentions",),
}

# Rounding in half precision may raise a weight above 1 by this much.
_ABOVE_ONE = 1e-2

# Parts whose second dimension is not the heads.
_NOT_BY_HEAD = ("visible", *(part.name for part in CAPTURE_PARTS if not part.is_by_head))


class AllSeen(BaseException):
    """Everything requested has been seen, so the rest of the model need not run.

    This is not an ``Exception``, so that no handler inside a model mistakes it for a failure.
    """


#: Receives the parts of a layer in place of the observation, which then keeps none of them.
Receive = Callable[[str, int, Parts], None]


class Observation:
    """Collects the attention of one run, sorted by kind and numbered by layer."""

    def __init__(
        self,
        module: nn.Module,
        wanted: Sequence[int] | None,
        heads: Sequence[int] | None,
        dtype: torch.dtype | None,
        *,
        may_stop: bool = True,
        receive: Receive | None = None,
    ) -> None:
        #: The layers of each tower, by the class of its configuration, of self-attention.
        self.towers: dict[str, list[int]] = {}
        self.parts: dict[str, dict[str, list[torch.Tensor]]] = {}
        self.layers: dict[str, list[int]] = {}
        self._heads = None if heads is None else list(heads)
        self._dtype = dtype
        self._may_stop = may_stop
        self._receive = receive
        self._wanted = None if wanted is None else set(wanted)
        self._numbering = Numbering(module)

    def attach(self, changes: Changes) -> None:
        """Record which modules receive another sequence, as long as the changes last."""
        self._numbering.attach(changes)

    def has_rows(self, module: nn.Module) -> bool:
        """Return whether selected rows are positions of this module's queries.

        In an encoder-decoder they are positions in the decoder, whose tokens attend to its own text
        and to the encoder's.
        """
        return self._numbering.kind(module) != "encoder"

    @property
    def has_seen_nothing(self) -> bool:
        """Whether no attention has been seen."""
        return not self._seen

    @property
    def missing_kinds(self) -> list[str]:
        """Kinds of attention that an encoder-decoder has and that have not been seen."""
        kinds = ("encoder", "decoder", "cross") if self._numbering.is_encoder_decoder else ()
        return [kind for kind in kinds if kind not in self._seen]

    def turn(self) -> dict[str, list[tuple[int, torch.Tensor]]]:
        """Return the attention seen since the last turn, as layers and weights by kind; reset."""
        by_kind = {
            kind: list(zip(self.layers[kind], weights, strict=True))
            for kind, weights in self.parts.get("attentions", {}).items()
        }
        self.parts, self.layers = {}, {}
        self._numbering.begin()
        return by_kind

    def see(self, call: AttentionCall, parts: Parts) -> None:
        """Take what a module has just computed, and stop the run if nothing more is needed."""
        kind = self._numbering.kind(call.module)
        had_all = self._has_all(kind)
        place = self._numbering.place(call.module, call.queries)
        if place.is_again:
            self._extend(kind, parts)
            return
        if had_all:
            raise AllSeen
        if kind == "self":
            self._note_tower(call.module, place.layer)
        self._keep(kind, place.layer, parts)
        # A layer's values may arrive in two calls (see _extend); its attention does not.
        if self._has_all(kind) and not {"values", "head_outputs"} & set(parts):
            raise AllSeen

    def _note_tower(self, module: nn.Module, layer: int) -> None:
        """Note the tower that a layer is of: numbers of layers are the model's in one tower only.

        Raises:
            CaptureError: layers were requested of a model of several towers.
        """
        tower = type(getattr(module, "config", None)).__name__
        self.towers.setdefault(tower, []).append(layer)
        if len(self.towers) > 1 and self._wanted is not None:
            raise CaptureError(
                f"Expected layers of one tower in `layers`, but these inputs run through "
                f"{len(self.towers)} ({', '.join(self.towers)}), each with a layer 0. Leave "
                "`layers` out, and choose among all of them."
            )

    @property
    def tower_note(self) -> str:
        """Which layers are of which tower, where there are several."""
        if len(self.towers) < 2:
            return ""
        named = [f"{_ranges(sorted(layers))} of {name}" for name, layers in self.towers.items()]
        return f"layers are numbered in the order in which they ran: {', '.join(named)}"

    def _has_all(self, kind: str) -> bool:
        """Return whether the run may stop; never in an encoder-decoder, which has more kinds."""
        if self._wanted is None or self._numbering.is_encoder_decoder or kind != "self":
            return False
        if not self._may_stop:
            return False
        return self._wanted <= set(self._seen.get(kind, ()))

    def take(self, kind: str, number: int, parts: Parts) -> None:
        """Keep the parts of a layer that bypassed the interface, if the layer was requested."""
        self._seen.setdefault(kind, []).append(number)
        self._keep(kind, number, parts)

    def _keep(self, kind: str, number: int, parts: Parts) -> None:
        if self._wanted is not None and number not in self._wanted:
            return
        self.layers.setdefault(kind, []).append(number)
        if self._receive is not None:
            self._receive(kind, number, parts)
            return
        for name, tensor in parts.items():
            kept = self.kept(name, tensor)
            self.parts.setdefault(name, {}).setdefault(kind, []).append(kept)

    def kept(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Return a part with only the requested heads, in the requested type."""
        chosen = self._chosen_heads(name, tensor)
        is_kept = self._dtype is None or chosen.dtype == torch.bool
        return chosen if is_kept else chosen.to(self._dtype)

    def _chosen_heads(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Select the requested heads; parts that heads share or form together stay whole."""
        if self._heads is None or name in _NOT_BY_HEAD:
            return tensor
        count = tensor.shape[1]
        if not all(0 <= head < count for head in self._heads):
            raise SelectionError(f"Expected `heads` in 0–{count - 1}, got {self._heads}.")
        return tensor[:, self._heads]

    def _extend(self, kind: str, parts: Parts) -> None:
        """Add further values that one layer weights with the same attention (DiffLlama)."""
        if self._wanted is not None and self._seen[kind][-1] not in self._wanted:
            return
        for name in ("values", "head_outputs"):
            if name in parts:
                layers = self.parts[name][kind]
                added = self._chosen_heads(name, parts[name]).to(layers[-1].dtype)
                layers[-1] = torch.cat([layers[-1], added], dim=-1)

    def check(self, module: nn.Module) -> None:
        """Raise an error if no attention was seen, or a requested layer was not."""
        name = type(module).__name__
        if not self._seen:
            raise CaptureError(
                f"Expected {name} to compute attention through transformers' attention interface, "
                "or to return it, but it does neither: some architectures have no attention "
                "weights. Choose another model."
            )
        seen = sorted({number for numbers in self._seen.values() for number in numbers})
        missing = sorted((self._wanted or set()) - set(seen))
        if missing:
            raise SelectionError(
                f"Expected `layers` among {_ranges(seen)} for {name}, got {missing}. "
                "Layers are numbered from 0."
            )

    @property
    def _seen(self) -> dict[str, list[int]]:
        return self._numbering.seen


def _ranges(numbers: Sequence[int]) -> str:
    if list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}–{numbers[-1]}"
    return ", ".join(map(str, numbers))


def are_weights(own: torch.Tensor) -> bool:
    """Return whether ``own`` can be attention: a few models return scores under that name."""
    return bool((own >= 0).all() and (own <= 1 + _ABOVE_ONE).all())
