"""Coreference scores of every head over a set of cases."""

from introspect.studies.coreference.analyzer import CoreferenceAnalyzer
from introspect.studies.coreference.batch import mention_words
from introspect.studies.coreference.bias import Bias, bias_table
from introspect.studies.coreference.case_scores import DirectionScores, score_case
from introspect.studies.coreference.claims import Options
from introspect.studies.coreference.columns import DIRECTIONS, CaseColumns, ScoredCase
from introspect.studies.coreference.linear_probe import CandidateFeatures, ProbeResult, linear_probe
from introspect.studies.coreference.pairs import PairShifts, PairVersion, pair_shifts
from introspect.studies.coreference.score import score, score_cases
from introspect.studies.coreference.study import (
    CapturedText,
    CoreferenceStudy,
    Subject,
    coreference_study,
)
from introspect.studies.coreference.tables import Choice, Scores, against_table, scores_of

__all__ = [
    "DIRECTIONS",
    "Bias",
    "CandidateFeatures",
    "CapturedText",
    "CaseColumns",
    "Choice",
    "CoreferenceAnalyzer",
    "CoreferenceStudy",
    "DirectionScores",
    "Options",
    "PairShifts",
    "PairVersion",
    "ProbeResult",
    "ScoredCase",
    "Scores",
    "Subject",
    "against_table",
    "bias_table",
    "coreference_study",
    "linear_probe",
    "mention_words",
    "pair_shifts",
    "score",
    "score_case",
    "score_cases",
    "scores_of",
]
