"""One self-contained HTML page: styles, scripts, data and a policy that forbids everything else."""

from introspect.page.document import Document, Section, read_summary
from introspect.page.frame import framed

__all__ = ["Document", "Section", "framed", "read_summary"]
