"""Formulas of intervals and p-values, written down again."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.stats import beta, norm, t

from benchmarks.recompute.folder import DIVISIONS, FOLDS

FEWEST = 5
INFLATION = 1 / DIVISIONS + FOLDS / (FOLDS - 1)
DRAWS = 400
# A p-value, or an end of an interval from resamples, differs by so many standard errors at most.
DEVIATIONS = 4.5


def wilson(
    credits: Sequence[float], groups: Sequence[str], inflation: float = 1.0
) -> tuple[float, float]:
    """Return Wilson's interval with the effective number of cases, added up group by group."""
    sums: dict[str, float] = defaultdict(float)
    sizes: dict[str, int] = defaultdict(int)
    for credit, group in zip(credits, groups, strict=True):
        if not math.isnan(credit):
            sums[group] += credit
            sizes[group] += 1
    n, count = sum(sizes.values()), len(sizes)
    if count < FEWEST:
        return math.nan, math.nan
    p = sum(sums.values()) / n
    if p > 1 - 1e-9:
        return float(beta.ppf(0.025, count / inflation, 1)), 1.0
    if p < 1e-9:
        return 0.0, 1 - float(beta.ppf(0.025, count / inflation, 1))
    effective = _effective(p, [(sums[g], sizes[g]) for g in sizes]) / inflation
    z = norm.ppf(0.975)
    middle = (p + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = z * math.sqrt(p * (1 - p) / effective + z**2 / (4 * effective**2))
    half /= 1 + z**2 / effective
    return middle - half, middle + half


def _effective(p: float, groups: Sequence[tuple[float, int]]) -> float:
    """Return how many cases groups, each a sum and a size, are worth."""
    n, count = sum(size for _, size in groups), len(groups)
    squares = [(total - p * size) ** 2 for total, size in groups]
    whole = sum(squares)
    plain = n if whole == 0 else min(n, p * (1 - p) * n**2 / whole)
    plain *= n * (count - 1) / ((n - 1) * count)
    if whole == 0:
        return plain * _of_t(n - 1, count - 1)
    spread = sum(each**2 for each in squares) - whole**2 / count
    degrees = count - 1 if spread <= 1e-9 * whole**2 else min(count - 1, 3 * whole**2 / spread)
    alike = n**2 / sum(size**2 for _, size in groups) * (count - 1) / count
    by_few = max(plain * _of_t(n - 1, degrees), alike * _of_t(n - 1, count - 1))
    return min(plain * _of_t(n - 1, count - 1), by_few)


def _of_t(more: float, fewer: float) -> float:
    return float((t.ppf(0.975, more) / t.ppf(0.975, fewer)) ** 2)


def studentized(
    values: Sequence[float], groups: Sequence[str], inflation: float = 1.0, seed: int = 7
) -> tuple[float, float, float]:
    """Return the ends of a studentized bootstrap of groups, and the error of such an end."""
    by_group = defaultdict(list)
    for value, group in zip(values, groups, strict=True):
        if not math.isnan(value):
            by_group[group].append(value)
    sums = np.array([sum(v) for v in by_group.values()])
    sizes = np.array([len(v) for v in by_group.values()])
    count = len(sums)
    if count < FEWEST:
        return math.nan, math.nan, math.nan
    mean, error = _mean_and_error(sums, sizes)
    if error <= 1e-9 * np.abs(sums).max():
        return math.nan, math.nan, math.nan
    random = np.random.default_rng(seed)
    deviates = []
    for _ in range(10 * DRAWS):
        drawn = random.integers(count, size=count)
        middle, spread = _mean_and_error(sums[drawn], sizes[drawn])
        if spread > 1e-12:
            deviates.append((middle - mean) / spread)
    tail = 0.025 * (1 - 4 / count)
    low, high = np.quantile(deviates, [tail, 1 - tail])
    error *= math.sqrt(inflation)
    # The density at a tail's quantile is about its part divided by its distance; of a few groups
    # with few values it has gaps, and a quantile is known as well as its neighbors tell.
    near = np.quantile(deviates, [min(1, 2 * tail), max(0, 1 - 2 * tail)])
    wide = max(abs(low - near[0]), abs(high - near[1]), 0.1)
    slack = DEVIATIONS * wide / math.sqrt(len(deviates) * tail) * math.sqrt(2)
    error_of_tail = DEVIATIONS * math.sqrt(2 * tail / len(deviates))
    ends = np.clip([tail - error_of_tail, tail + error_of_tail], 0, 1)
    slack = max(slack, *abs(low - np.quantile(deviates, ends)),
                *abs(high - np.quantile(deviates, 1 - ends)))  # fmt: skip
    return mean - high * error, mean - low * error, slack * error


def _mean_and_error(sums: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    count, n = len(sums), sizes.sum()
    mean = sums.sum() / n
    squares = ((sums - mean * sizes) ** 2).sum()
    return float(mean), math.sqrt(squares * count / (count - 1)) / n


def flips(values: np.ndarray, groups: Sequence[str], head: int, *, two_sided: bool) -> float:
    """Return the family-wise p-value of a column by flipped signs of groups, drawn anew."""
    observed = _scaled(values, groups).sum(0)[head]
    observed = abs(observed) if two_sided else observed
    largest = largest_flipped(values, groups, two_sided=two_sided)
    return float(((largest >= observed - 1e-9).sum() + 1) / (len(largest) + 1))


def largest_flipped(
    values: np.ndarray, groups: Sequence[str], *, two_sided: bool = False
) -> np.ndarray:
    """Return the largest z of all columns for each draw of the groups' signs."""
    scaled = _scaled(values, groups)
    random = np.random.default_rng(11)
    signs = random.choice([-1.0, 1.0], (DRAWS * 10, len(scaled)))
    drawn = np.stack([row @ scaled for row in signs])
    return np.asarray((np.abs(drawn) if two_sided else drawn).max(1))


def _scaled(values: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Return the sums of groups, in each column divided by the root of their squares."""
    names = sorted(set(groups))
    sums = np.array(
        [np.nansum(values[[g == name for g in groups]], axis=0) for name in names]
    )  # fmt: skip
    norms = np.sqrt((sums**2).sum(0))
    return np.divide(sums, norms, out=np.zeros_like(sums), where=norms > 0)
