"""The map of roles: every head's mean of one role at a time, and the heads with the largest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from introspect.page import Section
from introspect.views.palette import SEQUENTIAL, themed

__all__ = ["grid_of", "role_map_section", "role_title", "unit_of"]

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
            "Choose a role. A cell is the mean of a head over all tokens that count; colours run "
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
