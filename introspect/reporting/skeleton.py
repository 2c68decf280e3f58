"""What stands in every report around its own parts: title, finding, method, proof, provenance."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from introspect.calls import checked_result
from introspect.functional import ROUNDING
from introspect.io import check_page_file, save_file
from introspect.page import Document, Instrument, Section, framed
from introspect.records import Certificate
from introspect.reporting.prose import (
    Finding,
    Row,
    facts_table,
    headline_prose,
    lead,
    paragraphs,
    support_prose,
)
from introspect.statistics import Claim
from introspect.studies.coreference import Scores
from introspect.text import quantity, sentence, whole

if TYPE_CHECKING:
    from introspect.studies.atlas import Atlas

# About how tall a report is in a notebook, its chapters folded, in pixels.
_FRAME_HEIGHT = 800


@checked_result
@dataclass(frozen=True, eq=False)
class Report:
    """A finished report.

    Args:
        html: the page.
        finding: its headline, as plain text.
        scores: the tables behind it; ``None`` where no case was given.
        notices: what a reader must know first.
        claims: what is claimed in its sentences, with the numbers behind each.
    """

    html: str
    finding: str
    scores: Scores | None
    notices: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.finding}>"

    def _repr_html_(self) -> str:
        return framed(self.html, self.finding, estimate=_FRAME_HEIGHT)

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
        atlas: an atlas of the model, to say what else the named heads do.
    """

    title: str
    finding: Finding
    certificate: Certificate
    texts: int
    cases: int = 0
    notices: Sequence[str] = ()
    read: Sequence[str] = ()
    command: str | None = None
    atlas: Atlas | None = None

    def begin(
        self,
        *,
        instrument: Instrument | None = None,
        figure: Section | None = None,
        example: str = "",
        plain: str = "",
        is_surrogate: bool | None = None,
    ) -> Document:
        """Return a page with notices, finding and contents, for the parts to be added to.

        Args:
            instrument: the text that the report is about, or an example, with its heads.
            figure: the figure of all that the headline counts, where it is not about a text.
            example: what that text is an example of, where the report is about many.
            plain: what a reader without background must know.
            is_surrogate: whether effects are on a surrogate, for the summary.
        """
        document = Document(self.title, summary=self._summary(is_surrogate))
        if instrument is not None:
            document.add_instrument(instrument)
        if example:
            document.add_prose(lead(example))
        for notice in self.notices:
            document.add_notice(notice)
        document.add_prose(headline_prose(self.finding))
        if figure is not None:
            document.add_section(figure)
        document.add_prose(support_prose(self.finding, plain))
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
        claims: Sequence[Claim] = (),
    ) -> Report:
        """Add method and proof below the parts, and return the report.

        Args:
            document: the page, with its parts.
            method: sentences on how the numbers were made.
            terms: definitions that go with them.
            captured: the capture that the certificate is of.
            checks: how far numbers are from the model's own, where that was checked.
            scores: the tables behind the report.
            claims: what is claimed in its parts, beside the finding.
        """
        if self.atlas is not None:
            from introspect.reporting.atlas_links import atlas_prose

            finding = self.finding
            made = (claim.sentence for claim in [*finding.claims, *claims])
            said = [finding.headline, *finding.details, *made]
            with document.chapter("What else these heads do"):
                document.add_prose(atlas_prose(self.atlas, self.certificate, said))
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
        return Report(
            html=document.to_html(),
            finding=self.finding.plain,
            scores=scores,
            notices=tuple(self.notices),
            claims=tuple(dict.fromkeys([*self.finding.claims, *claims])),
        )

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


def example_words(texts: int, noun: str = "text", which: str = "the first") -> str:
    """Say which text a page on many texts opens with.

    Example:
        >>> example_words(1024, "case")
        'An example, one case of 1,024: the first.'
    """
    return f"An example, one {noun} of {whole(texts)}: {which}."


def provenance_rows(certificate: Certificate, command: str | None) -> list[Row]:
    """Return model, revision, versions and command line as names and values."""
    rows = [
        ("Model", certificate.model or "not named"),
        ("Revision", certificate.revision or "not known"),
        *([("Not used", certificate.unused)] if certificate.unused else []),
        ("Tokenizer", certificate.tokenizer or "not named"),
        ("Numbers", f"{certificate.dtype} on {certificate.device}"),
        ("introspect", version_of_introspect()),
        ("transformers", certificate.transformers_version or "not known"),
        ("torch", certificate.torch_version or "not known"),
        ("plotly", version_of("plotly")),
        ("Python", platform.python_version()),
    ]
    if command:
        rows.append(("Command", command))
    return rows


def certificate_rows(certificate: Certificate) -> list[Row]:
    """Return how attention was captured, and how far it is from the model's own."""
    return [
        ("Route", certificate.route),
        (
            "What the model runs unwatched",
            certificate.attn_implementation or "unknown",
        ),
        (
            "Largest difference from the attention that the model itself returns",
            difference_words(certificate.max_difference_from_eager, certificate.note),
        ),
        (
            "Largest difference of the model’s output, watched and not",
            difference_words(certificate.max_output_difference),
        ),
        ("Largest distance of a row’s sum from 1", _row_sums(certificate.max_row_sum_error)),
        (
            "Largest difference between weights × values and a head’s output",
            difference_words(certificate.max_head_output_error, "the values were not seen"),
        ),
        *_attribution_rows(certificate),
    ]


def _attribution_rows(certificate: Certificate) -> list[Row]:
    """Return the checks on what else was captured, where they were made."""
    rows = []
    if certificate.max_decomposition_error is not None:
        rows.append(
            (
                "Largest difference between an attention block and the sum over its keys",
                difference_words(certificate.max_decomposition_error, ""),
            )
        )
    if certificate.gradient_of is not None:
        value = certificate.gradient_of_value
        rows.append(("Differentiated", f"{certificate.gradient_of}, which is {quantity(value)}"))
    if certificate.max_completeness_error is not None:
        rows.append(
            (
                "Largest difference between integrated gradients and what a layer changes",
                difference_words(certificate.max_completeness_error, ""),
            )
        )
    return rows


def _row_sums(error: float | None) -> str:
    shown = difference_words(error)
    # Far more than rounding: attention sinks take a share of each row that no token receives.
    is_partial = error is not None and error > ROUNDING
    return (
        f"{shown}: rows do not sum to 1, as in models with attention sinks" if is_partial else shown
    )


def difference_words(value: float | None, note: str = "") -> str:
    """Say how far two numbers are apart, or that this was not computed, and why.

    Example:
        >>> difference_words(0.0), difference_words(0.00012)
        ('0 (equal in every bit)', '1.2·10⁻⁴')
    """
    if value is None:
        if note.startswith("not compared"):
            return note
        return f"not computed: {note}" if note else "not computed"
    return "0 (equal in every bit)" if value == 0 else quantity(value)


def version_of_introspect() -> str:
    """Return the version of this package, that of the code which runs."""
    # What is installed may be a link to code that has changed since.
    return str(getattr(sys.modules["introspect"], "__version__"))  # noqa: B009


def version_of(distribution: str) -> str:
    """Return the installed version of a package."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
