"""Heads with known roles.

``repeats`` makes sequences that repeat themselves, and ``detecting`` finds previous-token,
duplicate-token and induction heads on them.
"""

from introspect.heads.detecting import THRESHOLD, detect_heads
from introspect.heads.repeats import Repeats, random_repeats

__all__ = ["THRESHOLD", "Repeats", "detect_heads", "random_repeats"]
