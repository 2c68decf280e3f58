"""How often 95% intervals hold the true value, for accuracies, effects, a choice and a probe.

    python benchmarks/coverage.py [--runs 2000] [--choices 400] [--probes 200]

Accuracies of independent answers, and of answers that agree within groups of different sizes (each
group has an accuracy of its own, from a beta distribution); effects from normal to strongly skewed;
the held-out accuracy of the best of 288 heads, of which none, one or four are better than chance.
The true value of a held-out choice is the mean accuracy that the chosen heads really have; that of
a linear probe, over normal features of which three say something or none, the mean accuracy that
the probes of its folds really have.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from scipy.stats import norm

from introspect.statistics import (
    accuracy_intervals,
    effect_intervals,
    fold_of_groups,
    held_out_selection,
)
from introspect.studies.coreference import CandidateFeatures, linear_probe
from introspect.studies.coreference.linear_probe import CaseTable, fitted

HEADS = 288
#: Of the linear probe: without a choice of it the simulation is five times as fast.
_PENALTY = 0.1
Random = np.random.Generator

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
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--choices", type=int, default=400)
    parser.add_argument("--probes", type=int, default=200)
    options = parser.parse_args()
    start = time.perf_counter()
    for n in (5, 10, 20, 60, 400):
        for p in (0.5, 0.7, 0.9, 0.97):
            show(f"{n} independent answers, {p:.0%} right", independent(n, p, 10 * options.runs))
    for n in (10, 20, 60):
        for p in (0.5, 0.7, 0.9, 0.97):
            for alike in (0.5, 2, 8):
                what = f"{n} groups of 1–8 answers, {p:.0%} right, concentration {alike}"
                show(what, grouped(n, p, alike, options.runs))
    for n in (10, 20, 60):
        for name in EFFECTS:
            show(f"{n} effects, {name}", effects(n, name, options.runs))
    for n, planted, accuracy, correlation in CHOICES:
        what = f"{planted} of {HEADS} heads at {accuracy:.0%}, correlation {correlation}"
        show(
            f"held-out choice, {n} cases, {what}",
            choices(n, planted, accuracy, correlation, options.choices),
        )
    for n, features, distance, size in PROBES:
        what = f"{features} features, {distance} sd, groups of {size}"
        share = probes(n, features, distance, size, options.probes)
        show(f"linear probe, {n} cases, {what}", share)
    print(f"{time.perf_counter() - start:.0f} s")


def show(what: str, coverage: float) -> None:
    """Print one figure."""
    print(f"{what:<75} {coverage:6.1%}", flush=True)


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


def probes(n: int, features: int, distance: float, size: int, runs: int) -> float:
    """Return the coverage for linear probes that are trained on other cases."""
    return float(np.mean([_probe_holds(n, features, distance, size, seed) for seed in range(runs)]))


def _probe_holds(n: int, features: int, distance: float, size: int, seed: int) -> bool:
    """Return whether the interval of one probe holds the accuracy that it really has."""
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
    found = linear_probe(cases, seed=seed, control=False, penalties=(_PENALTY,))
    table = CaseTable.of(cases)
    part = fold_of_groups(table.groups, len(found.penalties), seed=seed)[table.groups]
    labels = np.stack([first, ~first], axis=1)[None]
    true = 0.0
    for fold in range(len(found.penalties)):
        held = part == fold
        weights = fitted(table.take(~held), labels[:, ~held], np.array([_PENALTY]))[:, 0]
        length = np.linalg.norm(weights)
        true += held.mean() * (norm.cdf(weights @ mean / length) if length else 0.5)
    return bool(found.ci_low <= true <= found.ci_high)


def _holding(low: np.ndarray, high: np.ndarray, true: float) -> float:
    return float(((low <= true + 1e-12) & (true - 1e-12 <= high)).mean())


if __name__ == "__main__":
    main()
