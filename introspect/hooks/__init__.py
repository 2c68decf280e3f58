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

from lazy_loader import attach_stub

# A module bears this name too, which loading it would otherwise put in the function's place.
from introspect.hooks.capture import capture  # noqa: F401

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
