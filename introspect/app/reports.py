"""The report on what a page shows, made on request."""

from __future__ import annotations

from introspect.app.cached import model_named
from introspect.mentions import CorefCase
from introspect.reporting import report

__all__ = ["report_of"]


def report_of(name: str, subject: CorefCase | str | tuple[str, str], truncation: bool) -> str:
    """Return a report on a case, a text, or a pair as a page.

    Raises:
        IntrospectError: the subject cannot be captured or scored.
    """
    made = report(model_named(name), [subject], truncation=truncation, command="introspect app")
    return made.html
