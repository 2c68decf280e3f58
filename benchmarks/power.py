"""How often a head is found that is as good as a "no evidence" says would be found.

    python benchmarks/power.py [--sets 20] [--runs 100]

Sets of coin flips, in which the held-out choice finds nothing, name the smallest accuracy that
would have been found in 80% of sets. Into new sets of the same size a head of that accuracy is
planted, and the whole procedure runs: the share in which its p-value is below 0.05 should be from
75 to 85%.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from introspect.statistics import held_out_selection

HEADS = 288
LEVEL = 0.05


def main() -> None:
    """Print the share found for sets of several sizes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--runs", type=int, default=100)
    options = parser.parse_args()
    start = time.perf_counter()
    for cases, group in ((40, 1), (100, 1), (100, 2), (300, 2)):
        accuracies, found = [], []
        for seed in range(options.sets):
            null = chosen(coin_flips(seed, cases), group)
            if np.isnan(null.detectable):  # something was found by chance, or nothing could be
                continue
            accuracies.append(null.detectable)
            for run in range(options.runs // options.sets):
                credits = coin_flips(10_000 + 1_000 * seed + run, cases)
                random = np.random.default_rng([seed, run])
                credits[:, random.integers(HEADS)] = random.random(cases) < null.detectable
                found.append(chosen(credits, group).p_value < LEVEL)
        print(
            f"{cases} cases in groups of {group}: {np.min(accuracies):.1%} to "
            f"{np.max(accuracies):.1%} named; found in {np.mean(found):.1%} of {len(found)} sets",
            flush=True,
        )
    print(f"{time.perf_counter() - start:.0f} s")


def chosen(credits: np.ndarray, group: int):
    """Return the held-out choice of a head."""
    groups = [case // group for case in range(len(credits))]
    return held_out_selection(np.stack([credits, 1 - credits]), groups)


def coin_flips(seed: int, cases: int) -> np.ndarray:
    """Return the credits of heads that know nothing."""
    return np.random.default_rng(seed).integers(0, 2, (cases, HEADS)).astype(float)


if __name__ == "__main__":
    main()
