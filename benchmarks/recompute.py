"""Recompute the numbers of a report's claims from the tables beside it, by loops of their own.

    python benchmarks/recompute.py FOLDER [FOLDER …]
    python benchmarks/recompute.py FOLDER/report.html

The folder is one that ``introspect probe``, ``causal`` or ``heads`` wrote. Every claim of its
``summary.json`` is compared with what the tables give: accuracies, held-out choices, differences,
shifts, effects and interactions are added up again, intervals by formulas written down again, and
p-values by permutations drawn anew, so that those agree within their Monte Carlo error alone. That
a sentence is on the page, and that no two claims exclude each other, is checked too. The exit
status is 1 if anything differs; what no table holds is counted at the end.
"""

from __future__ import annotations

import argparse
import html
import json
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta, norm, t

from introspect.statistics import Claim, exclusions, fold_of_groups

DIVISIONS, FOLDS, FEWEST = 30, 5, 5
INFLATION = 1 / DIVISIONS + FOLDS / (FOLDS - 1)
DRAWS = 400
_HEAD = re.compile(r"L(\d+)H(\d+)")
# A p-value, or an end of an interval from resamples, differs by so many standard errors at most.
_DEVIATIONS = 4.5

Numbers = dict[str, float]
Row = dict[str, Any]


class Folder:
    """The tables and the claims of a folder.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
        self.claims: list[Row] = self.summary["claims"]

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


# --- formulas -------------------------------------------------------------------------------------


def wilson(
    credits: Sequence[float], groups: Sequence[str], inflation: float = 1.0
) -> tuple[float, float]:
    """Return Wilson's interval with the effective number of cases, added up group by group."""
    sums: dict[str, float] = defaultdict(float)
    sizes: dict[str, int] = defaultdict(int)
    for credit, group in zip(credits, groups, strict=True):
        if not math.isnan(credit):
            sums[group] += credit
            sizes[group] += 1
    n, count = sum(sizes.values()), len(sizes)
    if count < FEWEST:
        return math.nan, math.nan
    p = sum(sums.values()) / n
    if p > 1 - 1e-9:
        return float(beta.ppf(0.025, count / inflation, 1)), 1.0
    if p < 1e-9:
        return 0.0, 1 - float(beta.ppf(0.025, count / inflation, 1))
    squares = sum((sums[g] - p * sizes[g]) ** 2 for g in sizes)
    effective = min(n, p * (1 - p) * n**2 / squares) if squares else n
    effective *= n * (count - 1) / ((n - 1) * count) / inflation
    effective *= (t.ppf(0.975, n - 1) / t.ppf(0.975, count - 1)) ** 2
    z = norm.ppf(0.975)
    middle = (p + z**2 / (2 * effective)) / (1 + z**2 / effective)
    half = z * math.sqrt(p * (1 - p) / effective + z**2 / (4 * effective**2))
    half /= 1 + z**2 / effective
    return middle - half, middle + half


def studentized(
    values: Sequence[float], groups: Sequence[str], inflation: float = 1.0, seed: int = 7
) -> tuple[float, float, float]:
    """Return the ends of a studentized bootstrap of groups, and the error of such an end."""
    by_group = defaultdict(list)
    for value, group in zip(values, groups, strict=True):
        if not math.isnan(value):
            by_group[group].append(value)
    sums = np.array([sum(v) for v in by_group.values()])
    sizes = np.array([len(v) for v in by_group.values()])
    count = len(sums)
    if count < FEWEST:
        return math.nan, math.nan, math.nan
    mean, error = _mean_and_error(sums, sizes)
    if error <= 1e-9 * np.abs(sums).max():
        return math.nan, math.nan, math.nan
    random = np.random.default_rng(seed)
    deviates = []
    for _ in range(10 * DRAWS):
        drawn = random.integers(count, size=count)
        middle, spread = _mean_and_error(sums[drawn], sizes[drawn])
        if spread > 1e-12:
            deviates.append((middle - mean) / spread)
    tail = 0.025 * (1 - 4 / count)
    low, high = np.quantile(deviates, [tail, 1 - tail])
    error *= math.sqrt(inflation)
    # The density at a tail's quantile is about its part divided by its distance.
    near = np.quantile(deviates, [min(1, 2 * tail), max(0, 1 - 2 * tail)])
    wide = max(abs(low - near[0]), abs(high - near[1]), 0.1)
    slack = _DEVIATIONS * wide / math.sqrt(len(deviates) * tail) * math.sqrt(2)
    return mean - high * error, mean - low * error, slack * error


def _mean_and_error(sums: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    count, n = len(sums), sizes.sum()
    mean = sums.sum() / n
    squares = ((sums - mean * sizes) ** 2).sum()
    return float(mean), math.sqrt(squares * count / (count - 1)) / n


def flips(values: np.ndarray, groups: Sequence[str], head: int, *, two_sided: bool) -> float:
    """Return the family-wise p-value of a column by flipped signs of groups, drawn anew."""
    names = sorted(set(groups))
    sums = np.array(
        [np.nansum(values[[g == name for g in groups]], axis=0) for name in names]
    )  # fmt: skip
    norms = np.sqrt((sums**2).sum(0))
    scaled = np.divide(sums, norms, out=np.zeros_like(sums), where=norms > 0)
    random = np.random.default_rng(11)
    observed = scaled.sum(0)[head]
    observed = abs(observed) if two_sided else observed
    reached = 1
    for _ in range(DRAWS * 10):
        drawn = random.choice([-1.0, 1.0], len(names)) @ scaled
        reached += (np.abs(drawn) if two_sided else drawn).max() >= observed - 1e-9
    return reached / (DRAWS * 10 + 1)


# --- what each kind of claim is recomputed from ---------------------------------------------------


def of_choice(folder: Folder, claim: Row) -> Numbers:
    """Recompute the held-out choice: accuracy, interval, and p-value on permuted labels."""
    credits, chosen, accuracy = folder.choice
    low, high = wilson(credits, folder.groups, INFLATION)
    head = folder.heads[Counter(chosen).most_common(1)[0][0]]
    found = {
        "estimate": accuracy, "low": low, "high": high, "groups": len(set(folder.groups)),
        "n": sum(not math.isnan(c) for c in credits), "p~": _choice_p(folder, accuracy),
    }  # fmt: skip
    assert f"L{head[1]}H{head[2]}" in claim["subject"], f"most often chosen: {head}"
    return found


def _choice_p(folder: Folder, accuracy: float) -> float:
    """Repeat the choice with the two candidates of whole groups swapped at random."""
    if ((folder.credits != 1) & (folder.credits != 0) & (folder.credits != 0.5)).any():
        return math.nan  # more than two candidates: other labelings are not in the table
    key = id(folder)
    if key not in _NULL:
        random = np.random.default_rng(5)
        parts = [np.eye(FOLDS)[fold].T for fold in folder.divisions]
        _NULL[key] = [_permuted(folder, parts, random) for _ in range(DRAWS)]
    reached = sum(found >= accuracy - 1e-9 for found in _NULL[key])
    return (reached + 1) / (DRAWS + 1)


_NULL: dict[int, list[float]] = {}


def _permuted(folder: Folder, parts: Sequence[np.ndarray], random: np.random.Generator) -> float:
    swapped = random.integers(2, size=folder.index.max() + 1)[folder.index][:, None] == 1
    credits = np.where(swapped, 1 - folder.credits, folder.credits)
    accuracies = []
    for part in parts:
        sums, n = part @ credits, part @ np.ones_like(credits)
        training = (sums.sum(0) - sums) / (n.sum(0) - n)
        best = training.argmax(1)
        folds = np.arange(FOLDS)
        accuracies.append(sums[folds, best].sum() / n[folds, best].sum())
    return float(np.mean(accuracies))


def of_baseline(folder: Folder, claim: Row) -> Numbers:
    """Recompute the accuracy of a baseline from the credits of each case."""
    held_out = folder.held_out
    name = claim["subject"]
    if held_out is not None and name in held_out:
        credits = held_out[name].tolist()
        found = {"estimate": sum(credits) / len(credits)}
        if claim["kind"] != "baseline":
            return found
        low, high = wilson(credits, folder.groups)
        return found | {"low": low, "high": high, "n": len(credits)}
    table = folder.table("baselines.csv")
    assert table is not None, "no baselines.csv"
    return {"estimate": float(table.loc[table["baseline"] == name, "accuracy"].iloc[0])}


def of_difference(folder: Folder, claim: Row) -> Numbers | None:
    """Recompute the difference of the held-out choice from a baseline, case by case."""
    held_out, name = folder.held_out, claim["subject"]
    if held_out is None or name not in held_out:
        return None
    credits = folder.choice[0]
    gains = [a - b for a, b in zip(credits, held_out[name], strict=True)]
    known = [gain for gain in gains if not math.isnan(gain)]
    low, high, slack = studentized(gains, folder.groups, INFLATION)
    found = {"estimate": sum(known) / len(known), "n": len(known)}
    if math.isnan(low):
        # All groups are alike: so many of them could be otherwise, each by 1.
        limit = 1 - 0.025 ** (1 / len(set(folder.groups)))
        alike = found["estimate"] * (1 - limit)
        return found | {"low": alike - limit, "high": alike + limit}
    return found | {"low": max(-1, low), "high": min(1, high), "slack": slack}


def of_length(folder: Folder, claim: Row) -> Numbers:
    """Recompute the held-out accuracy of one kind of antecedent."""
    assert folder.held_out is not None, "no held_out.csv"
    kept = [
        (credit, group)
        for credit, group, side in zip(
            folder.choice[0], folder.groups, folder.held_out["antecedent"], strict=True
        )
        if side == claim["subject"] and not math.isnan(credit)
    ]
    low, high = wilson(*zip(*kept, strict=True))
    mean = sum(credit for credit, _ in kept) / len(kept)
    return {"estimate": mean, "low": low, "high": high, "n": len(kept)}


def _in_sample(folder: Folder) -> np.ndarray:
    n = (~np.isnan(folder.credits)).sum(0)
    with np.errstate(invalid="ignore"):
        means = np.nansum(folder.credits, axis=0) / n
    return np.where(n >= 0.5 * n.max(), means, -1.0)


def of_in_sample(folder: Folder, claim: Row) -> Numbers:
    """Recompute the best accuracy of all heads on all cases."""
    return {"estimate": float(_in_sample(folder).max())}


def of_tied(folder: Folder, claim: Row) -> Numbers:
    """Count the heads that are tied for it."""
    means = _in_sample(folder)
    return {"estimate": int((means >= means.max() - 1e-9).sum())}


def of_chosen(folder: Folder, claim: Row) -> Numbers:
    """Count the heads that folds chose; 1 where it is one."""
    return {"estimate": len(set(folder.choice[1]))}


def of_by_permutation(folder: Folder, claim: Row) -> Numbers:
    """Recompute the p-value of the choice."""
    return {"estimate": folder.choice[2], "p~": _choice_p(folder, folder.choice[2])}


def _column(folder: Folder, subject: str) -> int:
    layer, head = map(int, _HEAD.findall(subject)[0])
    direction = subject.split(", ")[1].replace(" ", "_")
    return folder.heads.index((direction, layer, head))


def _shifts(folder: Folder) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return the shift of each pair and head, and whether both are right, from the weights."""
    if "shifts" not in folder.__dict__:
        size = len(folder.heads)
        names = folder.cases["group"].to_numpy()[::size]
        gold, rival = (
            folder.cases[name].to_numpy().reshape(-1, size)
            for name in ("antecedent_weight", "distractor_weight")
        )
        seen = ~np.isnan(folder.cases["credit"].to_numpy().reshape(-1, size))
        shifts, both, pairs = [], [], folder.summary["minimal_pairs"]
        for pair in pairs:
            rows = np.flatnonzero(names == pair)
            total = gold[rows] + rival[rows]
            with np.errstate(invalid="ignore", divide="ignore"):
                share = (gold[rows] - rival[rows]) / total
            share[(total < 1e-6) | ~seen[rows]] = math.nan
            shifts.append(share.sum(0))
            right = ((gold[rows] > rival[rows]) & (total >= 1e-6)).all(0).astype(float)
            both.append(np.where(seen[rows].all(0), right, math.nan))
        folder.__dict__["shifts"] = np.array(shifts), np.array(both), list(pairs)
    return folder.__dict__["shifts"]


def of_shift(folder: Folder, claim: Row) -> Numbers:
    """Recompute the mean shift of a head within minimal pairs, its interval and its p-value."""
    shifts, _, pairs = _shifts(folder)
    head = _column(folder, claim["subject"])
    known = shifts[:, head][~np.isnan(shifts[:, head])]
    low, high, slack = studentized(shifts[:, head], pairs)
    return {
        "estimate": float(known.mean()), "low": low, "high": high, "slack": slack,
        "groups": len(known), "p~": flips(shifts, pairs, head, two_sided=False),
    }  # fmt: skip


def of_count(folder: Folder, claim: Row) -> Numbers | None:
    """Count the heads with an adjusted p below 0.05 in the table of shifts."""
    table = folder.table("minimal_pairs.csv")
    return None if table is None else {"estimate": int((table["p_adjusted"] < 0.05).sum())}


def of_both_right(folder: Folder, claim: Row) -> Numbers:
    """Recompute the share of pairs with both versions right."""
    _, both, _ = _shifts(folder)
    return {"estimate": float(np.nanmean(both[:, _column(folder, claim["subject"])]))}


def of_bias(folder: Folder, claim: Row) -> Numbers | None:
    """Recompute the difference of two kinds of cases."""
    held_out = folder.held_out
    if held_out is None or "kind" not in held_out:
        return None
    first, second = re.findall(r"\*(\w+)\*", claim["sentence"])[:2]
    kinds, groups = held_out["kind"].tolist(), folder.groups
    both = {
        group
        for group in set(groups)
        if {first, second} <= {k for k, g in zip(kinds, groups, strict=True) if g == group}
    }
    column = folder.credits[:, _column(folder, claim["subject"])]
    sides: dict[str, list[float]] = {first: [], second: []}
    for credit, kind, group in zip(column, kinds, groups, strict=True):
        if group in both and kind in sides and not math.isnan(credit):
            sides[kind].append(credit)
    difference = np.mean(sides[first]) - np.mean(sides[second])
    n = len(sides[first]) + len(sides[second])
    return {"estimate": float(difference), "n": n, "groups": len(both)}


# --- causal folders -------------------------------------------------------------------------------


def _effects(folder: Folder, column: str = "effect") -> tuple[np.ndarray, list[str], list[str]]:
    table = folder.table("case_effects.parquet")
    assert table is not None, "no case_effects.parquet"
    heads = [f"L{la}H{h}" for la, h in table[["layer", "head"]].drop_duplicates().to_numpy()]
    values = table[column].to_numpy().reshape(len(heads), -1).T
    return values, heads, table["group"].astype(str).tolist()[: len(values)]


def of_ability(folder: Folder, claim: Row) -> Numbers:
    """Recompute how often the model is right, a tie half."""
    margins, _, groups = _effects(folder, "margin")
    credits = [1.0 if m > 0 else 0.5 if m == 0 else 0.0 for m in margins[:, 0]]
    low, high = wilson(credits, groups)
    mean = sum(credits) / len(credits)
    return {
        "estimate": mean, "low": low, "high": high, "n": len(credits), "groups": len(set(groups)),
    }  # fmt: skip


def of_effect(folder: Folder, claim: Row) -> Numbers:
    """Recompute the effect of a head and its interval; of several, of the first that is named."""
    values, heads, groups = _effects(folder)
    head = heads.index("L{}H{}".format(*_HEAD.findall(claim["subject"])[0]))
    low, high, slack = studentized(values[:, head], groups)
    mean = sum(values[:, head]) / len(values)
    found = {"estimate": mean, "n": len(values), "groups": len(set(groups))}
    return found if math.isnan(low) else found | {"low": low, "high": high, "slack": slack}


def of_attending(folder: Folder, claim: Row) -> Numbers:
    """Recompute how often a head attends most to the antecedent, from the pronoun."""
    rows = _of_pronoun(folder, claim)
    return {"estimate": float(rows["credit"].mean()), "n": len(rows)}


def of_ratio(folder: Folder, claim: Row) -> Numbers:
    """Recompute how many times the weight of the distractor the antecedent gets."""
    rows = _of_pronoun(folder, claim)
    ratios = [
        max(gold, 1e-6) / max(rival, 1e-6)
        for gold, rival in zip(rows["antecedent_weight"], rows["distractor_weight"], strict=True)
    ]
    return {"estimate": float(np.median(ratios))}


def _of_pronoun(folder: Folder, claim: Row) -> pd.DataFrame:
    layer, head = map(int, _HEAD.findall(claim["subject"])[0])
    cases = folder.cases
    return cases[
        (cases["direction"] == "pronoun_to_candidate")
        & (cases["layer"] == layer)
        & (cases["head"] == head)
        & cases["credit"].notna()
    ]


def of_total(folder: Folder, claim: Row) -> Numbers:
    """Read the total effect within minimal pairs."""
    table = folder.table("mediation.csv")
    assert table is not None, "no mediation.csv"
    row = table.iloc[0]
    ends = {"low": float(row["total_low"]), "high": float(row["total_high"])}
    return {"estimate": float(row["total"]), "groups": float(row["n"]), **ends}


def of_share(folder: Folder, claim: Row) -> Numbers:
    """Divide an indirect effect by the total."""
    table = folder.table("mediation.csv")
    assert table is not None, "no mediation.csv"
    by = next(c for c in folder.claims if f"{c['kind']}: share" == claim["kind"])
    return {"estimate": by["estimate"] / float(table["total"].iloc[0])}


def of_correlation(folder: Folder, claim: Row) -> Numbers:
    """Correlate the ranks of attention accuracy and effect, ties at their mean rank."""
    table = folder.table("effects.csv")
    assert table is not None, "no effects.csv"
    known = table[["attention_accuracy", "effect"]].dropna()
    ranks = []
    for column in known.to_numpy().T:
        ranks.append([(sum(v < x for v in column) + sum(v <= x for v in column)) for x in column])
    a, b = (np.array(r) - np.mean(r) for r in ranks)
    return {"estimate": float((a * b).sum() / math.sqrt((a**2).sum() * (b**2).sum()))}


def of_chosen_head(folder: Folder, claim: Row) -> Numbers:
    """Choose a head by its attention on each half of the groups; add up its effects on the other.

    Only the division into halves is drawn by the package.
    """
    values, heads, groups = _effects(folder)
    cases = folder.cases[folder.cases["direction"] == "pronoun_to_candidate"]
    wide = cases["credit"].to_numpy().reshape(len(values), -1)
    names = [f"L{la}H{h}" for la, h in cases[["layer", "head"]].to_numpy()[: wide.shape[1]]]
    wide = wide[:, [names.index(head) for head in heads]]
    numbers = {name: number for number, name in enumerate(sorted(set(groups)))}
    index = np.array([numbers[group] for group in groups])
    half = fold_of_groups(index, 2, seed=folder.seed)[index]
    effects = np.empty(len(values))
    for number in (0, 1):
        training = wide[half != number]
        means = [float(np.nanmean(column)) for column in training.T]
        effects[half == number] = values[half == number, means.index(max(means))]
    low, high, slack = studentized(list(effects), groups)
    return {"estimate": float(effects.mean()), "low": low, "high": high, "slack": slack}


def of_row(file: str, **columns: str) -> Callable[[Folder, Row], Numbers | None]:
    """Return a function that reads the numbers of a claim from the row of its head in a table."""

    def read(folder: Folder, claim: Row) -> Numbers | None:
        table = folder.table(file)
        if table is None:
            return None
        heads = [tuple(map(int, found)) for found in _HEAD.findall(claim["subject"])]
        if not heads:
            return None
        rows = table[(table["layer"] == heads[0][0]) & (table["head"] == heads[0][1])]
        if len(heads) > 1 and "other_layer" in table:
            is_other = (rows["other_layer"] == heads[1][0]) & (rows["other_head"] == heads[1][1])
            rows = rows[is_other]
        if "relation" in columns:
            rows = table[table["relation"] == claim["subject"].split(", ")[1]]
        if "method" in columns:
            rows = rows[rows["method"] == columns["method"]]
        names = {k: v for k, v in columns.items() if k not in ("relation", "method")}
        return {field: float(rows[name].iloc[0]) for field, name in names.items()}

    return read


def of_role(folder: Folder, claim: Row) -> Numbers | None:
    """Read a score of a head, or of even attention, from the table of roles."""
    table = folder.table("heads.csv")
    score = claim["kind"].removeprefix("role ").removeprefix("most ").split(":")[0]
    score = score.replace("-", "_").replace("previous_token_token", "previous_token")
    if table is None or score not in table:
        return None
    layer, head = map(int, _HEAD.findall(claim["subject"])[0])
    rows = table[(table["layer"] == layer) & (table["head"] == head)]
    if claim["kind"].endswith(": even"):
        return {"estimate": float(rows[f"{score}_baseline"].iloc[0])}
    assert claim["kind"].startswith("role") or rows[score].iloc[0] == table[score].max()
    return {
        "estimate": float(rows[score].iloc[0]), "low": float(rows[f"{score}_ci_low"].iloc[0]),
        "high": float(rows[f"{score}_ci_high"].iloc[0]),
    }  # fmt: skip


_EFFECT = {"estimate": "effect", "low": "ci_low", "high": "ci_high"}
_PAIR = {"estimate": "interaction", "low": "interaction_low", "high": "interaction_high",
         "p": "p_adjusted"}  # fmt: skip
_RELATION = {"estimate": "accuracy", "low": "ci_low", "high": "ci_high", "p": "p_adjusted",
             "n": "n", "groups": "n_sentences", "relation": ""}  # fmt: skip

#: What recomputes each kind of claim.
RECOMPUTE: dict[str, Callable[[Folder, Row], Numbers | None]] = {
    **dict.fromkeys(("beats", "no-beats", "no-resolves", "no-chooses"), of_choice),
    **dict.fromkeys(("baseline", "beats: baseline", "no-beats: baseline"), of_baseline),
    "linear-probe: nearest": lambda f, c: of_baseline(f, c | {"subject": "nearest_preceding"}),
    "linear-probe: single head": lambda f, c: {"estimate": f.choice[2]},
    **dict.fromkeys(("against", "no-beats: difference"), of_difference),
    "by-length": of_length,
    "in-sample": of_in_sample,
    "in-sample: tied": of_tied,
    **dict.fromkeys(("chosen", "always-chosen"), of_chosen),
    "by-permutation": of_by_permutation,
    **dict.fromkeys(("shifts", "no-shifts"), of_shift),
    "shifts: both right": of_both_right,
    **dict.fromkeys(("shifts: heads", "no-chooses: shifts"), of_count),
    **dict.fromkeys(("differs", "no-differs"), of_bias),
    **dict.fromkeys(("able", "no-able"), of_ability),
    **dict.fromkeys(("supports", "opposes", "depends"), of_effect),
    "attends": of_attending,
    "total": of_total,
    **{f"mediates by {w}: share": of_share for w in ("output", "attention weights")},
    "mediates by output": of_row("mediation.csv", estimate="indirect", low="indirect_low",
                                 high="indirect_high", p="p_adjusted", groups="n"),
    "correlation": of_correlation,
    **{f"chosen: {side}": of_chosen_head for side in ("above 0", "below 0", "no effect")},
    "attends: ratio": of_ratio,
    **{f"depends: {m}": of_row("methods.csv", method=m, **_EFFECT)
       for m in ("zero", "mean", "resample", "uniform")},
    **dict.fromkeys(("redundant", "overlap", "joint"), of_row("pairs.csv", **_PAIR)),
    **{f"{k}: {w}": of_row("pairs.csv", estimate=c) for k in ("redundant", "overlap", "joint")
       for w, c in (("both", "effect"), ("alone", "alone"))},
    "follows": of_row("relations.csv", **_RELATION),
    "follows: offset": of_row("relations.csv", estimate="offset_accuracy", relation=""),
    "follows: even": of_row("relations.csv", estimate="even_accuracy", relation=""),
    **dict.fromkeys(("positional", "no-positional"),
                    of_row("patterns.csv", estimate="position_share", n="n_position")),
    **dict.fromkeys(("rare_word", "no-rare_word"),
                    of_row("patterns.csv", estimate="rare_share", n="n_tokens")),
    "no-positional: by chance": of_row("patterns.csv", estimate="position_chance"),
    "no-rare_word: by chance": of_row("patterns.csv", estimate="rare_chance"),
    **{f"{start} {role}{end}": of_role for start, end in (("role", ""), ("most", ""),
       ("most", ": even")) for role in ("previous-token", "duplicate-token", "induction",
       "previous_token", "duplicate_token")},
}  # fmt: skip


def differences(folder: Folder) -> Iterator[str]:
    """Yield what differs between the claims of a folder and its tables, in words."""
    for claim in folder.claims:
        function = RECOMPUTE.get(claim["kind"])
        found = None if function is None else function(folder, claim)
        for name, value in (found or {}).items():
            if name != "slack" and (words := _apart(claim, name, value, found or {})):
                yield f"{claim['kind']}, {claim['subject']}: {words}"


def _apart(claim: Row, name: str, value: float, found: Numbers) -> str:
    field, given = name.rstrip("~"), claim[name.rstrip("~")]
    if math.isnan(value):
        return ""
    if given is None:
        return f"{field} is not there, the tables give {value:.6g}"
    slack = 1e-6 * max(1.0, abs(given))
    if name.endswith("~"):
        # Both p-values are shares of permutations: of as many as are drawn here, and of 1000.
        variance = max(value * (1 - value), given * (1 - given), 1 / DRAWS)
        slack = _DEVIATIONS * math.sqrt(variance * (1 / DRAWS + 1 / 1000)) + 1 / DRAWS
    elif name in ("low", "high") and "slack" in found:
        slack += found["slack"]
    if abs(value - given) <= slack:
        return ""
    return f"{field} is {given:.6g}, the tables give {value:.6g}"


def faults(path: Path) -> tuple[list[str], Counter[str], int]:
    """Return what is wrong with the claims of a folder, what was not recomputed, and what was."""
    page = path if path.suffix == ".html" else None
    folder = Folder(path.parent if page else path)
    wrong = list(differences(folder))
    claims = [
        Claim(**{k: math.nan if v is None else v for k, v in c.items()}) for c in folder.claims
    ]
    wrong += [f"{one.sentence} | {other.sentence}: {why}" for one, other, why in exclusions(claims)]
    for file in [page] if page else sorted(folder.path.glob("*.html")):
        shown = _words(html.unescape(re.sub(r"<[^>]+>", "", file.read_text(encoding="utf-8"))))
        if page or len(list(folder.path.glob("*.html"))) == 1:
            wrong += [
                f"not on the page: {claim.plain}"
                for claim in dict.fromkeys(claims)
                if _words(claim.plain) not in shown and not _is_long_list(claim, claims)
            ]
    left = Counter(c["kind"] for c in folder.claims if c["kind"] not in RECOMPUTE)
    return wrong, left, len(folder.claims) - sum(left.values())


def _words(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("*", ""))


def _is_long_list(claim: Claim, claims: Sequence[Claim]) -> bool:
    """Return whether a page names only the first of so many heads."""
    return sum(other.kind == claim.kind for other in claims) > 5


def main() -> None:
    """Print what differs in each folder, and exit with 1 if anything does."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    is_right = True
    for path in parser.parse_args().folders:
        wrong, left, count = faults(path)
        for words in wrong:
            print(f"{path}: {words}")
        names = ", ".join(f"{kind} ({number})" for kind, number in left.items()) or "nothing"
        print(f"{path}: {count} rows recomputed, {len(wrong)} differ; not in a table: {names}")
        is_right &= not wrong
    sys.exit(0 if is_right else 1)


if __name__ == "__main__":
    main()
