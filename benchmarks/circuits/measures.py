"""How verdicts compare with the truth: one row for each circuit, method and head, then figures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from benchmarks.circuits.kinds import KINDS, Circuit, circuit
from benchmarks.circuits.language import drawn
from benchmarks.circuits.methods import METHODS, OURS, Verdicts, changed_runs
from benchmarks.circuits.plain import PlainRun
from benchmarks.circuits.truth import Truth, truth_of

_MATTERS = ("supports", "opposes", "redundant")


@dataclass(frozen=True)
class Size:
    """How large a run is.

    Args:
        cases: the texts that a study reads of each circuit.
        most_heads: heads of a model at most.
        repeated: seeds whose studies are repeated with another seed, order and batch size.
        methods: the methods that are scored.
        kept: a folder for the truth of circuits, which takes the longest; it is read where it is
            there, and holds for the code that it was measured with.
    """

    cases: int = 60
    most_heads: int = 16
    repeated: int = 2
    methods: tuple[str, ...] = tuple(METHODS)
    kept: Path | None = None


def measured(kind: str, seed: int, size: Size) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Build a circuit, measure its truth, and ask every method.

    Returns:
        Verdicts, one row for each method and head; and whether our verdicts stay when what should
        not matter is changed, one row for each change.
    """
    made = circuit(kind, seed, most_heads=size.most_heads)
    truth = _truth(made, size)
    texts = drawn(made.texts, size.cases, seed)
    run = PlainRun(made.body, texts)
    rows = pd.concat(
        [_rows(made, truth, name, METHODS[name](run)) for name in size.methods], ignore_index=True
    )
    return rows, _repeated(made, run, seed) if seed < size.repeated else pd.DataFrame()


def _truth(made: Circuit, size: Size) -> Truth:
    """Measure the truth, or read it where it was kept."""
    if size.kept is None:
        return truth_of(made)
    file = size.kept / f"{made.kind}-{made.seed}-{size.most_heads}.json".replace(" ", "-")
    if not file.exists():
        truth = vars(truth_of(made))
        kept = {**truth, "heads": truth["heads"].to_dict("records")}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(kept), encoding="utf-8")
    read = json.loads(file.read_text(encoding="utf-8"))
    return Truth(**{**read, "heads": pd.DataFrame(read["heads"])})


def _rows(made: Circuit, truth: Truth, method: str, verdicts: Verdicts) -> pd.DataFrame:
    nothing = np.full(len(truth.heads), np.nan)
    return truth.heads.assign(
        kind=made.kind,
        seed=made.seed,
        model=made.name,
        scale=truth.scale,
        method=method,
        says=verdicts.says,
        score=verdicts.score,
        says_attends=nothing if verdicts.attends is None else verdicts.attends,
        low=nothing if verdicts.low is None else verdicts.low,
        high=nothing if verdicts.high is None else verdicts.high,
    )


def _repeated(made: Circuit, run: PlainRun, seed: int) -> pd.DataFrame:
    studies = changed_runs(made.body, run.texts, seed)
    first = studies.pop("as it is")
    return pd.DataFrame(
        {
            "kind": made.kind,
            "seed": seed,
            "change": name,
            "same": bool(first.equals(other)),
            "same_heads": float((first == other).all(axis=1).mean()),
        }
        for name, other in studies.items()
    )


def is_right(rows: pd.DataFrame) -> pd.Series:
    """Say of each row whether a head that matters was named, and with the right sign if with one.

    A head whose loss another makes up for is named by ``supports`` as well, and the other way
    round: both say that the answer is helped by it.
    """
    helps = ("supports", "redundant")
    both_help = rows["says"].isin(helps) & rows["does"].isin(helps)
    is_same = (rows["says"] == rows["does"]) | both_help | (rows["says"] == "matters")
    return rows["does"].isin(_MATTERS) & is_same


def figures(rows: pd.DataFrame) -> dict[str, Any]:
    """Compute the figures of one method.

    Args:
        rows: its rows; heads between the two sides are left out.

    Returns:
        Shares from 0 to 1, NaN where nothing is to be counted: ``false`` of idle heads,
        ``missed`` of heads that matter, precision, recall, auroc, attends_false, attends_missed,
        nobody (circuits without a head that matters in which one is named), coverage, and counts.
    """
    known = rows[rows["does"] != "between"]
    matters, named = known["does"].isin(_MATTERS), known["says"] != ""
    right = is_right(known)
    nobody = [
        (circuit_rows["says"] != "").any()
        for _, circuit_rows in known.groupby(["kind", "seed"])
        if (circuit_rows["does"] == "idle").all()
    ]
    return {
        "false": _mean(named[~matters]),
        "missed": 1 - _mean(right[matters]),
        "precision": _mean(right[named]),
        "recall": _mean(right[matters]),
        "auroc": _auroc(known),
        "nobody": _mean(nobody),
        **_of_attending(rows),
        "coverage": _coverage(rows),
        "idle heads": int((~matters).sum()),
        "heads that matter": int(matters.sum()),
        "circuits without": len(nobody),
        "between": int((rows["does"] == "between").sum()),
    }


def _of_attending(rows: pd.DataFrame) -> dict[str, Any]:
    known = rows[rows["attends"].notna() & rows["says_attends"].notna()]
    truth, says = known["attends"].astype(bool), known["says_attends"].astype(bool)
    return {
        "attends_false": _mean(says[~truth]),
        "attends_missed": 1 - _mean(says[truth]),
        "heads that attend": int(truth.sum()),
    }


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _auroc(rows: pd.DataFrame) -> float:
    """Return how often a head that matters ranks above an idle one, the mean over circuits."""
    found = []
    for _, one in rows.groupby(["kind", "seed"]):
        matters = one["does"].isin(_MATTERS).to_numpy()
        count = int(matters.sum())
        if 0 < count < len(one):
            ranks = rankdata(one["score"].to_numpy())
            above = ranks[matters].sum() - count * (count + 1) / 2
            found.append(above / (count * (len(one) - count)))
    return _mean(found)


def _coverage(rows: pd.DataFrame) -> float:
    """Return how often an interval holds the true effect; float sums are allowed their error."""
    known = rows[rows["low"].notna()]
    error = 1e-4 * known["scale"]
    holds = (known["low"] - error <= known["effect"]) & (known["effect"] <= known["high"] + error)
    return _mean(holds)


def summary(rows: pd.DataFrame, repeated: pd.DataFrame) -> dict[str, Any]:
    """Compute everything that is reported: by method, ours by kind and by side, and stability."""
    own = rows[rows["method"] == OURS]
    mattering = own["does"].isin(_MATTERS)
    return {
        "circuits": int(rows.groupby(["kind", "seed"]).ngroups),
        "methods": {
            name: figures(rows[rows["method"] == name]) for name in rows["method"].unique()
        },
        "kinds": {
            kind: figures(own[own["kind"] == kind]) for kind in KINDS if (own["kind"] == kind).any()
        },
        "coverage": {
            "heads that matter": _coverage(own[mattering]),
            "idle heads": _coverage(own[own["does"] == "idle"]),
        },
        "stability": {
            name: {"studies": _mean(of["same"]), "heads": _mean(of["same_heads"]), "n": len(of)}
            for name, of in (repeated.groupby("change") if len(repeated) else ())
        },
    }


def mistakes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in which a verdict or a word on attending is wrong."""
    known = rows["does"] != "between"
    wrong = known & np.where(
        rows["does"].isin(_MATTERS), ~is_right(rows), rows["says"] != ""
    ).astype(bool)
    told = rows["attends"].notna() & rows["says_attends"].notna()
    attends = told & (rows["attends"].astype(bool) != rows["says_attends"].astype(bool))
    columns = ["model", "layer", "head", "role", "effect", "scale", "does", "says", "attends",
               "says_attends", "low", "high"]  # fmt: skip
    return rows.loc[wrong | attends, columns]
