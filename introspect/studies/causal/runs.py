"""Runs of the same cases under many changes, each from the first layer that is changed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from introspect.errors import IntrospectError
from introspect.hooks import (
    Edit,
    KeptRun,
    Layers,
    Visible,
    active_editors,
    attention_layout,
    tensors_in,
)
from introspect.interventions import Intervention, run_parts
from introspect.records import Kind
from introspect.studies.causal.answers import Answers
from introspect.studies.causal.metrics import Asked, Floats

#: What is kept of the unchanged model takes at most so much memory; other batches run whole.
MOST_BYTES = 1 << 30
# Two runs that do the same on one machine differ by less, in units of the largest number.
_SAME = 1e-6
# Of each model, whether a changed run that begins at a layer gives what the whole run does.
_proved: WeakKeyDictionary[nn.Module, dict[int, bool]] = WeakKeyDictionary()


class Runs:
    """Runs of each batch of some answers, unchanged once, and then under changes.

    A change in a layer leaves those before it as they were: what these return is kept of the
    unchanged run, and not computed again. The first run that is changed at a layer is made whole
    as well; where the two differ, as in a model that counts its layers, all are made whole.

    Args:
        answers: the cases.
        kind: the kind of attention that is changed.
        outputs: the layers whose heads' outputs are kept too.
    """

    def __init__(self, answers: Answers, kind: Kind, *, outputs: Sequence[int] = ()) -> None:
        self._answers, self._kind = answers, kind
        layers = attention_layout(answers.model.module).layers(kind)
        can_resume = kind == "self" and list(layers) == list(range(len(layers)))
        self._layers = Layers(answers.asked, len(layers) if can_resume else 0)
        self._room = MOST_BYTES
        self._kept: list[KeptRun | None] = []
        self._outputs: list[Mapping[int, torch.Tensor] | None] = []
        reading = answers.reading()
        for number, batch in enumerate(answers.batches):
            reading.add(batch, self._unchanged(number, outputs))
        #: The scores of the unchanged model, ``(num_cases, most_candidates)``.
        self.scores: Floats = reading.scores()
        #: Its margins, ``(num_cases,)``.
        self.clean: Floats = answers.margins(self.scores)

    def _unchanged(self, number: int, outputs: Sequence[int]) -> Any:
        """Run a batch, and keep of it what there is room for."""
        seen: dict[int, torch.Tensor] = {}
        run = partial(self._answers.run, self._answers.batches[number])
        # Outputs are those of the model itself, whatever changes it at the moment.
        if outputs and not active_editors():
            edits = [_noting(self._kind, layer, seen) for layer in outputs]
            with Intervention(self._answers.model, edits, "outputs noted"):
                output, kept = self._layers.keep(run)
        else:
            output, kept = self._layers.keep(run)
        self._kept.append(kept if kept and self._has_room(kept.size) else None)
        size = sum(each.numel() * each.element_size() for each in seen.values())
        self._outputs.append(seen if seen and self._has_room(size) else None)
        return output

    def _has_room(self, size: int) -> bool:
        """Return whether there is room for so much more, and take it."""
        if size > self._room:
            return False
        self._room -= size
        return True

    def outputs(self, number: int, layers: Sequence[int]) -> Mapping[int, torch.Tensor]:
        """Return what the heads of some layers output in a batch, in the unchanged model."""
        kept = self._outputs[number]
        if kept is not None and set(layers) <= set(kept):
            return kept
        batch, answers = self._answers.batches[number], self._answers
        return run_parts(
            answers.model.module, batch.inputs, "head_outputs", self._kind, layers,
            run=answers.asked,
        )  # fmt: skip

    def margins(self, change: Intervention) -> Floats:
        """Return the margins under a change, ``(num_cases,)``."""
        reading = self._answers.reading()
        with change:
            for number, batch in enumerate(self._answers.batches):
                reading.add(batch, self._changed(number, change.edits))
        return self._answers.margins(reading.scores())

    def run(self, number: int, edits: Sequence[Edit]) -> Any:
        """Return the model's output on one batch under a change."""
        with Intervention(self._answers.model, edits):
            return self._changed(number, edits)

    def _changed(self, number: int, edits: Sequence[Edit]) -> Any:
        """Run a batch from the first layer on that edits, which are in force, change."""
        run = partial(self._answers.run, self._answers.batches[number])
        first = min((edit.layer for edit in edits), default=0)
        kept = self._kept[number]
        if kept is None or first == 0:
            return run()
        proved = _proved.setdefault(self._answers.asked, {})
        if first not in proved:
            return self._proving(kept, first, run, proved)
        if not proved[first]:
            return run()
        with kept.from_layer(first):
            return run()

    def _proving(self, kept: KeptRun, first: int, run: Any, proved: dict[int, bool]) -> Any:
        """Run a batch whole and from a layer on, and note whether both give the same."""
        output, whole = self._layers.keep(run)
        # A change that changes nothing proves nothing.
        if whole is not None and not whole.ends_like(kept):
            try:
                with kept.from_layer(first):
                    proved[first] = _is_same(output, run())
            except IntrospectError:
                proved[first] = False
        return output


class WholeRuns:
    """The same for answers that are not read in batches: every run is whole.

    Args:
        answers: the questions.
    """

    def __init__(self, answers: Asked) -> None:
        self._answers = answers
        #: The margins of the unchanged model, ``(num_cases,)``.
        self.clean = answers.margins()

    def margins(self, change: Intervention) -> Floats:
        """Return the margins under a change, ``(num_cases,)``."""
        with change:
            return self._answers.margins()


def runs_of(answers: Asked, kind: Kind) -> Runs | WholeRuns:
    """Return the runs of some answers, after that of the unchanged model."""
    return Runs(answers, kind) if isinstance(answers, Answers) else WholeRuns(answers)


def _noting(kind: Kind, layer: int, seen: dict[int, torch.Tensor]) -> Edit:
    def unchanged(tensor: torch.Tensor, _visible: Visible) -> torch.Tensor:
        seen[layer] = tensor.detach()
        return tensor

    return Edit(kind, layer, "head_outputs", unchanged)


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two outputs of a model have the same numbers."""
    pairs = list(zip(tensors_in(one), tensors_in(other), strict=False))
    return bool(pairs) and all(
        a.shape == b.shape and bool((a - b).abs().max() <= _SAME * a.abs().max().clamp(min=1))
        for a, b in pairs
        if a.is_floating_point()
    )
