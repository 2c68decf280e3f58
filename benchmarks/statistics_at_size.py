"""How long the statistics of a set take, and how much memory.

    python benchmarks/statistics_at_size.py [--cases 2000] [--layers 12] [--heads 12] [--group 1]

Coin flips of all heads in both directions, some of them ties and some not observable, go through
everything that a set's claims rest on: intervals, p-values of heads and family, the held-out choice
with its own p-value, and minimal pairs. Limit the threads with ``OMP_NUM_THREADS``.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np

from introspect.statistics import (
    accuracy_intervals,
    effect_intervals,
    held_out_selection,
    pair_accuracy,
    permutation_test,
)


def main() -> None:
    """Run each part once and print its seconds, and the largest memory of all.

    Beside the seconds that pass stand those of the processor: on a machine that others use too,
    only these tell.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=2_000)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--group", type=int, default=1, help="cases in a group")
    parser.add_argument("--draws", type=int, default=10_000, help="permutations and resamples")
    parser.add_argument("--selections", type=int, default=1_000)
    options = parser.parse_args()
    columns = options.layers * options.heads * 2
    random = np.random.default_rng(0)
    credits = random.integers(0, 3, (options.cases, columns)).astype(np.float32) / 2
    credits[random.random(options.cases) < 0.1, columns // 2 :] = np.nan
    labelings = np.stack([credits, 1 - credits])
    groups = [case // options.group for case in range(options.cases)]
    before = peak()
    print(f"{options.cases} cases, {columns // 2} heads × 2 directions, groups of {options.group}")
    draws = options.draws
    parts: dict[str, Callable[[], object]] = {
        "intervals of accuracies": lambda: accuracy_intervals(credits, groups),
        f"{draws} resamples": lambda: effect_intervals(credits, groups, resamples=draws),
        f"{draws} permutations": lambda: permutation_test(labelings, groups, permutations=draws),
        f"held-out choice, {options.selections} selections": lambda: held_out_selection(
            labelings, groups, permutations=options.selections
        ),
        "minimal pairs": lambda: pair_accuracy(credits, groups),
    }
    total = np.zeros(2)
    for name, part in parts.items():
        start = np.array([time.perf_counter(), time.process_time()])
        part()
        seconds = np.array([time.perf_counter(), time.process_time()]) - start
        total += seconds
        print(f"{name:<40} {seconds[0]:7.2f} s, {seconds[1]:7.2f} s of processor")
    print(f"{'together':<40} {total[0]:7.2f} s, {total[1]:7.2f} s of processor")
    print(f"largest memory {peak():.2f} GB, of which {before:.2f} GB before the first part")


def peak() -> float:
    """The largest memory that this process has held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
