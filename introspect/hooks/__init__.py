"""Watching a model attend: one idea a file.

``capturing`` keeps what one run gives, ``captured``; ``streaming`` hands each layer on as it comes;
``running`` is that run, with its ``arguments``. ``interface`` is the way in, ``watchers`` say what
is kept of each attention, ``observation`` sorts it by kind and layer, ``own_output`` and
``products`` find it in models that bypass the interface, ``borrowing`` puts the model back as it
was, and ``certificate`` proves the result. ``generating`` does the same while a model writes;
``layout`` says which attentions a model has.

Three rooms lead on: ``following`` goes to what becomes of the heads' outputs, ``differentiating``
to how a number changes with the weights, and ``editing`` changes what an attention computes.
"""

from introspect.hooks.captured import Captured
from introspect.hooks.capturing import PARTS, capture, find_projections
from introspect.hooks.certificate import verify
from introspect.hooks.differentiating.gradients import (
    GRADIENT_PARTS,
    Objective,
    capture_gradients,
    with_gradients,
)
from introspect.hooks.differentiating.integrating import STEPS
from introspect.hooks.editing.gates import gate_gradients, gated, open_gates
from introspect.hooks.following.projection import Projection
from introspect.hooks.generating import NEW_TOKENS, capture_generation

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
