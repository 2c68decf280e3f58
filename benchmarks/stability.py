"""Whether a headline stays when what should not matter is changed: the order of rows, the seed.

    python -m benchmarks.stability SETS [--times 50] [--model minilm]

SETS is a folder with the published files in ``gap``, ``winobias`` and ``xwino``; the package's own
sentences need none. Every set is scored once; then the headline is computed anew for each order of
its cases, and for each seed of divisions, resamples and permutations.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import introspect as ix
from introspect.data import own_cases, read_gap, read_winobias, read_xwino
from introspect.studies.coreference import (
    Options,
    ScoredCase,
    choice_claims,
    score_cases,
    scores_of,
)
from introspect.text import CorefCase

#: The draws of a report: with fewer, the p-values of heads vary by more than the seed makes them.
OPTIONS = Options()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", type=Path, help="the folder of the published files")
    parser.add_argument("--times", type=int, default=50, help="orders, and seeds")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--only", nargs="+", help="the names of sets")
    options = parser.parse_args()
    model = ix.load(options.model)
    for name, cases in collections(options.sets):
        if options.only and name not in options.only:
            continue
        start = time.process_time()
        scored = score_cases(model, cases).scored
        for change, runs in changes(scored, options.times).items():
            print(
                f"{name}, {len(scored)} cases, {options.times} {change}: {verdict(runs)}",
                flush=True,
            )
        print(f"  {time.process_time() - start:.0f} s of processor time", flush=True)


def collections(folder: Path) -> Iterator[tuple[str, list[CorefCase]]]:
    """Yield the sets, each with its name."""
    bias = [
        row
        for kind in ("anti", "pro")
        for row in read_winobias(folder / "winobias" / f"{kind}_stereotyped_type1.txt.dev")
    ]
    yield "own", list(own_cases("en"))
    yield "XWINO", _cases(read_xwino(folder / "xwino" / "en.tsv"))
    yield "GAP", _cases(read_gap(folder / "gap" / "gap-validation.tsv"))
    yield "WinoBias", _cases(bias)


def _cases(rows: Iterable[object]) -> list[CorefCase]:
    return [row for row in rows if isinstance(row, CorefCase)]


def changes(scored: Sequence[ScoredCase], times: int) -> dict[str, list[tuple[str, float]]]:
    """Return the kind of headline and the accuracy for each order and for each seed."""
    shuffled = (np.random.default_rng(seed).permutation(len(scored)) for seed in range(times))
    return {
        "orders of rows": [headline([scored[i] for i in order], OPTIONS) for order in shuffled],
        "seeds": [headline(scored, replace(OPTIONS, seed=seed)) for seed in range(times)],
    }


def headline(scored: Sequence[ScoredCase], options: Options) -> tuple[str, float]:
    """Return the claim of the headline, up to its figures, and the held-out accuracy."""
    scores = scores_of(scored, pd.DataFrame(), options)
    claim, *_ = choice_claims(scores)
    rival = claim.sentence.partition(":")[0] if claim.kind == "no-beats" else ""
    return f"{claim.kind} {rival}".strip(), claim.estimate


def verdict(runs: Sequence[tuple[str, float]]) -> str:
    """Say how often the most frequent headline comes, and between which accuracies."""
    kinds, accuracies = zip(*runs, strict=True)
    (first, count), *others = Counter(kinds).most_common()
    rest = f"; others: {dict(others)}" if others else ""
    return (
        f"“{first}” in {count / len(runs):.0%}, accuracy {min(accuracies):.1%} to "
        f"{max(accuracies):.1%}{rest}"
    )


if __name__ == "__main__":
    main()
