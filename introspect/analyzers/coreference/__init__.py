"""Coreference scores of every head over a set of cases: one by one, or in batches of a probe."""

from introspect.analyzers.coreference.analyzer import CoreferenceAnalyzer, score
from introspect.analyzers.coreference.claims import Options
from introspect.analyzers.coreference.scores import Choice, Scores

__all__ = ["Choice", "CoreferenceAnalyzer", "Options", "Scores", "score"]
