"""Cases for a linear probe."""

from __future__ import annotations

import numpy as np

from introspect.studies.coreference import CandidateFeatures


def random_cases(count, *, seed=0, weak=0, strength=0.0, heads=8, group_size=1, candidates=2):
    """Weights of which the first ``weak`` heads of layer 0 lean towards the antecedent."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        weights = random.standard_normal((candidates, 2, 2, heads))
        right = int(random.integers(candidates))
        weights[right, 0, 0, :weak] += strength
        made.append(
            CandidateFeatures(
                name=f"c{number}",
                group=f"g{number // group_size}",
                weights=weights,
                antecedents=tuple(i == right for i in range(candidates)),
            )
        )
    return made


def head_accuracies(cases):
    """Share of cases in which each head gives the antecedent most."""
    return np.mean([c.weights.argmax(0) == c.antecedents.index(True) for c in cases], axis=0)
