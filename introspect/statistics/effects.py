"""The two-sided test of all effects at once, which holds for skewed effects as well."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import nct

from introspect.statistics.groups import (
    FEWEST_GROUPS,
    SAME,
    Floats,
    Matrix,
    checked,
    group_sums,
)
from introspect.statistics.intervals import drawn_counts

#: From this many groups on, flipped signs alone hold the level, also for skewed effects.
MANY_GROUPS = 50
# A mean of more standard deviations than this is corrected for skewness as one of this many.
_LARGEST_CORRECTED = 1.0
# The part of the observed variance in that of a resample: one without spread has no infinite t.
_OBSERVED_PART = 0.02
# The smallest variance, as a part of the mean square: effects that are the same in all groups.
_NO_SPREAD = 1e-12
# Numbers that one block of draws holds.
_AT_ONCE = 1 << 22
# The share of studies in which an effect of the detectable size is found; with few groups, where
# two tests must find it, each finds it a little more often.
_POWER, _POWER_OF_EACH = 0.8, 0.88


@dataclass(frozen=True, eq=False)
class EffectTest:
    """Result of the test of effects.

    Args:
        p_value: ``(num_heads,)``, each head's own, two-sided.
        p_adjusted: ``(num_heads,)``, family-wise: how often the largest of all does as well.
        detectable: ``(num_heads,)``: the mean effect that is found in 80% of such studies.
        num_groups: the number of groups.
        note: why there are no p-values, if there are none (they are NaN then).
    """

    p_value: Floats
    p_adjusted: Floats
    detectable: Floats
    num_groups: int
    note: str = ""


def effect_test(
    values: npt.ArrayLike,
    groups: Sequence[Hashable],
    *,
    draws: int = 10_000,
    level: float = 0.05,
    seed: int = 0,
) -> EffectTest:
    r"""Test which mean effects differ from 0, two-sided and family-wise.

    With :math:`u` the mean of a head's effects by group over their standard deviation,
    :math:`\gamma` their skewness and *n* the number of groups, the statistic is Hall's

    .. math:: \sqrt{n}\,\Bigl(u + \frac{\gamma u^2}{3} + \frac{\gamma^2 u^3}{27}
              + \frac{\gamma}{6n}\Bigr)

    which is Student's *t* where effects are symmetric; in the two terms in the middle, *u* counts
    for at most 1. ``p_adjusted`` compares its size with the largest of all heads where the signs of
    whole groups are flipped at random. With fewer than 50 groups the *t* is also compared with the
    largest of all heads in resamples of groups around their mean, and the larger p-value is taken.
    A plain test by flipped signs calls skewed effects with a mean of 0 significant in a quarter of
    all studies.

    Source: Hall 1992, "On the removal of skewness by transformation",
    https://doi.org/10.1111/j.2517-6161.1992.tb01876.x; Westfall & Young 1993, "Resampling-Based
    Multiple Testing", section 2.

    Args:
        values: ``(num_cases, num_heads)``; NaN counts as no effect.
        groups: the group of each case.
        draws: the number of random signs, and of resamples.
        level: the level of significance that ``detectable`` is of.
        seed: the random seed of the draws.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(60, 3))
        >>> found = effect_test(noise + [0, 1, -1], range(60), draws=1000)
        >>> (found.p_adjusted < 0.05).tolist()
        [False, True, True]
    """
    given, index = checked(values, groups)
    sums = group_sums(given, index).astype(np.float64)
    num_groups, num_heads = sums.shape
    if num_groups < FEWEST_GROUPS:
        nothing = np.full(num_heads, np.nan)
        groups_are = "group is" if num_groups == 1 else "groups are"
        note = f"no p-values: {num_groups} {groups_are} too few; it takes at least {FEWEST_GROUPS}"
        return EffectTest(nothing, nothing, nothing, num_groups, note)
    size = np.sqrt((sums**2).mean(0))
    scaled = np.divide(sums, size, out=np.zeros_like(sums), where=size > 0)
    own, family, critical = _by_signs(scaled, draws, level, np.random.default_rng(seed))
    if num_groups < MANY_GROUPS:
        by_draws = _by_resamples(scaled, draws, level, np.random.default_rng([seed, 1]))
        own, family = np.maximum(own, by_draws[0]), np.maximum(family, by_draws[1])
        critical = max(critical, by_draws[2])
    deviation = sums.std(0, ddof=1) * num_groups / len(given)
    detectable = _noncentrality(critical, num_groups) * deviation / np.sqrt(num_groups)
    return EffectTest(own, family, detectable, num_groups)


def _by_signs(
    scaled: Floats, draws: int, level: float, random: np.random.Generator
) -> tuple[Floats, Floats, float]:
    """Return p-values by flipped signs, own and family-wise, and the critical value."""
    count = len(scaled)
    squares = (scaled**2).mean(0)
    observed = np.abs(_hall(scaled.mean(0), squares, (scaled**3).mean(0), count))
    cubes = scaled**3 / count
    linear = scaled / count
    own = np.zeros(scaled.shape[1])
    largest = []
    ways = 2**count
    for signs in _signs(count, scaled.shape[1], draws, random):
        found = np.abs(_hall(signs @ linear, squares, signs @ cubes, count))
        own += (found >= observed * (1 - SAME)).sum(0)
        largest.append(found.max(1))
    every = np.sort(np.concatenate(largest))
    # The observed signs are one of all, if all are made.
    extra = 0 if ways <= draws else 1
    total = len(every) + extra
    family = len(every) - np.searchsorted(every, observed * (1 - SAME)) + extra
    return (own + extra) / total, family / total, float(np.quantile(every, 1 - level))


def _by_resamples(
    scaled: Floats, draws: int, level: float, random: np.random.Generator
) -> tuple[Floats, Floats, float]:
    """Return the same by resamples of the groups around their mean."""
    count = len(scaled)
    mean, variance = scaled.mean(0), np.maximum(scaled.var(0), _NO_SPREAD)
    observed = np.abs(mean) / np.sqrt(variance)
    around = scaled - mean
    own = np.zeros(scaled.shape[1])
    largest = []
    for drawn in drawn_counts(count, draws, random):
        for block in np.array_split(drawn, max(1, drawn.size // _AT_ONCE)):
            means = block @ around / count
            squares = block @ around**2 / count
            spread = np.maximum(squares - means**2, 0) * (1 - _OBSERVED_PART)
            found = np.abs(means) / np.sqrt(spread + _OBSERVED_PART * variance)
            own += (found >= observed * (1 - SAME)).sum(0)
            largest.append(found.max(1))
    every = np.sort(np.concatenate(largest))
    family = len(every) - np.searchsorted(every, observed * (1 - SAME)) + 1
    critical = float(np.quantile(every, 1 - level)) * np.sqrt(count - 1)
    return (own + 1) / (len(every) + 1), family / (len(every) + 1), float(critical)


def _signs(count: int, columns: int, draws: int, random: np.random.Generator) -> Iterator[Matrix]:
    """Yield signs of the groups, ``(some, count)``; all of them if there are no more than that."""
    if 2**count <= draws:
        numbers = np.arange(2**count)[:, None] >> np.arange(count)
        yield 1.0 - 2.0 * (numbers & 1)
        return
    at_once = max(1, _AT_ONCE // max(count, columns))
    for start in range(0, draws, at_once):
        shape = (min(at_once, draws - start), count)
        yield 1.0 - 2.0 * random.integers(2, size=shape)


def _hall(mean: Floats, square: Floats, cube: Floats, count: int) -> Floats:
    """Compute Hall's statistic from the mean powers; 0 where all effects are 0."""
    variance = np.maximum(square - mean**2, _NO_SPREAD) * count / (count - 1)
    deviation = np.sqrt(variance)
    u = mean / deviation
    skewness = (cube - 3 * mean * square + 2 * mean**3) / deviation**3
    # Where effects are nearly the same in all groups, rounding is no skewness.
    skewness = np.where(variance < 1e-9, 0.0, skewness)
    near = np.clip(u, -_LARGEST_CORRECTED, _LARGEST_CORRECTED)
    corrected = u + skewness * near**2 / 3 + skewness**2 * near**3 / 27 + skewness / (6 * count)
    statistic: Floats = np.sqrt(count) * corrected
    return np.where(square > 0, statistic, 0.0)


def _noncentrality(critical: float, count: int) -> float:
    """Return the effect, in standard errors, that exceeds a critical *t* in 80% of studies."""
    most = 4 * critical + 10
    power = _POWER if count >= MANY_GROUPS else _POWER_OF_EACH

    def missed(size: float) -> float:
        return float(nct.cdf(critical, count - 1, size)) - (1 - power)

    return float(brentq(missed, 0, most)) if missed(0) > 0 > missed(most) else float("nan")
