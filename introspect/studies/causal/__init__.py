"""Causal effects of heads: what a model answers with a head, and what without it.

``substitution`` puts a candidate in the pronoun's place, and ``metrics`` says how a model's answer
to a case is read; ``answers`` asks it about many cases, ``next_tokens`` about texts (``asked`` is
their common interface). ``effects`` does so with each head ablated, ``mediation`` with a head's
output from the other case of a minimal pair, ``smallest`` searches for the few heads that carry the
most, and ``study`` compares all of it with what heads attend to.
"""

from introspect.studies.causal.answers import Answers, prepare_answers
from introspect.studies.causal.asking import Place, places_of, way_of_asking
from introspect.studies.causal.before_after import (
    METHODS,
    BeforeAfter,
    Removal,
    before_after,
    effects_of_study,
    head_names,
    said_before_and_after,
    study_of_case,
)
from introspect.studies.causal.effects import CausalEffects, causal_effects, measure_effects
from introspect.studies.causal.mediation import Mediation, mediation
from introspect.studies.causal.metrics import METRICS, credit_of, default_metric, load_to_ask
from introspect.studies.causal.next_tokens import NextTokens, prepare_next_tokens
from introspect.studies.causal.smallest import SmallestSet, smallest_set
from introspect.studies.causal.study import CausalStudy, causal_study

__all__ = [
    "METHODS",
    "METRICS",
    "Answers",
    "BeforeAfter",
    "CausalEffects",
    "CausalStudy",
    "Mediation",
    "NextTokens",
    "Place",
    "Removal",
    "SmallestSet",
    "before_after",
    "causal_effects",
    "causal_study",
    "credit_of",
    "default_metric",
    "effects_of_study",
    "head_names",
    "load_to_ask",
    "measure_effects",
    "mediation",
    "places_of",
    "prepare_answers",
    "prepare_next_tokens",
    "said_before_and_after",
    "smallest_set",
    "study_of_case",
    "way_of_asking",
]
