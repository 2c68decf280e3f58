"""Causal effects of heads: what a model answers with a head, and what without it.

``substitution`` puts a candidate in the pronoun's place, and ``metrics`` says how a model's answer
to a case is read; ``answers`` asks it about many cases, ``next_tokens`` about texts (``asked`` is
their common interface). ``effects`` does so with each head ablated, ``mediation`` with a head's
output from the other case of a minimal pair, ``smallest`` searches for the few heads that carry the
most, and ``study`` compares all of it with what heads attend to. ``before_after`` compares one text
before and after a change of the model, and ``prompts`` prepares it.
"""

from introspect.studies.causal.answers import Answers, prepare_answers
from introspect.studies.causal.before_after import BeforeAfter, Preference, before_after
from introspect.studies.causal.effects import CausalEffects, causal_effects, measure_effects
from introspect.studies.causal.mediation import Mediation, mediation
from introspect.studies.causal.metrics import METRICS, credit_of, default_metric, load_to_ask
from introspect.studies.causal.next_tokens import NextTokens, prepare_next_tokens
from introspect.studies.causal.prompts import Prompt, way_of_predicting
from introspect.studies.causal.smallest import SmallestSet, smallest_set
from introspect.studies.causal.study import CausalStudy, causal_study

__all__ = [
    "METRICS",
    "Answers",
    "BeforeAfter",
    "CausalEffects",
    "CausalStudy",
    "Mediation",
    "NextTokens",
    "Preference",
    "Prompt",
    "SmallestSet",
    "before_after",
    "causal_effects",
    "causal_study",
    "credit_of",
    "default_metric",
    "load_to_ask",
    "measure_effects",
    "mediation",
    "prepare_answers",
    "prepare_next_tokens",
    "smallest_set",
    "way_of_predicting",
]
