"""Tables of causal effects with known outcomes."""

from __future__ import annotations

import math

import pandas as pd

from introspect.studies.causal.verdicts import verdicts_of

# Layer, head, effect, control, adjusted p, attention accuracy, its adjusted p, attention margin.
ROWS = [
    (0, 0, 2.0, 0.1, 0.001, 0.50, 1.0, 0.01),  # supports, and does not look
    (0, 1, 0.1, 2.0, 1.0, 0.52, 1.0, 0.02),  # neither
    (3, 0, 1.5, -0.2, 0.004, 0.96, 0.001, 0.41),  # both
    (3, 1, -0.2, 1.5, 1.0, 0.90, 0.001, 0.30),  # looks, and does not matter
]
NAN = math.nan


def table_of(rows=ROWS, **attrs) -> pd.DataFrame:
    made = [
        {
            "layer": layer,
            "head": head,
            "effect": effect,
            "ci_low": effect - 0.3,
            "ci_high": effect + 0.2,
            "control": control,
            "difference": effect - control,
            "difference_low": effect - control - 0.4,
            "difference_high": effect - control + 0.4,
            "p_value": p,
            "p_adjusted": p,
            "detectable": 0.8,
            "verdict": verdicts_of([effect], [p], smallest=0.02, is_able=True)[0],
            "accuracy": 0.9,
            "accuracy_without": 0.6,
            "n": 40,
            "num_controls": 1,
            "attention_accuracy": looks,
            "attention_weight": looks / 2,
            "attention_margin": margin,
            "attention_p_adjusted": looks_p,
            "attention_rival": "nearest",
            "attention_ratio": 4.0,
            "attends": looks_p < 0.05,
        }
        for layer, head, effect, control, p, looks, looks_p, margin in rows
    ]
    table = pd.DataFrame(made)
    table.attrs = {
        "metric": "pseudo-likelihood",
        "metric_words": "the mean log-probability of the candidate’s tokens",
        "unit": "nats",
        "is_surrogate": False,
        "method": "zero",
        "chance": 0.5,
        "smallest_effect": 0.02,
        "model": "a model",
        **attrs,
    }
    return table


SURROGATE = {
    "metric": "surrogate",
    "metric_words": "a surrogate, not the model’s answer: a cosine",
    "unit": "cosine",
    "is_surrogate": True,
}


def without_tests(rows=ROWS) -> pd.DataFrame:
    """As of too few groups: no intervals, no p-values."""
    table = table_of(rows)
    for name in ("ci_low", "ci_high", "difference_low", "difference_high"):
        table[name] = NAN
    table[["p_value", "p_adjusted", "detectable", "attention_p_adjusted"]] = NAN
    table["verdict"] = "no verdict"
    table["attends"] = False
    return table
