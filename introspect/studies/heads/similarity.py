"""Similarity of heads over many texts: distances between heads, their clusters and a map."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from introspect.errors import InputError, SelectionError
from introspect.functional import classical_mds, even_attention, head_distance_sums
from introspect.records import AttentionRecord, Head, TokenSequence
from introspect.studies.analyzer import (
    Floats,
    Integers,
    LayerByLayer,
    State,
    Texts,
    addable,
    check_one_model,
    ratio,
)
from introspect.studies.heads.grouping import HALVES, best_number, numbers_tried

# Texts are divided by their hashes, so that halves of them can be compared.
_QUARTERS = 4

# Merges at heights that differ by less than this count as one merge.
_SAME = 1e-12


@dataclass
class SimilarityAnalyzer(LayerByLayer[list[torch.Tensor]]):
    """Jensen–Shannon distances between every two heads, averaged over the tokens of many texts.

    Every query that is not a special token counts once. One pass over all texts, any division into
    batches and any merge of parts, in any order, give the same distances to the last bit (see
    ``sums.addable``).

    Heads are compared across layers, so the rows of all layers of a batch are kept until its end.
    Because there are so many pairs of heads, this costs more than the model itself on texts of more
    than a few sentences.
    """

    _layers: tuple[int, ...] = ()
    _sums: Floats = field(default_factory=lambda: np.zeros((_QUARTERS, 0, 0)))
    _counts: Integers = field(default_factory=lambda: np.zeros((_QUARTERS, 0, 0), dtype=np.int64))
    _even_sums: Floats = field(default_factory=lambda: np.zeros(0))
    _even_counts: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    _num_texts: int = 0

    def update(self, record: AttentionRecord) -> None:
        """Add the tokens of one text.

        Args:
            record: attention of any kind, including from one text to another.

        Raises:
            InputError: the record is of a different model than earlier ones.
        """
        queries = ~torch.tensor(record.queries.special_tokens_mask)
        is_whole = record.kind != "cross" and record.queries == record.keys
        even = (
            even_attention(record.attentions)
            if is_whole
            else torch.full(record.attentions[:, 0].shape, 1 / len(record.keys))
        )
        both = torch.cat([record.attentions, even[:, None].to(record.attentions.dtype)], 1)
        self._count(record.layers, [both[:, :, queries]], [_quarter(record.queries)])

    def _reduce(self, texts: Texts, attentions: torch.Tensor) -> list[torch.Tensor]:
        places = zip(attentions, texts.lengths, texts.is_query, strict=True)
        return [
            _with_even(pattern[:, :length, :length])[:, is_query[:length]]
            for pattern, length, is_query in places
        ]

    def _add(self, texts: Texts, reduced: Mapping[int, list[torch.Tensor]]) -> None:
        rows = [torch.stack(layers) for layers in zip(*reduced.values(), strict=True)]
        self._count(tuple(reduced), rows, list(map(_quarter, texts.sequences)))

    def _count(
        self, layers: tuple[int, ...], texts: Sequence[torch.Tensor], quarters: Sequence[int]
    ) -> None:
        """Add the counted rows of several texts, ``(num_layers, num_heads + 1, some, key_len)``."""
        self._fit(layers, texts[0].shape[0] * (texts[0].shape[1] - 1))
        for rows, quarter in zip(texts, quarters, strict=True):
            # Process each text alone and without padding, so that its sums are always the same.
            sums, counts = head_distance_sums(rows[:, :-1])
            self._sums[quarter] += addable(sums.numpy())
            self._counts[quarter] += counts.numpy()
            by_layer = [head_distance_sums(layer[None]) for layer in rows]
            even = torch.cat([of_layer[-1, :-1] for of_layer, _ in by_layer])
            self._even_sums += addable(even.numpy())
            self._even_counts += torch.cat([number[-1, :-1] for _, number in by_layer]).numpy()
        self._num_texts += len(texts)

    def merge(self, other: SimilarityAnalyzer) -> None:
        """Take over what another analyzer has collected from other texts.

        Raises:
            InputError: the two are of different models.
        """
        if not other._num_texts:
            return
        self._fit(other._layers, other._sums.shape[1])
        self._sums += other._sums
        self._counts += other._counts
        self._even_sums += other._even_sums
        self._even_counts += other._even_counts
        self._num_texts += other._num_texts

    def compute(self) -> pd.DataFrame:
        """Return a table with one row for every two heads.

        Returns:
            Columns ``head_a`` and ``head_b`` (names such as ``L3H1``, the earlier one first),
            ``distance`` from 0 to 1, NaN where the two have no query in common, and ``n``, the
            number of queries at which both have a row.

        Raises:
            InputError: there are no texts.
        """
        distances = self._distances()
        names = np.array([str(head) for head in self.heads], dtype=object)
        first, second = np.triu_indices(len(names), k=1)
        return pd.DataFrame(
            {
                "head_a": names[first],
                "head_b": names[second],
                "distance": distances[first, second],
                "n": self._counts.sum(0)[first, second],
            }
        )

    @property
    def heads(self) -> tuple[Head, ...]:
        """The heads, in the order of the matrix."""
        per_layer = self._sums.shape[1] // max(len(self._layers), 1)
        return tuple(Head(layer, head) for layer in self._layers for head in range(per_layer))

    def matrix(self) -> pd.DataFrame:
        """Return all distances as a square table, with the names of the heads on both sides.

        Raises:
            InputError: there are no texts.
        """
        distances = self._distances()
        names = [str(head) for head in self.heads]
        return pd.DataFrame(distances, index=names, columns=names)

    def from_even(self) -> pd.Series:
        """Return the distance of each head from even attention over its visible tokens.

        Raises:
            InputError: there are no texts.
        """
        self._distances()
        names = [str(head) for head in self.heads]
        return pd.Series(ratio(self._even_sums, self._even_counts), index=names)

    def numbers(self) -> pd.DataFrame:
        """Return for each number of groups how stable and how separate they are.

        Returns:
            Columns ``n``, ``stability`` (the adjusted Rand index of the groups that two halves of
            the texts give, in the mean over three divisions) and ``silhouette``.

        Raises:
            InputError: there are no texts, or two heads have no query in common.
        """
        return numbers_tried(self._complete(), list(self._halves()), _cut_into)

    def num_groups(self) -> int:
        """Return how many groups the heads form: 1 if no number of groups is stable.

        The number with the largest silhouette counts, of those whose groups two halves of the texts
        agree on (adjusted Rand index of at least 0.75) and whose silhouette is at least 0.25.
        Groups of texts are by their hashes; with very few texts there are none.

        Raises:
            InputError: there are no texts, or two heads have no query in common.
        """
        return best_number(self.numbers())

    def _halves(self) -> Iterator[tuple[Floats, Floats]]:
        """Yield the distances of two halves of the texts, where both have every pair of heads."""
        for halves in HALVES:
            one, other = (
                ratio(self._sums[list(half)].sum(0), self._counts[list(half)].sum(0))
                for half in halves
            )
            if not (np.isnan(one).any() or np.isnan(other).any()):
                yield one, other

    def clusters(self, n: int | None = None, *, threshold: float | None = None) -> pd.DataFrame:
        """Cluster the heads by average linkage.

        Args:
            n: the number of clusters, from 1 to the number of heads.
            threshold: alternatively, the mean distance up to which clusters are joined, from 0 to
                1.

        Returns:
            Columns ``layer``, ``head`` and ``cluster``, numbered from 0 in the order of their first
            heads.

        Raises:
            SelectionError: not exactly one of the two is given, or it is out of range.
            InputError: there are no texts, or two heads have no query in common.
        """
        distances = self._complete()
        _check_cut(n, threshold, len(distances))
        return self._places().assign(cluster=_cut(distances, n, threshold))

    def map(self, n: int | None = None, *, threshold: float | None = None) -> pd.DataFrame:
        """Place a point for each head, so that heads with similar attention are near each other.

        The points come from classical scaling to two dimensions; the axes have no meaning.

        Args:
            n: the number of clusters; ``num_groups()`` if neither argument is given.
            threshold: alternatively, the mean distance up to which clusters are joined.

        Returns:
            Columns ``layer``, ``head``, ``x``, ``y`` and ``cluster``.
            ``attrs["explained_share"]`` is the share of the positive eigenvalues that the two axes
            account for, from 0 to 1: report it with the map.

        Raises:
            SelectionError: both arguments are given, or one is out of range.
            InputError: there are no texts, or two heads have no query in common.
        """
        distances = self._complete()
        if n is None and threshold is None:
            n = self.num_groups()
        _check_cut(n, threshold, len(distances))
        points, share = classical_mds(distances)
        table = self._places().assign(x=points[:, 0], y=points[:, 1])
        table["cluster"] = _cut(distances, n, threshold)
        table.attrs["explained_share"] = share
        return table

    def state(self) -> State:
        """Return all collected data as arrays."""
        return {
            "layers": np.array(self._layers, dtype=np.int64),
            "sums": self._sums.copy(),
            "counts": self._counts.copy(),
            "even_sums": self._even_sums.copy(),
            "even_counts": self._even_counts.copy(),
            "num_texts": np.array(self._num_texts),
        }

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Restore the analyzer that had this state."""
        return cls(
            _layers=tuple(state["layers"].tolist()),
            _sums=np.array(state["sums"], dtype=np.float64),
            _counts=np.array(state["counts"], dtype=np.int64),
            _even_sums=np.array(state["even_sums"], dtype=np.float64),
            _even_counts=np.array(state["even_counts"], dtype=np.int64),
            _num_texts=int(state["num_texts"]),
        )

    def _places(self) -> pd.DataFrame:
        return pd.DataFrame(self.heads, columns=["layer", "head"])

    def _distances(self) -> Floats:
        if not self._num_texts:
            raise InputError("Expected at least one text to compare heads on, got none.")
        return ratio(self._sums.sum(0), self._counts.sum(0))

    def _complete(self) -> Floats:
        distances = self._distances()
        if np.isnan(distances).any():
            a, b = np.argwhere(np.isnan(distances))[0]
            raise InputError(
                f"Expected a common query for every two heads, but {self.heads[a]} and "
                f"{self.heads[b]} have none: their rows are missing. Leave such layers out."
            )
        return distances

    def _fit(self, layers: tuple[int, ...], num_heads: int) -> None:
        """Allocate arrays at the first record, and require its layers and heads of later ones."""
        if not self._num_texts:
            self._layers = layers
            self._sums = np.zeros((_QUARTERS, num_heads, num_heads))
            self._counts = np.zeros((_QUARTERS, num_heads, num_heads), dtype=np.int64)
            self._even_sums = np.zeros(num_heads)
            self._even_counts = np.zeros(num_heads, dtype=np.int64)
        ours = self._layers, self._sums.shape[1] // len(self._layers)
        check_one_model(ours, (layers, num_heads // len(layers)))


def _with_even(pattern: torch.Tensor) -> torch.Tensor:
    """Add even attention as one more head of a layer, ``(num_heads + 1, length, length)``."""
    rows = pattern.float().cpu()
    return torch.cat([rows, even_attention(rows)[None].float()])


def _quarter(tokens: TokenSequence) -> int:
    """Return the quarter of the texts that a text belongs to; copies share it."""
    written = "\0".join(tokens.tokens).encode("utf-8", "surrogatepass")
    return hashlib.sha256(written).digest()[0] % _QUARTERS


def _cut_into(distances: Floats, n: int) -> Integers:
    return _cut(distances, n, None)


def _check_cut(n: int | None, threshold: float | None, num_heads: int) -> None:
    if (n is None) == (threshold is None):
        raise SelectionError(
            f"Expected either `n` or `threshold` for clusters, got n={n} and threshold={threshold}."
        )
    if n is not None and not 1 <= n <= num_heads:
        raise SelectionError(f"Expected `n` from 1 to {num_heads}, the number of heads, got {n}.")
    if threshold is not None and not 0 <= threshold <= 1:
        raise SelectionError(f"Expected `threshold` from 0 to 1, got {threshold}.")


def _cut(distances: Floats, n: int | None, threshold: float | None) -> Integers:
    """Return the cluster of each head after the first merges of the tree, which are the nearest."""
    merges = _linkage(distances)
    if n is not None:
        num_merges = len(distances) - n
    else:
        num_merges = sum(1 for merge in merges if merge[2] <= (threshold or 0.0) + _SAME)
    members = [[i] for i in range(len(distances))]
    for a, b, *_ in merges[:num_merges]:
        members.append(members[int(a)] + members[int(b)])
        members[int(a)] = members[int(b)] = []
    clusters = np.empty(len(distances), dtype=np.int64)
    for number, cluster in enumerate(sorted(sorted(m) for m in members if m)):
        clusters[cluster] = number
    return clusters


def _linkage(distances: Floats) -> Sequence[Any]:
    if len(distances) < 2:
        return []
    # Imported here because scipy takes longer to load than the rest of this module.
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    merges: Sequence[Any] = linkage(squareform(distances, checks=False), "average")
    return merges
