"""The logit lens: what a model would say if it stopped after each layer."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from itertools import product

import pandas as pd
import torch
from torch import nn

from introspect.errors import CaptureError, SelectionError
from introspect.hooks import borrowed_attention, run_arguments, unedited
from introspect.models import Model, Readable, load
from introspect.studies.lens.states import (
    Run,
    ends_in_norm,
    replaced_result,
    run_noted,
    skipped,
)

#: The layer number of the embeddings before layer 0.
EMBEDDINGS = -1
#: What a reader must know of a model whose layers do more than add.
NO_STREAM = (
    "The layers of this model normalize what they give on, and its head was trained on the last "
    "layer's states alone: what it reads from an earlier layer is in another scale and basis."
)

# How far the last layer's reading may be from the model's own logits, relative to the largest.
_SAME = {torch.float32: 1e-5, torch.float64: 1e-10}
_SAME_HALF = 1e-2

#: Maps a state of every token to its logits, ``(length, vocabulary)``.
_Reader = Callable[[Run, torch.Tensor], torch.Tensor]


def logit_lens(
    model: Model | str | os.PathLike[str] | tuple[nn.Module, object],
    text: Readable,
    *,
    top: int = 5,
    target: str | None = None,
) -> pd.DataFrame:
    r"""Return the tokens that a model's head reads from the hidden state after every layer.

    .. math:: \mathrm{softmax}(W_U \, \mathrm{norm}(h_i^l))

    Each layer's state replaces the last layer's, and the model's own code continues from there,
    whatever its final norm and head are. That the logits follow from the last layer's state and
    from nothing else is verified by inserting it into a run on other tokens.

    A state that reads as a word need not be used as that word, and one that does not may be.

    Source: nostalgebraist 2020, "interpreting GPT: the logit lens".

    Args:
        model: as for ``load``, with an LM head: a decoder, an encoder-decoder or a masked model;
            pass a ``Model`` that was loaded with
            ``lm_head=True``.
        text: the text that it reads.
        top: the number of tokens of each reading.
        target: the text that an encoder-decoder writes; its tokens are read.

    Returns:
        Columns ``layer`` (-1 for the embeddings before layer 0), ``position``, ``token``, ``rank``
        from 1, ``predicted`` (as the vocabulary has it), ``probability``. ``attrs["note"]`` says
        what a reader must know of a model whose norms follow its sums, such as BERT, else
        ``None``; ``attrs["error"]`` how far the last reading is from the model's own logits.

    Raises:
        ModelError: the model has no LM head.
        CaptureError: its layers cannot be identified, or its logits depend on more than the last
            one.
        SelectionError: ``top`` is below 1 or above the size of the vocabulary.

    Example:
        >>> from introspect.models import load
        >>> model = load("induction", lm_head=True)
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
    read, error = _proved_reader(run)
    readings = [
        read(run, state).float().softmax(-1).topk(top)
        for state in [first, *(layer.result for layer in run.layers)]
    ]
    table = _table(run, readings, top)
    table.attrs |= {
        "note": NO_STREAM if ends_in_norm(run) else None,
        "error": error,
        "model": run.model.name,
        "revision": run.model.revision,
    }
    return table


def _proved_reader(run: Run) -> tuple[_Reader, float]:
    """Return a reader that turns the last state into the model's own logits, and its error.

    All readers run on other tokens than the text's, so that only the state can carry them. The
    quick ones skip the layers, whose results are replaced in any case; some models reshape the
    states to the shape of their input, and work only with a text of the same length.
    """
    largest = max(1.0, float(run.logits.abs().max()))
    error = math.inf
    for skips, one_token in product((True, False), (True, False)):
        read = partial(_logits_of, skips=skips, one_token=one_token)
        error = _error(run, read)
        if error <= _SAME.get(run.logits.dtype, _SAME_HALF) * largest:
            return read, error
    raise CaptureError(
        f"Expected the logits of {run.model.name} to follow from the last layer's state alone, but "
        f"in a run on other tokens the same state gives logits {error:.2g} away: its head reads "
        "more. No reading of an earlier layer would mean anything."
    )


def _error(run: Run, read: _Reader) -> float:
    """Return how far the last state's reading is from the model's own logits."""
    try:
        logits = read(run, run.layers[-1].result)
    except (RuntimeError, ValueError):  # the shape is not what the model's code expects
        return math.inf
    if logits.shape != run.logits.shape:
        return math.inf
    return float((logits - run.logits).abs().max())


def _logits_of(run: Run, state: torch.Tensor, *, skips: bool, one_token: bool) -> torch.Tensor:
    """Compute the logits of a state, ``(1, length, size)``, on other tokens than the text's.

    Args:
        run: the run that the state is from.
        state: the state in place of the last layer's.
        skips: whether the layers are skipped.
        one_token: whether its tokens are a batch of texts of one token, or one text.
    """
    if one_token:
        return _read(run, _one_token_inputs(run), state.transpose(0, 1), skips)[:, 0]
    return _read(run, _other_inputs(run), state, skips)[0]


def _one_token_inputs(run: Run) -> dict[str, torch.Tensor]:
    """Return the inputs of a text of one other token."""
    return {name: each[:, :1] for name, each in _other_inputs(run).items()}


def _other_inputs(run: Run) -> dict[str, torch.Tensor]:
    """Return the inputs with every token replaced by another one."""
    vocabulary = run.logits.shape[-1]
    return {
        name: (each + 1) % vocabulary if name.endswith("input_ids") else each
        for name, each in run.inputs.items()
    }


def _read(
    run: Run, inputs: dict[str, torch.Tensor], state: torch.Tensor, skips: bool
) -> torch.Tensor:
    """Compute the logits with a state in place of the last layer's."""
    module = run.model.module
    with (
        torch.no_grad(),
        unedited(),
        borrowed_attention(module),
        skipped(run.layers if skips else ()),
        replaced_result(run.layers[-1].module, state),
    ):
        logits: torch.Tensor = module(**run_arguments(module, inputs)).logits
    return logits


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
