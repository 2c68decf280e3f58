"""One self-contained HTML page: styles, scripts, data and a policy that forbids all else."""

from introspect.page.document import Document
from introspect.page.frame import framed
from introspect.page.section import Section
from introspect.page.summary import read_summary

__all__ = ["Document", "Section", "framed", "read_summary"]
