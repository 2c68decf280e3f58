"""How often 95% intervals hold the true value, for accuracies, effects, a choice and a probe.

    python -m benchmarks.coverage [--parts choices probes] [--runs 2000]

Accuracies of independent answers, and of answers that agree within groups of different sizes (each
group has an accuracy of its own, from a beta distribution); effects from normal to strongly skewed;
the held-out accuracy of the best of 288 heads, of which none, one or four are better than chance.
The true value of a held-out choice is the mean accuracy that the chosen heads really have; that of
a linear probe, over normal features of which three say something or none, the mean accuracy that
the probes of its folds really have.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.stats import norm

from introspect.statistics import (
    accuracy_intervals,
    effect_intervals,
    fold_of_groups,
    held_out_selection,
)
from introspect.studies.coreference import CandidateFeatures, linear_probe
from introspect.studies.coreference.linear_probe import PENALTIES, CaseTable, ProbeResult, fitted

HEADS = 288
#: Of the linear probe: without a choice of it the simulation is many times as fast.
_PENALTY = (0.1,)
Random = np.random.Generator
#: What is drawn, and how often its interval held the true value.
Rows = Iterator[tuple[str, float]]

EFFECTS: dict[str, tuple[Callable[[Random, tuple[int, int]], np.ndarray], float]] = {
    "normal": (lambda random, shape: random.normal(size=shape), 0.0),
    "Student's t, 3 degrees": (lambda random, shape: random.standard_t(3, shape), 0.0),
    "exponential": (lambda random, shape: random.exponential(size=shape), 1.0),
    "log-normal, σ 0.5": (lambda random, shape: random.lognormal(0, 0.5, shape), np.exp(0.125)),
    "log-normal, σ 1": (lambda random, shape: random.lognormal(0, 1, shape), np.exp(0.5)),
}
#: Cases, heads better than chance, their accuracy, and the correlation of all heads.
CHOICES = (
    (20, 0, 0.5, 0.0),
    (60, 0, 0.5, 0.0),
    (60, 0, 0.5, 0.5),
    (60, 1, 0.7, 0.3),
    (60, 1, 0.97, 0.0),
    (200, 1, 0.7, 0.3),
    (100, 4, 0.6, 0.3),
)
#: Cases, features, how far three of them are from 0 in standard deviations, and cases in a group.
PROBES = (
    (20, 24, 0.0, 1),
    (20, 24, 1.0, 1),
    (60, 24, 0.0, 1),
    (60, 24, 0.5, 1),
    (60, 24, 1.0, 1),
    (60, 144, 0.5, 1),
    (200, 144, 0.3, 1),
    (120, 24, 0.5, 2),
)


def main() -> None:
    """Print the coverage in each situation."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--runs", type=int, default=2_000, help="draws in each situation")
    options = parser.parse_args()
    for part in options.parts:
        for what, coverage in PARTS[part](options.runs):
            print(f"{what:<75} {coverage:6.1%}", flush=True)


def of_answers(runs: int) -> Rows:
    """Yield the coverage of accuracies of answers that have nothing to do with each other."""
    for n in (5, 10, 20, 60, 400):
        for p in (0.5, 0.7, 0.9, 0.97):
            yield f"{n} independent answers, {p:.0%} right", independent(n, p, 10 * runs)


def of_groups(runs: int) -> Rows:
    """Yield the coverage of accuracies of answers that agree within groups."""
    for n in (10, 20, 60):
        for p in (0.5, 0.7, 0.9, 0.97):
            for alike in (0.5, 2, 8):
                what = f"{n} groups of 1–8 answers, {p:.0%} right, concentration {alike}"
                yield what, grouped(n, p, alike, runs)


def of_effects(runs: int) -> Rows:
    """Yield the coverage of mean effects."""
    for n in (10, 20, 60):
        for name in EFFECTS:
            yield f"{n} effects, {name}", effects(n, name, runs)


def of_choices(runs: int) -> Rows:
    """Yield the coverage of the held-out accuracy of a choice of heads."""
    for n, planted, accuracy, correlation in CHOICES:
        what = f"{planted} of {HEADS} heads at {accuracy:.0%}, correlation {correlation}"
        yield (
            f"held-out choice, {n} cases, {what}",
            choices(n, planted, accuracy, correlation, runs),
        )


def of_probes(runs: int) -> Rows:
    """Yield the coverage of the held-out accuracy of linear probes."""
    for penalties, how_often in ((_PENALTY, runs), (PENALTIES, runs // 4)):
        name = f"linear probe, {len(penalties)} penalties"
        for row in PROBES:
            n, features, distance, size = row
            what = f"{name}, {n} cases, {features} features, {distance} sd, groups of {size}"
            yield what, probes(*row, penalties, how_often)


def independent(n: int, p: float, runs: int) -> float:
    """Return the coverage for answers that have nothing to do with each other."""
    credits = (np.random.default_rng(n).random((n, runs)) < p).astype(float)
    return _holding(*accuracy_intervals(credits, range(n)), p)


def grouped(n: int, p: float, concentration: float, runs: int) -> float:
    """Return the coverage for groups of different sizes, each with an accuracy of its own."""
    held = 0.0
    for seed in range(runs):
        random = np.random.default_rng(seed)
        groups = np.repeat(np.arange(n), random.integers(1, 9, n))
        own = random.beta(concentration * p, concentration * (1 - p), n)
        credits = random.random(len(groups)) < own[groups]
        held += _holding(*accuracy_intervals(credits[:, None].astype(float), groups.tolist()), p)
    return held / runs


def effects(n: int, name: str, runs: int) -> float:
    """Return the coverage for the mean of effects with some distribution."""
    draw, mean = EFFECTS[name]
    values = draw(np.random.default_rng(n), (n, runs))
    return _holding(*effect_intervals(values, range(n), resamples=2_000), mean)


def choices(n: int, planted: int, accuracy: float, correlation: float, runs: int) -> float:
    """Return the coverage for heads that are chosen on other cases."""
    held = 0.0
    for seed in range(runs):
        random = np.random.default_rng(seed)
        shared = np.sqrt(correlation) * random.normal(size=(n, 1))
        latent = shared + np.sqrt(1 - correlation) * random.normal(size=(n, HEADS))
        true = np.full(HEADS, 0.5)
        true[:planted] = accuracy
        credits = (latent < norm.ppf(true)).astype(float)
        found = held_out_selection(
            np.stack([credits, 1 - credits]), range(n), permutations=1, seed=seed
        )
        held += found.ci_low <= true[list(found.chosen)].mean() <= found.ci_high
    return held / runs


def probes(
    n: int, features: int, distance: float, size: int, penalties: Sequence[float], runs: int
) -> float:
    """Return the coverage for linear probes that are trained on other cases."""
    held = 0
    for seed in range(runs):
        cases, mean = drawn_cases(n, features, distance, size, seed)
        found = linear_probe(cases, seed=seed, control=False, penalties=penalties)
        held += found.ci_low <= true_accuracy(found, cases, mean, seed) <= found.ci_high
    return held / runs


def drawn_cases(
    n: int, features: int, distance: float, size: int, seed: int
) -> tuple[list[CandidateFeatures], np.ndarray]:
    """Return cases of two candidates, and the mean of what tells these apart."""
    random = np.random.default_rng([seed, n, features])
    mean = np.where(np.arange(features) < 3, distance, 0.0)
    groups = np.repeat(np.arange(n // size), size)
    shared = random.normal(size=(n // size, features))[groups]
    own = random.normal(size=(n, features))
    values = mean + (own if size == 1 else np.sqrt(0.5) * (own + shared))
    first = random.random(n) < 0.5
    sides = np.where(first[:, None], 0.5, -0.5)[..., None] * np.stack([values, -values], axis=1)
    cases = [
        CandidateFeatures(
            str(i), f"g{groups[i]}", side.reshape(2, 1, 1, features), (bool(one), not one)
        )
        for i, (side, one) in enumerate(zip(sides, first, strict=True))
    ]
    return cases, mean


def true_accuracy(
    found: ProbeResult, cases: Sequence[CandidateFeatures], mean: np.ndarray, seed: int
) -> float:
    """Return the accuracy that the probes of the folds have on all cases that could be drawn."""
    table = CaseTable.of(cases)
    part = fold_of_groups(table.groups, len(found.penalties), seed=seed)[table.groups]
    labels = np.array([case.antecedents for case in cases])[None]
    true = 0.0
    for fold, penalty in enumerate(found.penalties):
        held = part == fold
        weights = fitted(table.take(~held), labels[:, ~held], np.array([penalty]))[:, 0]
        length = np.linalg.norm(weights)
        true += held.mean() * (norm.cdf(weights @ mean / length) if length else 0.5)
    return float(true)


PARTS = {
    "answers": of_answers,
    "groups": of_groups,
    "effects": of_effects,
    "choices": of_choices,
    "probes": of_probes,
}


def _holding(low: np.ndarray, high: np.ndarray, true: float) -> float:
    return float(((low <= true + 1e-12) & (true - 1e-12 <= high)).mean())


if __name__ == "__main__":
    main()
