"""Interventions on a model's attention, to measure their effect on the model's answer.

``ablation`` ablates heads, ``patches`` inserts activations of another input, and ``edges`` removes
single query-key edges. ``targets`` selects heads, ``references`` runs the inputs that values are
taken from, and ``intervention`` opens and closes every intervention.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
