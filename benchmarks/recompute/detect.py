"""What would have been found: the smallest figure that 80% of such sets show, found anew."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.stats import norm

from benchmarks.recompute import formulas
from benchmarks.recompute.folder import FOLDS, Folder, Numbers, Row
from benchmarks.recompute.sets import permuted, shifts_of

_POWER = 0.8
_LEVEL = 0.05
# A shift of a share is from -2 to 2.
_LARGEST_SHIFT = 2.0


def of_detectable_choice(folder: Folder, claim: Row) -> Numbers:
    """Search the accuracy of one more head that the held-out choice finds in 80% of sets.

    In each set the others are those of a permutation; what is found is better than 95% of them.
    """
    found = {"n": len(folder.credits), "groups": len(set(folder.groups))}
    if claim["kind"].startswith("no-") or not folder.has_two_candidates:
        return found
    null = permuted(folder)
    accuracies = np.mean([one.accuracies for one in null], axis=0)
    luck = np.random.default_rng(9).random((len(accuracies), len(folder.credits)))
    parts = [np.eye(FOLDS)[fold] for fold in folder.divisions]

    def power(accuracy: float, critical: float) -> float:
        is_right = (luck < accuracy).astype(float)
        held_out = np.zeros(len(luck))
        for one, part in zip(null, parts, strict=True):
            own, n = is_right @ part, part.sum(0)
            training = (own.sum(1, keepdims=True) - own) / (n.sum() - n)
            # Heads that are tied are chosen alike often.
            share = (np.sign(training - one.training) + 1) / 2
            held_out += (share * own + (1 - share) * one.held_out).sum(1) / n.sum()
        return float((held_out / len(parts) > critical + 1e-9).mean())

    spread = formulas.DEVIATIONS * math.sqrt(_POWER * (1 - _POWER) / len(accuracies))
    middle, low, high = (
        _bisected(lambda a, q=q: power(a, float(np.quantile(accuracies, q))), wanted)
        for q, wanted in ((0.95, _POWER), (0.85, _POWER - spread), (0.99, _POWER + spread))
    )
    return found | {"estimate": middle, "slack of estimate": max(high - middle, middle - low)}


def of_detectable_shift(folder: Folder, claim: Row) -> Numbers:
    """Solve for the mean shift that flipped signs find in 80% of sets of so many pairs.

    The critical value is the 95th percentile of the largest z of all heads, with signs drawn anew.
    """
    shifts, _, pairs = shifts_of(folder)
    found = {"n": 2 * len(pairs), "groups": len(pairs)}
    largest = formulas.largest_flipped(shifts, pairs)
    known = shifts[:, (~np.isnan(shifts)).all(0)]
    deviation = float(np.median([column.std(ddof=1) for column in known.T]))
    if claim["kind"].startswith("no-"):
        return found
    # The 95th percentile is known as well as its neighbors tell.
    ends = [_mean_found(float(np.quantile(largest, q)), len(pairs)) for q in (0.95, 0.935, 0.965)]
    middle, low, high = (deviation * end for end in ends)
    return found | {"estimate": middle, "slack of estimate": max(high - middle, middle - low)}


def _mean_found(critical: float, n: int) -> float:
    """Return the mean, in standard deviations, whose z is above a value in 80% of sets."""

    def above(mean: float) -> float:
        sine, cosine = mean / math.hypot(1, mean), 1 / math.hypot(1, mean)
        deviation = math.sqrt(cosine**6 + sine**2 * cosine**4 / 2)
        return float(norm.cdf((math.sqrt(n) * sine - critical) / deviation))

    return _bisected(above, _POWER, high=1e3)


def _bisected(power: Callable[[float], float], wanted: float, high: float = 1.0) -> float:
    """Return the smallest value with so much power."""
    low = 0.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= wanted else (middle, high)
    return high


#: What recomputes each kind of claim.
DETECTABLE: dict[str, Callable[[Folder, Row], Numbers | None]] = {
    **dict.fromkeys(("detectable", "no-detectable"), of_detectable_choice),
    **dict.fromkeys(("detectable: shifts", "no-detectable: shifts"), of_detectable_shift),
}
