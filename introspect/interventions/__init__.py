"""Interventions on a model's attention, to measure their effect on the model's answer.

``ablation`` ablates heads, ``patching`` inserts activations of another input, and ``edges`` removes
single query-key edges. ``targets`` selects heads, ``references`` runs the inputs that values are
taken from, and ``intervening`` opens and closes every intervention.
"""

from introspect.interventions.ablation import METHODS, NEEDS_REFERENCE, Ablations, ablate, scale
from introspect.interventions.edges import edges_between, knock_out
from introspect.interventions.intervention import Intervention, intervene, module_of
from introspect.interventions.patches import patch, patched
from introspect.interventions.references import run_parts
from introspect.interventions.targets import (
    HeadsByLayer,
    checked_kind,
    heads_by_layer,
    names_of_heads,
)

__all__ = [
    "METHODS",
    "NEEDS_REFERENCE",
    "Ablations",
    "HeadsByLayer",
    "Intervention",
    "ablate",
    "checked_kind",
    "edges_between",
    "heads_by_layer",
    "intervene",
    "knock_out",
    "module_of",
    "names_of_heads",
    "patch",
    "patched",
    "run_parts",
    "scale",
]
