"""Direct logit attribution: a token's logit, divided among the components of a model."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from numbers import Integral
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import nn

from introspect.calls import checked_call
from introspect.errors import CaptureError, SelectionError
from introspect.hooks import same_output
from introspect.models import Model, Readable, load_text, logit_of
from introspect.records import Head, TokenLike, as_token
from introspect.studies.lens.states import Added, Run, State, added_by, run_noted


@dataclass(frozen=True, eq=False)
class Readout:
    """The map from a state to the logits at one token; linear except for constants.

    Args:
        gain: ``(size,)``, float64: the factor of each number of the state.
        is_centered: whether the state's mean is subtracted first.
        shift: ``(size,)``, the norm's bias.
        weight: ``(vocabulary, size)``, the unembedding's.
        bias: ``(vocabulary,)``, the unembedding's; ``None`` where it has none.
        scale: the factor of all logits at the end.
    """

    gain: torch.Tensor
    is_centered: bool
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
        centered = states - states.mean(-1, keepdim=True) if self.is_centered else states
        return self.scale * ((centered * self.gain) @ direction)

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
    gain, is_centered, shift = found
    before = _ratio(ended.given[0, position].double(), normed, close)
    after = _ratio(run.logits[position].double(), ended.result[0, position].double(), close)
    if before is None or after is None:
        raise _refused(
            name, "its logits are not the unembedding's, but for a factor (they may be capped)"
        )
    bias: Any = getattr(unembedding, "bias", None)
    return Readout(
        gain=gain * before,
        is_centered=is_centered,
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
    for gain, is_centered in product((weight, 1 + weight), (True, False)):
        centered = given - given.mean() if is_centered else given
        scale, distance = _fitted(normed - shift, gain * centered)
        if distance <= nearest and (found is None or distance < nearest):
            nearest, found = distance, (gain * scale, is_centered, shift)
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


@checked_call
def direct_logit_attribution(
    model: Model | str | os.PathLike[str] | tuple[nn.Module, object],
    text: Readable,
    *,
    token: str | int,
    against: str | int | None = None,
    position: TokenLike = -1,
    target: str | None = None,
) -> pd.DataFrame:
    r"""Compute how much each head, bias and feed-forward adds to the logit of a token by itself.

    .. math:: \mathrm{logit}_a - \mathrm{logit}_b
        = \sum_c \frac{\gamma \odot (c_i - \bar c_i)}{\sigma_i} \cdot (u_a - u_b) + \text{biases}

    The state of token *i* that the unembedding reads is a sum of components *c*: the embeddings,
    each head's output through its part of the output projection, the projections' biases, and each
    feed-forward. The final norm is linear except for its scale :math:`\sigma_i`, which is the run's
    own (a root-mean-square norm subtracts no mean). That the components sum to the model's logits
    is verified on the run.

    Only a component's direct contribution is counted: not what later layers make of it, and not
    that the scale would differ without it. For that, ablate it.

    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; Wang et al.
    2022, "Interpretability in the Wild", section 3.

    Args:
        model: as for ``load``, with an LM head and layers that only add to a state (GPT-2, Llama,
            T5, …); pass a ``Model`` that was loaded with
            ``lm_head=True``.
        text: the text that it reads.
        token: the token whose logit is divided; a piece of the vocabulary (with its space, where
            the pieces have one), or its ID.
        against: another token, whose logit is subtracted.
        position: the token at which the logit is read, its index (from the end: -1) or its word
            (``"it"``, ``"it#2"`` for the second one): for a decoder, the one before.
        target: the text that an encoder-decoder writes; ``position`` counts its tokens.

    Returns:
        A row for each component: ``component`` (``embeddings``, ``L0H3``, ``L0 bias``,
        ``L0 feed-forward``, ``final norm bias``, …), ``kind`` (of attention; else none), ``layer``,
        ``head``, ``contribution``, in logits. ``attrs`` has ``logit``, the model's own value that
        they sum to, ``error``, how far their sum is from it, and the tokens' names.

    Raises:
        ModelError: the model has no LM head.
        CaptureError: its layers do more than add (BERT), or what follows them is not linear.
        SelectionError: a token or position does not exist.

    Example:
        >>> from introspect.models import load
        >>> model = load("induction", lm_head=True)
        >>> found = direct_logit_attribution(model, "a b c d a b", token="c", against="d")
        >>> bool(abs(found["contribution"].sum() - found.attrs["logit"]) < 1e-4)
        True
    """
    loaded = load_text(model, lm_head=True)
    run = run_noted(loaded, text, target)
    vocabulary = run.logits.shape[-1]
    place = as_token(run.tokens, position, name="position", from_end=True)
    chosen = _token_id(loaded, token, vocabulary)
    other = None if against is None else _token_id(loaded, against, vocabulary)
    added = [added_by(run, number) for number in range(len(run.layers))]
    readout = readout_of(run, place)
    table = pd.DataFrame(_rows(run, added, readout, place, chosen, other))
    table = table.astype({"layer": "Int64", "head": "Int64"})
    logits = run.logits[place].double()
    own = float(logits[chosen] - (0 if other is None else logits[other]))
    error = abs(float(table["contribution"].sum()) - own)
    largest = max(1.0, float(logits.abs().max()))
    if not error <= same_output(run.logits.dtype) * largest:
        raise CaptureError(
            f"Expected the components of {loaded.name} to sum to its logit {own:.4g}, but they are "
            f"{error:.2g} away. Something adds to it that is not known; no number is given."
        )
    names = loaded.tokenizer.convert_ids_to_tokens
    table.attrs |= {
        "model": run.model.name,
        "revision": run.model.revision,
        "logit": own,
        "error": error,
        "token": names(chosen),
        "against": None if other is None else names(other),
        "position": place,
        "at": run.tokens.tokens[place],
    }
    return table


class _Row(NamedTuple):
    component: str
    kind: str | None
    layer: int | None
    head: int | None
    contribution: float


def _rows(
    run: Run,
    layers: list[Added],
    readout: Readout,
    position: int,
    token: int,
    against: int | None,
) -> Iterator[_Row]:
    """Yield every component in the order in which it is added."""
    direction = readout.direction(token, against)

    def read(state: torch.Tensor) -> float:
        return float(readout.read(state, direction))

    first = run.layers[0].given
    assert first is not None, "layers are chained by what they are given"
    yield _Row("embeddings", None, None, None, read(first[0, position].double()))
    for added in layers:
        number = added.layer
        for kind, heads in added.heads.items():
            of_kind = "" if kind == "self" else f" {kind}"
            for head, value in enumerate(readout.read(heads[:, position], direction).tolist()):
                yield _Row(f"{Head(number, head)}{of_kind}", kind, number, head, value)
            if kind in added.biases:
                value = read(added.biases[kind])
                yield _Row(f"L{number}{of_kind} bias", kind, number, None, value)
        if added.feed_forward is not None:
            value = read(added.feed_forward[position])
            yield _Row(f"L{number} feed-forward", None, number, None, value)
    for name, value in readout.constants(token, against, direction).items():
        yield _Row(name, None, None, None, value)


def _token_id(model: Model, token: str | int, vocabulary: int) -> int:
    """Return the ID of a token in the vocabulary."""
    if isinstance(token, Integral):
        token = int(token)
    if isinstance(token, int) and not 0 <= token < vocabulary:
        raise SelectionError(
            f"Expected a token's number from 0 to {vocabulary - 1} for {model.name}, got {token}."
        )
    return logit_of(model, token).token_id
