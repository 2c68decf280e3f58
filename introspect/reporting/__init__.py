"""Reports: findings in words, with the views and the provenance beside them.

Each is in the module of its name: a report of one kind loads nothing of the others.
"""

from introspect.reporting.causal_report import causal_report, first_record
from introspect.reporting.causal_words import (
    finding_of_study,
    heads_that_look,
    heads_that_matter,
    own_answer,
)
from introspect.reporting.findings import finding_of_case
from introspect.reporting.head_report import head_report
from introspect.reporting.index import report_index
from introspect.reporting.lens_report import lens_report
from introspect.reporting.provenance import (
    Row,
    certificate_rows,
    provenance_rows,
    version_of,
    version_of_introspect,
)
from introspect.reporting.report import report
from introspect.reporting.roles_report import sentence_report
from introspect.reporting.set_report import SetFindings, set_report
from introspect.reporting.skeleton import Report

__all__ = [
    "Report",
    "Row",
    "SetFindings",
    "causal_report",
    "certificate_rows",
    "finding_of_case",
    "finding_of_study",
    "first_record",
    "head_report",
    "heads_that_look",
    "heads_that_matter",
    "lens_report",
    "own_answer",
    "provenance_rows",
    "report",
    "report_index",
    "sentence_report",
    "set_report",
    "version_of",
    "version_of_introspect",
]
