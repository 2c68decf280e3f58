"""The residual stream: what a model would say at each layer, and which heads say it.

``running`` runs a model and records the hidden states that its layers pass on; ``stream`` divides
each layer into what its heads, its biases and its feed-forward add; ``readout`` follows the last
state to the logits; ``lens`` reads every layer's state as if it were the last; ``attribution``
divides a logit among all that was added. What cannot be verified on the run is refused.
"""

from introspect.studies.lens.lens import logit_lens
from introspect.studies.lens.logits import direct_logit_attribution
from introspect.studies.lens.study import LensStudy, TokenReading, lens_study

__all__ = [
    "LensStudy",
    "TokenReading",
    "direct_logit_attribution",
    "lens_study",
    "logit_lens",
]
