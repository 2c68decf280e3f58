"""Causal effects of heads: what a model answers with a head, and what without it.

``metrics`` says how a model's answer to a case is read; ``answers`` asks it about many cases, and
``next_tokens`` about texts. ``effects`` does so with each head ablated, ``mediation`` with a head's
output from the other case of a minimal pair, ``smallest`` searches for the few heads that carry the
most, and ``study`` compares all of it with what heads attend to. ``before_after`` compares one text
before and after a change of the model, and ``prompts`` prepares it.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
