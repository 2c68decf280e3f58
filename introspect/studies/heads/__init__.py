"""Heads with known roles.

``repeats`` makes sequences that repeat themselves, and ``detecting`` finds previous-token,
duplicate-token and induction heads on them. ``patterns`` classifies the shapes of heads' patterns
over sentences, ``importance`` measures how fast a loss changes as a head is scaled down, and
``study`` puts all of it side by side.
"""

from introspect.studies.heads.importance import Loss, head_importance
from introspect.studies.heads.known_roles import THRESHOLD, Repeats, detect_heads, random_repeats
from introspect.studies.heads.shapes import head_patterns
from introspect.studies.heads.study import HeadStudy, head_study

__all__ = [
    "THRESHOLD",
    "HeadStudy",
    "Loss",
    "Repeats",
    "detect_heads",
    "head_importance",
    "head_patterns",
    "head_study",
    "random_repeats",
]
