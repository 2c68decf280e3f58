"""Claims of a causal study: the ability of the model, effects, pairs, mediation."""

from __future__ import annotations

import json
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


def of_chance(folder: Folder, claim: Row) -> Numbers:
    """Read the accuracy of a blind choice among the candidates."""
    table = folder.table("baselines.csv")
    assert table is not None, "no baselines.csv"
    return {"estimate": float(table.loc[table["baseline"] == "random", "accuracy"].iloc[0])}


def of_no_effect(folder: Folder, claim: Row) -> Numbers:
    """Recompute the effect that would have been found: the median over heads, or the floor."""
    table = folder.table("effects.csv")
    assert table is not None, "no effects.csv"
    margins, _, groups = _effects(folder, "margin")
    smallest = 0.01 * float(np.abs(margins[:, 0]).mean())
    found = float(table["detectable"].median())
    large = table.loc[table["effect"].abs() >= smallest, "p_adjusted"]
    numbers = {"n": len(margins), "groups": len(set(groups))}
    if len(large):
        numbers["p"] = float(large.min())
    return numbers if math.isnan(found) else numbers | {"estimate": max(found, smallest)}


def of_heads(folder: Folder, claim: Row) -> Numbers:
    """Count the heads of the study."""
    table = folder.table("effects.csv")
    assert table is not None, "no effects.csv"
    return {"estimate": len(table)}


def of_attending_heads(folder: Folder, claim: Row) -> Numbers:
    """Count the heads that attend to the antecedent."""
    table = folder.table("effects.csv")
    assert table is not None, "no effects.csv"
    return {"estimate": int(table["attends"].sum())}


def of_asked(folder: Folder, claim: Row) -> Numbers:
    """Count the cases that were asked, and their groups."""
    values, _, groups = _effects(folder)
    return {"n": len(values), "groups": len(set(groups))}


def of_set(folder: Folder, claim: Row) -> Numbers:
    """Read a figure of the small set of heads from the summary: no table has its runs."""
    found, kind = folder.summary["smallest"], claim["kind"].removeprefix("no-")
    what = {
        "faithful": ("faithfulness", "low", "high"), "faithful: random": ("random",),
        "faithful: total": ("total", "total_low", "total_high"),
        "faithfulness": ("faithfulness", "low", "high"),
        "faithfulness: left": ("incompleteness", "incompleteness_low", "incompleteness_high"),
        "as-faithful": ("as_faithful",), "needed": (),
    }  # fmt: skip
    if kind == "faithful: heads":
        return {"estimate": len(found["heads"])}
    if kind == "faithful: wanted":
        plan = json.loads((folder.path / "run.json").read_text(encoding="utf-8"))["plan"]
        return {"estimate": plan["share"]}
    if kind == "needed":
        assert claim["subject"] == ", ".join(found["needless"]), "other heads are needless"
    fields = zip(("estimate", "low", "high"), what[kind], strict=False)
    n = found["num_random"] if kind == "as-faithful" else found["n"]
    numbers = {field: found[name] for field, name in fields if found[name] is not None}
    return numbers | {"n": n}


def of_no_mediation(folder: Folder, claim: Row) -> Numbers:
    """Count the heads of which none is shown to pass anything on, or read the total."""
    if claim["kind"].endswith("heads"):
        table = folder.table("mediation.csv")
        assert table is not None, "no mediation.csv"
        return {"estimate": len(table)}
    return of_total(folder, claim)


def of_mediation_by_weights(folder: Folder, claim: Row) -> Numbers:
    """Read the effect through the attention weights of a head from the summary."""
    layer, head = map(int, HEAD.findall(claim["subject"])[0])
    rows = folder.summary["minimal_pairs"]["by_weights"]
    row = next(row for row in rows if (row["layer"], row["head"]) == (layer, head))
    names = {"estimate": "indirect", "low": "indirect_low", "high": "indirect_high",
             "p": "p_adjusted", "groups": "n"}  # fmt: skip
    return {field: row[name] for field, name in names.items()}


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
    layers = np.array([int(HEAD.findall(head)[0][0]) for head in heads])
    effects, control = np.empty(len(values)), np.full(len(values), np.nan)
    for number in (0, 1):
        training = wide[half != number]
        means = [float(np.nanmean(column)) for column in training.T]
        best = means.index(max(means))
        others = (layers == layers[best]) & (np.arange(len(heads)) != best)
        effects[half == number] = values[half == number, best]
        if others.any():
            control[half == number] = values[half == number][:, others].mean(1)
    if claim["kind"].endswith("control"):
        return {"estimate": float(np.nanmean(control))}
    values_of = effects - control if claim["kind"].endswith("difference") else effects
    low, high, slack = studentized(list(values_of), groups)
    return {"estimate": float(np.nanmean(values_of)), "low": low, "high": high, "slack": slack}


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
    **{f"chosen: {side}{end}": of_chosen_head for side in ("above 0", "below 0", "no effect")
       for end in ("", ": control", ": difference")},
    **dict.fromkeys(("able: by chance", "no-able: by chance"), of_chance),
    "no-effect": of_no_effect,
    **dict.fromkeys(("no-effect: heads", "no-supports: heads"), of_heads),
    "no-chooses: attends": of_attending_heads,
    **dict.fromkeys(("no-supports", "no-verdict", "no-attends"), of_asked),
    **dict.fromkeys((f"{start}{kind}" for start in ("", "no-") for kind in (
        "faithful", "faithful: heads", "faithful: random", "faithful: wanted", "faithful: total")),
        of_set),
    **dict.fromkeys(("faithfulness", "faithfulness: left", "as-faithful", "no-needed"), of_set),
    **dict.fromkeys(("no-mediates", "no-mediates: heads"), of_no_mediation),
    "mediates by attention weights": of_mediation_by_weights,
    "attends: ratio": of_ratio,
    **{f"depends: {m}": of_row("methods.csv", method=m, **_EFFECT)
       for m in ("zero", "mean", "resample", "uniform")},
    **dict.fromkeys(("redundant", "overlap", "joint"), of_row("pairs.csv", **_PAIR)),
    **{f"{k}: {w}": of_row("pairs.csv", estimate=c) for k in ("redundant", "overlap", "joint")
       for w, c in (("both", "effect"), ("alone", "alone"))},
}  # fmt: skip
