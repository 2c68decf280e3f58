"""What is claimed of the head that stands out in a table of all heads, or comes nearest."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from introspect.records import Head
from introspect.statistics import SIGNIFICANT, Claim
from introspect.studies.coreference.choice_claims import also_found
from introspect.text import (
    counted,
    decimal,
    interval,
    p_value,
    percent,
    quantity,
    signed,
    signed_percent,
    verb,
)

# Of a head whose share turns wholly with the answer.
_LARGEST_SHIFT = 2.0
# A smaller shift would be shown as 0.00.
_SMALLEST_SHOWN = 0.01


@dataclass(frozen=True)
class _Found:
    """What a table of heads shows.

    Args:
        row: of the head that is named.
        count: how many heads and directions have an adjusted p below 0.05.
        heads: the same in words.
        num_tested: how many were tested.
    """

    row: pd.Series
    count: int
    heads: str
    num_tested: int

    @property
    def head(self) -> str:
        return str(Head(int(self.row["layer"]), int(self.row["head"])))


def _found(table: pd.DataFrame, size: Callable[[pd.DataFrame], pd.Series]) -> _Found | None:
    """Return the largest of the heads that stand out, or else the one with the smallest p."""
    tested = table.dropna(subset=["p_adjusted"])
    if tested.empty:
        return None
    above = tested[tested["p_adjusted"] < SIGNIFICANT]
    row = above.loc[size(above).idxmax()] if len(above) else _nearest(tested, size)
    number = counted(len(above), "head and direction", "heads and directions")
    return _Found(row, len(above), number, len(tested))


def _nearest(tested: pd.DataFrame, size: Callable[[pd.DataFrame], pd.Series]) -> pd.Series:
    """Return the head with the smallest p; of several the one with the largest figure."""
    least = tested[tested["p_adjusted"] == tested["p_adjusted"].min()]
    return least.loc[size(least).idxmax()]


def _claims(
    found: _Found, kind: str, column: str, sentence: str, *, sided: str, n: int, groups: int
) -> tuple[Claim, ...]:
    """Return the row of the head that is named, and how many stand out."""
    row = found.row
    claim = Claim(
        kind=kind if found.count else f"no-{kind}",
        subject=f"{found.head}, {str(row['direction']).replace('_', ' ')}",
        sentence=sentence,
        estimate=float(row[column]),
        low=float(row["ci_low"]),
        high=float(row["ci_high"]),
        test=f"max-statistic over {found.num_tested} heads and directions, {sided}",
        p=float(row["p_adjusted"]),
        n=n,
        groups=groups,
        rule=f"adjusted p below {SIGNIFICANT}",
    )
    if not found.count:
        return (claim,)
    return claim, claim.beside("heads", found.count, subject="all heads and directions")


def pair_claims(table: pd.DataFrame, detectable: float = math.nan) -> tuple[Claim, ...]:
    """Return the claims on shifts within minimal pairs; none where there was no test.

    Args:
        table: of ``PairShifts``.
        detectable: the smallest shift that would have been found; it is said where none was.
    """
    found = _found(table, lambda rows: rows["shift"])
    if found is None:
        return ()
    row, by = found.row, f"by {decimal(found.row['shift'])}"
    which = (
        f"{found.head} shifts with the answer (adjusted p below 0.05), {by}"
        if found.count == 1
        else f"{found.heads} shift with the answer (adjusted p below 0.05), {found.head} most, {by}"
    )
    both = f"it has both versions right in {percent(row['both_right'])} of pairs"
    sentence = f"{which}; {both}, where coin flips have 25%."
    if not found.count:
        sentence = (
            f"No head is shown to shift with the answer: {found.head} comes nearest, {by} "
            f"(adjusted {p_value(row['p_adjusted'])})."
        )
    n = int(row["n_pairs"])
    claims = _claims(
        found, "shifts", "shift", sentence, sided="one-sided, pairs swapped", n=2 * n, groups=n
    )
    if not found.count:
        return (*claims, _detectable_shift(detectable, int(table["n_pairs"].max())))
    return (*claims, claims[0].beside("both right", row["both_right"], n=int(row["n_both"])))


def _detectable_shift(size: float, n: int) -> Claim:
    """Say which shift would have been found, where none was."""
    over = counted(n, "pair")
    is_known = size <= _LARGEST_SHIFT
    shown = decimal(size) if size >= _SMALLEST_SHOWN else quantity(size)
    sentence = (
        f"A head that shifts by {shown} in the mean, and varies as most heads do, would "
        f"have been found in 80% of sets of {over}; a smaller shift could well be missed."
        if is_known
        else f"With {over} no shift, however large, is found in 80% of sets."
    )
    return Claim(
        kind="detectable: shifts" if is_known else "no-detectable: shifts",
        subject="one head",
        sentence=sentence,
        estimate=size if is_known else math.nan,
        n=2 * n,
        groups=n,
        rule="an adjusted p below 0.05 in 80% of such sets",
    )


def shifts_beside(table: pd.DataFrame) -> list[Claim]:
    """Say how many heads shift with the answer, to stand beside the held-out choice."""
    found = _found(table, lambda rows: rows["shift"])
    if found is None or not found.count:
        return []
    which = verb(found.count, found.head, found.heads)
    words = f"within minimal pairs {which} {verb(found.count, 'shifts', 'shift')} with the answer"
    return [also_found("shifts", "all heads and directions", words, found.count)]


def occupation_claims(
    table: pd.DataFrame, num_occupations: int, detectable: float
) -> tuple[Claim, ...]:
    """Return the claims on the choice of occupations; none where there was no test.

    Args:
        table: of ``OccupationBias``.
        num_occupations: the number of occupations.
        detectable: the smallest correlation that would have been found; it is said where none was.
    """
    found = _found(table, lambda rows: rows["correlation"].abs())
    if found is None:
        return ()
    row, over = found.row, counted(num_occupations, "occupation")
    r = signed(row["correlation"]) + interval(signed(row["ci_low"]), signed(row["ci_high"]))
    which = (
        f"the choice of {found.head} follows the share of women, or its opposite (adjusted p below "
        "0.05)"
        if found.count == 1
        else f"the choices of {found.heads} follow the share of women, or its opposite (adjusted p "
        f"below 0.05), {found.head} most"
    )
    sentence = (
        f"Over {over} {which}: r = {r}."
        if found.count
        else f"Over {over} no head is shown to choose by the share of women: {found.head} comes "
        f"nearest, with r = {r}, adjusted {p_value(row['p_adjusted'])}."
    )
    n = int(row["n_occupations"])
    claims = _claims(
        found, "stereotype", "correlation", sentence, sided="two-sided", n=n, groups=num_occupations
    )
    if found.count:
        return claims
    most = int(table["n_occupations"].max())
    return (*claims, _detectable_correlation(detectable, most, num_occupations))


def _detectable_correlation(size: float, n: int, num_occupations: int) -> Claim:
    """Say which correlation would have been found, where none was."""
    over = counted(n, "occupation")
    is_known = not math.isnan(size)
    sentence = (
        f"A head with r = {decimal(size)}, or the opposite, would have been found in 80% of sets "
        f"of {over}; a weaker one could well be missed."
        if is_known
        else f"With {over} no correlation, even of 1, is found in 80% of sets."
    )
    return Claim(
        kind="detectable: stereotype" if is_known else "no-detectable: stereotype",
        subject="one head",
        sentence=sentence,
        estimate=size,
        n=n,
        groups=num_occupations,
        rule="an adjusted p below 0.05 in 80% of such sets, by Fisher's transform",
    )


def bias_claims(
    table: pd.DataFrame, contrast: tuple[str, str], num_groups: int
) -> tuple[Claim, ...]:
    """Return the claims on the difference between two kinds; none where there was no test."""
    found = _found(table, lambda rows: rows["difference"].abs())
    if found is None:
        return ()
    first, second = contrast
    row = found.row
    difference = signed_percent(row["difference"]) + interval(
        signed_percent(row["ci_low"]), signed_percent(row["ci_high"])
    )
    which = (
        f"{found.heads} differ (adjusted p below 0.05), {found.head} most, by {difference} points"
        if found.count > 1
        else f"{found.head} differs (adjusted p below 0.05), by {difference} points"
        if found.count
        else f"no head is shown to differ: {found.head} comes nearest, by {difference} points "
        f"(adjusted {p_value(row['p_adjusted'])})"
    )
    over = f"{counted(num_groups, 'group')} that {verb(num_groups, 'holds', 'hold')} both"
    sentence = f"The accuracy on *{first}* minus that on *{second}* cases, over {over}: {which}."
    n = int(row[f"n_{first}"] + row[f"n_{second}"])
    return _claims(
        found, "differs", "difference", sentence, sided="two-sided", n=n, groups=num_groups
    )
