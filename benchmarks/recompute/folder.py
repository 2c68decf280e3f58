"""The tables and the claims of one folder."""

from __future__ import annotations

import json
import math
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from introspect.statistics import fold_of_groups

DIVISIONS, FOLDS = 30, 5
HEAD = re.compile(r"L(\d+)H(\d+)")

Numbers = dict[str, float]
Row = dict[str, Any]


class DifferenceError(AssertionError):
    """What a claim says is not what the tables say."""


class Folder:
    """The tables and the claims of a folder.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
        self.claims: list[Row] = self.summary["claims"]

    @property
    def is_atlas(self) -> bool:
        """Return whether it is the folder of an atlas, whose kinds of claims are others."""
        return (self.path / "rules.parquet").exists()

    def table(self, name: str) -> pd.DataFrame | None:
        """Return a table by its file name, or ``None``."""
        path = self.path / name
        if not path.exists():
            return None
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)

    @cached_property
    def held_out(self) -> pd.DataFrame | None:
        """The credits of each case."""
        table = self.table("held_out.csv")
        if table is None or table.empty:
            return None
        return table.astype({"id": str, "group": str})

    @cached_property
    def cases(self) -> pd.DataFrame:
        """The credits and weights of each case, head and direction."""
        table = self.table("cases.parquet")
        assert table is not None, f"{self.path} has no cases.parquet"
        return table.astype({"id": str, "group": str, "direction": str})

    @cached_property
    def heads(self) -> list[tuple[str, int, int]]:
        """Direction, layer and head of each column, in the order of ``credits``."""
        columns = self.cases[["direction", "layer", "head"]].drop_duplicates()
        return [(str(d), int(la), int(h)) for d, la, h in columns.itertuples(index=False)]

    @cached_property
    def credits(self) -> np.ndarray:
        """``(num_cases, num_heads)``, of the cases of forced choice, in the order of held_out."""
        assert self.held_out is not None, "no held_out.csv"
        wide = self.cases["credit"].to_numpy().reshape(-1, len(self.heads))
        names = self.cases["id"].to_numpy()[:: len(self.heads)]
        row = {name: number for number, name in enumerate(names)}
        return wide[[row[name] for name in self.held_out["id"]]]

    @cached_property
    def groups(self) -> list[str]:
        """The group of each case of forced choice."""
        assert self.held_out is not None, "no held_out.csv"
        return self.held_out["group"].tolist()

    @cached_property
    def index(self) -> np.ndarray:
        """The number of each case's group, by name."""
        numbers = {name: number for number, name in enumerate(sorted(set(self.groups)))}
        return np.array([numbers[group] for group in self.groups])

    @cached_property
    def choice(self) -> tuple[list[float], list[int], float]:
        """The held-out credit of each case, the head of each fold, and the accuracy."""
        total, seen = np.zeros(len(self.credits)), np.zeros(len(self.credits))
        chosen, accuracies = [], []
        for fold in self.divisions:
            mine = []
            for number in range(FOLDS):
                best = _best_head(self.credits[fold != number])
                chosen.append(best)
                for case in np.flatnonzero(fold == number):
                    credit = self.credits[case, best]
                    if not math.isnan(credit):
                        total[case] += credit
                        seen[case] += 1
                        mine.append(credit)
            accuracies.append(sum(mine) / len(mine))
        with np.errstate(invalid="ignore"):
            return list(total / seen), chosen, float(np.mean(accuracies))

    @cached_property
    def divisions(self) -> list[np.ndarray]:
        """The fold of each case in each division: the one thing that is drawn by the package."""
        folds = [fold_of_groups(self.index, FOLDS, seed=self.seed + n) for n in range(DIVISIONS)]
        return [fold[self.index] for fold in folds]

    @property
    def has_two_candidates(self) -> bool:
        """Return whether credits are of two candidates: swapped, each is 1 minus what it was."""
        return bool(np.isin(self.credits[~np.isnan(self.credits)], (0, 0.5, 1)).all())

    @property
    def seed(self) -> int:
        """The seed of the run."""
        plan = json.loads((self.path / "run.json").read_text(encoding="utf-8"))["plan"]
        return int(plan.get("seed", plan.get("claims", {}).get("seed", 0)) or 0)


def _best_head(credits: np.ndarray) -> int:
    """Return the first of the most accurate heads that are observable in half of the cases."""
    n = (~np.isnan(credits)).sum(0)
    sums = np.nansum(credits, axis=0)
    best, most = 0, -1.0
    for head in range(credits.shape[1]):
        if n[head] >= max(0.5 * n.max(), 1) and sums[head] / n[head] > most + 1e-12:
            best, most = head, sums[head] / n[head]
    return best
