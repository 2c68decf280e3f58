"""Heads with known roles.

``repeats`` makes sequences that repeat themselves, and ``detecting`` finds previous-token,
duplicate-token and induction heads on them. ``patterns`` classifies the shapes of heads' patterns
over sentences, ``importance`` measures how fast a loss changes as a head is scaled down, and
``study`` puts all of it side by side.
"""

from introspect.studies.heads.importance import Loss, head_importance
from introspect.studies.heads.known_roles import (
    ATTENDS_TO,
    SCORES,
    THRESHOLD,
    Repeats,
    detect_heads,
    random_repeats,
)
from introspect.studies.heads.looks_at import RolesAnalyzer, role_names
from introspect.studies.heads.shapes import POSITIONAL, RARE_WORD, PatternsAnalyzer, head_patterns
from introspect.studies.heads.similarity import SimilarityAnalyzer
from introspect.studies.heads.study import HeadStudy, head_study
from introspect.studies.heads.syntax import SyntaxAnalyzer

__all__ = [
    "ATTENDS_TO",
    "POSITIONAL",
    "RARE_WORD",
    "SCORES",
    "THRESHOLD",
    "HeadStudy",
    "Loss",
    "PatternsAnalyzer",
    "Repeats",
    "RolesAnalyzer",
    "SimilarityAnalyzer",
    "SyntaxAnalyzer",
    "detect_heads",
    "head_importance",
    "head_patterns",
    "head_study",
    "random_repeats",
    "role_names",
]
