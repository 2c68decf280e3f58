"""The logit lens: what a model would predict if it stopped after each layer."""

from __future__ import annotations

import math
import os
from itertools import product
from typing import Any

import pandas as pd
import torch
from torch import nn

from introspect.calls import checked_call
from introspect.errors import CaptureError, SelectionError
from introspect.hooks import borrowed_attention, replayed_results, run_arguments, unedited
from introspect.models import Model, Readable, load_text
from introspect.studies.lens.states import (
    Run,
    ends_in_norm,
    noted_results,
    replaced_result,
    run_noted,
)
from introspect.text import quantity

#: The layer number of the embeddings before layer 0.
EMBEDDINGS = -1
#: What a reader must know of a model whose layers do more than add.
NO_STREAM = (
    "The layers of this model normalize what they pass on, and its LM head was trained on the "
    "last layer's states alone: what it reads from an earlier layer is in another scale and basis."
)

# How far the last layer's reading may be from the model's own logits, relative to the largest.
_SAME = {torch.float32: 1e-5, torch.float64: 1e-10}
_SAME_HALF = 1e-2


@checked_call
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
            pass a ``Model`` that was loaded with ``lm_head=True``.
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
    loaded = load_text(model, lm_head=True)
    run = run_noted(loaded, text, target, by_head=False)
    if not 1 <= top <= run.logits.shape[-1]:
        raise SelectionError(
            f"Expected `top` from 1 to {run.logits.shape[-1]}, the size of the vocabulary, got "
            f"{top}."
        )
    first = run.layers[0].given
    assert first is not None, "layers are chained by what they are given"
    module = run.model.module
    with torch.no_grad(), unedited(), borrowed_attention(module):
        read, results, error = _proved_reader(run)
        with replayed_results(results):
            readings = [
                read(state).float().softmax(-1).topk(top)
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


class _Reader:
    """The model's own code behind the last layer, run on other tokens than the text's.

    Args:
        run: the run on the text.
        by_token: read a state as a batch of one-token texts, not as a text of the same length.
    """

    def __init__(self, run: Run, *, by_token: bool) -> None:
        module, vocabulary = run.model.module, run.logits.shape[-1]
        inputs = {
            name: (each + 1) % vocabulary if name.endswith("input_ids") else each
            for name, each in run.inputs.items()
        }
        if by_token:
            inputs = {name: each[:, :1] for name, each in inputs.items()}
        self._module, self._last = module, run.layers[-1].module
        self._inputs = run_arguments(module, inputs)
        self._by_token = by_token

    def __call__(self, state: torch.Tensor) -> torch.Tensor:
        """Compute the logits, ``(length, vocabulary)``, of a state, ``(1, length, size)``."""
        state = state.transpose(0, 1) if self._by_token else state
        with replaced_result(self._last, state):
            logits: torch.Tensor = self._module(**self._inputs).logits
        return logits[:, 0] if self._by_token else logits[0]


def _proved_reader(run: Run) -> tuple[_Reader, dict[nn.Module, Any], float]:
    """Return a reader that turns the last state into the model's own logits, and its error.

    What the layers returned in its run comes with it: where the logits depend on the last state
    alone, the layers need not be computed again to read another one in its place.

    Both readers run on other tokens than the text's, so that only the state can carry them. The
    first is quick; some models reshape the states to the shape of their input, and work only with
    the second.
    """
    largest = max(1.0, float(run.logits.abs().max()))
    error = math.inf
    for by_token in (True, False):
        read = _Reader(run, by_token=by_token)
        with noted_results(_before_the_head(run)) as results:
            error = _error(run, read)
        if error <= _SAME.get(run.logits.dtype, _SAME_HALF) * largest:
            return read, results, error
    raise CaptureError(
        f"Expected the logits of {run.model.name} to follow from the last layer's state alone, but "
        f"in a run on other tokens the same state gives logits {quantity(error)} away: its LM head "
        "reads more. No reading of an earlier layer would mean anything."
    )


def _before_the_head(run: Run) -> list[nn.Module]:
    """Return the modules that compute the states: the layers, and a whole encoder."""
    encoder = [run.model.reader] if run.model.is_encoder_decoder else []
    return [*encoder, *(layer.module for layer in run.layers)]


def _error(run: Run, read: _Reader) -> float:
    """Return how far the last state's reading is from the model's own logits."""
    try:
        logits = read(run.layers[-1].result)
    except (RuntimeError, ValueError):  # the shape is not what the model's code expects
        return math.inf
    if logits.shape != run.logits.shape:
        return math.inf
    return float((logits - run.logits).abs().max())


def _table(run: Run, readings: list[torch.return_types.topk], top: int) -> pd.DataFrame:
    layers = range(EMBEDDINGS, EMBEDDINGS + len(readings))
    cells = product(layers, enumerate(run.tokens.tokens), range(1, top + 1))
    rows = [(layer, position, token, rank) for layer, (position, token), rank in cells]
    table = pd.DataFrame(rows, columns=["layer", "position", "token", "rank"])
    ids = torch.stack([reading.indices for reading in readings]).flatten().tolist()
    table["predicted"] = run.model.tokenizer.convert_ids_to_tokens(ids)
    table["probability"] = torch.stack([reading.values for reading in readings]).flatten().tolist()
    return table
