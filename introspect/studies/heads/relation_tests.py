"""Tests of which heads follow which relation, and held-out choices of them, by sentence."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from introspect.records import Head
from introspect.statistics import (
    DIVISIONS,
    FEWEST_GROUPS,
    SIGNIFICANT,
    Division,
    detectable_accuracy,
    divided_choices,
    share_intervals,
)
from introspect.studies.analyzer import Floats, Integers, ratio
from introspect.studies.heads.sentence_blocks import BlockSums, SentenceBlocks

#: How often the signs of the sentences are drawn for p-values.
PERMUTATIONS = 2_000

_FOLDS = 5
# A head that counts in less than half of the pairs of another does not compete with it.
_OBSERVABLE_ENOUGH = 0.5
# Signs are drawn for all sentences at once, and used on this many permutations at a time.
_AT_ONCE = 250

#: The columns of the table of relations, in order.
RELATION_COLUMNS = (
    "relation", "n", "n_sentences", "layer", "head", "direction", "chosen_share", "accuracy",
    "ci_low", "ci_high", "offset_accuracy", "even_accuracy", "p_adjusted", "is_followed",
    "detectable",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class RelationSums:
    """The sums of one relation, with one column for each direction, layer and head.

    Args:
        relation: its name.
        blocks: ``(num_groups,)``, the places of its blocks of sentences among all.
        credits: ``(num_groups, num_columns)``.
        n: the same shape: the number of pairs that count.
        even: the same shape: the credits of even attention on these pairs.
        offsets: the offsets in words that some pair has, the nearest first.
        at_offset: ``(num_offsets, num_groups, num_columns)``: the credits of each offset.
    """

    relation: str
    blocks: Integers
    credits: Floats
    n: Floats
    even: Floats
    offsets: tuple[int, ...]
    at_offset: Floats

    @classmethod
    def of(
        cls, relation: str, blocks: SentenceBlocks, numbers: Sequence[int], ways: Sequence[str]
    ) -> RelationSums:
        """Collect the sums of a relation from all blocks."""
        found = [
            (place, [blocks.blocks[number].get((relation, way)) for way in ways])
            for place, number in enumerate(numbers)
        ]
        held = [(place, parts) for place, parts in found if any(parts)]
        shape = next(part for _, parts in held for part in parts if part).credits.shape
        places = {o for _, parts in held for part in parts if part for o in part.at_offset}
        offsets = tuple(sorted(places, key=lambda o: (abs(o), o)))
        rows = [[_by_head(part, shape, offsets) for part in parts] for _, parts in held]
        credits, n, even, *at = (
            np.stack([np.concatenate([part[i].ravel() for part in row]) for row in rows])
            for i in range(3 + len(offsets))
        )
        index = np.array([place for place, _ in held], dtype=np.int64)
        return cls(relation, index, credits, n, even, offsets, np.stack(at))

    @property
    def is_testable(self) -> bool:
        """Return whether enough sentences have the relation for intervals and tests."""
        return len(self.blocks) >= FEWEST_GROUPS

    @property
    def competes(self) -> npt.NDArray[np.bool_]:
        """Return which columns count in enough pairs to be chosen."""
        n = self.n.sum(0)
        return np.asarray(n >= max(_OBSERVABLE_ENOUGH * n.max(), 1))

    def gains(self) -> tuple[Floats, Floats]:
        """Return what each sentence gives a head beyond even attention and the best offset."""
        best = self.at_offset.sum(1).argmax(0)
        offset = np.take_along_axis(self.at_offset, best[None, None, :], axis=0)[0]
        return self.credits - self.even, self.credits - offset


def _by_head(part: BlockSums | None, shape: tuple[int, int], offsets: Sequence[int]) -> Floats:
    """Return credits, n, even credits, and credits at each offset, ``(some, *shape)``."""
    if part is None:
        return np.zeros((3 + len(offsets), *shape))
    # A row that is missing in one head counts in the others of its layer.
    share = ratio(part.n, part.even_n[:, None])
    of_layer = [part.even, *(part.at_offset.get(o, np.zeros(shape[0])) for o in offsets)]
    by_head = [np.nan_to_num(values[:, None] * share) for values in of_layer]
    return np.stack([part.credits, part.n.astype(np.float64), *by_head])


def relation_sums(blocks: SentenceBlocks, ways: Sequence[str]) -> Iterator[RelationSums]:
    """Yield the sums of each relation, by name."""
    numbers = sorted(blocks.blocks)
    names = sorted({relation for block in blocks.blocks.values() for relation, _ in block})
    for name in names:
        yield RelationSums.of(name, blocks, numbers, ways)


class _Tested(NamedTuple):
    own: Floats
    adjusted: Floats


def relation_figures(
    blocks: SentenceBlocks, ways: Sequence[str], *, permutations: int = PERMUTATIONS, seed: int = 0
) -> pd.DataFrame:
    r"""Compute intervals, comparisons and p-values of every relation, direction and head.

    A head's gain on a sentence is its credit minus that of a comparison. Under the null its sign is
    arbitrary, and the signs of whole sentences are drawn:

    .. math:: z = \sum_s g_s \Big/ \sqrt{\sum_s g_s^2}

    ``p_adjusted`` compares with the largest z of all heads, directions and relations. Both are the
    larger of two p-values: against even attention, and against the offset that is best on these
    very sentences.

    Source: Westfall & Young 1993, section 2; Winkler et al. 2014 (sign flipping).
    """
    every = list(relation_sums(blocks, ways))
    if not every:
        return pd.DataFrame()
    tested = [sums for sums in every if sums.is_testable]
    both = [
        _sign_flips(
            [sums.gains()[which] for sums in tested],
            [sums.blocks for sums in tested],
            len(blocks.blocks),
            permutations=permutations,
            seed=seed,
        )
        for which in (0, 1)
    ]
    found = {
        sums.relation: [np.maximum(a, b) for a, b in zip(even, offset, strict=True)]
        for sums, even, offset in zip(tested, *(p_values for p_values, _ in both), strict=True)
    }
    critical = [value for _, value in both]
    shape = _shape(blocks)
    return pd.concat(
        [_figures(sums, found.get(sums.relation), critical, ways, shape) for sums in every],
        ignore_index=True,
    )


def _shape(blocks: SentenceBlocks) -> tuple[int, ...]:
    first = next(iter(next(iter(blocks.blocks.values())).values()))
    return first.credits.shape


def _figures(
    sums: RelationSums,
    tested: Sequence[Floats] | None,
    critical: Sequence[float],
    ways: Sequence[str],
    shape: tuple[int, ...],
) -> pd.DataFrame:
    """Build the rows of one relation; layers are numbered as they come."""
    layers, heads = shape
    unknown = np.full(sums.credits.shape[1], np.nan)
    p_value, p_adjusted = (unknown, unknown) if tested is None else tested
    low, high = share_intervals(sums.credits, sums.n)
    known = sums.n.sum(0) > 0
    return pd.DataFrame(
        {
            "relation": sums.relation,
            "direction": np.repeat(ways, layers * heads),
            "layer": np.tile(np.repeat(np.arange(layers), heads), len(ways)),
            "head": np.tile(np.arange(heads), len(ways) * layers),
            "ci_low": low,
            "ci_high": high,
            "even_accuracy": ratio(sums.even.sum(0), sums.n.sum(0)),
            "p_value": np.where(known, p_value, np.nan),
            "p_adjusted": np.where(known, p_adjusted, np.nan),
            "detectable": unknown if tested is None else detectable_accuracies(sums, critical),
        }
    )


def detectable_accuracies(sums: RelationSums, critical: Sequence[float]) -> Floats:
    """Return for each column the accuracy that would have been found, ``(num_columns,)``.

    It is what beats even attention and the best offset alike.
    """
    n = sums.n.sum(0)
    even, offset = ratio(sums.even.sum(0), n), ratio(sums.at_offset.sum(1).max(0), n)
    found = np.full(len(n), np.nan)
    known: dict[tuple[bytes, float, float], float] = {}
    for column in np.flatnonzero(n):
        sizes = sums.n[:, column]
        key = sizes.tobytes(), float(even[column]), float(offset[column])
        if key not in known:
            known[key] = float(
                np.maximum(  # NaN where one of them is
                    detectable_accuracy(critical[0], sizes, key[1], is_chance=True),
                    detectable_accuracy(critical[1], sizes, key[2]),
                )
            )
        found[column] = known[key]
    return found


def _sign_flips(
    gains: Sequence[Floats],
    blocks: Sequence[Integers],
    num_blocks: int,
    *,
    permutations: int,
    seed: int,
) -> tuple[list[_Tested], float]:
    """Return the p-values of each relation's columns, own and of the family of all.

    The last is the value from which on the p-values of the family are below 0.05.
    """
    if not gains:
        return [], float("nan")
    random = np.random.default_rng(seed)
    signs = random.choice(np.array([-1, 1], dtype=np.float32), (permutations, num_blocks))
    scaled = [_scaled(of_relation) for of_relation in gains]
    observed = [values.sum(0) for values in scaled]
    own = [np.zeros(values.shape) for values in observed]
    largest = np.full(permutations, -np.inf)
    for number, (values, index) in enumerate(zip(scaled, blocks, strict=True)):
        for start in range(0, permutations, _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            drawn = signs[part][:, index] @ values
            own[number] += (drawn >= observed[number] - _SAME).sum(0)
            largest[part] = np.maximum(largest[part], drawn.max(1))
    ordered = np.sort(largest)
    p_values = [
        _Tested(
            (count + 1) / (permutations + 1),
            (permutations - np.searchsorted(ordered, values - _SAME) + 1) / (permutations + 1),
        )
        for count, values in zip(own, observed, strict=True)
    ]
    return p_values, float(np.quantile(ordered, 1 - SIGNIFICANT))


# Sums in single precision differ in their last digits; values equal up to this count as equal.
_SAME = 1e-5


def _scaled(gains: Floats) -> npt.NDArray[np.float32]:
    """Return the gains divided by the square root of their summed squares; 0 where all are 0."""
    norm = np.sqrt((gains**2).sum(0))
    scaled = np.divide(gains, norm, out=np.zeros(gains.shape), where=norm > 0)
    return np.asarray(scaled, dtype=np.float32)


class HeldOutRelation(NamedTuple):
    """The held-out figures of one relation, as means over divisions into folds.

    Args:
        accuracy: of the column chosen on the other folds.
        ci_low: the lower end of its 95% interval, by sentence.
        ci_high: the upper end.
        offset: the accuracy of the offset chosen on the other folds, for the same columns.
        even: the accuracy of even attention, for the same columns.
        chosen: the column that was chosen most often.
        share: how often.
    """

    accuracy: float
    ci_low: float
    ci_high: float
    offset: float
    even: float
    chosen: int
    share: float


def held_out_relation(sums: RelationSums, *, divisions: int = DIVISIONS) -> HeldOutRelation:
    """Choose a column on four fifths of the sentences, and score it on the fifth, many times."""
    count = len(sums.blocks)
    each = divided_choices(
        sums.credits, sums.n, np.arange(count), folds=min(_FOLDS, count), divisions=divisions,
        seed=zlib.crc32(sums.relation.encode()),
    )  # fmt: skip
    groups = np.arange(count)
    total = np.zeros((4, count))
    for one in each:
        best, offset = one.chosen[one.part], _offsets(sums, one)[one.part]
        total += [
            sums.credits[groups, best],
            sums.n[groups, best],
            sums.even[groups, best],
            sums.at_offset[offset, groups, best],
        ]
    credits, n, even, at_offset = total / divisions
    counts = np.bincount(
        np.concatenate([one.chosen for one in each]), minlength=sums.credits.shape[1]
    )
    low, high = share_intervals(credits[:, None], n[:, None])
    figures = [float(ratio(values.sum(), n.sum())) for values in (credits, even, at_offset)]
    chosen = int(counts.argmax())
    return HeldOutRelation(
        accuracy=figures[0],
        ci_low=float(low[0]),
        ci_high=float(high[0]),
        offset=figures[2],
        even=figures[1],
        chosen=chosen,
        share=float(counts[chosen] / counts.sum()),
    )


def _offsets(sums: RelationSums, division: Division) -> Integers:
    """Return for each fold the number of the offset that is best on the others, for its head."""
    return np.array(
        [
            sums.at_offset[:, division.part != fold, best].sum(1).argmax()
            for fold, best in enumerate(division.chosen)
        ]
    )


def relations_table(
    blocks: SentenceBlocks, ways: Sequence[str], layers: Sequence[int], table: pd.DataFrame
) -> pd.DataFrame:
    """Return one row for each relation: the head chosen for it, and how it does, held out.

    Args:
        blocks: the sums.
        ways: the directions, in order.
        layers: the model's own numbers.
        table: of all heads, with ``p_adjusted``.
    """
    rows: list[dict[str, Any]] = []
    for sums in relation_sums(blocks, ways):
        of_relation = table[table["relation"] == sums.relation]
        rows.append(_relation_row(sums, ways, layers, of_relation))
    found = pd.DataFrame(rows, columns=list(RELATION_COLUMNS))
    return found.astype({"layer": "Int64", "head": "Int64"})


def _relation_row(
    sums: RelationSums, ways: Sequence[str], layers: Sequence[int], table: pd.DataFrame
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "relation": sums.relation,
        "n": int(sums.n.sum(0).max()),
        "n_sentences": len(sums.blocks),
        "is_followed": False,
    }
    if not sums.is_testable or not sums.n.any():
        return row
    found = held_out_relation(sums)
    way, head = _place(found.chosen, ways, layers, sums.credits.shape[1])
    row |= {"layer": head.layer, "head": head.head, "direction": way, "chosen_share": found.share}
    row |= {"accuracy": found.accuracy, "ci_low": found.ci_low, "ci_high": found.ci_high}
    row |= {"offset_accuracy": found.offset, "even_accuracy": found.even}
    of_chosen = table[
        (table["direction"] == way) & (table["layer"] == head.layer) & (table["head"] == head.head)
    ]
    row["p_adjusted"] = float(of_chosen["p_adjusted"].iloc[0])
    row["detectable"] = float(of_chosen["detectable"].iloc[0])
    row["is_followed"] = row["p_adjusted"] < SIGNIFICANT
    return row


def _place(
    column: int, ways: Sequence[str], layers: Sequence[int], num_columns: int
) -> tuple[str, Head]:
    heads = num_columns // (len(ways) * len(layers))
    way, rest = divmod(column, len(layers) * heads)
    layer, head = divmod(rest, heads)
    return ways[way], Head(layers[layer], head)
