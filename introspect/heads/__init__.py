"""Heads with known roles.

``repeats`` makes sequences that repeat themselves, and ``detecting`` finds previous-token,
duplicate-token and induction heads on them; ``patterns`` says what shapes heads have over
sentences.
"""

from introspect.heads.detecting import THRESHOLD, detect_heads
from introspect.heads.patterns import head_patterns
from introspect.heads.repeats import Repeats, random_repeats

__all__ = ["THRESHOLD", "Repeats", "detect_heads", "head_patterns", "random_repeats"]
