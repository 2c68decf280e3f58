"""Learning the linear probe's weights: conditional logits, several at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from introspect.analyzers.features import CaseTable
from introspect.functional.coreference import FLOOR

__all__ = ["choice_credits", "cross_entropies", "fit_conditional_logit", "fitted"]

Floats = npt.NDArray[np.float64]

# Sums in another order differ in the last digits; what is equal up to that counts as equal.
_SAME = 1e-9
# A slope, in the scaled coordinates, at which the weights no longer change in what is reported.
_FLAT = 1e-6
_MOST_STEPS = 500


def fit_conditional_logit(
    features: Floats, real: npt.NDArray[np.bool_], targets: Floats, penalties: Floats
) -> Floats:
    r"""The weights of several conditional logits over the same features.

    Each minimises, with *n* cases and the target shares *t*, which sum to 1 in each case,

    .. math:: -\frac{1}{n} \sum_i \sum_c t_{ic} \log p_{ic} + \frac{\lambda}{2} \lVert w \rVert^2,
              \qquad p_{ic} = \frac{\exp x_{ic} w}{\sum_{c'} \exp x_{ic'} w}

    by L-BFGS, along the principal axes of the features, each scaled by the upper bound of the
    curvature there (Böhning 1992, "Multinomial logistic regression algorithm"): this is what makes
    heads that are much alike quick to learn.

    Args:
        features: ``(num_cases, num_candidates, num_features)``, 0 where a case has no candidate.
        real: ``(num_cases, num_candidates)``, whether there is one.
        targets: ``(num_problems, num_cases, num_candidates)``.
        penalties: ``(num_problems,)``, the λ of each.

    Returns:
        ``(num_features, num_problems)``.
    """
    rows = torch.from_numpy(features).flatten(0, 1)
    left, sizes, right = torch.linalg.svd(rows, full_matrices=False)
    strength = torch.from_numpy(penalties)
    bounds = (sizes**2 / (2 * len(features)))[:, None] + strength
    stretch = bounds.rsqrt()
    shares = torch.from_numpy(targets).permute(1, 2, 0)
    absent = torch.from_numpy(~real)[..., None]
    design = left * sizes

    def objective(point: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        axes = point * stretch
        scores = (design @ axes).view(shares.shape)
        logs = scores.masked_fill(absent, -torch.inf).log_softmax(1)
        loss = -(shares * logs.masked_fill(absent, 0)).sum() / len(features)
        residual = (logs.exp() - shares).flatten(0, 1) / len(features)
        slope = design.T @ residual + strength * axes
        return loss + (strength * axes**2).sum() / 2, slope * stretch

    axes = _minimum(objective, torch.zeros_like(bounds)) * stretch
    found: Floats = (right.T @ axes).numpy()
    return found


def _minimum(
    objective: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]], start: torch.Tensor
) -> torch.Tensor:
    """Where a convex function with the given gradient is least."""
    optimiser = torch.optim.LBFGS(
        [start],
        max_iter=_MOST_STEPS,
        history_size=20,
        tolerance_grad=_FLAT,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        loss, start.grad = objective(start)
        return float(loss)

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return start


def fitted(cases: CaseTable, labels: npt.NDArray[np.bool_], penalties: Floats) -> Floats:
    """Weights on features as they come, learnt on features of standard deviation 1.

    Args:
        cases: the training cases; nothing else gives the scale.
        labels: ``(num_problems, num_cases, num_candidates)``.
        penalties: ``(num_problems,)``.
    """
    deviations = cases.deviations()
    # What never differs by more than the floor is no evidence, and is not blown up into some.
    scale = np.divide(1, deviations, out=np.zeros_like(deviations), where=deviations >= FLOOR)
    targets = labels / labels.sum(2, keepdims=True)
    weights = fit_conditional_logit(cases.values * scale, cases.real, targets, penalties)
    return weights * scale[:, None]


def cross_entropies(
    scores: Floats, real: npt.NDArray[np.bool_], labels: npt.NDArray[np.bool_]
) -> Floats:
    """Summed over cases, ``(num_problems,)``."""
    masked = torch.from_numpy(scores).masked_fill(torch.from_numpy(~real)[..., None], -torch.inf)
    logs = np.where(real[..., None], masked.log_softmax(1).numpy(), 0)
    shares = np.moveaxis(labels / labels.sum(2, keepdims=True), 0, 2)
    found: Floats = -(shares * logs).sum((0, 1))
    return found


def choice_credits(
    scores: Floats, real: npt.NDArray[np.bool_], labels: npt.NDArray[np.bool_]
) -> Floats:
    """Shares of the best candidates that are antecedents, ``(num_cases, num_labellings)``."""
    possible = np.where(real[..., None], scores, -np.inf)
    is_best = possible >= possible.max(1, keepdims=True) - _SAME
    found: Floats = (is_best & np.moveaxis(labels, 0, 2)).sum(1) / is_best.sum(1)
    return found
