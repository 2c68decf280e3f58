"""Coreference scores of every head over a set of cases, one case at a time or in batches."""

from introspect.studies.coreference.analyzer import CoreferenceAnalyzer
from introspect.studies.coreference.claims import Options
from introspect.studies.coreference.score import score
from introspect.studies.coreference.study import CoreferenceStudy, coreference_study
from introspect.studies.coreference.tables import Choice, Scores

__all__ = [
    "Choice",
    "CoreferenceAnalyzer",
    "CoreferenceStudy",
    "Options",
    "Scores",
    "coreference_study",
    "score",
]
