"""The map of roles: every head's mean of one role at a time, and the heads with the largest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from introspect.page import Section
from introspect.studies.coreference import DIRECTIONS, Scores
from introspect.studies.heads import ATTENDS_TO, SCORES, HeadStudy
from introspect.views.base import layers_of, map_of
from introspect.views.palette import DIVERGING, SEQUENTIAL, themed

__all__ = [
    "grid_of",
    "known_roles_section",
    "role_map_section",
    "role_title",
    "score_map_section",
    "unit_of",
]

# All other roles are shares of a token's attention.
_UNITS = {"entropy": "bits", "distance": "tokens", "relative_entropy": "of the most"}


def unit_of(role: str) -> str:
    """Return the unit of a role: ``bits``, ``tokens``, ``of the most`` or ``of attention``."""
    return _UNITS.get(role, "of attention")


def role_title(role: str) -> str:
    """Return a role's name as words.

    Example:
        >>> role_title("before_2")
        '2 before'
    """
    side, _, places = role.partition("_")
    return f"{places} {side}" if places.isdecimal() else role.replace("_", " ")


def role_map_section(table: pd.DataFrame, roles: Mapping[str, str], first: str) -> Section:
    """Build the section of a page that shows the map.

    Args:
        table: of ``RolesAnalyzer.compute``.
        roles: the roles to choose from, each with a one-line description.
        first: the role that is shown first.
    """
    layers = sorted(int(layer) for layer in table["layer"].unique())
    return Section(
        kind="role-map",
        title="Every head",
        lead=(
            "Choose a role. A cell is the mean of a head over all tokens that count; colors run "
            "from 0 to the head that has most. Point at a head for its number."
        ),
        state={
            "layers": layers,
            "numHeads": int(table["head"].max()) + 1,
            "scale": themed(SEQUENTIAL),
            "first": first,
            "roles": [
                {
                    "name": role,
                    "title": role_title(role),
                    "words": words,
                    "unit": unit_of(role),
                    "values": grid_of(table, role, layers),
                    "counts": grid_of(table, f"n_{role}", layers),
                }
                for role, words in roles.items()
            ],
        },
    )


def grid_of(table: pd.DataFrame, column: str, layers: list[int]) -> list[list[Any]]:
    """Return a column as layers × heads; ``None`` where there is no number."""
    return [
        [_known(value) for value in table[table["layer"] == layer].sort_values("head")[column]]
        for layer in layers
    ]


def _known(value: float) -> float | int | None:
    if math.isnan(value):
        return None
    return int(value) if float(value).is_integer() else round(float(value), 6)


def known_roles_section(study: HeadStudy) -> Section | None:
    """Build the section of a page that shows the map; ``None`` where no score is known.

    Args:
        study: the study of heads.
    """
    table = study.roles
    layers = sorted(int(layer) for layer in table["layer"].unique())
    known = [name for name in SCORES if table[name].notna().any()]
    if not known:
        return None
    return Section(
        kind="role-map",
        title="Every head",
        lead=(
            "Choose a role. A cell is a head’s score for it, the mean over the random sequences; "
            "colors run from 0 to all of its attention. Framed heads have the role. Point at a "
            "head for its number."
        ),
        state={
            "layers": layers,
            "numHeads": int(table["head"].max()) + 1,
            "scale": themed(SEQUENTIAL),
            "first": _first(study, known),
            "roles": [
                {
                    "name": name,
                    "title": SCORES[name],
                    "words": f"attention to {ATTENDS_TO[name]}",
                    "unit": "of attention",
                    "counted": "sequences",
                    "most": 1,
                    "values": grid_of(table, name, layers),
                    "low": grid_of(table, f"{name}_ci_low", layers),
                    "high": grid_of(table, f"{name}_ci_high", layers),
                    "counts": grid_of(table, "n_sequences", layers),
                    "framed": [
                        [layers.index(head.layer), head.head] for head in study.called(SCORES[name])
                    ],
                }
                for name in known
            ],
        },
    )


def _first(study: HeadStudy, known: list[str]) -> str:
    """Return the rarest of the roles that were found, or else the first score."""
    found = [name for name in known if study.called(SCORES[name])]
    return found[-1] if found else known[0]


_COLUMNS = ("accuracy", "ci_low", "ci_high", "p_value", "p_adjusted", "n", "raw_accuracy")


def score_map_section(scores: Scores) -> Section:
    """Build the section of a page that shows the map."""
    heads = scores.heads
    layers, num_heads = layers_of(heads)
    columns = [name for name in _COLUMNS if name in heads]
    return Section(
        kind="score-map",
        title="Every head",
        lead=(
            "The share of cases in which each head prefers the antecedent, less what chance "
            "gives: blue is more, orange less. Framed heads are right more often than the best of "
            "all heads on relabeled cases (adjusted p below 0.05). Point at a head for its "
            "numbers."
        ),
        state={
            "layers": layers,
            "numHeads": num_heads,
            "scale": themed(DIVERGING),
            "chance": _chance(scores),
            "directions": {
                name: map_of(heads[heads["direction"] == name], columns, layers, num_heads)
                for name in DIRECTIONS
            },
            "first": _first_score_map(scores),
        },
    )


def _chance(scores: Scores) -> float:
    found = scores.baselines.set_index("baseline")["accuracy"]
    return float(found["random"])


def _first_score_map(scores: Scores) -> dict[str, Any]:
    """Return the head that is shown first."""
    if choice := scores.choice:
        return {"layer": choice.head.layer, "head": choice.head.head, "direction": choice.direction}
    return {"layer": int(scores.heads["layer"].iloc[0]), "head": 0, "direction": DIRECTIONS[0]}
