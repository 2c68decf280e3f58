"""What could have been found: the smallest figure that a test finds in 80% of such sets."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import norm

#: What could have been found is found in this share of sets.
POWER = 0.8
_DEVIATE = float(norm.ppf(POWER))
# What a rival has is estimated from the same answers: a little more is found of what is named.
_DEVIATE_BESIDE = float(norm.ppf(0.88))


def detectable_mean(critical: float, n: int, deviation: float) -> float:
    r"""Return the mean of *n* figures that flipped signs find in 80% of such sets.

    A test by flipped signs compares :math:`z = \sum g / \sqrt{\sum g^2}` with a critical value. Of
    figures with mean :math:`\mu` and standard deviation :math:`\sigma`,

    .. math:: E\,z \approx \sqrt{n}\,\sin\theta, \quad
              \operatorname{Var} z \approx \cos^6\theta + \tfrac{1}{2} \sin^2\theta \cos^4\theta,
              \qquad \tan\theta = \mu / \sigma

    Args:
        critical: the value that z must be above.
        n: the number of figures.
        deviation: their standard deviation.

    Returns:
        The mean; NaN where none is found so often.

    Example:
        >>> round(detectable_mean(3.0, 100, 1.0), 2)
        0.4
    """
    angle = _root(lambda angle: _margin(angle, math.sqrt(n), critical, _DEVIATE), 0.0, math.pi / 2)
    return deviation * math.tan(angle) if angle < math.pi / 2 - 1e-9 else math.nan


def detectable_accuracy(
    critical: float, sizes: npt.ArrayLike, rival: float, *, is_chance: bool = False
) -> float:
    """Return the accuracy that the same test finds in 80% of such sets to be above a rival's.

    Args:
        critical: the value that z must be above.
        sizes: how many answers each group has.
        rival: the accuracy of what it is compared with, on the same answers.
        is_chance: whether the rival's credit is the same in every answer, as that of even
            attention nearly is; otherwise it is right or wrong.

    Returns:
        The accuracy; NaN where none is found so often.
    """
    count = np.asarray(sizes, dtype=np.float64)
    total, squares = float(count.sum()), float((count**2).sum())
    own = 0.0 if is_chance else rival * (1 - rival)

    def margin(accuracy: float) -> float:
        gain = accuracy - rival
        spread = total * (accuracy * (1 - accuracy) + own)
        if gain <= 0:
            return -critical
        scale = total / math.sqrt(squares)
        angle = math.atan2(gain * math.sqrt(squares), math.sqrt(spread))
        return _margin(angle, scale, critical, _DEVIATE_BESIDE)

    found = _root(margin, rival, 1.0)
    return found if found < 1 - 1e-9 else math.nan


def _margin(angle: float, scale: float, critical: float, deviate: float) -> float:
    """Return how far z, less so many standard deviations, is above its critical value."""
    sine, cosine = math.sin(angle), math.cos(angle)
    deviation = math.sqrt(cosine**6 + sine**2 * cosine**4 / 2)
    return scale * sine - deviate * deviation - critical


def _root(margin: Callable[[float], float], low: float, high: float) -> float:
    """Return where a margin becomes 0; the upper end where it does not."""
    return float(brentq(margin, low, high)) if margin(low) < 0 < margin(high) else high
