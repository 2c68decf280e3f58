"""Whether heads that pass nothing on are said to mediate, in models that do resolve their texts.

    python -m benchmarks.planted_mediation [--seeds 20] [--pairs 30] [--kinds chain backup]

The circuits are those of ``planted_circuits``: above chance by heads that are known, beside idle
ones that attend somewhere and write letters. Each text has a minimal pair, in which the two markers
change places. What a head passes on is measured by plain hooks over every text of the language: its
output is replaced by that of the pair. Then ``ix.mediation`` reads a few pairs, by outputs and by
attention weights: of all heads, and of those alone that pass nothing on, where any head that is
shown is a false one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch
from rich.console import Console
from rich.table import Table

import introspect as ix
from benchmarks.circuits.kinds import KINDS, Circuit, circuit
from benchmarks.circuits.language import Text, drawn, tokenizer
from benchmarks.circuits.plain import Place, PlainRun, patching_effects
from introspect.records import Kind
from introspect.studies.causal import MEDIATORS, Mediation
from introspect.text import CorefCase

#: A head passes nothing on if it is less than this share of the total effect.
SMALL = 0.01
#: Kinds whose answer follows from the markers; of the others a pair changes nothing.
MARKED = [kind for kind in KINDS if kind not in ("position reader", "nobody")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="circuits of each kind")
    parser.add_argument("--pairs", type=int, default=30, help="pairs that a study reads")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=MARKED)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = pd.DataFrame(
        row
        for seed in range(options.seeds)
        for kind in options.kinds
        for row in measured(circuit(kind, seed), options.pairs)
    )
    show(rows)


def measured(made: Circuit, pairs: int) -> list[dict[str, object]]:
    """Return what is said of a circuit by each mediator, and what is true of it."""
    share = passed_on(made)
    nothing = [place for place, value in share.items() if abs(value) < SMALL]
    model = ix.load((made.body.module, tokenizer()), lm_head=True)
    cases = paired(drawn(made.texts, pairs, made.seed))
    kind: Kind | None = "encoder" if made.body.writes else None
    found = []
    for through in MEDIATORS:
        every = ix.mediation(model, cases, through=through, kind=kind)
        alone = ix.mediation(model, cases, nothing, through=through, kind=kind) if nothing else None
        largest = most(every)
        found.append(
            {
                "kind": made.kind,
                "through": through,
                "named": largest is not None,
                "named truly": largest is not None and abs(share[largest]) >= SMALL,
                "idle": len(nothing),
                "idle shown": len(set(shown(every)) & set(nothing)),
                "any shown": None if alone is None else bool(shown(alone)),
                "width": widths(alone),
            }
        )
    return found


def paired(texts: Sequence[Text]) -> list[CorefCase]:
    """Return the cases of texts and of their minimal pairs, no pair twice."""
    found: dict[frozenset[tuple[str, ...]], list[CorefCase]] = {}
    for one in texts:
        both = one, one.with_markers_swapped
        name = f"pair {len(found)}"
        cases = [
            replace(text.case(f"{name}{v}"), group=name) for v, text in zip("ab", both, strict=True)
        ]
        found.setdefault(frozenset(text.words for text in both), cases)
    return [case for cases in found.values() for case in cases]


def passed_on(made: Circuit) -> dict[Place, float]:
    """Return the share of the total effect that each head passes on, over all texts."""
    run = PlainRun(made.body, made.texts)
    effects, total = patching_effects(run)
    size = max(abs(float(total.mean())), 1.0)
    shares = effects.mean(0) / size
    return {place: float(share) for place, share in zip(run.places, shares, strict=True)}


def widths(found: Mediation | None) -> float:
    """Return the median width of the intervals of heads, as a share of the total effect."""
    if found is None:
        return float("nan")
    table = found.heads
    return float(((table["indirect_high"] - table["indirect_low"]) / table["total"].abs()).median())


def shown(found: Mediation) -> list[Place]:
    """Return the heads of which a study shows that they mediate."""
    return list(zip(found.shown["layer"], found.shown["head"], strict=True))


def most(found: Mediation) -> Place | None:
    """Return the head that a study names: the one of those that passes most on."""
    table = found.heads.set_index(["layer", "head"])["indirect"]
    return max(shown(found), key=lambda place: table[place], default=None)


def show(rows: pd.DataFrame) -> None:
    """Print a table by kind and mediator."""
    table = Table(
        "kind", "by", "circuits", "named", "of these idle", "idle heads shown",
        "any of idle ones alone",
    )  # fmt: skip
    for (through, kind), some in [
        *rows.groupby(["through", "kind"]),
        *(((through, "all"), some) for through, some in rows.groupby("through")),
    ]:
        named = int(some["named"].sum())
        alone = some["any shown"].dropna().astype(bool)
        table.add_row(
            kind, through.replace("_", " "), str(len(some)), str(named),
            f"{named - int(some['named truly'].sum())}",
            f"{some['idle shown'].sum()} of {some['idle'].sum()}",
            f"{alone.mean():.1%} of {len(alone)}",
        )  # fmt: skip
    Console(width=120).print(table)
    by_outputs = rows.loc[rows["through"] == MEDIATORS[0], "width"].median()
    print(f"median interval of an idle head's effect: {by_outputs:.1%} of the total wide")


if __name__ == "__main__":
    main()
