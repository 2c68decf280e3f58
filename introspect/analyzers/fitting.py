"""Fitting the weights of the linear probe: several conditional logits at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits

from introspect.analyzers.features import CaseTable
from introspect.functional.coreference import FLOOR

__all__ = ["choice_credits", "cross_entropies", "fit_conditional_logit", "fitted"]

Floats = npt.NDArray[np.float64]

# Sums in another order differ in the last digits, so values this close count as equal.
_SAME = 1e-9
# The gradient, in the scaled coordinates, at which the reported digits no longer change.
_FLAT = 1e-6
_MOST_STEPS = 500


def fit_conditional_logit(
    features: Floats, real: npt.NDArray[np.bool_], targets: Floats, penalties: Floats
) -> Floats:
    r"""Fit the weights of several conditional logits over the same features.

    Each minimizes, with *n* cases and the target shares *t*, which sum to 1 in each case,

    .. math:: -\frac{1}{n} \sum_i \sum_c t_{ic} \log p_{ic} + \frac{\lambda}{2} \lVert w \rVert^2,
              \qquad p_{ic} = \frac{\exp x_{ic} w}{\sum_{c'} \exp x_{ic'} w}

    by L-BFGS, along the principal axes of the features, each scaled by the upper bound of the
    curvature there (Böhning 1992, "Multinomial logistic regression algorithm"). This makes the fit
    converge quickly when heads are very similar.

    Args:
        features: ``(num_cases, num_candidates, num_features)``, 0 where a case has no candidate.
        real: ``(num_cases, num_candidates)``, whether there is a candidate.
        targets: ``(num_problems, num_cases, num_candidates)``.
        penalties: ``(num_problems,)``, the λ of each problem.

    Returns:
        ``(num_features, num_problems)``.
    """
    with threadpool_limits(1):
        rows = features.reshape(-1, features.shape[2])
        left, sizes, right = np.linalg.svd(rows, full_matrices=False)
    bounds = (sizes**2 / (2 * len(features)))[:, None] + penalties
    stretch = 1 / np.sqrt(bounds)
    shares = np.moveaxis(targets, 0, 2)
    absent = ~real[..., None]
    design = left * sizes

    def objective(point: Floats) -> tuple[float, Floats]:
        axes = point.reshape(bounds.shape) * stretch
        scores = np.where(absent, -np.inf, (design @ axes).reshape(shares.shape))
        logs = scores - scores.max(1, keepdims=True)
        odds = np.exp(logs)
        total = odds.sum(1, keepdims=True)
        logs = np.where(absent, 0, logs - np.log(total))
        residual = (odds / total - shares).reshape(len(design), -1) / len(features)
        loss = -(shares * logs).sum() / len(features) + (penalties * axes**2).sum() / 2
        slope = (design.T @ residual + penalties * axes) * stretch
        return float(loss), slope.ravel()

    point = _minimum(objective, np.zeros(bounds.size)).reshape(bounds.shape)
    found: Floats = right.T @ (point * stretch)
    return found


def _minimum(objective: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Floats:
    """Minimize a convex function with the given gradient."""
    # Imported here because scipy takes longer to load than the rest of this module.
    from scipy.optimize import minimize

    options = {"maxiter": _MOST_STEPS, "maxcor": 20, "gtol": _FLAT, "ftol": 0.0}
    # With thousands of small products, threads would wait for each other most of the time, and the
    # sums would depend on the number of threads.
    with threadpool_limits(1):
        found: Floats = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x
    return found


def fitted(cases: CaseTable, labels: npt.NDArray[np.bool_], penalties: Floats) -> Floats:
    """Fit weights on features scaled to standard deviation 1, and return them for raw features.

    Args:
        cases: the training cases, which alone determine the scale.
        labels: ``(num_problems, num_cases, num_candidates)``.
        penalties: ``(num_problems,)``.
    """
    deviations = cases.deviations()
    # A feature that never differs by more than the floor is no evidence, so it is not scaled up.
    scale = np.divide(1, deviations, out=np.zeros_like(deviations), where=deviations >= FLOOR)
    targets = labels / labels.sum(2, keepdims=True)
    weights = fit_conditional_logit(cases.values * scale, cases.real, targets, penalties)
    return weights * scale[:, None]


def cross_entropies(
    scores: Floats, real: npt.NDArray[np.bool_], labels: npt.NDArray[np.bool_]
) -> Floats:
    """Compute cross-entropies summed over cases, ``(num_problems,)``."""
    masked = torch.from_numpy(scores).masked_fill(torch.from_numpy(~real)[..., None], -torch.inf)
    logs = np.where(real[..., None], masked.log_softmax(1).numpy(), 0)
    shares = np.moveaxis(labels / labels.sum(2, keepdims=True), 0, 2)
    found: Floats = -(shares * logs).sum((0, 1))
    return found


def choice_credits(
    scores: Floats, real: npt.NDArray[np.bool_], labels: npt.NDArray[np.bool_]
) -> Floats:
    """Compute the antecedents' share of the best candidates, ``(num_cases, num_labellings)``."""
    possible = np.where(real[..., None], scores, -np.inf)
    is_best = possible >= possible.max(1, keepdims=True) - _SAME
    found: Floats = (is_best & np.moveaxis(labels, 0, 2)).sum(1) / is_best.sum(1)
    return found
