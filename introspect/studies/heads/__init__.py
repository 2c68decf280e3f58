"""What heads do over many texts.

``known_roles`` finds previous-token, duplicate-token and induction heads on sequences that repeat
themselves; ``attention_targets`` measures what heads attend to, ``shapes`` classifies their
patterns, ``similarity`` compares heads, and ``syntax`` follows dependency trees. ``importance``
measures how fast a loss changes as a head is scaled down, and ``study`` puts all of it side by
side.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
