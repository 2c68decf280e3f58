"""One self-contained HTML page: styles, scripts, data and a policy that forbids all else."""

from introspect.page.codec import LARGEST_DENSE, kept_of
from introspect.page.document import Document, Section, framed, read_summary
from introspect.page.markup import template

__all__ = [
    "LARGEST_DENSE",
    "Document",
    "Section",
    "framed",
    "kept_of",
    "read_summary",
    "template",
]
