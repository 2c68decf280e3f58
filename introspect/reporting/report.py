"""A report: findings in words, the views, the certificate and the provenance, in one page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from introspect.errors import InputError, naming
from introspect.io import write_atomically
from introspect.models import Model, load_text
from introspect.page import Document, Section, framed
from introspect.records import AttentionRecord, Head, mention_pieces
from introspect.reporting.findings import finding_of_case, finding_of_set
from introspect.reporting.html import (
    case_prose,
    certificate_rows,
    method_prose,
    notices_prose,
    plain_words,
    provenance_rows,
    set_prose,
    table,
    text_prose,
    version_of_introspect,
)
from introspect.studies.coreference import CoreferenceAnalyzer, Scores, score_case
from introspect.text import CorefCase, shortened
from introspect.views import coreference_view, head_view, model_view

__all__ = ["Chapter", "Report", "add_views", "add_words", "report"]

#: A case to score, a text to view, or a pair of texts.
Subject = CorefCase | str | tuple[str, str]


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
        """Write the page as one file, atomically.

        Raises:
            OutputError: the folder is missing or cannot be written.
        """
        return write_atomically(path, self.html)


@dataclass(frozen=True, eq=False)
class Chapter:
    """One subject with its record, and the head that its views show first."""

    subject: Subject
    record: AttentionRecord

    @property
    def case(self) -> CorefCase | None:
        """The subject, where it is a case."""
        return self.subject if isinstance(self.subject, CorefCase) else None


def report(
    model: Model | str,
    subjects: Subject | Sequence[Subject],
    *,
    truncation: bool = False,
    command: str | None = None,
) -> Report:
    """Build a report on coreference cases, texts or pairs of texts.

    Args:
        model: a model, or its name.
        subjects: cases, texts or pairs; the page opens with the first.
        truncation: whether to cut texts that are too long; the report then says what was cut.
        command: the command line that made the report, for the provenance.

    Raises:
        IntrospectError: a subject cannot be captured or scored; the message names it.
    """
    loaded = load_text(model)
    chapters = _chapters(loaded, _as_list(subjects), truncation)
    scores = _scores(chapters)
    title, finding = _title_and_finding(chapters, scores)
    document = Document(title, summary=_summary(title, finding, chapters, command))
    if len(chapters) == 1:
        _add_one(document, chapters[0])
    else:
        _add_many(document, chapters, scores)
    _add_proof(document, chapters[0].record, command)
    return Report(
        html=document.to_html(),
        finding=finding,
        scores=scores,
        notices=tuple(dict.fromkeys(n for c in chapters for n in c.record.notices)),
    )


def _as_list(subjects: Subject | Sequence[Subject]) -> list[Subject]:
    if isinstance(subjects, str | CorefCase):
        return [subjects]
    if not subjects:
        raise InputError("Expected at least one case or text to report on, got none.")
    return list(subjects)


def _chapters(model: Model, subjects: list[Subject], truncation: bool) -> list[Chapter]:
    chapters = []
    for number, subject in enumerate(subjects, start=1):
        texts = (subject.text,) if isinstance(subject, CorefCase) else subject
        texts = (texts,) if isinstance(texts, str) else texts
        with _numbered(number, len(subjects)):
            # One check is enough: the same model and capture route serve every text.
            record = model.capture(*texts, truncation=truncation, certify=number == 1)
        chapters.append(Chapter(subject, record))
    return chapters


def _scores(chapters: list[Chapter]) -> Scores | None:
    analyzer = CoreferenceAnalyzer()
    for number, chapter in enumerate(chapters, start=1):
        if chapter.case is not None:
            with _numbered(number, len(chapters)):
                analyzer.update([(chapter.case, chapter.record)])
    return analyzer.compute() if any(c.case is not None for c in chapters) else None


def _numbered(number: int, count: int) -> AbstractContextManager[None]:
    """Name the subject in errors, where there are several."""
    return nullcontext() if count == 1 else naming(f"Number {number}")


def _title_and_finding(chapters: list[Chapter], scores: Scores | None) -> tuple[str, str]:
    first = chapters[0]
    if len(chapters) > 1:
        finding = finding_of_set(scores).plain if scores else f"{len(chapters)} texts captured."
        return f"Attention in {len(chapters)} texts", finding
    if first.case is None:
        layers, heads = first.record.attentions.shape[:2]
        return "What the heads attend to", (
            f"{layers} layers × {heads} heads captured; no pronoun was given, so none was scored."
        )
    pronoun = first.case.phrase(first.case.pronoun)
    finding = finding_of_case(first.case, score_case(first.record, first.case)).plain
    return f"What “{pronoun}” attends to", finding


def _name(subject: Subject) -> str:
    text = subject.text if isinstance(subject, CorefCase) else subject
    return shortened(text if isinstance(text, str) else " / ".join(text), 120)


def _add_one(document: Document, chapter: Chapter) -> None:
    """Add the finding in words, then each view as a chapter."""
    add_words(document, chapter)
    document.add_prose(plain_words(chapter.record))
    document.add_contents()
    add_views(document, chapter, folds=True)


def _add_many(document: Document, chapters: list[Chapter], scores: Scores | None) -> None:
    """Add the finding over all subjects, then each text, chosen from a list."""
    if scores is not None:
        document.add_prose(set_prose(finding_of_set(scores)))
    document.add_prose(plain_words(chapters[0].record))
    document.add_contents()
    labels = [(_name(chapter.subject), _note(chapter)) for chapter in chapters]
    with document.chapter("The texts, one by one"), document.choice(labels, of="texts"):
        for number, chapter in enumerate(chapters):
            with document.item(shown=number == 0):
                add_words(document, chapter)
                add_views(document, chapter, folds=False)


def _note(chapter: Chapter) -> str:
    """Name the head that attends most to the antecedent, beside a case in the list."""
    if chapter.case is None:
        return ""
    strongest = score_case(chapter.record, chapter.case)[0].strongest()
    return f"{strongest[0][0]} {strongest[0][1]:.2f}" if strongest else "not observable"


def add_words(document: Document, chapter: Chapter) -> None:
    """Add the text and what was found in it."""
    record, case = chapter.record, chapter.case
    document.add_prose(notices_prose(record.notices))
    if case is None:
        document.add_prose(text_prose(record))
    else:
        document.add_prose(case_prose(case, finding_of_case(case, score_case(record, case))))


def add_views(
    document: Document, chapter: Chapter, *, folds: bool, head: Head | None = None
) -> None:
    """Add the views of a text; the head view shows ``head`` first, or the head that points best."""
    record, case = chapter.record, chapter.case
    token = None
    sections: list[Section] = []
    if case is not None:
        forward = score_case(record, case)[0]
        head = head or next((strongest for strongest, _ in forward.strongest()), None)
        token = _pinned(record, case)
        head = head or Head(record.layers[0], 0)
        sections += coreference_view(record, case, head=head).sections(with_detail=False)
    sections += model_view(record).sections(with_detail=False)
    layer, heads = (head.layer, [head.head]) if head else (record.layers[0], None)
    sections += head_view(record, layer=layer, heads=heads, token=token).sections()
    for section in sections:
        document.add_section(section, folds=folds)


def _pinned(record: AttentionRecord, case: CorefCase) -> dict[str, object]:
    """Return the pronoun's first token, so that its lines and numbers are shown first."""
    pieces = mention_pieces(record.queries, case.pronoun, role="pronoun")
    return {"side": "query", "index": pieces[0][0]}


def _add_proof(document: Document, record: AttentionRecord, command: str | None) -> None:
    """Add the method, the certificate and the provenance, below the views."""
    with document.chapter("How it was measured"):
        document.add_prose(method_prose())
    with document.chapter("Proof and provenance"):
        document.add_prose(
            table(certificate_rows(record.certificate), "Certificate of the capture")
        )
        document.add_prose(table(provenance_rows(record, command), "To repeat this report"))


def _summary(
    title: str, finding: str, chapters: Sequence[Chapter], command: str | None
) -> dict[str, object]:
    """Build the summary that a folder's index, or a program, reads without opening the report."""
    certificate = chapters[0].record.certificate
    return {
        "kind": "report",
        "title": title,
        "finding": finding,
        "texts": len(chapters),
        "cases": sum(chapter.case is not None for chapter in chapters),
        "model": certificate.model,
        "revision": certificate.revision,
        "introspect": version_of_introspect(),
        "command": command,
    }
