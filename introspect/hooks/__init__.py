"""Capture, differentiate and edit the attention that a model computes.

``capturing`` keeps the results of one run (``captured``); ``streaming`` hands each layer over as it
is computed; ``running`` performs the run with its ``arguments``. ``interface`` hooks into the
attention interface, ``watchers`` select what to keep of each attention, ``observation`` sorts it by
kind and layer, ``own_output`` and ``products`` find it in models that bypass the interface,
``borrowing`` restores the model, and ``certificate`` verifies the result. ``generating`` captures a
model while it generates; ``layout`` lists the attentions of a model.

Three subpackages build on these: ``following`` traces the heads' outputs through the block,
``differentiating`` computes how a number changes with the weights, and ``editing`` changes what an
attention computes.
"""

from introspect.hooks.capture import PARTS, capture, find_projections
from introspect.hooks.captured import Captured
from introspect.hooks.certificate import verify
from introspect.hooks.downstream.projection import Projection
from introspect.hooks.edits.gates import gate_gradients, gated, open_gates
from introspect.hooks.generation import NEW_TOKENS, capture_generation
from introspect.hooks.gradients.gradients import (
    GRADIENT_PARTS,
    STEPS,
    Objective,
    capture_gradients,
    with_gradients,
)

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
