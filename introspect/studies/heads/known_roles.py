"""Detection of previous-token, duplicate-token and induction heads on repeated random tokens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from introspect.calls import checked_call
from introspect.errors import ModelError, SelectionError
from introspect.functional import duplicate_matching, pair_mass, prefix_matching, visible_keys
from introspect.hooks import capture
from introspect.models import Model, length_limit, load_text, num_embeddings, run_inputs
from introspect.progress import ProgressLike, Stages, following
from introspect.records import Kind
from introspect.statistics import effect_intervals

_TRIES = 16


@dataclass(frozen=True, eq=False)
class Repeats:
    """Sequences of one length, each with a block of tokens that occurs twice in a row.

    Args:
        ids: ``(num_sequences, length)``, with the special tokens that the tokenizer puts around a
            text.
        first: the position of the first random token.
        stop: the position after the last one.
        starts: for each sequence, the position where the second occurrence begins.
        periods: for each sequence, the number of tokens that occur twice.
    """

    ids: torch.Tensor
    first: int
    stop: int
    starts: tuple[int, ...]
    periods: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def length(self) -> int:
        """The number of tokens of each sequence, including special ones."""
        return self.ids.shape[1]


def random_repeats(
    model: Model,
    num_sequences: int = 32,
    *,
    prefix: tuple[int, int] = (0, 16),
    period: tuple[int, int] = (8, 22),
    seed: int = 0,
) -> Repeats:
    """Draw random tokens that occur twice, at a different position and distance in each sequence.

    Each sequence is a random prefix, a block, the same block again, and as many further random
    tokens as make all sequences equally long. Outside the block no token occurs twice. A head that
    relies on positions, because it only learned where the repetition was in training, finds the
    repetition in few sequences or none.

    Args:
        model: the model whose vocabulary and special tokens are used.
        num_sequences: the number of sequences.
        prefix: the fewest and most tokens before the block.
        period: the fewest and most tokens of the block.
        seed: the random seed of the draw.

    Raises:
        SelectionError: the numbers make no sequence, or none that the model can read.
        ModelError: the model does not read tokens.
    """
    if not (num_sequences >= 2 and 0 <= prefix[0] <= prefix[1] and 2 <= period[0] <= period[1]):
        raise SelectionError(
            "Expected at least two sequences, `prefix` as fewest and most tokens from 0 up, and "
            f"`period` from 2 up, got {num_sequences}, {prefix} and {period}."
        )
    ordinary = _ordinary_ids(model)
    before, after = _special_ids(model, ordinary)
    size = prefix[1] + 2 * period[1]
    length = len(before) + size + len(after)
    limit = length_limit(model.module, model.tokenizer)
    if limit is not None and length > limit:
        raise SelectionError(
            f"Expected sequences of at most {limit} tokens for {model.name}, got {length}: "
            f"{prefix[1]} before, twice {period[1]}, and {length - size} special ones. Make "
            "`prefix` or `period` smaller."
        )
    if len(ordinary) < size - period[0]:
        raise SelectionError(
            f"Expected a vocabulary of at least {size - period[0]} tokens that are not special, "
            f"so that none comes twice by chance, got {len(ordinary)} for {model.name}. Make "
            "`prefix` or `period` smaller."
        )
    random = np.random.default_rng(seed)
    rows, starts, periods = [], [], []
    for _ in range(num_sequences):
        ahead = int(random.integers(prefix[0], prefix[1] + 1))
        block = int(random.integers(period[0], period[1] + 1))
        drawn = random.choice(ordinary, size - block, replace=False).tolist()
        body = drawn[: ahead + block] + drawn[ahead:]
        rows.append([*before, *body, *after])
        starts.append(len(before) + ahead + block)
        periods.append(block)
    return Repeats(
        torch.tensor(rows), len(before), len(before) + size, tuple(starts), tuple(periods)
    )


def _ordinary_ids(model: Model) -> list[int]:
    """Return the vocabulary without special tokens."""
    count = num_embeddings(model.module)
    if count is None:
        raise ModelError(
            f"Expected {model.name} to have an embedding for each token, to read random tokens, "
            "but it has none. Choose another model."
        )
    tokenizer = model.tokenizer
    special = set(tokenizer.all_special_ids)
    special |= {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    return [i for i in range(min(count, len(tokenizer))) if i not in special]


def _special_ids(model: Model, ordinary: list[int]) -> tuple[list[int], list[int]]:
    """Return the special tokens that the tokenizer puts before and after a text."""
    tokenizer = model.tokenizer
    # Some entries cannot be a text of their own, such as half of a character.
    texts = ["a", *(tokenizer.decode(ordinary[i : i + 8]) for i in range(_TRIES))]
    with model.tokenizing():
        for text in texts:
            encoding = tokenizer(text, return_special_tokens_mask=True)
            ids, mask = encoding["input_ids"], encoding["special_tokens_mask"]
            if 0 in mask:
                start, end = mask.index(0), len(mask) - mask[::-1].index(0)
                return ids[:start], ids[end:]
    raise ModelError(
        f"Expected the tokenizer of {model.name} to make tokens of a text, but it makes none of "
        f"{texts[0]!r} and others. Check that it belongs to the model."
    )


Floats = npt.NDArray[np.float64]

#: The scores, each with the role of a head that has enough of it.
SCORES = {
    "previous_token": "previous-token",
    "duplicate_token": "duplicate-token",
    "induction": "induction",
}
#: What a head with a high score attends to.
ATTENDS_TO = {
    "previous_token": "the token just before",
    "duplicate_token": "the same token earlier on",
    "induction": "what followed the same token earlier on",
}
#: A head is named for its largest score if the score's whole interval is above this.
THRESHOLD = 0.4

_AT_ONCE = 8
#: The stage of ``detect_heads``, as its progress is told.
READING = "reading random tokens that repeat"


@checked_call
def detect_heads(
    model: Model | str | os.PathLike[str] | tuple[nn.Module, object] = "minilm",
    *,
    num_sequences: int = 32,
    prefix: tuple[int, int] = (0, 16),
    period: tuple[int, int] = (8, 22),
    kind: Kind | None = None,
    threshold: float = THRESHOLD,
    seed: int = 0,
    progress: ProgressLike = None,
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
        model: as for ``load``; with or without its LM head.
        num_sequences: the number of sequences that are read.
        prefix: the fewest and most tokens before the block that occurs twice.
        period: the fewest and most tokens of the block.
        kind: for an encoder-decoder, ``encoder``, the default, or ``decoder``; there the encoder
            reads the same tokens.
        threshold: the score above which a head has a role, from 0 to 1.
        seed: the random seed of the tokens and the intervals.
        progress: ``True`` for a bar on a terminal and in a notebook, and lines elsewhere; or a
            function of the stage, the sequences read, and their total.

    Returns:
        A row for each layer and head: ``layer``, ``head``, ``role`` (``induction``,
        ``previous-token``, ``duplicate-token`` or ``none``); for each score its mean, its 95%
        interval by sequence (``_ci_low``, ``_ci_high``) and the score of uniform attention to all
        visible tokens (``_baseline``); ``n_sequences`` and ``length``, the tokens of each with its
        special ones. NaN where a mask hides all pairs.

    Raises:
        SelectionError: the model cannot read the sequences, or does not have the kind.
        ModelError: the model has no token embeddings.

    Example:
        >>> heads = detect_heads("induction", num_sequences=5)
        >>> heads.loc[heads["role"] == "previous-token", ["layer", "head"]].values.tolist()
        [[0, 0]]
    """
    if not 0 <= threshold <= 1:
        raise SelectionError(f"Expected `threshold` from 0 to 1, got {threshold}.")
    loaded = load_text(model)
    kind = checked_kind(loaded, kind)
    repeats = random_repeats(loaded, num_sequences, prefix=prefix, period=period, seed=seed)
    with following(progress) as tell:
        layers, values, baselines = _measured(loaded, repeats, kind, tell)
    num_heads = values.shape[-1]
    table: dict[str, object] = {
        "layer": np.repeat(layers, num_heads),
        "head": np.tile(np.arange(num_heads), len(layers)),
        "role": "none",
    }
    lows = []
    for number, name in enumerate(SCORES):
        by_sequence = values[:, number].reshape(len(repeats), -1)
        low, high = effect_intervals(by_sequence, range(len(repeats)), seed=seed)
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


def _measured(
    model: Model, repeats: Repeats, kind: Kind, tell: Stages
) -> tuple[list[int], Floats, Floats]:
    """Return layers; scores ``(num_sequences, num_scores, num_layers, num_heads)``; baselines."""
    layers: list[int] = []
    found: list[list[_Scores]] = []
    for first in range(0, len(repeats), _AT_ONCE):
        tell(READING, first, len(repeats))
        ids = repeats.ids[first : first + _AT_ONCE]
        module, inputs = inputs_for(model, ids, kind)
        captured = capture(module, inputs)
        name = "self" if kind == "encoder" and kind not in captured.attentions else kind
        layers = captured.layers[name]
        by_layer = [list(_scored(each, repeats, first)) for each in captured.attentions[name]]
        found += [list(of_one) for of_one in zip(*by_layer, strict=True)]
    tell(READING, len(repeats), len(repeats))
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


def checked_kind(model: Model, kind: Kind | None) -> Kind:
    """Return the kind of attention in which to search for heads.

    Raises:
        SelectionError: the model does not have it, or it is attention between two texts.
    """
    kinds = [each for each in model.kinds if each != "cross"]
    if kind is not None and kind not in kinds:
        raise SelectionError(
            f"Expected `kind` from {', '.join(kinds)} for {model.name}, got {kind!r}: the heads "
            "are found by attention from a sequence to itself."
        )
    return kind or kinds[0]


def inputs_for(
    model: Model, ids: torch.Tensor, kind: Kind
) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Return the part of the model to run for a kind of attention to sequences, and its inputs."""
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if kind == model.reading_kind:
        return model.reader, run_inputs(model.reader, inputs)
    return model.module, run_inputs(model.module, inputs, {"input_ids": ids})
