"""What the heads of an atlas write: the entries that they promote, and whether they copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedModel

from introspect.errors import CaptureError
from introspect.models import Model
from introspect.records import TokenSequence
from introspect.reporting import AtlasWrites
from introspect.runs.atlas_copying import copying_by_weights
from introspect.statistics import effect_test, share_intervals
from introspect.studies.analyzer import Floats, evenly, ratio
from introspect.studies.atlas import AtlasSums
from introspect.studies.lens import HeadWriting, head_writing, share_below

#: The most texts of the sample that are run once more, and the rows of a head that count.
NUM_TEXTS, NUM_ROWS = 64, 20
#: The tokens of a text whose values are asked what they would write.
TOKENS_ASKED = 32
#: The entries that are listed of each head.
TOP = 10
#: The share that a head copies over by chance.
CHANCE = 0.5


def without_unembedding(model: Model) -> Model:
    """Return the part of a language model below its unembedding, which a corpus does not need."""
    module = model.module
    if not model.has_unembedding or not isinstance(module, PreTrainedModel):
        return model
    base = module.base_model
    return model if base is module else replace(model, module=base)


def writes_of(
    model: Model,
    sums: AtlasSums,
    label: Callable[[int], str],
    tokens: Mapping[int, TokenSequence],
) -> AtlasWrites:
    """Return what heads write on texts of the sample, and whether they copy by their weights.

    Args:
        model: the model; without an unembedding nothing is returned.
        sums: what was collected on the corpus.
        label: returns the vocabulary entry with an id.
        tokens: the tokens of the texts of the sample, by number.
    """
    if not model.has_unembedding or model.is_encoder_decoder or not sums.kept.sample:
        return AtlasWrites()
    numbers = sorted(sums.kept.sample)[:NUM_TEXTS]
    totals, why_not = _Totals(sums, numbers), ""
    try:
        for place, number in enumerate(numbers):
            totals.add(place, head_writing(model, sums.kept.texts[number].text))
    except CaptureError as error:
        totals, why_not = _Totals(sums, numbers), str(error)
    by_weights = copying_by_weights(model, sums, {number: tokens[number] for number in numbers})
    return AtlasWrites(
        totals.entries(label),
        _together(totals.copies(), by_weights.table),
        why_not,
        by_weights.read_by,
        by_weights.why_not,
    )


def _together(copies: pd.DataFrame, by_weights: pd.DataFrame) -> pd.DataFrame:
    """Return both measures of copying side by side, as one family of tests."""
    found = pd.concat([copies, by_weights], axis=1)[list(AtlasWrites().copies.columns)]
    tested = found[["p_adjusted", "by_weights_p_adjusted"]]
    if not found[["copying", "by_weights"]].notna().any(axis=None):
        return AtlasWrites().copies
    number = int(tested.notna().any().sum())
    return found.assign(**{name: (tested[name] * number).clip(upper=1) for name in tested})


class _Totals:
    """Sums over texts of what heads write."""

    def __init__(self, sums: AtlasSums, numbers: list[int]) -> None:
        self._sums = sums
        self._sampled = [sums.kept.sample[number] for number in numbers]
        shape = (len(numbers), len(sums.layers), sums.num_heads)
        weights = np.stack([each.weight for each in self._sampled])
        known = np.stack([each.strongest[..., 1] >= 0 for each in self._sampled])
        order = np.argsort(np.where(known, -weights, np.inf), axis=0, kind="stable")
        #: Which texts have one of a head's strongest rows.
        self._is_used = np.zeros(shape, dtype=bool)
        np.put_along_axis(self._is_used, order[:NUM_ROWS], True, axis=0)
        self._is_used &= known
        self._states: Any = None
        self._matrix: Any = None
        self._scale = 1.0
        self._less, self._asked = np.zeros(shape), np.zeros(shape)
        self._to_key, self._to_others = np.zeros(shape[1:]), np.zeros(shape[1:])

    def add(self, place: int, writing: HeadWriting) -> None:
        """Add one text.

        Args:
            place: its place among the texts.
            writing: what the heads add on it.
        """
        self._matrix, self._scale = writing.unembedding, writing.scale
        ids = np.array(writing.tokens.token_ids)
        own = np.flatnonzero(~np.array(writing.tokens.special_tokens_mask, dtype=bool))
        if len(np.unique(ids[own])) < 2:
            return
        entries = np.unique(ids[own])
        rows = self._matrix[torch.from_numpy(entries)]
        rows = rows - self._matrix.mean(0)
        asked = own[evenly(len(own), TOKENS_ASKED)]
        for layer, added, brought in writing.layers():
            if layer not in self._sums.layers:
                continue
            at = self._sums.layers.index(layer)
            if brought is not None:
                self._add_copies(place, at, writing, brought, asked, ids, entries, rows)
            for head in np.flatnonzero(self._is_used[place, at]).tolist():
                query, key = self._sampled[place].strongest[at, head].tolist()
                state = writing.read(added[head, query], query)
                self._add_row(at, head, state, int(np.searchsorted(entries, ids[key])), rows)

    def _add_copies(
        self,
        place: int,
        at: int,
        writing: HeadWriting,
        brought: torch.Tensor,
        asked: Any,
        ids: Any,
        entries: Any,
        rows: torch.Tensor,
    ) -> None:
        # The scale of the norm, which differs from token to token, changes no order.
        given = writing.read(brought[:, torch.from_numpy(asked)], int(asked[0]))
        scores = (given @ rows.T) * (1 if self._scale >= 0 else -1)
        own = torch.from_numpy(np.searchsorted(entries, ids[asked]))
        mine = scores.gather(-1, own[None, :, None].expand(len(scores), -1, 1))
        less = share_below(scores, mine)
        self._less[place, at] = less.sum(-1).numpy()
        self._asked[place, at] = len(asked)

    def _add_row(
        self, at: int, head: int, state: torch.Tensor, key: int, rows: torch.Tensor
    ) -> None:
        if self._states is None:
            shape = (len(self._sums.layers), self._sums.num_heads, len(state))
            self._states = torch.zeros(shape, dtype=torch.float64)
        self._states[at, head] += state.cpu()
        logits = self._scale * (rows @ state)
        self._to_key[at, head] += float(logits[key])
        self._to_others[at, head] += float((logits.sum() - logits[key]) / (len(logits) - 1))

    def entries(self, label: Callable[[int], str]) -> pd.DataFrame:
        """Return the entries that each head adds most to."""
        counts = self._is_used.sum(0)
        rows: list[tuple[Any, ...]] = []
        for at, layer in enumerate(self._sums.layers):
            for head in range(self._sums.num_heads):
                n = int(counts[at, head])
                if not n or self._states is None:
                    continue
                logits = self._scale * (self._matrix @ (self._states[at, head] / n))
                top = (logits - logits.mean()).topk(min(TOP, len(logits)))
                for rank, (value, number) in enumerate(
                    zip(top.values.tolist(), top.indices.tolist(), strict=True), start=1
                ):
                    rows.append((layer, head, rank, str(label(number)), value, n))
        return pd.DataFrame(rows, columns=list(AtlasWrites().entries.columns))

    def copies(self) -> pd.DataFrame:
        """Return how far each head copies in these texts."""
        size = self._less.shape[1] * self._less.shape[2]
        less, asked = (each.reshape(-1, size) for each in (self._less, self._asked))
        low, high = share_intervals(less, asked)
        has_any = asked.any(1)
        beyond = ratio(less, asked)[has_any] - CHANCE
        known = asked.any(0)
        p_adjusted = np.full(size, np.nan)
        if known.any():
            test = effect_test(beyond[:, known], range(int(has_any.sum())))
            p_adjusted[known] = test.p_adjusted
        counts = self._is_used.sum(0).ravel() if self._states is not None else np.zeros(size, int)
        means: list[Floats] = [
            ratio(each.ravel(), counts) for each in (self._to_key, self._to_others)
        ]
        return pd.DataFrame(
            {
                "layer": np.repeat(self._sums.layers, self._sums.num_heads),
                "head": np.tile(np.arange(self._sums.num_heads), len(self._sums.layers)),
                "copying": ratio(less.sum(0), asked.sum(0)),
                "copying_ci_low": low,
                "copying_ci_high": high,
                "p_adjusted": p_adjusted,
                "to_key": means[0],
                "to_others": means[1],
                "n_tokens": asked.sum(0).astype(np.int64),
                "n_rows": counts,
                "n_texts": (asked > 0).sum(0),
            }
        )
