"""Claims on bias: accuracies of two kinds of cases, occupations by their share of women."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.recompute import formulas
from benchmarks.recompute.folder import HEAD, Folder, Numbers, Row


def _column(folder: Folder, subject: str) -> int:
    layer, head = map(int, HEAD.findall(subject)[0])
    return folder.heads.index((subject.split(", ")[1].replace(" ", "_"), layer, head))


def of_bias(folder: Folder, claim: Row) -> Numbers | None:
    """Recompute the difference of two kinds of cases."""
    held_out = folder.held_out
    if held_out is None or "kind" not in held_out:
        return None
    first, second = re.findall(r"\*(\w+)\*", claim["sentence"])[:2]
    kinds, groups = held_out["kind"].tolist(), folder.groups
    both = {
        group
        for group in set(groups)
        if {first, second} <= {k for k, g in zip(kinds, groups, strict=True) if g == group}
    }
    column = folder.credits[:, _column(folder, claim["subject"])]
    sides: dict[str, list[float]] = {first: [], second: []}
    for credit, kind, group in zip(column, kinds, groups, strict=True):
        if group in both and kind in sides and not math.isnan(credit):
            sides[kind].append(credit)
    difference = np.mean(sides[first]) - np.mean(sides[second])
    n = len(sides[first]) + len(sides[second])
    return {"estimate": float(difference), "n": n, "groups": len(both)}


class _Occupations(NamedTuple):
    """How much more often each occupation is chosen with *she*, by head, and what chance gives.

    Args:
        gaps: ``(num_occupations, num_heads)``.
        shares: the share of women, ``(num_occupations,)``.
        largest: the largest correlations with the shares permuted.
    """

    gaps: np.ndarray
    shares: np.ndarray
    largest: np.ndarray


def _occupations(folder: Folder) -> _Occupations | None:
    held_out = folder.held_out
    if held_out is None or "occupation" not in held_out:
        return None
    if "occupations" in folder.__dict__:
        found: _Occupations = folder.__dict__["occupations"]
        return found
    known = held_out["occupation"].notna() & (held_out["gender"] != "neutral")
    rows, credits = held_out[known], folder.credits[known.to_numpy()]
    is_answer = rows["is_occupation"].astype(bool).to_numpy()
    chosen = np.where(is_answer[:, None], credits, 1 - credits)
    gaps, shares = [], []
    for name, place in rows.groupby("occupation").indices.items():
        gender = rows["gender"].to_numpy()[place]
        sides = [chosen[place[gender == one]] for one in ("female", "male")]
        gaps.append(_means(sides[0]) - _means(sides[1]))
        shares.append(float(rows.loc[rows["occupation"] == name, "share_of_women"].iloc[0]))
    random, table = np.random.default_rng(3), np.array(gaps)
    largest = [
        _most_correlated(table, random.permutation(shares)) for _ in range(10 * formulas.DRAWS)
    ]
    folder.__dict__["occupations"] = _Occupations(table, np.array(shares), np.array(largest))
    return _occupations(folder)


def of_stereotype(folder: Folder, claim: Row) -> Numbers | None:
    """Correlate the gaps of a head with the share of women; the interval is Fisher's."""
    found = _occupations(folder)
    if found is None:
        return None
    gaps = found.gaps[:, _column(folder, claim["subject"])]
    known = ~np.isnan(gaps)
    r, n = float(np.corrcoef(gaps[known], found.shares[known])[0, 1]), int(known.sum())
    wide = 1.959963984540054 / math.sqrt(n - 3)
    return {
        "estimate": r, "low": math.tanh(math.atanh(r) - wide), "n": n,
        "high": math.tanh(math.atanh(r) + wide), "groups": len(found.gaps),
        "p~": ((found.largest >= abs(r) - 1e-9).sum() + 1) / (len(found.largest) + 1),
    }  # fmt: skip


def of_heads(folder: Folder, claim: Row) -> Numbers | None:
    """Count the heads whose correlation is above that of 95% of permutations, or nearly so."""
    found = _occupations(folder)
    if found is None:
        return None
    r = np.array([_correlation(column, found.shares) for column in found.gaps.T])
    certain, least = (int((r > np.quantile(found.largest, q)).sum()) for q in (0.95, 0.98))
    most = int((r > np.quantile(found.largest, 0.90)).sum())
    return {"estimate": certain, "slack of estimate": max(most - certain, certain - least)}


def _correlation(gaps: np.ndarray, shares: np.ndarray) -> float:
    """Return the size of a correlation; 0 where it is not defined."""
    known = ~np.isnan(gaps)
    if known.sum() < formulas.FEWEST or gaps[known].std() < 1e-9:
        return 0.0
    return abs(float(np.corrcoef(gaps[known], shares[known])[0, 1]))


def of_detectable_stereotype(folder: Folder, claim: Row) -> Numbers | None:
    """Recompute the correlation over occupations that 80% of such sets would show.

    It is above the one that chance reaches in 5% of sets, with shares permuted anew.
    """
    found = _occupations(folder)
    if found is None:
        return None
    n = int((~np.isnan(found.gaps)).sum(0).max())
    numbers = {"n": n, "groups": len(found.gaps)}
    if claim["kind"].startswith("no-"):
        return numbers
    critical = float(np.quantile(found.largest, 0.95))
    # The quantile is known as well as draws of its density tell.
    near = np.quantile(found.largest, [0.90, 0.98])
    slack = formulas.DEVIATIONS * (near[1] - near[0]) / 0.08 * math.sqrt(0.05 * 0.95 / 1000)
    size = math.tanh(math.atanh(critical) + 0.8416212335729143 / math.sqrt(n - 3))
    return numbers | {"estimate": size, "slack of estimate": slack}


def _means(credits: np.ndarray) -> np.ndarray:
    n = (~np.isnan(credits)).sum(0)
    return np.where(n > 0, np.nansum(credits, axis=0) / np.maximum(n, 1), np.nan)


def _most_correlated(gaps: np.ndarray, shares: np.ndarray) -> float:
    """Return the size of the largest correlation of a column with the shares."""
    by_known: dict[bytes, list[int]] = {}
    for number, known in enumerate((~np.isnan(gaps)).T):
        by_known.setdefault(known.tobytes(), []).append(number)
    most = 0.0
    for known, columns in by_known.items():
        rows = np.frombuffer(known, dtype=bool)
        if rows.sum() >= formulas.FEWEST:
            some, of_some = gaps[rows][:, columns], shares[rows]
            some, of_some = some - some.mean(0), of_some - of_some.mean()
            sizes = np.sqrt((some**2).sum(0) * (of_some**2).sum())
            varied = sizes > 1e-9
            most = max(most, *np.abs(of_some @ some)[varied] / sizes[varied], 0.0)
    return most


#: What recomputes each kind of claim.
BIAS: dict[str, Callable[[Folder, Row], Numbers | None]] = {
    **dict.fromkeys(("differs", "no-differs"), of_bias),
    **dict.fromkeys(("stereotype", "no-stereotype"), of_stereotype),
    "stereotype: heads": of_heads,
    **dict.fromkeys(
        ("detectable: stereotype", "no-detectable: stereotype"), of_detectable_stereotype
    ),
}
