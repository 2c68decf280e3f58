"""Claims of a causal study: the ability of the model, effects, pairs, mediation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.recompute.folder import HEAD, Folder, Numbers, Row
from benchmarks.recompute.formulas import studentized, wilson
from benchmarks.recompute.rows import of_row
from introspect.statistics import fold_of_groups


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
    head = heads.index("L{}H{}".format(*HEAD.findall(claim["subject"])[0]))
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
    layer, head = map(int, HEAD.findall(claim["subject"])[0])
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


_EFFECT = {"estimate": "effect", "low": "ci_low", "high": "ci_high"}
_PAIR = {"estimate": "interaction", "low": "interaction_low", "high": "interaction_high",
         "p": "p_adjusted"}  # fmt: skip

#: What recomputes each kind of claim.
CAUSAL: dict[str, Callable[[Folder, Row], Numbers | None]] = {
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
}  # fmt: skip
