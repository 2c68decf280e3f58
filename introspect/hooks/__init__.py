"""Watching a model attend: one idea a file.

``capturing`` runs a model once; ``streaming`` hands each layer on as it comes; ``interface`` is the
way in, ``watchers`` say what is kept of each attention, ``observation`` sorts it by kind and layer,
``own_output`` and ``products`` find it in models that bypass the interface, ``projection`` follows
it to the layer after it and ``blocks`` to the end of its block, ``derived`` makes what follows from
both, ``borrowing`` puts the model back as it was, and ``certificate`` proves the result.
``generating`` does the same while a model writes. ``graph`` runs a model with its weights in the
graph, for ``gradients`` and, by Captum, ``integrating``; ``gates`` multiply what heads give on, and
say how a loss changes with it.

``editing`` changes what an attention computes, in models that bypass the interface by
``product_editing``; ``layout`` says which attentions a model has.
"""

from introspect.hooks.capturing import PARTS, Captured, capture, find_projections
from introspect.hooks.certificate import verify
from introspect.hooks.gates import gate_gradients, gated, open_gates
from introspect.hooks.generating import NEW_TOKENS, capture_generation
from introspect.hooks.gradients import (
    GRADIENT_PARTS,
    Objective,
    capture_gradients,
    with_gradients,
)
from introspect.hooks.integrating import STEPS
from introspect.hooks.projection import Projection

__all__ = [
    "GRADIENT_PARTS",
    "NEW_TOKENS",
    "PARTS",
    "STEPS",
    "Captured",
    "Objective",
    "Projection",
    "capture",
    "capture_generation",
    "capture_gradients",
    "find_projections",
    "gate_gradients",
    "gated",
    "open_gates",
    "verify",
    "with_gradients",
]
