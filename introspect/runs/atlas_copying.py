"""Whether the heads of an atlas copy by their weights alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from introspect.errors import CaptureError
from introspect.models import Model
from introspect.records import TokenSequence
from introspect.statistics import effect_test, share_intervals
from introspect.studies.analyzer import evenly
from introspect.studies.atlas import AtlasSums
from introspect.studies.lens import OvCircuits, copied, run_noted

#: The most vocabulary entries that are asked.
NUM_ENTRIES = 256
_CHANCE = 0.5


@dataclass(frozen=True, eq=False)
class CopyingByWeights:
    """How far heads copy by their weights.

    Args:
        table: a row for each head, by layer: ``by_weights``, the mean over entries of the share of
            the others that its OV circuit adds less to; its interval and its family-wise p-value
            over all heads; ``first``, the share of entries that it adds most to; their number.
        read_by: what the entries are read by: the unembedding, or their embeddings.
        why_not: why there are no figures of a layer, or of any.
    """

    table: pd.DataFrame
    read_by: str = ""
    why_not: str = ""


def copying_by_weights(
    model: Model, sums: AtlasSums, texts: Mapping[int, TokenSequence]
) -> CopyingByWeights:
    """Return how far each head copies by its weights.

    Args:
        model: a language model that reads one text.
        sums: what was collected on the corpus.
        texts: the tokens of the texts whose entries are asked, by number.
    """
    number, ids = _entries(texts)
    shape = (len(ids), len(sums.layers), sums.num_heads)
    less, is_first = np.full(shape, np.nan), np.full(shape, np.nan)
    why_not: list[str] = []
    read_by = ""
    if len(ids) > 1:
        try:
            run = run_noted(model, sums.kept.texts[number].text)
            circuits = OvCircuits(run, torch.tensor(ids))
            read_by = "unembedding" if circuits.is_to_unembedding else "embedding"
            for place, layer in enumerate(sums.layers):
                why_not += _added(circuits, layer, less[:, place], is_first[:, place])
        except CaptureError as error:
            why_not = [str(error)]
    table = _table(sums, less.reshape(len(ids), -1), is_first.reshape(len(ids), -1))
    return CopyingByWeights(table, read_by, next(iter(why_not), ""))


def _entries(texts: Mapping[int, TokenSequence]) -> tuple[int, list[int]]:
    """Return a text, and the entries of all texts that are not special, evenly thinned."""
    found: set[int] = set()
    for tokens in texts.values():
        pairs = zip(tokens.token_ids, tokens.special_tokens_mask, strict=True)
        found |= {number for number, is_special in pairs if not is_special}
    every = np.array(sorted(found), dtype=np.int64)
    longest = max(texts, key=lambda number: len(texts[number]), default=0)
    return longest, every[evenly(len(every), NUM_ENTRIES)].tolist()


def _added(circuits: OvCircuits, layer: int, less: np.ndarray, is_first: np.ndarray) -> list[str]:
    """Add one layer in place; return why there is nothing of it, if so."""
    (kind,) = circuits.run.kinds
    if (kind, layer) not in circuits.run.projections:
        return []  # a layer without attention
    try:
        shares, first = copied(circuits.scores(layer))
    except CaptureError as error:
        return [str(error)]
    less[:], is_first[:] = shares.T.numpy(), first.T.numpy()
    return []


def _table(sums: AtlasSums, less: np.ndarray, is_first: np.ndarray) -> pd.DataFrame:
    known = ~np.isnan(less).any(0) if len(less) else np.zeros(less.shape[1], dtype=bool)
    columns = {
        name: np.full(len(known), np.nan)
        for name in (
            "by_weights",
            "by_weights_ci_low",
            "by_weights_ci_high",
            "by_weights_p_adjusted",
            "first",
        )
    }
    if known.any():
        own = less[:, known]
        low, high = share_intervals(own, np.ones_like(own))
        p_adjusted = effect_test(own - _CHANCE, range(len(own))).p_adjusted
        for name, values in zip(
            columns, (own.mean(0), low, high, p_adjusted, is_first[:, known].mean(0)), strict=True
        ):
            columns[name][known] = values
    return pd.DataFrame({**columns, "n_entries": np.where(known, len(less), 0)})
