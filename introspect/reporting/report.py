"""The report on a few cases or texts: findings in words, and the views of each."""

from __future__ import annotations

<<<<<<< HEAD
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
=======
from dataclasses import replace
>>>>>>> main

from markupsafe import Markup

from introspect.deprecated import of_a_study
from introspect.page import Document, Section
from introspect.records import AttentionRecord, Head
from introspect.records.alignment import mention_pieces
from introspect.reporting.findings import Finding, finding_of_case, finding_of_set, finding_of_text
from introspect.reporting.prose import finding_prose, marked_specimen, plain_words, specimen
from introspect.reporting.skeleton import Report, Skeleton
from introspect.studies.coreference.study import (
    CapturedText,
    CoreferenceStudy,
    Subject,
    coreference_study,
)
<<<<<<< HEAD
from introspect.studies.coreference import CoreferenceAnalyzer, Scores
from introspect.studies.coreference.batch import columns_of_record
from introspect.studies.coreference.case_scores import DirectionScores, directions_of
from introspect.studies.coreference.columns import CaseColumns
=======
>>>>>>> main
from introspect.text.characters import shortened
from introspect.text.english import counted, decimal
from introspect.text.mentions import CorefCase
from introspect.views.coreference import coreference_view
from introspect.views.head import head_view
from introspect.views.model import model_view

__all__ = ["METHOD", "add_text", "report"]

#: How the weights of words and the credit of heads are defined.
METHOD = (
    "Words are found by character offsets. The weight from one word to another is the attention "
    "summed over the pieces of the target and averaged over those of the source; for mentions of "
    "several words it is the mean over the pairs of words.",
    "A head gets credit 1 if it gives the antecedent more than any other candidate, a share if "
    "they are tied, and 0 otherwise; if all candidates together get less than 0.000001, that "
    "counts as a tie.",
    "Heads are named by layer and head, both from 0: L3H1 is head 1 of layer 3. Weights shown are "
    "raw, special tokens included.",
)


<<<<<<< HEAD
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
    """One subject with its record; a case is scored once, whatever is asked of its scores."""

    subject: Subject
    record: AttentionRecord

    @property
    def case(self) -> CorefCase | None:
        """The subject, where it is a case."""
        return self.subject if isinstance(self.subject, CorefCase) else None

    @cached_property
    def columns(self) -> CaseColumns:
        """The attention between the mentions of the case."""
        assert self.case is not None, "a text has no mentions"
        return columns_of_record(self.record, self.case)

    @cached_property
    def scores(self) -> tuple[DirectionScores, DirectionScores]:
        """The scores of every head, in both directions."""
        return directions_of(self.columns)


def report(
    model: Model | str,
    subjects: Subject | Sequence[Subject],
    *,
    truncation: bool = False,
    command: str | None = None,
) -> Report:
=======
@of_a_study(coreference_study)
def report(study: CoreferenceStudy, *, command: str | None = None) -> Report:
>>>>>>> main
    """Build a report on coreference cases, texts or pairs of texts.

    Args:
        study: of ``ix.coreference_study``; the page opens with its first text.
        command: the command line that made the report, for the provenance.

    Example:
        >>> import introspect as ix
        >>> print(ix.report(ix.coreference_study("induction", "a b c a b")).finding)
        2 layers × 4 heads captured; no pronoun was given, so none was scored.
    """
    first, is_one = study.texts[0], len(study.texts) == 1
    skeleton = Skeleton(
        title=_title(study),
        finding=_finding_of(first) if is_one else finding_of_set(study.scores, len(study.texts)),
        certificate=first.record.certificate,
        texts=len(study.texts),
        cases=sum(text.case is not None for text in study.texts),
        # Of several texts each says what must be known of it, beside its words.
        notices=study.notices if is_one else (),
        command=command,
    )
    document = skeleton.begin(
        specimen=_specimen(first) if is_one else None, plain=plain_words(first.record)
    )
    if is_one:
        _add_views(document, first, folds=True)
    else:
        _add_many(document, study)
    made = skeleton.finish(document, method=METHOD, scores=study.scores)
    return replace(made, notices=study.notices)


def _title(study: CoreferenceStudy) -> str:
    case = study.texts[0].case
    if len(study.texts) > 1:
        return f"Attention in {counted(len(study.texts), 'text')}"
    return f"What “{case.phrase(case.pronoun)}” attends to" if case else "What the heads attend to"


def _finding_of(text: CapturedText) -> Finding:
    if text.case is None:
        return finding_of_text(text.record)
    return finding_of_case(text.case, text.directions)


<<<<<<< HEAD
def _scores(chapters: list[Chapter]) -> Scores | None:
    analyzer = CoreferenceAnalyzer()
    for number, chapter in enumerate(chapters, start=1):
        if chapter.case is not None:
            with _numbered(number, len(chapters)):
                analyzer.add(chapter.case, chapter.columns)
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
    finding = finding_of_case(first.case, first.scores).plain
    return f"What “{pronoun}” attends to", finding
=======
def _specimen(text: CapturedText) -> Markup:
    return specimen(text.record.queries.texts) if text.case is None else marked_specimen(text.case)
>>>>>>> main


def _name(subject: Subject) -> str:
    text = subject.text if isinstance(subject, CorefCase) else subject
    return shortened(text if isinstance(text, str) else " / ".join(text), 120)


def _add_many(document: Document, study: CoreferenceStudy) -> None:
    """Add each text, chosen from a list."""
    labels = [(_name(text.subject), _note(text)) for text in study.texts]
    with document.chapter("The texts, one by one"), document.choice(labels, of="texts"):
        for number, text in enumerate(study.texts):
            with document.item(shown=number == 0):
                add_text(document, text)


def _note(text: CapturedText) -> str:
    """Name the head that attends most to the antecedent, beside a case in the list."""
    if text.case is None:
        return ""
<<<<<<< HEAD
    strongest = chapter.scores[0].strongest()
    return f"{strongest[0][0]} {strongest[0][1]:.2f}" if strongest else "not observable"


def add_words(document: Document, chapter: Chapter) -> None:
    """Add the text and what was found in it."""
    record, case = chapter.record, chapter.case
    document.add_prose(notices_prose(record.notices))
    if case is None:
        document.add_prose(text_prose(record))
    else:
        document.add_prose(case_prose(case, finding_of_case(case, chapter.scores)))
=======
    strongest = text.directions[0].strongest()
    return f"{strongest[0][0]} {decimal(strongest[0][1])}" if strongest else "not observable"


def add_text(document: Document, text: CapturedText, *, head: Head | None = None) -> None:
    """Add one of several texts: its words, what was found in it, and its views.

    Args:
        document: the page.
        text: the text with its attention.
        head: what the head view shows first; by default the head that points best.
    """
    for notice in text.record.notices:
        document.add_notice(notice)
    document.add_prose(_specimen(text) + finding_prose(_finding_of(text)))
    _add_views(document, text, folds=False, head=head)
>>>>>>> main


def _add_views(
    document: Document, text: CapturedText, *, folds: bool, head: Head | None = None
) -> None:
    record, case = text.record, text.case
    token = None
    sections: list[Section] = []
    if case is not None:
<<<<<<< HEAD
        head = head or next((strongest for strongest, _ in chapter.scores[0].strongest()), None)
=======
        head = head or next((best for best, _ in text.directions[0].strongest()), None)
>>>>>>> main
        token = _pinned(record, case)
        head = head or Head(record.layers[0], 0)
        view = coreference_view(record, case, head=head, scores=chapter.scores)
        sections += view.sections(with_detail=False)
    sections += model_view(record).sections(with_detail=False)
    layer, heads = (head.layer, [head.head]) if head else (record.layers[0], None)
    sections += head_view(record, layer=layer, heads=heads, token=token).sections()
    for section in sections:
        document.add_section(section, folds=folds)


def _pinned(record: AttentionRecord, case: CorefCase) -> dict[str, object]:
    """Return the pronoun's first token, so that its lines and numbers are shown first."""
    pieces = mention_pieces(record.queries, case.pronoun, role="pronoun")
    return {"side": "query", "index": pieces[0][0]}
