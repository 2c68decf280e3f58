"""Coreference scores of every head over a set of cases, one case at a time or in batches."""

from introspect.analyzers.coreference.analyzer import CoreferenceAnalyzer, score
from introspect.analyzers.coreference.claims import Options
from introspect.analyzers.coreference.scores import Choice, Scores

__all__ = ["Choice", "CoreferenceAnalyzer", "Options", "Scores", "score"]
