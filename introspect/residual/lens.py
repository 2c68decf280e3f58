"""What a model would say if it stopped after each layer."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pandas as pd
import torch
from torch import nn

from introspect.errors import CaptureError, SelectionError
from introspect.hooks.borrowing import borrowed_attention
from introspect.hooks.capturing import run_arguments
from introspect.models import Model
from introspect.models.loading import load
from introspect.models.reading import Readable
from introspect.residual.running import Run, replaced_result, run_noted
from introspect.residual.stream import ends_in_norm

__all__ = ["EMBEDDINGS", "NO_STREAM", "logit_lens"]

#: The number of what is there before layer 0.
EMBEDDINGS = -1
#: What a reader must know of a model whose layers do more than add.
NO_STREAM = (
    "The layers of this model normalise what they give on, and its head was trained on the last "
    "layer's states alone: what it reads from an earlier layer is in another scale and basis."
)

# How far the last layer's reading may be from the model's own logits, in units of the largest.
_SAME = {torch.float32: 1e-5, torch.float64: 1e-10}
_SAME_HALF = 1e-2


def logit_lens(
    model: Model | str | os.PathLike[str] | tuple[nn.Module, object],
    text: Readable,
    *,
    top: int = 5,
    target: str | None = None,
) -> pd.DataFrame:
    r"""The tokens that a model's head reads from the state after every layer.

    .. math:: \mathrm{softmax}(W_U \, \mathrm{norm}(h_i^l))

    Each layer's state is put in the place of the last one's, and the model's own code goes on from
    there, whatever its final norm and head are: one run for each layer. That the logits follow from
    the last layer's state and from nothing else is proved by putting it into a run on other tokens.

    A state that reads as a word need not be used as it, and one that does not may be.

    Source: nostalgebraist 2020, "interpreting GPT: the logit lens".

    Args:
        model: as for ``load``, with a language-model head: a decoder, an encoder-decoder or a
            masked model; give a ``Model`` that was loaded ``with_head``.
        text: what it reads.
        top: how many tokens of each reading.
        target: what an encoder-decoder writes; its tokens are read.

    Returns:
        Columns ``layer`` (-1 for the embeddings before layer 0), ``position``, ``token``, ``rank``
        from 1, ``predicted`` (as the vocabulary has it), ``probability``. ``attrs["note"]`` says
        what a reader must know of a model whose norms stand behind its sums, such as BERT, else
        ``None``; ``attrs["error"]`` how far the last reading is from the model's own logits.

    Raises:
        ModelError: the model has no language-model head.
        CaptureError: its layers cannot be told, or its logits follow from more than the last one.
        SelectionError: ``top`` is less than 1, or more than the vocabulary.

    Example:
        >>> from introspect.models import load
        >>> model = load("induction", with_head=True)
        >>> read = logit_lens(model, "a b c d a b", top=1)
        >>> read.loc[read["position"] == 6, "predicted"].tolist()[-1]  # after the second b
        'c'
    """
    loaded = load(model) if not isinstance(model, Model) else model
    run = run_noted(loaded, text, target)
    if not 1 <= top <= run.logits.shape[-1]:
        raise SelectionError(
            f"Expected `top` from 1 to {run.logits.shape[-1]}, the size of the vocabulary, got "
            f"{top}."
        )
    first = run.layers[0].given
    assert first is not None, "layers are chained by what they are given"
    error = _error(run)
    readings = [
        _read(run, run.inputs, state).float().softmax(-1).topk(top)
        for state in [first, *(layer.result for layer in run.layers)]
    ]
    table = _table(run, readings, top)
    table.attrs |= {"note": NO_STREAM if ends_in_norm(run) else None, "error": error}
    return table


def _read(run: Run, inputs: Mapping[str, torch.Tensor], state: torch.Tensor) -> torch.Tensor:
    """The logits that follow from a state in the place of the last one's."""
    module = run.model.module
    arguments = run_arguments(module, inputs)
    with (
        torch.no_grad(),
        borrowed_attention(module),
        replaced_result(run.layers[-1].module, state),
    ):
        logits: torch.Tensor = module(**arguments).logits[0]
    return logits


def _error(run: Run) -> float:
    """How far the last state's reading in a run on other tokens is from the model's own logits."""
    vocabulary = run.logits.shape[-1]
    others = {
        name: (each + 1) % vocabulary if name.endswith("input_ids") else each
        for name, each in run.inputs.items()
    }
    logits = _read(run, others, run.layers[-1].result)
    error = float((logits - run.logits).abs().max())
    largest = max(1.0, float(run.logits.abs().max()))
    if not error <= _SAME.get(logits.dtype, _SAME_HALF) * largest:
        raise CaptureError(
            f"Expected the logits of {run.model.name} to follow from the last layer's state alone, "
            f"but on other tokens the same state gives logits {error:.2g} away: its head reads "
            "more. No reading of an earlier layer would mean anything."
        )
    return error


def _table(run: Run, readings: list[torch.return_types.topk], top: int) -> pd.DataFrame:
    names = run.model.tokenizer.convert_ids_to_tokens
    length = len(run.tokens)
    parts = []
    for layer, found in enumerate(readings, EMBEDDINGS):
        parts.append(
            pd.DataFrame(
                {
                    "layer": layer,
                    "position": [i for i in range(length) for _ in range(top)],
                    "token": [token for token in run.tokens.tokens for _ in range(top)],
                    "rank": [rank for _ in range(length) for rank in range(1, top + 1)],
                    "predicted": names(found.indices.flatten().tolist()),
                    "probability": found.values.flatten().tolist(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
