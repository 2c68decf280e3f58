"""The jobs of a head: groups of its rows by the rules that they follow."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.cluster.vq import ClusterError, kmeans2

from introspect.studies.analyzer import Floats, Integers
from introspect.studies.atlas.analyzer import BLOCKS, AtlasSums, is_checking

#: The most jobs that are told apart.
MOST_MODES = 4
#: Another mode has to explain this part of what is unexplained, on texts that it was not made from.
GAIN = 0.3
#: Below this mean squared distance there is nothing to explain.
SPREAD = 0.02
#: A mode is named by a rule that covers this share of its rows' weight.
NAMED = 0.3
#: With fewer rows in a half there is one mode.
FEWEST_ROWS = 40

MODE_COLUMNS = ("layer", "head", "mode", "share", "rule", "coverage")


@dataclass(frozen=True, eq=False)
class HeadModes:
    """The modes of one head.

    Args:
        centers: ``(num_modes, num_rules)``, the mean share of each rule, the largest mode first.
        shares: ``(num_modes,)``, the share of the rows in each.
    """

    centers: Floats
    shares: Floats


def head_modes(vectors: Floats, is_check: Integers, seed: int = 0) -> HeadModes:
    """Group the rows of a head by k-means, with as many modes as hold on other texts.

    Args:
        vectors: ``(num_rows, num_rules)``, the share of each row on the keys of each rule.
        is_check: which rows are of the half that checks.
        seed: the seed of the starts.
    """
    find, check = vectors[is_check == 0], vectors[is_check == 1]
    centers = vectors.mean(0, keepdims=True) if len(vectors) else np.zeros((1, vectors.shape[1]))
    if min(len(find), len(check)) >= FEWEST_ROWS:
        centers = find.mean(0, keepdims=True)
        rest = _unexplained(check, centers)
        for number in range(2, MOST_MODES + 1):
            if rest < SPREAD:
                break
            tried = _means(find, number, seed)
            now = _unexplained(check, tried)
            if now > (1 - GAIN) * rest:
                break
            centers, rest = tried, now
    labels = _distances(vectors, centers).argmin(1) if len(vectors) else np.zeros(0, np.int64)
    counts = np.bincount(labels, minlength=len(centers))
    order = np.argsort(-counts, kind="stable")
    shares = counts[order] / max(1, counts.sum())
    return HeadModes(centers[order], shares)


def _means(rows: Floats, number: int, seed: int) -> Floats:
    """Return the centers of the best of several starts."""
    every = []
    for start in range(4):
        with suppress(ClusterError):  # a group has become empty
            centers, _ = kmeans2(rows, number, minit="++", seed=seed + start, missing="raise")
            every.append((_unexplained(rows, centers), start, centers))
    if not every:
        return np.asarray(rows.mean(0, keepdims=True))
    return np.asarray(min(every, key=lambda each: each[:2])[2])


def _distances(rows: Floats, centers: Floats) -> Floats:
    return np.asarray(((rows[:, None] - centers[None]) ** 2).sum(-1))


def _unexplained(rows: Floats, centers: Floats) -> float:
    return float(_distances(rows, centers).min(1).mean())


def sampled_vectors(sums: AtlasSums, place: int, head: int) -> tuple[Floats, Integers]:
    """Return the vectors of a head's sampled rows, and which of them are of the checking half."""
    # What is measured beside the rules is no job of a head.
    kept = [not rule.is_beside for rule in sums.rules.values()]
    parts, halves = [], []
    for number, sampled in sorted(sums.kept.sample.items()):
        own = sampled.vectors[place, head][:, kept].astype(np.float64) / 255
        parts.append(own)
        halves += [int(is_checking(number % BLOCKS))] * len(own)
    if not parts:
        return np.zeros((0, sum(kept))), np.zeros(0, np.int64)
    return np.concatenate(parts), np.array(halves, dtype=np.int64)


def modes_table(sums: AtlasSums) -> pd.DataFrame:
    """Return one row for each mode of each head, with the rule that covers most of its rows.

    Args:
        sums: what was collected.
    """
    names = [name for name, rule in sums.rules.items() if not rule.is_beside]
    rows = []
    for place, layer in enumerate(sums.layers):
        for head in range(sums.num_heads):
            modes = head_modes(*sampled_vectors(sums, place, head))
            for number, (rule, share, coverage) in enumerate(_named(modes, names), start=1):
                rows.append((layer, head, number, share, rule, coverage))
    return pd.DataFrame(rows, columns=list(MODE_COLUMNS))


def _named(modes: HeadModes, names: Sequence[str]) -> list[tuple[str, float, float]]:
    """Return the rule, the share and the coverage of each mode, the largest first.

    Groups of rows that follow the same rule are one mode.
    """
    found: dict[str, tuple[float, float]] = {}
    for center, share in zip(modes.centers, modes.shares.tolist(), strict=True):
        best = int(center.argmax())
        rule = names[best] if center[best] >= NAMED else ""
        known, covered = found.get(rule, (0.0, 0.0))
        found[rule] = known + share, covered + share * float(center[best])
    ordered = sorted(found.items(), key=lambda each: -each[1][0])
    return [(rule, share, covered / share if share else 0.0) for rule, (share, covered) in ordered]
