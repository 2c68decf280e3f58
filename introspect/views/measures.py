"""Numbers of every head, for the strip of heads to be colored by."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from introspect.page import Measure
from introspect.studies.coreference import Scores
from introspect.views.base import layers_of, map_of


def accuracy_measures(scores: Scores) -> list[Measure]:
    """Return how often each head is right, by direction; that of the chosen head comes first."""
    table = scores.heads
    if table.dropna(subset=["accuracy"]).empty:
        return []
    directions = list(dict.fromkeys(table.dropna(subset=["accuracy"])["direction"]))
    if (choice := scores.choice) is not None:
        directions.sort(key=lambda name: name != choice.direction)
    chance = float(scores.baselines.set_index("baseline")["accuracy"]["random"])
    layers, num_heads = layers_of(table)
    measures = []
    for name in directions:
        values = map_of(table[table["direction"] == name], ["accuracy"], layers, num_heads)
        label = f"accuracy, {name.replace('_', ' ')}"
        measures.append(Measure(f"accuracy-{name}", label, values["accuracy"], 0.0, chance, 1.0))
    return measures


def effect_measures(heads: pd.DataFrame, unit: str) -> list[Measure]:
    """Return the effect of ablating each head, where any was measured.

    Args:
        heads: the table of a causal study.
        unit: what effects are counted in.
    """
    largest = float(heads["effect"].abs().max())
    if not largest > 0:
        return []
    layers, num_heads = layers_of(heads)
    values = map_of(heads, ["effect"], layers, num_heads)["effect"]
    return [Measure("effect", f"effect in {unit}", values, -largest, 0.0, largest)]


def share_measures(
    table: pd.DataFrame, labels: Mapping[str, str], middles: Mapping[str, float] | None = None
) -> list[Measure]:
    """Return the columns of a table of heads that hold shares, those without a number left out.

    Args:
        table: a row for each head.
        labels: what each column is, in words, the one shown first before the others.
        middles: the share without a color, where it is not 0.
    """
    known = {name: label for name, label in labels.items() if table[name].notna().any()}
    layers, num_heads = layers_of(table)
    values = map_of(table, list(known), layers, num_heads)
    middles = middles or {}
    return [
        Measure(name, label, values[name], 0.0, middles.get(name, 0.0), 1.0)
        for name, label in known.items()
    ]
