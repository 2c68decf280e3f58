"""Winogender's own measure: whether occupations are chosen by their share of women."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from introspect.errors import InputError
from introspect.statistics import FEWEST_GROUPS, POWER, SIGNIFICANT, Claim
from introspect.studies.analyzer import Floats, known_means
from introspect.studies.coreference.bias import Bias, bias_table
from introspect.studies.coreference.claims import DEFAULT, Options
from introspect.studies.coreference.columns import ScoredCase
from introspect.studies.coreference.head_claims import occupation_claims

#: The labels of cases whose stereotype leads to the wrong candidate, and of the others.
GOTCHA = ("gotcha", "rest")

# The normal quantile of a 95% interval.
_CRITICAL = 1.959963984540054
_MOST = 1 - 1e-12
# The variance of Fisher's transform of a correlation is 1 over n less this.
_FISHER_LOSES = 3


@dataclass(frozen=True)
class Occupation:
    """What Winogender says of a case.

    Args:
        name: the occupation.
        share_of_women: in the occupation, from 0 to 100.
        gender: of the pronoun: ``male``, ``female`` or ``neutral``.
        is_answer: whether the occupation is the antecedent, or the other participant.
    """

    name: str
    share_of_women: float
    gender: str
    is_answer: bool

    @classmethod
    def of(cls, extra: Mapping[str, Any]) -> Occupation | None:
        """Return what the fields of a case say; ``None`` where one is missing."""
        names = ("occupation", "percent_female", "gender", "answer")
        if any(extra.get(name) is None for name in names):
            return None
        return cls(
            str(extra["occupation"]),
            float(extra["percent_female"]),
            str(extra["gender"]),
            extra["answer"] == "occupation",
        )

    @property
    def is_gotcha(self) -> bool:
        """Return whether the stereotype leads to the wrong candidate.

        The pronoun has not the gender of most people of the occupation, which is the antecedent; or
        it has, and the other participant is.
        """
        return ((self.gender == "female") == (self.share_of_women > 50)) != self.is_answer


@dataclass(frozen=True)
class OccupationBias:
    """Whether heads choose occupations by their share of women.

    Args:
        table: one row for each layer, head and direction: ``correlation`` over occupations, with
            its 95% interval and two-sided p-values; ``n_occupations``.
        gotcha: accuracy on cases whose stereotype leads to the wrong candidate, and on the others.
        num_occupations: the number of occupations.
        detectable: the smallest correlation of one head that would have been found, with an
            adjusted p-value below 0.05, in 80% of such sets; NaN with too few occupations.
    """

    table: pd.DataFrame
    gotcha: Bias
    num_occupations: int
    detectable: float = math.nan

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Return the claims of the correlation, or the correlation that would have been found."""
        return occupation_claims(self.table, self.num_occupations, self.detectable)


def occupation_bias(
    scored: Sequence[ScoredCase],
    occupations: Sequence[Occupation | None],
    options: Options = DEFAULT,
) -> OccupationBias:
    r"""Correlate the choice of an occupation with its share of women.

    For each occupation *o*,

    .. math:: d_o = P(\text{occupation} \mid \textit{she}) - P(\text{occupation} \mid \textit{he})

    and *r* is its correlation with the share of women in *o*: above 0 for a head that chooses by
    stereotype, which accuracy by gender does not show. The interval is Fisher's; the p-values
    permute the shares among occupations and compare with the largest *r* of all heads and
    directions.

    Source: Rudinger et al. 2018, "Gender Bias in Coreference Resolution", section 4.

    Args:
        scored: the cases, of two candidates each.
        occupations: what is known of each; cases without are left out.
        options: the numbers of draws, and the random seed.

    Raises:
        InputError: no case has an occupation.
    """
    kept = [
        (case, occupation)
        for case, occupation in zip(scored, occupations, strict=True)
        if occupation is not None and case.is_forced_choice and occupation.gender != "neutral"
    ]
    if not kept:
        raise InputError("Expected at least one case with an occupation and a gender, got none.")
    names = sorted({occupation.name for _, occupation in kept})
    credits = np.stack([case.credit.ravel() for case, _ in kept])
    is_answer = np.array([occupation.is_answer for _, occupation in kept])
    chosen = np.where(is_answer[:, None], credits, 1 - credits)
    gaps = np.stack([_gap(chosen, kept, name) for name in names])
    by_name = {occupation.name: occupation.share_of_women for _, occupation in kept}
    shares = np.array([by_name[name] for name in names])
    r, p_value, p_adjusted, critical = _correlations(gaps, shares, options)
    known = ~np.isnan(gaps)
    low, high = _fisher(r, known.sum(0))
    table = (
        kept[0][0]
        .places()
        .assign(
            correlation=r,
            ci_low=low,
            ci_high=high,
            p_value=p_value,
            p_adjusted=p_adjusted,
            n_occupations=known.sum(0),
        )
    )
    labels = [GOTCHA[not occupation.is_gotcha] for _, occupation in kept]
    gotcha = bias_table([case for case, _ in kept], labels, GOTCHA, options)
    detectable = _detectable(critical, int(known.sum(0).max()))
    return OccupationBias(table, gotcha, len(names), detectable)


def _gap(chosen: Floats, kept: Sequence[tuple[ScoredCase, Occupation]], name: str) -> Floats:
    """Return how much more often an occupation is chosen with *she* than with *he*."""
    she, he = (
        known_means(
            chosen[[o.name == name and o.gender == gender for _, o in kept]].reshape(
                -1, chosen.shape[1]
            )
        )
        for gender in ("female", "male")
    )
    return np.asarray(she - he)


def _correlations(
    gaps: Floats, shares: Floats, options: Options
) -> tuple[Floats, Floats, Floats, float]:
    """Return Pearson's r of each column with the shares, and its p-values, own and adjusted.

    The last is the size of r from which on the adjusted p-value is below 0.05.
    """
    known = ~np.isnan(gaps)
    r = _pearson(gaps, known, shares[:, None])[0]
    nothing = np.full(r.shape, np.nan)
    enough = known.sum(0) >= FEWEST_GROUPS
    if not enough.any():
        return np.where(enough, r, np.nan), nothing, nothing, math.nan
    random = np.random.default_rng(options.seed)
    drawn = random.permuted(np.tile(shares, (options.permutations, 1)), axis=1).T
    permuted = np.abs(np.nan_to_num(_pearson(gaps, known, drawn)))
    observed = np.abs(np.nan_to_num(r))
    largest = np.sort(permuted[:, enough].max(1))
    total = options.permutations + 1
    own = ((permuted >= observed - 1e-9).sum(0) + 1) / total
    family = (len(largest) - np.searchsorted(largest, observed - 1e-9) + 1) / total
    defined = enough & ~np.isnan(r)
    of_heads = [np.where(defined, values, np.nan) for values in (r, own, family)]
    return of_heads[0], of_heads[1], of_heads[2], float(np.quantile(largest, 1 - SIGNIFICANT))


def _detectable(critical: float, n: int) -> float:
    """Return the correlation that exceeds a critical one in 80% of sets, by Fisher's transform."""
    if n <= _FISHER_LOSES or not critical < 1:
        return math.nan
    return math.tanh(math.atanh(critical) + float(norm.ppf(POWER)) / math.sqrt(n - _FISHER_LOSES))


def _pearson(gaps: Floats, known: npt.NDArray[np.bool_], shares: Floats) -> Floats:
    """Return the correlations of known gaps with each column of shares: ``(some, num_heads)``."""
    n = known.sum(0)
    y = np.where(known, gaps - known_means(gaps), 0.0)
    sums = shares.T @ known
    squares = (shares**2).T @ known - sums**2 / np.maximum(n, 1)
    scale = np.sqrt(np.maximum(squares, 0) * (y**2).sum(0))
    found = np.full(scale.shape, np.nan)
    return np.asarray(np.divide(shares.T @ y, scale, out=found, where=scale > 1e-9))


def _fisher(r: Floats, n: npt.NDArray[np.integer[Any]]) -> tuple[Floats, Floats]:
    """Return Fisher's 95% interval of correlations over so many occupations."""
    wide = _CRITICAL / np.sqrt(np.maximum(n - _FISHER_LOSES, 1))
    middle = np.arctanh(np.clip(r, -_MOST, _MOST))
    return np.tanh(middle - wide), np.tanh(middle + wide)
