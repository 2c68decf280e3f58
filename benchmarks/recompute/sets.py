"""Claims on a set of cases: the held-out choice, baselines, minimal pairs, bias, occupations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.recompute import formulas
from benchmarks.recompute.folder import FOLDS, HEAD, Folder, Numbers, Row
from benchmarks.recompute.formulas import INFLATION, flips, studentized, wilson
from benchmarks.recompute.linear import of_linear


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
    if not folder.has_two_candidates:
        return math.nan  # other labelings are not in the table
    accuracies = np.mean([one.accuracies for one in permuted(folder)], axis=0)
    reached = (accuracies >= accuracy - 1e-9).sum()
    return float((reached + 1) / (formulas.DRAWS + 1))


class Null(NamedTuple):
    """The choice in one division, repeated with candidates swapped.

    Args:
        accuracies: held out, ``(num_draws,)``.
        training: of the chosen head on the other folds, ``(num_draws, num_folds)``.
        held_out: the sum of its credits in the fold, the same shape.
    """

    accuracies: np.ndarray
    training: np.ndarray
    held_out: np.ndarray


def permuted(folder: Folder) -> list[Null]:
    """Return the choice of each division, with the candidates of whole groups swapped."""
    if "null" not in folder.__dict__:
        random = np.random.default_rng(5)
        groups = folder.index.max() + 1
        swapped = random.integers(2, size=(formulas.DRAWS, groups))[:, folder.index] == 1
        folder.__dict__["null"] = [
            Null(*map(np.array, zip(*(_permuted(folder, part, each) for each in swapped),
                                    strict=True)))
            for part in (np.eye(FOLDS)[fold].T for fold in folder.divisions)
        ]  # fmt: skip
    found: list[Null] = folder.__dict__["null"]
    return found


def _permuted(
    folder: Folder, part: np.ndarray, swapped: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    credits = np.where(swapped[:, None], 1 - folder.credits, folder.credits)
    sums, n = part @ credits, part @ np.ones_like(credits)
    training = (sums.sum(0) - sums) / (n.sum(0) - n)
    best, folds = training.argmax(1), np.arange(FOLDS)
    held_out = sums[folds, best]
    return held_out.sum() / n[folds, best].sum(), training[folds, best], held_out


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
    layer, head = map(int, HEAD.findall(subject)[0])
    direction = subject.split(", ")[1].replace(" ", "_")
    return folder.heads.index((direction, layer, head))


def shifts_of(folder: Folder) -> tuple[np.ndarray, np.ndarray, list[str]]:
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
    shifts, _, pairs = shifts_of(folder)
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
    _, both, _ = shifts_of(folder)
    return {"estimate": float(np.nanmean(both[:, _column(folder, claim["subject"])]))}


def of_norms(folder: Folder, claim: Row) -> Numbers:
    """Read the accuracy of a head by norms or by raw weights, or the best by raw weights."""
    table = folder.table("heads.parquet")
    assert table is not None, "no heads.parquet"
    direction, layer, head = folder.heads[_column(folder, claim["subject"])]
    rows = table[(table["layer"] == layer) & (table["head"] == head)]
    row = rows[rows["direction"] == direction].iloc[0]
    if claim["kind"] == "by-norms":
        return {"estimate": float(row["accuracy"])}
    if claim["kind"].endswith("best by raw"):
        assert row["raw_accuracy"] == table["raw_accuracy"].max(), "another head is best"
    return {"estimate": float(row["raw_accuracy"])}


def of_above_chance(folder: Folder, claim: Row) -> Numbers:
    """Count the heads and directions with an adjusted p below 0.05 in the table of heads."""
    table = folder.table("heads.csv")
    assert table is not None, "no heads.csv"
    return {"estimate": int((table["p_adjusted"] < 0.05).sum())}


def of_groups(folder: Folder, claim: Row) -> Numbers:
    """Count the groups of cases that offer a choice."""
    cases = folder.cases[folder.cases["credit"].notna()]
    return {"estimate": cases["group"].nunique(), "groups": cases["group"].nunique()}


#: What recomputes each kind of claim.
SETS: dict[str, Callable[[Folder, Row], Numbers | None]] = {
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
    **dict.fromkeys(("by-norms", "by-norms: raw", "by-norms: best by raw"), of_norms),
    "no-chooses: heads above chance": of_above_chance,
    **dict.fromkeys(("linear-probe", *(f"linear-probe: {name}" for name in (
        "permuted labels", "control task", "code", "uniform code", "random weights"))), of_linear),
    "too-few": of_groups,
}  # fmt: skip
