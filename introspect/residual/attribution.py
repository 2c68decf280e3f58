"""Direct logit attribution: a token's logit, divided among the components of a model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from numbers import Integral
from typing import NamedTuple

import pandas as pd
import torch
from torch import nn

from introspect.errors import CaptureError, SelectionError
from introspect.hooks.tolerance import same_output
from introspect.models import Model
from introspect.models.loading import load
from introspect.models.objectives import logit_of
from introspect.models.reading import Readable
from introspect.records import Head
from introspect.residual.readout import Readout, readout_of
from introspect.residual.running import Run, run_noted
from introspect.residual.stream import Added, added_by

__all__ = ["direct_logit_attribution"]


def direct_logit_attribution(
    model: Model | str | os.PathLike[str] | tuple[nn.Module, object],
    text: Readable,
    *,
    token: str | int,
    against: str | int | None = None,
    position: int = -1,
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
            T5, …); pass a ``Model`` that was loaded ``with_head``.
        text: the text that it reads.
        token: the token whose logit is divided; a piece of the vocabulary (with its space, where
            the pieces have one), or its ID.
        against: another token, whose logit is subtracted.
        position: the token at which the logit is read: for a decoder, the one before.
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
        >>> model = load("induction", with_head=True)
        >>> found = direct_logit_attribution(model, "a b c d a b", token="c", against="d")
        >>> bool(abs(found["contribution"].sum() - found.attrs["logit"]) < 1e-4)
        True
    """
    loaded = load(model) if not isinstance(model, Model) else model
    run = run_noted(loaded, text, target)
    length, vocabulary = run.logits.shape
    if not -length <= position < length:
        raise SelectionError(
            f"Expected `position` from {-length} to {length - 1}, for {length} tokens, got "
            f"{position}."
        )
    position %= length
    chosen = _token_id(loaded, token, vocabulary)
    other = None if against is None else _token_id(loaded, against, vocabulary)
    added = [added_by(run, number) for number in range(len(run.layers))]
    readout = readout_of(run, position)
    table = pd.DataFrame(_rows(run, added, readout, position, chosen, other))
    table = table.astype({"layer": "Int64", "head": "Int64"})
    logits = run.logits[position].double()
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
        "position": position,
        "at": run.tokens.tokens[position],
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
