"""The residual stream: what a model would predict at each layer, and which heads contribute.

``states`` runs a model, records the hidden states that its layers pass on, and divides each layer
into what its heads, its biases and its feed-forward add; ``lens`` reads every layer's state as if
it were the last; ``logits`` follows the last state to the logits and divides a logit among all
that was added; ``study`` puts both together. What cannot be verified on the run is refused.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
