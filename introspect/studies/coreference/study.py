"""Coreference cases and texts, each with its attention: what a report is written from."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property

from introspect.errors import InputError, naming
from introspect.models import Model, load_text
from introspect.records import AttentionRecord
from introspect.studies.coreference.analyzer import CoreferenceAnalyzer
from introspect.studies.coreference.batch import columns_of_record
from introspect.studies.coreference.case_scores import DirectionScores, directions_of
from introspect.studies.coreference.columns import CaseColumns
from introspect.studies.coreference.tables import Scores
from introspect.text import CorefCase

#: A case to score, a text to view, or a pair of texts.
Subject = CorefCase | str | tuple[str, str]


@dataclass(frozen=True, eq=False)
class CapturedText:
    """One subject with its attention; a case is scored once, whatever is asked of its scores.

    Args:
        subject: a case, a text or a pair of texts.
        record: its attention.
    """

    subject: Subject
    record: AttentionRecord

    @property
    def case(self) -> CorefCase | None:
        """The subject, where it is a case."""
        return self.subject if isinstance(self.subject, CorefCase) else None

    @cached_property
    def columns(self) -> CaseColumns | None:
        """The attention between the mentions of a case."""
        return None if self.case is None else columns_of_record(self.record, self.case)

    @cached_property
    def directions(self) -> tuple[DirectionScores, ...]:
        """The scores of a case in both directions; empty for a text without a pronoun."""
        return () if self.columns is None else directions_of(self.columns)


@dataclass(frozen=True, eq=False)
class CoreferenceStudy:
    """Cases or texts with their attention.

    Args:
        texts: each subject with its record; only the first is certified.
        scores: the tables over the cases; ``None`` where there is none.
    """

    texts: tuple[CapturedText, ...]
    scores: Scores | None

    def __repr__(self) -> str:
        cases = sum(text.case is not None for text in self.texts)
        return f"<{type(self).__name__}: {len(self.texts)} texts, {cases} of them cases>"

    @property
    def notices(self) -> tuple[str, ...]:
        """What a reader must know first, of every text."""
        return tuple(dict.fromkeys(n for text in self.texts for n in text.record.notices))


def coreference_study(
    model: Model | str, subjects: Subject | Sequence[Subject], *, truncation: bool = False
) -> CoreferenceStudy:
    """Capture coreference cases, texts or pairs of texts, and score the cases.

    Every record is kept, so this is for a handful of texts; ``ix.score`` and ``ix.probe`` are for
    sets.

    Args:
        model: a model, or its name.
        subjects: cases, texts or pairs.
        truncation: whether to cut texts that are too long; the records then say what was cut.

    Raises:
        InputError: there is no subject.
        IntrospectError: a subject cannot be captured or scored; the message names it.

    Example:
        >>> study = coreference_study("induction", ["a b c", "a b"])
        >>> study
        <CoreferenceStudy: 2 texts, 0 of them cases>
    """
    loaded = load_text(model)
    texts = _captured(loaded, _as_list(subjects), truncation)
    scores = _scored(texts) if any(text.case is not None for text in texts) else None
    return CoreferenceStudy(texts, scores)


def _scored(texts: Sequence[CapturedText]) -> Scores:
    analyzer = CoreferenceAnalyzer()
    for number, text in enumerate(texts, start=1):
        with _numbered(number, len(texts)):
            if text.case is not None and text.columns is not None:
                analyzer.add(text.case, text.columns)
    return analyzer.compute()


def _as_list(subjects: Subject | Sequence[Subject]) -> list[Subject]:
    if isinstance(subjects, str | CorefCase):
        return [subjects]
    if not subjects:
        raise InputError("Expected at least one case or text to report on, got none.")
    return list(subjects)


def _captured(
    model: Model, subjects: Sequence[Subject], truncation: bool
) -> tuple[CapturedText, ...]:
    captured = []
    for number, subject in enumerate(subjects, start=1):
        texts = (subject.text,) if isinstance(subject, CorefCase) else subject
        texts = (texts,) if isinstance(texts, str) else texts
        with _numbered(number, len(subjects)):
            # One check is enough: the same model and capture route serve every text.
            record = model.capture(*texts, truncation=truncation, certify=number == 1)
        captured.append(CapturedText(subject, record))
    return tuple(captured)


def _numbered(number: int, count: int) -> AbstractContextManager[None]:
    """Name the subject in errors, where there are several."""
    return nullcontext() if count == 1 else naming(f"Number {number}")
