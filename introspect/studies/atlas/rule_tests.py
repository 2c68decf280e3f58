"""The rule of each head: found on one half of the texts, checked on the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from introspect.statistics import FEWEST_GROUPS, SIGNIFICANT, effect_test, share_intervals
from introspect.studies.analyzer import Floats, Integers, ratio
from introspect.studies.atlas.analyzer import BLOCKS, AtlasSums, is_checking

#: The names of the halves of the texts.
HALVES = ("finding", "checking")
#: A rule is named for a head if it covers at least this share of what counts, in both halves …
COVERAGE = 0.3
#: … and at least this share of what even attention would leave to other keys.
BEYOND = 0.25
#: … with this lower end of the 95% interval in the half that checks.
SURE = 0.25
#: With so much attention on special tokens, what the rest does is not the head's rule.
MOSTLY_SPECIAL = 0.9
#: A rule needs this many rows in a half to be a candidate.
FEWEST_ROWS = 20

RULE_COLUMNS = (
    "layer", "head", "rule", "half", "coverage", "precision", "even", "mean_of_heads", "ci_low",
    "ci_high", "p_adjusted", "n",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class HalfFigures:
    """The figures of one half of the texts; arrays are ``(num_layers, num_heads, num_rules)``.

    Args:
        coverage: the share of the weight that counts on keys of the rule.
        precision: the share of rows whose largest weight is on one.
        even: the coverage of even attention.
        low: the lower end of the 95% interval of the coverage, by blocks of texts.
        high: the upper end.
        n: the rows that the rule asks about.
        gains: ``(num_blocks, num_layers, num_heads, num_rules)``: the weight beyond that of even
            attention in each block that has texts.
    """

    coverage: Floats
    precision: Floats
    even: Floats
    low: Floats
    high: Floats
    n: Integers
    gains: Floats

    @classmethod
    def of(cls, sums: AtlasSums, half: int) -> HalfFigures:
        """Compute the figures of the half that finds, 0, or checks, 1."""
        blocks = np.flatnonzero(is_checking(np.arange(BLOCKS)) == bool(half))
        blocks = blocks[sums.sums.weight[blocks].any((1, 2, 3))]
        covered, weight, even = (
            getattr(sums.sums, name)[blocks] for name in ("covered", "weight", "even")
        )
        shape = covered.shape[1:]
        columns = len(blocks), math.prod(shape)
        ends = share_intervals(covered.reshape(columns), weight.reshape(columns))
        low, high = (values.reshape(shape) for values in ends)
        n = sums.sums.n[half]
        return cls(
            ratio(covered.sum(0), weight.sum(0)),
            ratio(sums.sums.hits[half], n),
            ratio(even.sum(0), weight.sum(0)),
            low,
            high,
            n,
            covered - even,
        )

    @property
    def beyond(self) -> Floats:
        """The share of what even attention leaves to other keys that the rule covers besides."""
        return ratio(self.coverage - self.even, 1 - self.even)

    @property
    def is_strong(self) -> npt.NDArray[np.bool_]:
        """Return whether the rule covers enough to be named."""
        with np.errstate(invalid="ignore"):
            return (self.coverage >= COVERAGE) & (self.beyond >= BEYOND) & (self.n >= FEWEST_ROWS)


@dataclass(frozen=True, eq=False)
class FoundRules:
    """The rule of each head; arrays are ``(num_layers, num_heads)``.

    Args:
        names: the names of all rules.
        finding: the figures of the half that found.
        checking: the figures of the half that checked.
        best: the number of the rule that the finding half chose; -1 where no rule was asked.
        is_named: whether the checking half confirms it.
        is_unsure: whether it covers enough in both halves, but the texts are too few to be sure.
        p_adjusted: its family-wise p-value on the checking half; NaN where none could be had.
        num_groups: the blocks of texts of the checking half.
        is_counted: which rules may describe what a head does outside special tokens.
        best_of_rest: as ``best``, of these rules alone.
    """

    names: tuple[str, ...]
    finding: HalfFigures
    checking: HalfFigures
    best: Integers
    is_named: npt.NDArray[np.bool_]
    is_unsure: npt.NDArray[np.bool_]
    p_adjusted: Floats
    num_groups: int
    is_counted: npt.NDArray[np.bool_]
    best_of_rest: Integers

    @classmethod
    def of(cls, sums: AtlasSums, *, draws: int = 10_000, seed: int = 0) -> FoundRules:
        """Find and check the rule of each head."""
        finding, checking = (HalfFigures.of(sums, half) for half in (0, 1))
        of_special = np.array([rule.is_of_special for rule in sums.rules.values()])
        is_beside = np.array([rule.is_beside for rule in sums.rules.values()])
        best = _best(finding, of_special, is_beside)
        p_adjusted = _tested(checking, best, draws, seed)
        with np.errstate(invalid="ignore"):
            is_sure = _at(checking.low >= SURE, best) & (p_adjusted < SIGNIFICANT)
        is_strong = _at(finding.is_strong, best) & _at(checking.is_strong, best) & (best >= 0)
        return cls(
            tuple(sums.rules),
            finding,
            checking,
            best,
            is_strong & is_sure,
            is_strong & ~is_sure,
            p_adjusted,
            len(checking.gains),
            ~of_special & ~is_beside,
            _best(finding, np.zeros_like(of_special), is_beside | of_special),
        )

    def unsteady(self, place: int, head: int) -> int:
        """Return the rule that covers enough in the checking half alone; -1 for none.

        Of several it is the one that covers most beyond even attention. Such a rule was not found,
        so that nothing checks it; but neither can it be said that no rule describes the head.
        """
        only = self.checking.is_strong[place, head] & ~self.finding.is_strong[place, head]
        only = only & self.is_counted
        if not only.any():
            return -1
        beyond = np.nan_to_num(self.checking.beyond[place, head], nan=-1.0)
        return int(np.where(only, beyond, -np.inf).argmax())

    @property
    def is_checked(self) -> bool:
        """Return whether there are texts enough to check any rule."""
        return bool(np.isfinite(self.p_adjusted).any())

    def table(self, layers: tuple[int, ...]) -> pd.DataFrame:
        """Return one row for each head, rule and half, with the columns ``RULE_COLUMNS``.

        Rules that no row of the half is asked about have no row. ``p_adjusted`` is that of the rule
        that was found, in the half that checked it.
        """
        parts = []
        num_layers, num_heads, num_rules = self.finding.coverage.shape
        for half, figures in zip(HALVES, (self.finding, self.checking), strict=True):
            count = num_layers * num_heads
            of_all = _mean_of_heads(figures.coverage)
            p_adjusted = np.full(figures.coverage.shape, np.nan)
            if half == "checking" and count:
                at = np.maximum(self.best, 0)[..., None]
                chosen = np.where(self.best >= 0, self.p_adjusted, np.nan)[..., None]
                np.put_along_axis(p_adjusted, at, chosen, axis=-1)
            columns = {
                "layer": np.repeat(layers, num_heads * num_rules),
                "head": np.tile(np.repeat(np.arange(num_heads), num_rules), num_layers),
                "rule": np.tile(np.array(self.names, dtype=object), count),
                "half": half,
                "coverage": figures.coverage.ravel(),
                "precision": figures.precision.ravel(),
                "even": figures.even.ravel(),
                "mean_of_heads": np.tile(of_all, count),
                "ci_low": figures.low.ravel(),
                "ci_high": figures.high.ravel(),
                "p_adjusted": p_adjusted.ravel(),
                "n": figures.n.ravel(),
            }
            parts.append(pd.DataFrame(columns))
        table = pd.concat(parts, ignore_index=True)
        return table[table["n"] > 0].reset_index(drop=True)

    def mean_of_heads(self, rule: int) -> float:
        """Return the coverage of a rule in the mean over all heads, on the checking half."""
        return float(_mean_of_heads(self.checking.coverage)[rule])


def _mean_of_heads(coverage: Floats) -> Floats:
    known = ~np.isnan(coverage)
    return ratio(np.where(known, coverage, 0.0).sum((0, 1)), known.sum((0, 1)))


def _at(values: npt.NDArray[np.bool_], best: Integers) -> npt.NDArray[np.bool_]:
    found = np.take_along_axis(values, np.maximum(best, 0)[..., None], axis=-1)
    return np.asarray(found[..., 0])


def _best(
    finding: HalfFigures, of_special: npt.NDArray[np.bool_], is_beside: npt.NDArray[np.bool_]
) -> Integers:
    """Return the number of the rule of each head, by the half that finds.

    It covers most beyond even attention, times the square root of the part of the rows that it asks
    about: so a rule about a few rows has to cover more of them. Rules that cover enough to be named
    go before others. Special tokens are a rule only where nearly all attention is on them, or where
    no other rule would be named.
    """
    n = finding.n
    if not n.size or not n.any():
        return np.full(n.shape[:2], -1, dtype=np.int64)
    part = ratio(n, np.maximum(n.max(-1, keepdims=True), 1))
    score = np.nan_to_num(finding.beyond, nan=-1.0) * np.sqrt(part)
    # Of few texts even the rules about nearly all rows have few.
    is_asked = (n > 0) & (n >= np.minimum(FEWEST_ROWS, n.max() / 2))
    score = np.where(is_asked & ~is_beside, score, -np.inf)
    # Scores are below 1.
    score = score + 2.0 * finding.is_strong
    mostly = np.nan_to_num(np.where(of_special, finding.coverage, 0.0)) >= MOSTLY_SPECIAL
    score = np.where(of_special, np.where(mostly, 9.0, score - 1.5), score)
    best = score.argmax(-1)
    return np.where(np.isfinite(score.max(-1)), best, -1)


def _tested(checking: HalfFigures, best: Integers, draws: int, seed: int) -> Floats:
    """Return the family-wise p-value of each head's rule beyond even attention."""
    num_blocks = len(checking.gains)
    unknown = np.full(best.shape, np.nan)
    if num_blocks < FEWEST_GROUPS:
        return unknown
    at = np.maximum(best, 0)[None, ..., None]
    gains = np.take_along_axis(checking.gains, at, axis=-1)[..., 0]
    values = gains.reshape(num_blocks, -1)
    found = effect_test(values, range(num_blocks), draws=draws, seed=seed).p_adjusted
    # The test is two-sided; a rule that a head avoids is not its rule.
    found = np.where(values.sum(0) > 0, found, 1.0).reshape(best.shape)
    return np.where(best >= 0, found, np.nan)
