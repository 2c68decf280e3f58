"""Capture, differentiate and edit the attention that a model computes.

``capture`` keeps the results of one run, with their certificate (``captured``), or hands each
layer over as it is computed; ``run`` performs the run with its ``arguments``, on the transformers
model that ``unwrapping`` finds in what is handed over. ``interface`` hooks into the attention
interface, ``watchers`` select what to keep of each attention, ``observation`` sorts it by kind
and layer, ``products`` and ``own_products`` find it in models that bypass the interface,
``running`` tells which part computes it, and ``loans`` restore the model, which ``compiled`` runs
as it was written. ``generation`` captures a model while it generates; ``layout`` lists the
attentions of a model, and ``replay`` begins a run at a layer.

Three subpackages build on these: ``downstream`` traces the heads' outputs through the block,
``gradients`` computes how a number changes with the weights, and ``edits`` changes what an
attention computes.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
