"""What stands in every report around its own parts: title, finding, method and proof."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from introspect.io import check_page_file, save_file
from introspect.page import Document, framed
from introspect.records import Certificate
from introspect.reporting.findings import Finding
from introspect.reporting.prose import background, facts_table, finding_prose, paragraphs
from introspect.reporting.provenance import (
    Row,
    certificate_rows,
    provenance_rows,
    version_of_introspect,
)
from introspect.studies.coreference import Scores
from introspect.text import sentence


@dataclass(frozen=True)
class Report:
    """A finished report.

    Args:
        html: the page.
        finding: its headline, as plain text.
        scores: the tables behind it; ``None`` where no case was given.
        notices: what a reader must know first.
    """

    html: str
    finding: str
    scores: Scores | None
    notices: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.finding}>"

    def _repr_html_(self) -> str:
        return framed(self.html, self.finding)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page as one file that ends in ``.html``, atomically.

        Raises:
            OutputError: the name ends otherwise, or the folder is missing or cannot be written.
        """
        return save_file(check_page_file(path), self.html)


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """A report without its own parts, which are added between ``begin`` and ``finish``.

    Args:
        title: the title of the page.
        finding: the headline, what supports it, and what it does not show.
        certificate: how attention was captured, and from which model.
        texts: the number of texts.
        cases: the number of cases among them.
        notices: what a reader must know first.
        read: what was read from which file, in sentences.
        command: the command line that made the report.
    """

    title: str
    finding: Finding
    certificate: Certificate
    texts: int
    cases: int = 0
    notices: Sequence[str] = ()
    read: Sequence[str] = ()
    command: str | None = None

    def begin(
        self, *, specimen: Markup | None = None, plain: str = "", is_surrogate: bool | None = None
    ) -> Document:
        """Return a page with notices, finding and contents, for the parts to be added to.

        Args:
            specimen: the text that the report is about, where it is about one.
            plain: what a reader without background must know.
            is_surrogate: whether effects are on a surrogate, for the summary.
        """
        document = Document(self.title, summary=self._summary(is_surrogate))
        for notice in self.notices:
            document.add_notice(notice)
        document.add_prose((specimen or Markup()) + finding_prose(self.finding))
        if plain:
            document.add_prose(background(plain))
        document.add_contents()
        return document

    def finish(
        self,
        document: Document,
        *,
        method: Iterable[str],
        terms: Markup | None = None,
        captured: str = "the capture",
        checks: Sequence[Row] = (),
        scores: Scores | None = None,
    ) -> Report:
        """Add method and proof below the parts, and return the report.

        Args:
            document: the page, with its parts.
            method: sentences on how the numbers were made.
            terms: definitions that go with them.
            captured: the capture that the certificate is of.
            checks: how far numbers are from the model's own, where that was checked.
            scores: the tables behind the report.
        """
        with document.chapter("How it was measured"):
            read = map(sentence, self.read)
            document.add_prose(paragraphs([*read, *method]) + (terms or Markup()))
        with document.chapter("Proof and provenance"):
            if checks:
                caption = "How far the numbers are from the model’s own"
                document.add_prose(facts_table(checks, caption))
            rows = certificate_rows(self.certificate)
            document.add_prose(facts_table(rows, f"Certificate of {captured}"))
            rows = provenance_rows(self.certificate, self.command)
            document.add_prose(facts_table(rows, "To repeat this report"))
        return Report(document.to_html(), self.finding.plain, scores, tuple(self.notices))

    def _summary(self, is_surrogate: bool | None) -> dict[str, object]:
        """Build the summary that a folder's index, or a program, reads from the page's head."""
        summary: dict[str, object] = {
            "kind": "report",
            "title": self.title,
            "finding": self.finding.plain,
            "texts": self.texts,
            "cases": self.cases,
            "model": self.certificate.model,
            "revision": self.certificate.revision,
            "introspect": version_of_introspect(),
            "command": self.command,
        }
        return summary if is_surrogate is None else summary | {"surrogate": is_surrogate}
