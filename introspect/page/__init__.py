"""One self-contained HTML page: styles, scripts, data and a policy that forbids all else."""

from introspect.page.document import Document, Section, framed, read_summary

__all__ = ["Document", "Section", "framed", "read_summary"]
