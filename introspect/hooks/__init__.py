"""Watching a model attend: one idea a file.

``capturing`` runs a model once; ``streaming`` hands each layer on as it comes; ``interface`` is the
way in, ``watchers`` say what is kept of each attention, ``observation`` sorts it by kind and layer,
``own_output`` and ``products`` find it in models that bypass the interface, ``projection`` follows
it to the layer after it, ``borrowing`` puts the model back as it was, and ``certificate`` proves
the result. ``generating`` does the same while a model writes. ``gates`` multiply what heads give
on, and say how a loss changes with it.
"""

from introspect.hooks.capturing import PARTS, Captured, capture, find_projections
from introspect.hooks.certificate import verify
from introspect.hooks.gates import gate_gradients, gated, open_gates
from introspect.hooks.generating import NEW_TOKENS, capture_generation
from introspect.hooks.projection import Projection

__all__ = [
    "NEW_TOKENS",
    "PARTS",
    "Captured",
    "Projection",
    "capture",
    "capture_generation",
    "find_projections",
    "gate_gradients",
    "gated",
    "open_gates",
    "verify",
]
