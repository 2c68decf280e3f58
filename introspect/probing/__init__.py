"""Probing sets of cases: read, capture, score, and leave a folder of tables and a report."""

from introspect.probing.run import ProbeRun, probe

__all__ = ["ProbeRun", "probe"]
