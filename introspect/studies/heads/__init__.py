"""Heads with known roles.

``repeats`` makes sequences that repeat themselves, and ``detecting`` finds previous-token,
duplicate-token and induction heads on them. ``patterns`` classifies the shapes of heads' patterns
over sentences, ``importance`` measures how fast a loss changes as a head is scaled down, and
``study`` puts all of it side by side.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
