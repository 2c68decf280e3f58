"""A benchmark of head attribution with known truth: circuits made by hand, in transformers' code.

    python -m benchmarks.planted_circuits [--seeds 20] [--cases 60] [--kinds chain backup]
        [--workers 2] [--json planted.json] [--mistakes]

Of each of ten kinds a circuit is drawn from each seed, in the code of Llama, Mistral, BERT or BART,
with 1–4 layers of 2–16 heads in float32 or float16. What each head does is measured by ablation
over every text of the circuit's language, with plain hooks. Then ``ix.causal_study`` and five other
methods read the same few texts, and are held to it. ``docs/evidence.md`` explains the figures.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.circuits.kinds import KINDS
from benchmarks.circuits.measures import Size, measured, mistakes, summary
from benchmarks.circuits.methods import METHODS, OURS

#: The columns of the tables: the key of a figure, and its heading.
_COLUMNS = {
    "false": "false",
    "missed": "missed",
    "precision": "precision",
    "recall": "recall",
    "auroc": "AUROC",
    "nobody": "any, of nobody",
    "attends_false": "attends: false",
    "attends_missed": "attends: missed",
    "coverage": "coverage",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parsed(arguments)
    start = time.perf_counter()
    rows, repeated = run(options)
    found = summary(rows, repeated)
    show(found, rows, options)
    seconds = time.perf_counter() - start
    print(f"{seconds:.0f} s, {options.workers} workers of one thread")
    if options.json:
        text = json.dumps(without_nan(found), indent=2, ensure_ascii=False)
        Path(options.json).write_text(f"{text}\n", encoding="utf-8")
    if options.rows:
        rows.to_csv(options.rows, index=False)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="circuits of each kind")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--cases", type=int, default=Size.cases, help="texts that a study reads")
    parser.add_argument("--most-heads", type=int, default=Size.most_heads)
    parser.add_argument(
        "--repeated", type=int, default=Size.repeated, help="seeds that are run four times"
    )
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--kept", help="keep the truth of circuits in this folder, and read it")
    parser.add_argument("--json", help="write the figures there")
    parser.add_argument("--rows", help="write every verdict there, as CSV")
    parser.add_argument("--mistakes", action="store_true", help="list what ours got wrong")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure all circuits.

    Returns:
        Verdicts, one row for each circuit, method and head; and our studies repeated.
    """
    size = Size(
        options.cases,
        options.most_heads,
        options.repeated,
        tuple(options.methods),
        Path(options.kept) if options.kept else None,
    )
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    wanted = [(kind, seed) for seed in seeds for kind in options.kinds]
    found = list(_each(wanted, size, options.workers))
    repeated = [other for _, other in found if len(other)]
    return (
        pd.concat([rows for rows, _ in found], ignore_index=True),
        pd.concat(repeated, ignore_index=True) if repeated else pd.DataFrame(),
    )


def _each(
    wanted: Sequence[tuple[str, int]], size: Size, workers: int
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    kinds, seeds = zip(*wanted, strict=True)
    if workers <= 1:
        yield from map(partial(measured, size=size), kinds, seeds)
        return
    # One thread each: sums of small products take no more.
    started = get_context("spawn")
    one_thread = partial(torch.set_num_threads, 1)
    with ProcessPoolExecutor(workers, started, initializer=one_thread) as pool:
        yield from pool.map(partial(measured, size=size), kinds, seeds)


def show(found: dict[str, Any], rows: pd.DataFrame, options: argparse.Namespace) -> None:
    """Print the tables."""
    console = Console(width=150)
    first = next(iter(found["methods"].values()))
    print(
        f"{found['circuits']} circuits ({options.seeds} seeds × {len(options.kinds)} kinds), "
        f"{options.cases} texts each: {first['heads that matter']} heads that matter, "
        f"{first['idle heads']} idle, {first['between']} between; "
        f"{first['circuits without']} circuits in which no head matters"
    )
    console.print(_table("method", found["methods"]))
    if OURS not in found["methods"]:
        return
    console.print(_table("ours, by kind", found["kinds"]))
    sides = ", ".join(f"{name} {_percent(value)}" for name, value in found["coverage"].items())
    print(f"coverage of the 95% intervals of effects: {sides}")
    for change, same in found["stability"].items():
        print(
            f"another {change}: all verdicts the same in {_percent(same['studies'])} of "
            f"{same['n']} studies, and of {_percent(same['heads'])} of heads"
        )
    if options.mistakes:
        wrong = mistakes(rows[rows["method"] == OURS])
        print(wrong.round(3).to_string(index=False) if len(wrong) else "no mistakes")


def _table(name: str, figures: dict[str, dict[str, Any]]) -> Table:
    table = Table(name, *_COLUMNS.values())
    for row, values in figures.items():
        table.add_row(row, *(_figure(key, values[key]) for key in _COLUMNS))
    return table


def _figure(key: str, value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if key == "auroc" else _percent(value)


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1%}"


def without_nan(value: Any) -> Any:
    """Replace what JSON has no word for by nothing."""
    if isinstance(value, dict):
        return {key: without_nan(one) for key, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


if __name__ == "__main__":
    main()
