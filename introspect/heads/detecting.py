"""Detection of previous-token, duplicate-token and induction heads on repeated random tokens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from introspect.errors import SelectionError
from introspect.functional.patterns import visible_keys
from introspect.functional.repetition import duplicate_matching, pair_mass, prefix_matching
from introspect.heads.repeats import Repeats, random_repeats
from introspect.hooks import capture
from introspect.models import Model
from introspect.models.loading import load_text
from introspect.statistics import grouped_bootstrap

__all__ = ["SCORES", "THRESHOLD", "checked_kind", "detect_heads", "run_plan"]

Floats = npt.NDArray[np.float64]

#: The scores, each with the role of a head that has enough of it.
SCORES = {
    "previous_token": "previous-token",
    "duplicate_token": "duplicate-token",
    "induction": "induction",
}
#: A head is named for its largest score if the score's whole interval is above this.
THRESHOLD = 0.4

_AT_ONCE = 8


def detect_heads(
    model: Model | str | os.PathLike[str] | tuple[nn.Module, object] = "minilm",
    *,
    num_sequences: int = 32,
    prefix: tuple[int, int] = (0, 16),
    period: tuple[int, int] = (8, 22),
    kind: str | None = None,
    threshold: float = THRESHOLD,
    seed: int = 0,
) -> pd.DataFrame:
    """Detect heads that attend to the previous token, an earlier copy, or the token after it.

    The model reads random tokens, some of which occur twice (see ``random_repeats``); only the
    repetition can be predicted. The scores are means over the tokens of a sequence, and then over
    sequences:

    - ``previous_token``: attention to the token before, over all random tokens but the first;
    - ``duplicate_token``: attention to the earlier occurrence, over the second time;
    - ``induction``: attention to the token after the earlier occurrence (prefix-matching), over
      the same.

    Pairs that a mask hides (a window that does not reach back) do not count. The threshold is a
    choice of this package: the sources use the scores themselves.

    Source: Olsson et al. 2022, "In-context Learning and Induction Heads"; Wang et al. 2022,
    "Interpretability in the Wild".

    Args:
        model: as for ``load``; with or without its head.
        num_sequences: the number of sequences that are read.
        prefix: the fewest and most tokens before the block that occurs twice.
        period: the fewest and most tokens of the block.
        kind: for an encoder-decoder, ``encoder``, the default, or ``decoder``; there the encoder
            reads the same tokens.
        threshold: the score above which a head has a role, from 0 to 1.
        seed: the random seed of the tokens and the intervals.

    Returns:
        A row for each layer and head: ``layer``, ``head``, ``role`` (``induction``,
        ``previous-token``, ``duplicate-token`` or ``none``); for each score its mean, its 95 %
        interval by sequence (``_ci_low``, ``_ci_high``) and the score of uniform attention to all
        visible tokens (``_baseline``); ``n_sequences`` and ``length``, the tokens of each with its
        special ones. NaN where a mask hides all pairs.

    Raises:
        SelectionError: the model cannot read the sequences, or does not have the kind.
        ModelError: the model has no token embeddings.

    Example:
        >>> heads = detect_heads("induction", num_sequences=4)
        >>> heads.loc[heads["role"] == "previous-token", ["layer", "head"]].values.tolist()
        [[0, 0]]
    """
    if not 0 <= threshold <= 1:
        raise SelectionError(f"Expected `threshold` from 0 to 1, got {threshold}.")
    loaded = load_text(model)
    kind = checked_kind(loaded, kind)
    repeats = random_repeats(loaded, num_sequences, prefix=prefix, period=period, seed=seed)
    layers, values, baselines = _measured(loaded, repeats, kind)
    num_heads = values.shape[-1]
    table: dict[str, object] = {
        "layer": np.repeat(layers, num_heads),
        "head": np.tile(np.arange(num_heads), len(layers)),
        "role": "none",
    }
    lows = []
    for number, name in enumerate(SCORES):
        by_sequence = values[:, number].reshape(len(repeats), -1)
        low, high = grouped_bootstrap(by_sequence, range(len(repeats)), seed=seed)
        table[name] = _mean(by_sequence)
        table[f"{name}_ci_low"], table[f"{name}_ci_high"] = low, high
        table[f"{name}_baseline"] = np.repeat(_mean(baselines[:, number]), num_heads)
        lows.append(low)
    found = pd.DataFrame({**table, "n_sequences": len(repeats), "length": repeats.length})
    found["role"] = _roles(found, np.stack(lows), threshold)
    return found


def _roles(table: pd.DataFrame, lows: Floats, threshold: float) -> list[str]:
    """Return the role of each head."""
    means = table[list(SCORES)].fillna(-1.0).to_numpy()
    names = list(SCORES.values())
    return [
        names[best] if lows[best, number] > threshold else "none"
        for number, best in enumerate(means.argmax(1))
    ]


def _mean(values: Floats) -> Floats:
    """Average over sequences; NaN where none is known."""
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0).sum(0), known.sum(0)
    mean: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


class _Scores(NamedTuple):
    """The scores of one sequence in one layer, in the order of ``SCORES``.

    Args:
        values: ``(num_scores, num_heads)``.
        baselines: ``(num_scores,)``.
    """

    values: torch.Tensor
    baselines: torch.Tensor


def _measured(model: Model, repeats: Repeats, kind: str) -> tuple[list[int], Floats, Floats]:
    """Return layers; scores ``(num_sequences, num_scores, num_layers, num_heads)``; baselines."""
    layers: list[int] = []
    found: list[list[_Scores]] = []
    for first in range(0, len(repeats), _AT_ONCE):
        ids = repeats.ids[first : first + _AT_ONCE]
        module, inputs = run_plan(model, ids, kind)
        captured = capture(module, inputs)
        name = "self" if kind == "encoder" and kind not in captured.attentions else kind
        layers = captured.layers[name]
        by_layer = [list(_scored(each, repeats, first)) for each in captured.attentions[name]]
        found += [list(of_one) for of_one in zip(*by_layer, strict=True)]
    values = [torch.stack([layer.values for layer in one], 1) for one in found]
    baselines = [torch.stack([layer.baselines for layer in one], 1) for one in found]
    return layers, torch.stack(values).numpy(), torch.stack(baselines).numpy()


def _scored(attentions: torch.Tensor, repeats: Repeats, first: int) -> Iterator[_Scores]:
    """Score each sequence of a batch in one layer, ``(batch, num_heads, length, length)``."""
    attentions = attentions.cpu()
    visible = visible_keys(attentions)
    for number, (pattern, seen) in enumerate(zip(attentions, visible, strict=True), first):
        start, period = repeats.starts[number], repeats.periods[number]
        after_first = range(repeats.first + 1, repeats.stop)
        before = [i - 1 for i in after_first]
        even = (seen / seen.sum(-1, keepdim=True).clamp(min=1))[None]
        both = torch.cat([pattern.double(), even.double()])
        scores = torch.stack(
            [
                pair_mass(both, after_first, before, seen),
                duplicate_matching(both, start, period, seen),
                prefix_matching(both, start, period, seen),
            ]
        )
        yield _Scores(scores[:, :-1], scores[:, -1])


def checked_kind(model: Model, kind: str | None) -> str:
    """Return the kind of attention in which to search for heads.

    Raises:
        SelectionError: the model does not have it, or it is attention between two texts.
    """
    kinds = ("encoder", "decoder") if model.is_encoder_decoder else ("self",)
    if kind is not None and kind not in kinds:
        raise SelectionError(
            f"Expected `kind` from {', '.join(kinds)} for {model.name}, got {kind!r}: the heads "
            "are found by attention from a sequence to itself."
        )
    return kind or kinds[0]


def run_plan(
    model: Model, ids: torch.Tensor, kind: str
) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Return the part of the model to run, and its inputs."""
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if kind == "encoder":
        return model.module.get_encoder(), inputs  # type: ignore[operator]
    if kind == "decoder":
        inputs["decoder_input_ids"] = ids
    return model.module, inputs
