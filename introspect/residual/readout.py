"""The readout of the last state: the final norm, linearized at one token, and the unembedding.

Norms differ in what they subtract and in how their weights are meant. The form is found from the
norm's output in the run: the known form that reproduces it, with the run's own scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import nn

from introspect.errors import CaptureError
from introspect.hooks.tolerance import same_output
from introspect.residual.running import Run, State

__all__ = ["Readout", "readout_of"]


@dataclass(frozen=True, eq=False)
class Readout:
    """The map from a state to the logits at one token; linear except for constants.

    Args:
        gain: ``(size,)``, float64: the factor of each number of the state.
        is_centred: whether the state's mean is subtracted first.
        shift: ``(size,)``, the norm's bias.
        weight: ``(vocabulary, size)``, the unembedding's.
        bias: ``(vocabulary,)``, the unembedding's; ``None`` where it has none.
        scale: the factor of all logits at the end.
    """

    gain: torch.Tensor
    is_centred: bool
    shift: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    scale: float

    def direction(self, token: int, against: int | None) -> torch.Tensor:
        """Return the direction of a token, or of one token minus another, ``(size,)``."""
        found = self.weight[token].double()
        return found if against is None else found - self.weight[against].double()

    def read(self, states: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """Compute what states, ``(..., size)``, add to the logit."""
        centred = states - states.mean(-1, keepdim=True) if self.is_centred else states
        return self.scale * ((centred * self.gain) @ direction)

    def constants(
        self, token: int, against: int | None, direction: torch.Tensor
    ) -> dict[str, float]:
        """Return the constant terms, from the norm's bias and the unembedding's."""
        found = {}
        if self.shift.any():
            found["final norm bias"] = self.scale * float(self.shift @ direction)
        if self.bias is not None:
            own = self.bias.double()
            other = 0.0 if against is None else own[against]
            found["unembedding bias"] = self.scale * float(own[token] - other)
        return found


def readout_of(run: Run, position: int) -> Readout:
    """Return the readout at one token, verified on the run.

    Raises:
        CaptureError: what lies between the last layer and the logits is not a norm of a known form
            and a linear layer.
    """
    name, close = run.model.name, same_output(run.logits.dtype)
    last = run.layers[-1].result
    unembedding = run.unembedding
    ended = next((state for state in run.states if state.module is unembedding), None)
    if ended is None or ended.given is None or ended.given.shape != last.shape:
        raise _refused(name, "its unembedding is not given a state of the size of a layer's")
    norm = _norm_between(run, last, ended.given, close)
    given = last[0, position].double()
    normed = given if norm is None else norm.result[0, position].double()
    weight: Any = unembedding.weight
    found = _norm_form(None if norm is None else norm.module, given, normed, close)
    if found is None:
        raise _refused(name, "its final norm is neither a layer norm nor a root-mean-square norm")
    gain, is_centred, shift = found
    before = _ratio(ended.given[0, position].double(), normed, close)
    after = _ratio(run.logits[position].double(), ended.result[0, position].double(), close)
    if before is None or after is None:
        raise _refused(
            name, "its logits are not the unembedding's, but for a factor (they may be capped)"
        )
    bias: Any = getattr(unembedding, "bias", None)
    return Readout(
        gain=gain * before,
        is_centred=is_centred,
        shift=shift * before,
        weight=weight.detach(),
        bias=None if bias is None else bias.detach(),
        scale=after,
    )


def _norm_between(run: Run, last: torch.Tensor, given: torch.Tensor, close: float) -> State | None:
    """Find the module that turns the last state into the unembedding's input, up to a factor."""
    if _ratio(given.double(), last.double(), close) is not None:
        return None
    for state in run.states:
        is_given = state.given is not None and torch.equal(state.given, last)
        is_alike = is_given and state.result.shape == given.shape
        if is_alike and _ratio(given.double(), state.result.double(), close) is not None:
            return state
    raise _refused(
        run.model.name,
        "more than a norm lies between the last layer and the unembedding, as in the head of BERT",
    )


def _norm_form(
    norm: nn.Module | None, given: torch.Tensor, normed: torch.Tensor, close: float
) -> tuple[torch.Tensor, bool, torch.Tensor] | None:
    """Return the gain at this token's own scale, whether the mean is subtracted, and the bias."""
    zero = torch.zeros_like(given)
    if norm is None:
        return torch.ones_like(given), False, zero
    own = dict(norm.named_parameters(recurse=False))
    weight = own["weight"].detach().double() if "weight" in own else torch.ones_like(given)
    shift = own["bias"].detach().double() if "bias" in own else zero
    if weight.shape != given.shape or shift.shape != given.shape:
        return None
    nearest = close
    found = None
    # Some count their weight from 1 (Gemma). In half precision several forms come close: a state
    # whose mean is small is normalized nearly alike with it and without it.
    for gain, is_centred in product((weight, 1 + weight), (True, False)):
        centred = given - given.mean() if is_centred else given
        scale, distance = _fitted(normed - shift, gain * centred)
        if distance <= nearest and (found is None or distance < nearest):
            nearest, found = distance, (gain * scale, is_centred, shift)
    return found


def _ratio(one: torch.Tensor, other: torch.Tensor, close: float) -> float | None:
    """Return the factor between two tensors; ``None`` where there is none, up to ``close``."""
    factor, distance = _fitted(one, other)
    return factor if distance <= close else None


def _fitted(one: torch.Tensor, other: torch.Tensor) -> tuple[float, float]:
    """Return the best-fitting factor, and its deviation in units of the largest number."""
    square, largest = float((other * other).sum()), float(one.abs().max())
    if not square:
        return 0.0, math.inf
    factor = float((one * other).sum()) / square
    distance = float((one - factor * other).abs().max())
    return factor, 0.0 if not distance else distance / largest if largest else math.inf


def _refused(name: str, why: str) -> CaptureError:
    return CaptureError(
        f"Expected {name} to read its logits from the last layer's state by a norm and a linear "
        f"layer, but {why}. Its logits cannot be divided among heads; ix.logit_lens may still do."
    )
