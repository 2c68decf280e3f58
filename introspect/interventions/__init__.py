"""Changing what a model computes while it attends, to see what it does to the model's answer.

``ablation`` takes heads out, ``patching`` puts in what another input gives, ``edges`` cuts single
queries off from single keys. ``targets`` says which heads are meant, ``references`` runs the inputs
that others are compared with, and ``intervening`` is what all of them go through.
"""

from introspect.interventions.ablation import METHODS, ablate, scale
from introspect.interventions.edges import edges_between, knock_out
from introspect.interventions.intervening import Intervention, intervene
from introspect.interventions.patching import patch

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
