"""Reports: what was found, in words, with the views and the proof beside it."""

from introspect.reporting.index import report_index
from introspect.reporting.report import Report, report

__all__ = ["Report", "report", "report_index"]
