"""Interventions on a model's attention, to measure their effect on the model's answer.

``ablation`` ablates heads, ``patching`` inserts activations of another input, and ``edges`` removes
single query-key edges. ``targets`` selects heads, ``references`` runs the inputs that values are
taken from, and ``intervening`` opens and closes every intervention.
"""

from introspect.interventions.ablation import METHODS, ablate, scale
from introspect.interventions.edges import edges_between, knock_out
from introspect.interventions.intervention import Intervention, intervene
from introspect.interventions.patches import patch

__all__ = [
    "METHODS",
    "Intervention",
    "ablate",
    "edges_between",
    "intervene",
    "knock_out",
    "patch",
    "scale",
]
