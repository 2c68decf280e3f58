"""Direct logit attribution: a token's logit, divided among the components of a model."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import nn

from introspect.calls import checked_call
from introspect.errors import CaptureError, SelectionError
from introspect.hooks import active_editors, same_output, without_dropout
from introspect.models import Model, Readable, load_text, logit_of
from introspect.records import Head, TokenLike, as_token
from introspect.studies.lens.norms import norm_form, ratio
from introspect.studies.lens.states import Added, Run, State, added_by, run_noted
from introspect.studies.lens.value_biases import value_biases
from introspect.text import quantity


@dataclass(frozen=True, eq=False)
class Readout:
    """The map from a state to the logits at one token; linear except for constants.

    Args:
        gain: ``(size,)``, float64: the factor of each number of the state.
        is_centered: whether the state's mean is subtracted first.
        shift: ``(size,)``, the norm's bias.
        unembedding: the module that computes the logits.
        scale: the factor of all logits at the end.
    """

    gain: torch.Tensor
    is_centered: bool
    shift: torch.Tensor
    unembedding: nn.Module
    scale: float

    def direction(self, token: int, against: int | None) -> torch.Tensor:
        """Return the direction of a token less another, or the vocabulary's mean, ``(size,)``."""
        own, other = (_row_of(self.unembedding, one, self.gain)[0] for one in (token, against))
        return own - other

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
        own, other = (_row_of(self.unembedding, one, self.gain)[1] for one in (token, against))
        if own is not None or other is not None:
            difference = (0.0 if own is None else own) - (0.0 if other is None else other)
            found["unembedding bias"] = self.scale * float(difference)
        return found


def _row_of(
    unembedding: nn.Module, token: int | None, like: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return a token's row of the unembedding, ``(size,)`` in float64, and its bias.

    Without a token, both are means over the vocabulary.

    One that is adapted, quantized or kept elsewhere is asked: the row is the logit's gradient.
    """
    written: Any = getattr(unembedding, "weight", None)
    if type(unembedding) is nn.Linear and written.device.type != "meta":
        rows, biases = written.detach(), unembedding.bias
        own = None if biases is None else biases.detach().double()
        if token is None:
            return rows.mean(0, dtype=torch.float64), None if own is None else own.mean()
        return rows[token].double(), None if own is None else own[token]
    numbers = next(
        (each.dtype for each in unembedding.parameters() if each.is_floating_point()), torch.float32
    )
    with torch.enable_grad(), without_dropout(unembedding):
        state = torch.zeros(1, 1, like.numel(), dtype=numbers, device=like.device)
        logits = unembedding(state.requires_grad_())[0, 0]
        logit = logits.double().mean() if token is None else logits[token]
        (row,) = torch.autograd.grad(logit, state)
    bias = logit.detach().double()
    return row[0, 0].double(), bias if bool(bias) else None


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
    found = norm_form(None if norm is None else norm.module, given, normed, close)
    if found is None:
        raise _refused(name, "its final norm is neither a layer norm nor a root-mean-square norm")
    gain, is_centered, shift = found
    before = ratio(ended.given[0, position].double(), normed, close)
    after = ratio(run.logits[position].double(), ended.result[0, position].double(), close)
    if before is None or after is None:
        raise _refused(
            name, "its logits are not the unembedding's, but for a factor (they may be capped)"
        )
    return Readout(
        gain=gain * before,
        is_centered=is_centered,
        shift=shift * before,
        unembedding=unembedding,
        scale=after,
    )


def _norm_between(run: Run, last: torch.Tensor, given: torch.Tensor, close: float) -> State | None:
    """Find the module that turns the last state into the unembedding's input, up to a factor."""
    if ratio(given.double(), last.double(), close) is not None:
        return None
    for state in run.states:
        is_given = state.given is not None and torch.equal(state.given, last)
        is_alike = is_given and state.result.shape == given.shape
        if is_alike and ratio(given.double(), state.result.double(), close) is not None:
            return state
    raise _refused(
        run.model.name,
        "more than a norm lies between the last layer and the unembedding, as in the head of BERT",
    )


def _coarse(run: Run, error: CaptureError) -> CaptureError:
    """Return an error of parts that do not add up, with quantized numbers as the reason if so."""
    coarse = [each for each in run.projections.values() if each.is_coarse]
    if not coarse:
        return error
    return CaptureError(
        f"Expected the parts of {run.model.name} to add up to its states, but its "
        f"{type(coarse[0].layer).__name__} layers are quantized, and round what they give more "
        "coarsely than that can be told. Load the model without quantization; ix.logit_lens may "
        "still do."
    )


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

    Without another token *b*, the mean over the vocabulary is subtracted: what raises all logits
    alike changes no probability, and counts for no token.

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
        against: another token, whose logit is subtracted; by default the mean of all logits is.
        position: the token at which the logit is read, its index (from the end: -1) or its word
            (``"it"``, ``"it#2"`` for the second one): for a decoder, the one before.
        target: the text that an encoder-decoder writes; ``position`` counts its tokens.

    Returns:
        A row for each component: ``component`` (``embeddings``, ``L0H3``, ``L0 bias``,
        ``L0 feed-forward``, ``final norm bias``, …), ``kind`` (of attention; else none), ``layer``,
        ``head``, ``contribution``, in logits; ``without_value_bias``, a head's contribution less
        what the bias of its values adds whatever the text says (NaN where that is not known).
        ``attrs`` has ``logit``, the model's own value that they sum to (of the token less the mean,
        or less the other), ``mean_logit``, the mean over the vocabulary, ``error``, how far their
        sum is from it, and the tokens' names.

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
    try:
        added = [added_by(run, number) for number in range(len(run.layers))]
    except CaptureError as refusal:
        raise _coarse(run, refusal) from refusal
    readout = readout_of(run, place)
    table = pd.DataFrame(_rows(run, added, readout, place, chosen, other))
    table = table.astype({"layer": "Int64", "head": "Int64"})
    logits = run.logits[place].double()
    own = float(logits[chosen] - (logits.mean() if other is None else logits[other]))
    error = abs(float(table["contribution"].sum()) - own)
    largest = max(1.0, float(logits.abs().max()))
    if not error <= same_output(run.logits.dtype) * largest:
        unknown = CaptureError(
            f"Expected the components of {loaded.name} to sum to its logit {quantity(own)}, but "
            f"they are {quantity(error)} away. Something adds to it that is not known; no number "
            "is given."
        )
        raise _coarse(run, unknown)
    names = loaded.tokenizer.convert_ids_to_tokens
    table.attrs |= {
        "model": run.model.name,
        "revision": run.model.revision,
        "logit": own,
        "mean_logit": float(logits.mean()),
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
    without_value_bias: float = math.nan


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

    biases = {} if active_editors() else value_biases(run)
    first = run.layers[0].given
    assert first is not None, "layers are chained by what they are given"
    yield _Row("embeddings", None, None, None, read(first[0, position].double()))
    for added in layers:
        number = added.layer
        for kind, heads in added.heads.items():
            of_kind = "" if kind in ("self", "text") else f" {kind}"
            own = heads[:, position]
            bare = readout.read(own - _bias_of(run, biases, kind, number, position, own), direction)
            values = zip(readout.read(own, direction).tolist(), bare.tolist(), strict=True)
            for head, (value, without) in enumerate(values):
                yield _Row(f"{Head(number, head)}{of_kind}", kind, number, head, value, without)
            if kind in added.biases:
                bias = added.biases[kind]
                value = read(bias if bias.ndim == 1 else bias[position])
                yield _Row(f"L{number}{of_kind} bias", kind, number, None, value)
        if added.feed_forward is not None:
            value = read(added.feed_forward[position])
            yield _Row(f"L{number} feed-forward", None, number, None, value)
    for name, value in readout.constants(token, against, direction).items():
        yield _Row(name, None, None, None, value)


def _bias_of(
    run: Run,
    biases: Mapping[tuple[str, int], torch.Tensor],
    kind: str,
    number: int,
    position: int,
    heads: torch.Tensor,
) -> torch.Tensor:
    """Return what the heads of a layer bring of their value biases, ``(num_heads, size)``."""
    if (kind, number) not in biases:
        return torch.full_like(heads, torch.nan)
    given = biases[kind, number][:, position]
    by_head = run.projections[kind, number].by_head.double()
    brought = torch.einsum("hd,hdm->hm", given, by_head)
    raw = run.captured.head_outputs[kind][run.captured.layers[kind].index(number)][0, :, position]
    # Behind a norm of the heads' sum, what a part of it brings is not this.
    is_plain = torch.allclose(torch.einsum("hd,hdm->hm", raw.double(), by_head), heads)
    return brought if is_plain or not brought.any() else torch.full_like(heads, torch.nan)


def _token_id(model: Model, token: str | int, vocabulary: int) -> int:
    """Return the ID of a token in the vocabulary."""
    if isinstance(token, Integral):
        token = int(token)
    if isinstance(token, int) and not 0 <= token < vocabulary:
        raise SelectionError(
            f"Expected a token's number from 0 to {vocabulary - 1} for {model.name}, got {token}."
        )
    return logit_of(model, token).token_id
