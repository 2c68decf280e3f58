"""Heads with known roles.

``repeats`` makes sequences that repeat themselves, and ``detecting`` finds previous-token,
duplicate-token and induction heads on them. ``patterns`` says what shapes heads have over
sentences, and ``importance`` how fast a loss changes as a head is turned down.
"""

from introspect.heads.detecting import THRESHOLD, detect_heads
from introspect.heads.importance import Loss, head_importance
from introspect.heads.patterns import head_patterns
from introspect.heads.repeats import Repeats, random_repeats

__all__ = [
    "THRESHOLD",
    "Loss",
    "Repeats",
    "detect_heads",
    "head_importance",
    "head_patterns",
    "random_repeats",
]
