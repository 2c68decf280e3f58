"""What heads add to a state, in the coordinates that the unembedding reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import nn

from introspect.errors import CaptureError
from introspect.functional import brought_by_head
from introspect.models import Model
from introspect.records import TokenSequence
from introspect.studies.lens.logits import Readout, readout_of
from introspect.studies.lens.states import Run, added_by, run_noted


@dataclass(frozen=True, eq=False)
class HeadWriting:
    """What every head adds in one run, each layer verified to be the sum of its parts.

    Args:
        run: the run.
        unembedding: ``(vocabulary, size)``, as the model's last layer has it.
    """

    run: Run
    unembedding: torch.Tensor
    _readouts: dict[int, Readout] = field(default_factory=dict)

    @property
    def tokens(self) -> TokenSequence:
        """The tokens that were read."""
        return self.run.tokens

    @property
    def scale(self) -> float:
        """The factor between what the unembedding gives and the logits."""
        return self._readout(0).scale

    def layers(self) -> Iterator[tuple[int, torch.Tensor, torch.Tensor | None]]:
        """Yield each layer: its number, what its heads add, and what each key brings at weight 1.

        Both are ``(num_heads, length, size)``, in float64. Behind a norm of the heads’ sum
        (Gemma 2) no key brings anything by itself, and there is ``None``.

        Raises:
            CaptureError: a layer's output is not the sum of its input and its parts.
        """
        (kind,) = self.run.kinds
        for number in range(len(self.run.layers)):
            added = added_by(self.run, number)
            if kind not in added.heads:
                continue  # a layer without attention
            place = self.run.captured.layers[kind].index(number)
            values = self.run.captured.values[kind][place][0]
            projection = self.run.projections[kind, number]
            outputs = self.run.captured.head_outputs[kind][place][0].double()
            is_plain = torch.equal(outputs @ projection.by_head.double(), added.heads[kind])
            brought = brought_by_head(values, projection.by_head) if is_plain else None
            yield number, added.heads[kind], brought

    def read(self, state: torch.Tensor, position: int) -> torch.Tensor:
        """Return what the unembedding is given of a part of the state at one token.

        Args:
            state: ``(..., size)``, float64.
            position: the token, whose own scale the final norm has.
        """
        readout = self._readout(position)
        centered = state - state.mean(-1, keepdim=True) if readout.is_centered else state
        return centered * readout.gain

    def _readout(self, position: int) -> Readout:
        if position not in self._readouts:
            self._readouts[position] = readout_of(self.run, position)
        return self._readouts[position]


def head_writing(model: Model, text: str) -> HeadWriting:
    """Run a language model on a text, and return what its heads add.

    Args:
        model: a model of one text with an LM head.
        text: the text.

    Raises:
        CaptureError: its heads do more than add to a state, or its unembedding is no plain layer.
    """
    run = run_noted(model, text)
    found = run.unembedding
    if type(found) is not nn.Linear or found.weight.device.type == "meta":
        raise CaptureError(
            f"Expected a linear layer in memory as the unembedding of {model.name}, got "
            f"{type(found).__name__}."
        )
    return HeadWriting(run, found.weight.detach().double())
