"""How often the statistics find a planted head, and how often they find one where there is none.

    python benchmarks/planted_heads.py [--claims 1000] [--planted 200] [--strength 0.8]

Credits of 144 heads in two directions are coin flips on pairs of cases. For the first figure one
head is right with the stated strength: found means that its adjusted p-value is under 0.05 and that
it is chosen in every fold. For the second no head is better than chance: a false claim is any
adjusted p-value under 0.05.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from introspect.statistics import held_out_selection, permutation_test

HEADS = 288
LEVEL = 0.05


def main() -> None:
    """Run both simulations and print their figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--claims", type=int, default=1000)
    parser.add_argument("--planted", type=int, default=200)
    parser.add_argument("--cases", type=int, default=120)
    parser.add_argument("--strength", type=float, default=0.8)
    parser.add_argument("--permutations", type=int, default=999)
    options = parser.parse_args()
    start = time.perf_counter()
    found = sum(is_found(seed, options) for seed in range(options.planted))
    print(
        f"planted head right in {options.strength:.0%} of {options.cases} cases: found in "
        f"{found} of {options.planted} runs ({found / options.planted:.1%})"
    )
    claims = sum(is_claim(seed, options) for seed in range(options.claims))
    print(
        f"no head planted: a false claim in {claims} of {options.claims} runs "
        f"({claims / options.claims:.1%}; {LEVEL:.0%} is the level)"
    )
    print(f"{time.perf_counter() - start:.0f} s")


def is_found(seed: int, options: argparse.Namespace) -> bool:
    """Return whether a planted head is significant in the family and chosen in every fold."""
    random = np.random.default_rng(seed)
    credits = coin_flips(random, options.cases)
    planted = int(random.integers(HEADS))
    credits[:, planted] = random.random(options.cases) < options.strength
    labelings = np.stack([credits, 1 - credits])
    test = permutation_test(labelings, groups(options), permutations=options.permutations)
    if not test.p_adjusted[planted] < LEVEL:
        return False
    choice = held_out_selection(labelings, groups(options), permutations=1)
    return set(choice.chosen) == {planted}


def is_claim(seed: int, options: argparse.Namespace) -> bool:
    """Return whether any head is called significant where none is better than chance."""
    credits = coin_flips(np.random.default_rng(seed + 1_000_000), options.cases)
    labelings = np.stack([credits, 1 - credits])
    test = permutation_test(labelings, groups(options), permutations=options.permutations)
    return bool((test.p_adjusted < LEVEL).any())


def coin_flips(random: np.random.Generator, cases: int) -> np.ndarray:
    """Credits of heads that know nothing."""
    return random.integers(0, 2, (cases, HEADS)).astype(float)


def groups(options: argparse.Namespace) -> list[int]:
    """Minimal pairs."""
    return [case // 2 for case in range(options.cases)]


if __name__ == "__main__":
    main()
