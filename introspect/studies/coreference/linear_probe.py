"""A linear probe that predicts the antecedent from all heads together.

A weighted sum of many heads may find the answer even if no single head does. The probe learns the
weights on some cases and is scored on others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from threadpoolctl import ThreadpoolController

from introspect.data import case_from_json
from introspect.errors import InputError
from introspect.functional import FLOOR
from introspect.statistics import FEWEST_GROUPS, accuracy_intervals, fold_of_groups
from introspect.studies.analyzer import Floats
from introspect.studies.coreference.columns import CaseColumns, check_alike, head_places
from introspect.studies.coreference.probe_controls import answer_by_words, portions

Integers = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class CandidateFeatures:
    """The attention of every head to every candidate of a case.

    Args:
        name: the case's id.
        group: the case's group; cases of one group are never split.
        weights: ``(num_candidates, num_directions, num_layers, num_heads)``; 0 for all candidates
            where the mask makes a direction unobservable, which is no evidence about any of them.
        antecedents: which candidates the pronoun refers to.
        layers: the model's own layer numbers; by default counted from 0.
        phrases: the words of each candidate, for the control task.
    """

    name: str
    group: str
    weights: Floats
    antecedents: tuple[bool, ...]
    layers: tuple[int, ...] = ()
    phrases: tuple[str, ...] = ()

    @classmethod
    def of(cls, columns: CaseColumns, index: int) -> CandidateFeatures:
        """Return the features of one of the cases."""
        own = columns.of(index)
        case = case_from_json(columns.lines[index])
        return cls(
            name=columns.names[index],
            group=columns.groups[index],
            weights=columns.weights[own] * columns.observable[index][..., None],
            antecedents=tuple(columns.antecedents[own].tolist()),
            layers=columns.layers,
            phrases=tuple(case.phrase(candidate.span) for candidate in case.candidates),
        )

    @property
    def is_forced_choice(self) -> bool:
        """Return whether there is a right and a wrong answer."""
        return any(self.antecedents) and not all(self.antecedents)


@dataclass(frozen=True, eq=False)
class CaseTable:
    """Cases as arrays, padded to the same number of candidates.

    Only differences within a case affect a choice, so the mean over its candidates is subtracted.

    Args:
        values: ``(num_cases, num_candidates, num_features)``, centered; 0 for padding candidates.
        real: ``(num_cases, num_candidates)``, whether there is a candidate.
        groups: ``(num_cases,)``, group numbers.
    """

    values: Floats
    real: npt.NDArray[np.bool_]
    groups: Integers

    @classmethod
    def of(cls, cases: Sequence[CandidateFeatures]) -> CaseTable:
        """Build the table from the cases of one model, in their order."""
        _check_alike(cases)
        most = max(len(case.antecedents) for case in cases)
        values = np.zeros((len(cases), most, cases[0].weights[0].size))
        real = np.zeros(values.shape[:2], dtype=bool)
        for number, case in enumerate(cases):
            flat = case.weights.reshape(len(case.weights), -1)
            values[number, : len(flat)] = flat - flat.mean(0)
            real[number, : len(flat)] = True
        numbers: dict[str, int] = {}
        groups = [numbers.setdefault(case.group, len(numbers)) for case in cases]
        return cls(values, real, np.array(groups, dtype=np.intp))

    def take(self, chosen: npt.NDArray[np.bool_]) -> CaseTable:
        """Select some of the cases, and renumber their groups."""
        _, groups = np.unique(self.groups[chosen], return_inverse=True)
        return CaseTable(self.values[chosen], self.real[chosen], groups)

    def deviations(self) -> Floats:
        """Compute the standard deviation of each feature within cases."""
        return np.asarray(np.sqrt((self.values**2).sum((0, 1)) / self.real.sum()))

    def scores(self, weights: Floats) -> Floats:
        """Compute the log-odds of each candidate, ``(num_cases, num_candidates, num_problems)``."""
        return np.asarray(self.values @ weights)


def _check_alike(cases: Sequence[CandidateFeatures]) -> None:
    if not cases:
        raise InputError("Expected at least one case with a right and a wrong candidate, got none.")
    check_alike((case.name, case.weights.shape[1:], case.layers) for case in cases)
    for case in cases:
        if len(case.weights) != len(case.antecedents):
            raise InputError(
                f"Expected weights of {len(case.antecedents)} candidates for {case.name!r}, got "
                f"{len(case.weights)}."
            )
        if not np.isfinite(case.weights).all():
            raise InputError(
                f"Expected finite weights, got some of {case.name!r} that are NaN or infinite, as "
                "where float16 overflows. Leave the case out, or run the model in float32."
            )


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
    with _pools().limit(limits=1):
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
    return np.asarray(right.T @ (point * stretch))


@cache
def _pools() -> ThreadpoolController:
    """Find the libraries whose threads are limited, once: that takes as long as a small fit."""
    # Imported first, since a library that is loaded later would not be found.
    import scipy.optimize  # noqa: F401

    return ThreadpoolController()


def _minimum(objective: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Floats:
    """Minimize a convex function with the given gradient."""
    # Imported here because scipy takes longer to load than the rest of this module.
    from scipy.optimize import minimize

    options = {"maxiter": _MOST_STEPS, "maxcor": 20, "gtol": _FLAT, "ftol": 0.0}
    # With thousands of small products, threads would wait for each other most of the time, and the
    # sums would depend on the number of threads.
    with _pools().limit(limits=1):
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
    return np.asarray(-(shares * logs).sum((0, 1)))


def choice_credits(
    scores: Floats, real: npt.NDArray[np.bool_], labels: npt.NDArray[np.bool_]
) -> Floats:
    """Compute the antecedents' share of the best candidates, ``(num_cases, num_labelings)``."""
    possible = np.where(real[..., None], scores, -np.inf)
    is_best = possible >= possible.max(1, keepdims=True) - _SAME
    return np.asarray((is_best & np.moveaxis(labels, 0, 2)).sum(1) / is_best.sum(1))


#: The strengths of the L2 penalty that are tried.
PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
#: How much more the mean over folds varies than one over as many separate cases: the probes share
#: most of what they are trained on. Nadeau & Bengio (2003) have 2.25 for one division into five
#: folds; with that, intervals hold the true accuracy in up to 100% of simulated sets, and with this
#: in 92.7 to 97% (``benchmarks/coverage.py``).
INFLATION = 1.5
#: How often the labels are shuffled for the control.
SHUFFLES = 5
_FEWEST_FOLDS = 2


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """The accuracy of the probe on cases that it was not trained on.

    Args:
        accuracy: mean credit over all cases, each scored by the probe trained without its fold.
        ci_low: lower end of its 95% interval, by groups of cases, as of probes that share most of
            the cases that they are trained on.
        ci_high: upper end.
        n: the number of cases with a choice.
        num_groups: the number of their groups.
        fold_accuracy: the accuracy in each fold.
        penalties: the strength of the penalty chosen for each fold, on the other folds.
        in_sample_accuracy: the accuracy of the probe trained on all cases, on those same cases,
            which is too high.
        control: held-out accuracies of the same procedure on shuffled labels, one for each shuffle:
            a permutation check.
        coefficients: the coefficients of the probe trained on all cases: layer, head, direction,
            weight. A weight is in log-odds per standard deviation of the head's attention within a
            case.
        credits: held-out credits, ``(n,)``.
        names: ids of those cases.
        outside_forced_choice: ids of cases that offer no choice and are never counted.
        control_task: held-out accuracy of the same procedure on answers that a rank drawn for each
            candidate's words decides (Hewitt & Liang 2019); NaN where the words are not known.
        code_length: the bits a case that an online code of the answers takes, by probes trained on
            the cases before (Voita & Titov 2020).
        uniform_code: the bits a case of a code that knows nothing.
    """

    accuracy: float
    ci_low: float
    ci_high: float
    n: int
    num_groups: int
    fold_accuracy: tuple[float, ...]
    penalties: tuple[float, ...]
    in_sample_accuracy: float
    control: tuple[float, ...]
    coefficients: pd.DataFrame
    credits: Floats
    names: tuple[str, ...]
    outside_forced_choice: tuple[str, ...] = ()
    control_task: float = math.nan
    code_length: float = math.nan
    uniform_code: float = math.nan

    @property
    def control_accuracy(self) -> float:
        """Mean accuracy over shuffles; NaN without a control."""
        return float(np.mean(self.control)) if self.control else math.nan

    @property
    def control_range(self) -> tuple[float, float]:
        """The lowest and the highest accuracy of the shuffles; NaN without a control."""
        return (min(self.control), max(self.control)) if self.control else (math.nan, math.nan)

    @property
    def selectivity(self) -> float:
        """Accuracy above that of the control task (Hewitt & Liang 2019); NaN without one."""
        return self.accuracy - self.control_task


def linear_probe(
    features: Sequence[CandidateFeatures],
    *,
    folds: int = 5,
    seed: int = 0,
    control: bool = True,
    penalties: Sequence[float] = PENALTIES,
) -> ProbeResult:
    r"""Learn a weighted sum of all heads, and score it on cases that it was not trained on.

    .. math:: p(c) \propto \exp \sum_k \big(w_k\, \alpha_{pc}^k + u_k\, \alpha_{cp}^k\big)

    over the candidates *c* of a case with the pronoun *p* and heads *k*. Weights are learned by
    minimizing the cross-entropy with the antecedents (shared evenly if there are several) plus
    :math:`\frac{\lambda}{2} \lVert w, u \rVert^2`; λ is chosen within the training folds, by
    cross-entropy on groups held out there. Features are divided by their standard deviation within
    the training cases. Tied candidates share the credit.

    The whole procedure is repeated with shuffled labels, which checks it: within a group, all
    labels are shifted together by a random number of candidates. Two controls measure what the
    probe itself can learn: a task in which the candidates' words alone decide (``selectivity`` is
    the accuracy above it), and the length of an online code of the answers.

    Source: Clark et al. 2019, "What Does BERT Look At?", section 5, there over all words of the
    text; controls: Hewitt & Liang 2019, "Designing and Interpreting Probes with Control Tasks";
    Voita & Titov 2020, "Information-Theoretic Probing with Minimum Description Length".

    Args:
        features: the features of each case, of one model.
        folds: how many folds the groups are divided into.
        seed: the random seed of folds, shuffles and resamples.
        control: whether to repeat the procedure on shuffled labels and on the control task, and to
            compute the code.
        penalties: the values of λ that are tried.

    Raises:
        InputError: no case offers a choice, there are fewer groups than folds, or the cases are of
            several models.
    """
    counted = [case for case in features if case.is_forced_choice]
    outside = tuple(case.name for case in features if not case.is_forced_choice)
    cases = CaseTable.of(counted)
    grid = _checked_grid(penalties)
    _check_groups(cases, folds)
    labels = _labelings(counted, cases.groups, SHUFFLES if control else 0, seed)
    has_task = control and all(len(case.phrases) == len(case.antecedents) for case in counted)
    if has_task:
        labels = np.concatenate([labels, _task_labels(counted, labels.shape[2], seed)])
    part = fold_of_groups(cases.groups, folds, seed=seed)[cases.groups]
    credits, chosen = _held_out(cases, labels, part, grid, seed)
    accuracies = credits.mean(0)
    best = _chosen_penalties(cases, labels[:1], grid, folds, seed)
    whole = fitted(cases, labels[:1], best)
    in_sample = choice_credits(cases.scores(whole), cases.real, labels[:1])
    low, high = accuracy_intervals(
        credits[:, :1], [case.group for case in counted], inflation=INFLATION
    )
    return ProbeResult(
        accuracy=float(accuracies[0]),
        ci_low=float(low[0]),
        ci_high=float(high[0]),
        n=len(counted),
        num_groups=int(cases.groups.max()) + 1,
        fold_accuracy=tuple(float(credits[part == f, 0].mean()) for f in range(folds)),
        penalties=tuple(float(value) for value in chosen[:, 0]),
        in_sample_accuracy=float(in_sample.mean()),
        control=tuple(float(value) for value in accuracies[1 : 1 + (SHUFFLES if control else 0)]),
        coefficients=_coefficients(counted[0], whole[:, 0] * cases.deviations()),
        credits=credits[:, 0],
        names=tuple(case.name for case in counted),
        outside_forced_choice=outside,
        control_task=float(accuracies[-1]) if has_task else math.nan,
        code_length=_code_length(cases, labels[:1], grid, folds, seed) if control else math.nan,
        uniform_code=float(np.log2(cases.real.sum(1)).mean()),
    )


def _task_labels(cases: Sequence[CandidateFeatures], most: int, seed: int) -> npt.NDArray[np.bool_]:
    """Return the answers of the control task, ``(1, num_cases, num_candidates)``."""
    labels = np.zeros((1, len(cases), most), dtype=bool)
    for number, case in enumerate(cases):
        labels[0, number, answer_by_words(case.phrases, seed)] = True
    return labels


def _code_length(
    cases: CaseTable, labels: npt.NDArray[np.bool_], grid: Floats, folds: int, seed: int
) -> float:
    """Return the bits a case of an online code: each portion by a probe of those before it."""
    nats = 0.0
    for before, portion in portions(cases.groups, seed):
        test = cases.take(np.isin(np.arange(len(cases.groups)), portion))
        if not len(before):
            nats += float(np.log(test.real.sum(1)).sum())
            continue
        train, known = cases.take(np.isin(np.arange(len(cases.groups)), before)), labels[:, before]
        penalty = grid[-1:]
        if len(set(train.groups.tolist())) >= FEWEST_GROUPS:
            penalty = _chosen_penalties(train, known, grid, folds, seed)
        scores = test.scores(fitted(train, known, penalty))
        nats += float(cross_entropies(scores, test.real, labels[:, portion])[0])
    return nats / math.log(2) / len(cases.groups)


def _held_out(
    cases: CaseTable, labels: npt.NDArray[np.bool_], part: Integers, grid: Floats, seed: int
) -> tuple[Floats, Floats]:
    """Compute the credits on held-out folds, and the penalties chosen for them.

    Returns:
        ``(num_cases, num_labelings)`` and ``(num_folds, num_labelings)``.
    """
    folds = int(part.max()) + 1
    credits = np.empty((len(part), len(labels)))
    chosen = np.empty((folds, len(labels)))
    for fold in range(folds):
        held = part == fold
        train, known = cases.take(~held), labels[:, ~held]
        chosen[fold] = _chosen_penalties(train, known, grid, folds, seed)
        test = cases.take(held)
        scores = test.scores(fitted(train, known, chosen[fold]))
        credits[held] = choice_credits(scores, test.real, labels[:, held])
    return credits, chosen


def _chosen_penalties(
    cases: CaseTable, labels: npt.NDArray[np.bool_], grid: Floats, folds: int, seed: int
) -> Floats:
    """Choose the penalty with the lowest cross-entropy on held-out groups, for each labeling."""
    if len(grid) == 1:
        return np.repeat(grid, len(labels))
    folds = min(folds, int(cases.groups.max()) + 1)
    part = fold_of_groups(cases.groups, folds, seed=seed)[cases.groups]
    tried = np.repeat(labels, len(grid), axis=0)
    losses = np.zeros(len(tried))
    for fold in range(folds):
        held = part == fold
        weights = fitted(cases.take(~held), tried[:, ~held], np.tile(grid, len(labels)))
        test = cases.take(held)
        losses += cross_entropies(test.scores(weights), test.real, tried[:, held])
    # Among ties, choose the strongest penalty, because it claims the least.
    by_label = losses.reshape(len(labels), len(grid))[:, ::-1]
    return np.asarray(grid[::-1][by_label.argmin(1)])


def _labelings(
    cases: Sequence[CandidateFeatures], groups: Integers, shuffles: int, seed: int
) -> npt.NDArray[np.bool_]:
    """Return the true labels, then shuffled ones, ``(1 + shuffles, num_cases, num_candidates)``.

    All labels of a group are shifted by the same number of candidates, as in the tests of heads, so
    the answers of a minimal pair still differ.
    """
    random = np.random.default_rng(seed + 1)
    most = max(len(case.antecedents) for case in cases)
    turns = np.ones(int(groups.max()) + 1, dtype=np.int64)
    for case, group in zip(cases, groups, strict=True):
        turns[group] = math.lcm(int(turns[group]), len(case.antecedents))
    shifts = np.stack([np.zeros_like(turns), *(random.integers(turns) for _ in range(shuffles))])
    labels = np.zeros((len(shifts), len(cases), most), dtype=bool)
    for number, case in enumerate(cases):
        for row, shift in enumerate(shifts[:, groups[number]]):
            labels[row, number, : len(case.antecedents)] = np.roll(case.antecedents, shift)
    return labels


def _coefficients(case: CandidateFeatures, weights: Floats) -> pd.DataFrame:
    shape = case.weights.shape[1:]
    return head_places(shape, case.layers or range(shape[1])).assign(weight=weights)


def _checked_grid(penalties: Sequence[float]) -> Floats:
    grid = np.array(sorted(penalties), dtype=np.float64)
    if not len(grid) or not (np.isfinite(grid) & (grid > 0)).all():
        raise InputError(
            f"Expected `penalties` as numbers above 0, got {tuple(penalties)}. Without a penalty "
            "the weights of cases that can be told apart grow without end."
        )
    return grid


def _check_groups(cases: CaseTable, folds: int) -> None:
    if folds < _FEWEST_FOLDS:
        raise InputError(f"Expected at least {_FEWEST_FOLDS} folds, got {folds}.")
    found, needed = int(cases.groups.max()) + 1, max(folds, FEWEST_GROUPS)
    if found < needed:
        raise InputError(
            f"Expected at least {needed} groups for a linear probe in {folds} folds, got {found}. "
            "Give more cases: nothing can be held out from so few."
        )
