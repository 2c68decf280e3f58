"""Claims on a set of cases: the held-out choice, baselines, minimal pairs, bias, occupations."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.recompute import formulas
from benchmarks.recompute.folder import FOLDS, HEAD, Folder, Numbers, Row
from benchmarks.recompute.formulas import INFLATION, flips, studentized, wilson


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
        _NULL[key] = [_permuted(folder, parts, random) for _ in range(formulas.DRAWS)]
    reached = sum(found >= accuracy - 1e-9 for found in _NULL[key])
    return (reached + 1) / (formulas.DRAWS + 1)


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
    layer, head = map(int, HEAD.findall(subject)[0])
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


def of_stereotype(folder: Folder, claim: Row) -> Numbers | None:
    """Recompute the correlation over occupations that 80% of such sets would show.

    It is above the one that chance reaches in 5% of sets, with shares permuted anew.
    """
    held_out = folder.held_out
    if held_out is None or "occupation" not in held_out:
        return None
    known = held_out["occupation"].notna() & (held_out["gender"] != "neutral")
    rows, credits = held_out[known], folder.credits[known.to_numpy()]
    is_answer = rows["is_occupation"].astype(bool).to_numpy()
    chosen = np.where(is_answer[:, None], credits, 1 - credits)
    gaps, shares = [], []
    for name, place in rows.groupby("occupation").indices.items():
        gender = rows["gender"].to_numpy()[place]
        sides = [chosen[place[gender == one]] for one in ("female", "male")]
        gaps.append(_means(sides[0]) - _means(sides[1]))
        shares.append(float(rows.loc[rows["occupation"] == name, "share_of_women"].iloc[0]))
    random, table = np.random.default_rng(3), np.array(gaps)
    largest = [
        _most_correlated(table, random.permutation(shares)) for _ in range(10 * formulas.DRAWS)
    ]
    n = int((~np.isnan(gaps)).sum(0).max())
    found = {"n": n, "groups": len(gaps)}
    critical = float(np.quantile(largest, 0.95))
    if claim["kind"].startswith("no-"):
        return found
    # The quantile is known as well as draws of its density tell.
    near = np.quantile(largest, [0.90, 0.98])
    slack = formulas.DEVIATIONS * (near[1] - near[0]) / 0.08 * math.sqrt(0.05 * 0.95 / 1000)
    size = math.tanh(math.atanh(critical) + 0.8416212335729143 / math.sqrt(n - 3))
    return found | {"estimate": size, "slack of estimate": slack}


def _means(credits: np.ndarray) -> np.ndarray:
    n = (~np.isnan(credits)).sum(0)
    return np.where(n > 0, np.nansum(credits, axis=0) / np.maximum(n, 1), np.nan)


def _most_correlated(gaps: np.ndarray, shares: np.ndarray) -> float:
    """Return the size of the largest correlation of a column with the shares."""
    by_known: dict[bytes, list[int]] = {}
    for number, known in enumerate((~np.isnan(gaps)).T):
        by_known.setdefault(known.tobytes(), []).append(number)
    most = 0.0
    for known, columns in by_known.items():
        rows = np.frombuffer(known, dtype=bool)
        if rows.sum() >= formulas.FEWEST:
            some, of_some = gaps[rows][:, columns], shares[rows]
            some, of_some = some - some.mean(0), of_some - of_some.mean()
            sizes = np.sqrt((some**2).sum(0) * (of_some**2).sum())
            varied = sizes > 1e-9
            most = max(most, *np.abs(of_some @ some)[varied] / sizes[varied], 0.0)
    return most


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
    **dict.fromkeys(("differs", "no-differs"), of_bias),
    **dict.fromkeys(("detectable: stereotype", "no-detectable: stereotype"), of_stereotype),
}  # fmt: skip
