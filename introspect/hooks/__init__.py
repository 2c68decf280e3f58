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

from introspect.hooks.arguments import placed, run_arguments, same_output
from introspect.hooks.capture import PARTS, capture, find_projections, stream
from introspect.hooks.captured import Captured
from introspect.hooks.certificate import verify
from introspect.hooks.downstream.projection import Projection
from introspect.hooks.edits.editors import AttentionEditor, editor_of
from introspect.hooks.edits.edits import EDITABLE, Change, Edit, Visible
from introspect.hooks.edits.gates import Place, gate_gradients
from introspect.hooks.generation import NEW_TOKENS, capture_generation
from introspect.hooks.gradients.gradients import (
    GRADIENT_PARTS,
    STEPS,
    Objective,
    capture_gradients,
    with_gradients,
)
from introspect.hooks.interface import IMPLEMENTATION, unedited
from introspect.hooks.layout import AttentionLayout, HeadCount, attention_layout
from introspect.hooks.loans import borrowed_attention, without_dropout
from introspect.hooks.rows import RowsNotRecomputableError

__all__ = [
    "EDITABLE",
    "GRADIENT_PARTS",
    "IMPLEMENTATION",
    "NEW_TOKENS",
    "PARTS",
    "STEPS",
    "AttentionEditor",
    "AttentionLayout",
    "Captured",
    "Change",
    "Edit",
    "HeadCount",
    "Objective",
    "Place",
    "Projection",
    "RowsNotRecomputableError",
    "Visible",
    "attention_layout",
    "borrowed_attention",
    "capture",
    "capture_generation",
    "capture_gradients",
    "editor_of",
    "find_projections",
    "gate_gradients",
    "placed",
    "run_arguments",
    "same_output",
    "stream",
    "unedited",
    "verify",
    "with_gradients",
    "without_dropout",
]
