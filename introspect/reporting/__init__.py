"""Reports: findings in words, with the views and the provenance beside them."""

from introspect.reporting.causal_report import causal_report
from introspect.reporting.head_report import head_report
from introspect.reporting.index import report_index
from introspect.reporting.lens_report import lens_report
from introspect.reporting.report import report
from introspect.reporting.skeleton import Report

__all__ = [
    "Report",
    "causal_report",
    "head_report",
    "lens_report",
    "report",
    "report_index",
]
