"""The products and softmaxes of a module of one's own, and the attentions among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from introspect.errors import CaptureError
from introspect.hooks.head_layout import MAPPED_BATCH, HeadLayout
from introspect.hooks.products import (
    AttentionProducts,
    Product,
    Softmax,
    Step,
    parts_at,
    products_at,
    weighing_after,
)
from introspect.hooks.provenance import Origin, Provenance, follows
from introspect.hooks.running import Sign, owner_of


class OwnProducts:
    """The products and softmaxes of a run, with what computes each and what it was made of."""

    def __init__(self) -> None:
        #: In what form a softmax was taken that is not among the steps, if one was.
        self.unreadable = ""
        self._run: list[Sign] = []
        self.events: list[Step] = []
        self._notes: list[_Noted] = []
        #: The size of the batch of the run.
        self.batch: int | None = None

    def add(
        self,
        step: Step,
        sign: Sign,
        within: Sequence[nn.Module],
        origins: tuple[Origin | None, ...],
        *,
        is_cross: bool = False,
    ) -> None:
        """Note a step, its sign, the parts that are running and the origins of its operands."""
        used = (step.left, step.right) if isinstance(step, Product) else (step.given,)
        versions = [(tensor, tensor._version) for tensor in (step.result, *used)]
        self.events.append(step)
        self._run.append(sign)
        self._notes.append(_Noted(owner_of(within), within, origins, is_cross, versions))

    def note_result(self, result: Any, provenance: Provenance) -> None:
        """Note the origin of what the last step gave, once it is known."""
        self.batch = provenance.batch(self._notes[-1].within)
        self._notes[-1].result = provenance.origin(result)

    def attentions(self, model: str) -> Iterator[OwnAttention]:
        """Yield the attentions among the steps, in their order.

        A softmax over the last dimension of a product of two states, which weighs a third, is one.

        Args:
            model: the model's name, for errors.

        Raises:
            CaptureError: heads cannot be told from texts, or what was computed has been changed in
                place since.
        """
        for place, event in enumerate(self.events):
            note = self._notes[place]
            if not isinstance(event, Softmax) or not event.is_over_last or note.owner is None:
                continue
            if event.result.ndim < MAPPED_BATCH or (before := self._scores_of(place)) is None:
                continue
            after = weighing_after(place, self.events, event.result.numel())
            if after is None or not self._notes[after].has_states:
                continue
            layout = HeadLayout.of(event.result, note.within[0], self.batch)
            self._check_unchanged(note.owner, before, place, after)
            kind = "cross" if self._notes[before].is_cross else "self"
            shape = layout.by_head(event.result).shape
            yield self._attention(place, after, note.owner, kind, shape, model)

    def _attention(
        self,
        place: int,
        after: int,
        owner: nn.Module,
        kind: str,
        shape: Sequence[int],
        model: str,
    ) -> OwnAttention:
        weighing = self.events[after]
        assert isinstance(weighing, Product)
        try:
            parts = parts_at(place, self.events, shape, model)
            products = products_at(place, self.events, parts, model, run=self._run)
        except (CaptureError, RuntimeError):
            # What weighs is not the softmax: heads are mixed, or some weights changed, in between.
            return OwnAttention(owner, kind, {"attentions": weighing.left.reshape(*shape)}, None)
        if self._weighs_again(place, after):
            kept = ("attentions", "scores", "queries", "keys")
            return OwnAttention(owner, kind, {name: parts[name] for name in kept}, None)
        return OwnAttention(owner, kind, parts, products)

    def _scores_of(self, place: int) -> int | None:
        """Return the number of the product of two states that a softmax is taken of."""
        of_softmax = self._notes[place].origins[0]
        for number in range(place - 1, -1, -1):
            event, note = self.events[number], self._notes[number]
            if not isinstance(event, Product) or event.result.numel() != (
                self.events[place].result.numel()
            ):
                continue
            if note.result is None or not note.has_states:
                continue
            is_near = note.owner is self._notes[place].owner
            if follows(of_softmax, note.result, most_maps=1 if is_near else 0):
                return number
            return None
        return None

    def _weighs_again(self, place: int, after: int) -> bool:
        """Return whether a pattern weighs something else besides, such as values of positions."""
        weights = self.events[after].left  # type: ignore[union-attr]
        pointers = {t.untyped_storage().data_ptr() for t in (weights, self.events[place].result)}
        later = [each for each in self.events[after + 1 :] if isinstance(each, Product)]
        return any(
            operand.untyped_storage().data_ptr() in pointers
            for each in later
            for operand in (each.left, each.right)
        )

    def _check_unchanged(self, owner: nn.Module, *places: int) -> None:
        # Scores are masked and scaled in place before the softmax, which is taken of what is left.
        before, *later = (self._notes[place].versions for place in places)
        versions = [*before[1:], *(each for of_step in later for each in of_step)]
        if any(tensor._version != version for tensor, version in versions):
            raise CaptureError(
                f"Expected the queries, keys, values and weights of {type(owner).__name__} to stay "
                "as they were when it attended, but it writes over them later. Let it make new "
                "tensors, such as x = x * y for x *= y."
            )


@dataclass
class _Noted:
    """What is known of a step of a run."""

    owner: nn.Module | None
    within: Sequence[nn.Module]
    origins: tuple[Origin | None, ...]
    is_cross: bool
    versions: list[tuple[torch.Tensor, int]]  # of the result first, then of what it was made of
    result: Origin | None = None

    @property
    def has_states(self) -> bool:
        """Return whether the right side of a product is of states, not weights themselves.

        A gate multiplies states by weights, takes a softmax and multiplies by weights again.
        """
        return len(self.origins) == 2 and self.origins[1] is not None


class OwnAttention(NamedTuple):
    """An attention that a module computes by products and a softmax.

    Args:
        module: the module.
        kind: ``self`` or ``cross``.
        parts: what it computes, as far as it is by head.
        products: its steps in the run; none where they are more than a product, a softmax and a
            product, so that nothing can be changed.
    """

    module: nn.Module
    kind: str
    parts: Mapping[str, torch.Tensor]
    products: AttentionProducts | None
