"""The linear probe, fitted anew by Newton's method from the weights of each case.

Of two candidates the probe is a logistic regression on the difference between them. The package
draws the folds; features, fits, penalties and scores are computed here.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.recompute.folder import FOLDS, Folder, Numbers, Row
from benchmarks.recompute.formulas import wilson
from introspect.statistics import fold_of_groups

PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
INFLATION = 1.5
_LEAST = 1e-6
_SAME = 1e-9


def of_linear(folder: Folder, claim: Row) -> Numbers:
    """Fit the probe on four folds, score it on the fifth, and compute its interval.

    The figures of its controls, whose labels no table has, are read from the summary.
    """
    given = folder.summary["linear_probe"]
    name = claim["kind"].partition(": ")[2]
    names = {
        "permuted labels": "shuffled_labels", "control task": "control_task",
        "code": "code_length", "uniform code": "uniform_code",
    }  # fmt: skip
    if name in names:
        return {"estimate": given[names[name]]}
    if name == "random weights":
        return {"estimate": float(np.mean(given["random_weights"]))}
    if (found := _differences(folder)) is None:
        return {"estimate": given["accuracy"], "low": given["ci_low"], "high": given["ci_high"]}
    values, groups = found
    credits = _held_out(values, groups, folder.seed)
    low, high = wilson(credits, groups, INFLATION)
    return {"estimate": sum(credits) / len(credits), "low": low, "high": high}


def _differences(folder: Folder) -> tuple[np.ndarray, list[str]] | None:
    """Return what the antecedent gets beyond the distractor, and the groups, of all cases.

    ``None`` where some case has more than two candidates, whose weights are in no table.
    """
    if not folder.has_two_candidates:
        return None
    size = len(folder.heads)
    table = folder.cases
    is_known = table["credit"].notna().to_numpy().reshape(-1, size)
    chosen = is_known.any(1)
    gold, rival = (
        np.nan_to_num(table[name].to_numpy().reshape(-1, size), nan=0.0)
        for name in ("antecedent_weight", "distractor_weight")
    )
    values = np.where(is_known, gold - rival, 0.0)[chosen]
    return values, table["group"].to_numpy()[::size][chosen].tolist()


def _held_out(values: np.ndarray, groups: list[str], seed: int) -> list[float]:
    """Return the credit of each case by a probe of the other folds."""
    part = _parts(groups, FOLDS, seed)
    credits = np.empty(len(values))
    for fold in range(FOLDS):
        known = part != fold
        own = [group for group, is_known in zip(groups, known, strict=True) if is_known]
        weights = _fitted(values[known], _penalty(values[known], own, seed))
        scores = values[~known] @ weights
        credits[~known] = np.where(abs(scores) <= _SAME, 0.5, scores > 0)
    return [float(credit) for credit in credits]


def _parts(groups: list[str], folds: int, seed: int) -> np.ndarray:
    """Return the fold of each case, groups numbered as they come."""
    numbers: dict[str, int] = {}
    index = np.array([numbers.setdefault(group, len(numbers)) for group in groups])
    return np.asarray(fold_of_groups(index, folds, seed=seed)[index])


def _penalty(values: np.ndarray, groups: list[str], seed: int) -> float:
    """Choose the penalty with the smallest loss on folds of these cases; the strongest of ties."""
    part = _parts(groups, min(FOLDS, len(set(groups))), seed)
    best, least = PENALTIES[-1], math.inf
    for penalty in sorted(PENALTIES, reverse=True):
        loss = 0.0
        for fold in range(part.max() + 1):
            scores = values[part == fold] @ _fitted(values[part != fold], penalty)
            loss += float(np.logaddexp(0, -scores).sum())
        if loss < least:
            best, least = penalty, loss
    return best


def _fitted(values: np.ndarray, penalty: float) -> np.ndarray:
    """Return the weights of a logistic regression without an intercept, by Newton's steps.

    Features are divided by their deviation within cases: half of each difference on either side.
    """
    deviations = np.sqrt((values**2).mean(0)) / 2
    scale = np.where(deviations >= _LEAST, 1 / np.maximum(deviations, _LEAST), 0.0)
    rows = values * scale
    weights = np.zeros(rows.shape[1])
    for _ in range(200):
        right = 1 / (1 + np.exp(-np.clip(rows @ weights, -500, 500)))
        slope = rows.T @ (right - 1) / len(rows) + penalty * weights
        if abs(slope).max() < 1e-10:
            break
        spread = (rows.T * (right * (1 - right))) @ rows / len(rows)
        step = np.linalg.solve(spread + penalty * np.eye(len(weights)), slope)
        weights = weights - _damped(rows, weights, step, penalty) * step
    return np.asarray(weights * scale)


def _damped(rows: np.ndarray, weights: np.ndarray, step: np.ndarray, penalty: float) -> float:
    """Halve a step until it makes the loss no larger."""

    def loss(at: np.ndarray) -> float:
        return float(np.logaddexp(0, -(rows @ at)).mean() + penalty / 2 * (at @ at))

    size, before = 1.0, loss(weights)
    while size > 1e-6 and loss(weights - size * step) > before + 1e-15:
        size /= 2
    return size
