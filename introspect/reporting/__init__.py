"""Reports: what was found, in words, with the views and the proof beside it."""

from introspect.reporting.causal_report import causal_report
from introspect.reporting.index import report_index
from introspect.reporting.report import Report, report

__all__ = ["Report", "causal_report", "report", "report_index"]
