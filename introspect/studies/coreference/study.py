"""Coreference cases and texts, each with its attention and scores: what a report is of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from introspect.calls import checked_call, checked_result, kind_of_thing
from introspect.data import Cases, as_cases, is_file_of_cases
from introspect.errors import InputError, naming
from introspect.functional import Mention, best_of, credit, margin
from introspect.models import Model, StaticEmbeddings, load_text
from introspect.records import AttentionRecord, Head, Weights
from introspect.statistics import Claim
from introspect.studies.coreference.analyzer import CoreferenceAnalyzer
from introspect.studies.coreference.batch import columns_of_record
from introspect.studies.coreference.case_claims import case_claims
from introspect.studies.coreference.choice_claims import in_sample_claims
from introspect.studies.coreference.columns import DIRECTIONS, CaseColumns
from introspect.studies.coreference.pointing import Pointing, pointing_to
from introspect.studies.coreference.tables import Scores
from introspect.text import CorefCase, Span


@dataclass(frozen=True, eq=False)
class DirectionScores:
    """Scores of every head in one case, in one direction.

    Tensors are float64, ``(num_layers, num_heads)``.

    Args:
        direction: ``pronoun_to_candidate`` or ``candidate_to_pronoun``.
        layers: the model's own number of each row.
        weights: ``(num_candidates, num_layers, num_heads)``, in the order of the candidates.
        antecedent_weight: the largest over antecedents; NaN where there is none.
        distractor_weight: the largest over distractors; NaN where there is none.
        credit: 1 for the antecedent, 0 for a distractor, shares for ties; NaN outside forced
            choice.
        margin: from -0.5 to 0.5; NaN where it is not defined.
        preference: how much more weight the antecedent gets than the best distractor, from -1 to 1
            unless norms are scored. If only one of the two exists, its weight.
        observable: ``(num_layers,)``: whether the mask leaves every candidate visible.
        removed_mass: the mean mass that renormalizing removed from the rows read; else 0.
    """

    direction: str
    layers: tuple[int, ...]
    weights: torch.Tensor
    antecedent_weight: torch.Tensor
    distractor_weight: torch.Tensor
    credit: torch.Tensor
    margin: torch.Tensor
    preference: torch.Tensor
    observable: torch.Tensor
    removed_mass: torch.Tensor

    @property
    def readable(self) -> torch.Tensor:
        """Return the heads with finite weights seen, ``(num_layers, num_heads)``."""
        return self.weights.isfinite().all(0) & self.observable[:, None]

    @property
    def is_observable(self) -> bool:
        """Return whether any layer can attend in this direction."""
        return bool(self.observable.any())

    def ranked(self) -> list[Head]:
        """Return the readable heads by ``preference``, best first."""
        preference = self.preference.nan_to_num(-torch.inf)
        order = preference.flatten().argsort(descending=True, stable=True).tolist()
        num_heads, readable = preference.shape[1], self.readable.flatten().tolist()
        return [Head(self.layers[i // num_heads], i % num_heads) for i in order if readable[i]]

    def strongest(self) -> list[tuple[Head, float]]:
        """Return the readable heads by the antecedent's weight, largest first."""
        weights = self.antecedent_weight.nan_to_num(0.0)
        named = [(head, float(weights[self.row(head), head.head])) for head in self.ranked()]
        return sorted(named, key=lambda item: -item[1])

    def row(self, head: Head) -> int:
        """Return the row of the tensors that holds the head's layer."""
        return self.layers.index(head.layer)


def score_case(
    record: AttentionRecord,
    case: CorefCase,
    *,
    mention: Mention = "mean",
    weights: Weights = "raw",
) -> tuple[DirectionScores, DirectionScores]:
    """Compute weights, credit, and margin of every head, in both directions.

    Args:
        record: attention of the case's text over itself, at token level.
        case: the pronoun and its candidates.
        mention: how the word pairs of two mentions are reduced to one number.
        weights: ``raw``; ``renormalized``: special tokens and the row's own position dropped, and
            the rest of a row rescaled to sum to 1 (a row with nothing left gives 0); or ``norm``:
            each weight times the norm of what it contributes, for a record with ``value_norms``.

    Raises:
        MentionError: the record is of another text, or a mention was truncated.
        SelectionError: an unknown ``mention`` or ``weights``, a record without what they need, or
            attention that is not of a text over all of itself.
    """
    return directions_of(columns_of_record(record, case, mention, weights))


def directions_of(columns: CaseColumns) -> tuple[DirectionScores, DirectionScores]:
    """Return the scores of every head in both directions, from the columns of one case."""
    forward, backward = (_direction_of(columns, place) for place in range(len(DIRECTIONS)))
    return forward, backward


def _direction_of(columns: CaseColumns, place: int) -> DirectionScores:
    weights = torch.from_numpy(columns.weights[:, place])
    removed = columns.removed[0, place] if len(columns.removed) else np.zeros(weights.shape[1:])
    antecedents: list[bool] = columns.antecedents.tolist()
    gold, rival = best_of(weights, antecedents), best_of(weights, antecedents, distractors=True)
    is_choice = any(antecedents) and not all(antecedents)
    undefined = torch.full_like(gold, torch.nan)
    return DirectionScores(
        direction=DIRECTIONS[place],
        layers=columns.layers,
        weights=weights,
        antecedent_weight=gold,
        distractor_weight=rival,
        credit=credit(weights, antecedents) if is_choice else undefined,
        margin=margin(weights, antecedents) if is_choice else undefined,
        preference=gold - rival if is_choice else weights.amax(0),
        observable=torch.from_numpy(columns.observable[0, place]),
        removed_mass=torch.from_numpy(removed),
    )


#: A case to score, a text to view, or a pair of texts.
Subject = CorefCase | str | tuple[str, str]


@dataclass(frozen=True, eq=False)
class CapturedText:
    """One subject with its attention; a case is scored once, whatever is asked of its scores.

    Args:
        subject: a case, a text or a pair of texts.
        record: its attention.
        embeddings: the input embeddings of the model, where they are known.
    """

    subject: Subject
    record: AttentionRecord
    embeddings: StaticEmbeddings | None = None

    @property
    def case(self) -> CorefCase | None:
        """The subject, where it is a case."""
        return self.subject if isinstance(self.subject, CorefCase) else None

    @cached_property
    def columns(self) -> CaseColumns | None:
        """The attention between the mentions of a case."""
        if self.case is None:
            return None
        return columns_of_record(self.record, self.case, embeddings=self.embeddings)

    @cached_property
    def directions(self) -> tuple[DirectionScores, ...]:
        """The scores of a case in both directions; empty for a text without a pronoun."""
        return () if self.columns is None else directions_of(self.columns)

    @cached_property
    def pointing(self) -> Pointing | None:
        """Return what the pronoun gives the antecedents together; ``None`` without any."""
        if self.case is None:
            return None
        return pointing_to(self.record, self.case, [c.span for c in self.case.antecedents])

    @cached_property
    def pointing_elsewhere(self) -> dict[Span, Pointing]:
        """Return what the pronoun gives each distractor, by its span."""
        if self.case is None:
            return {}
        spans = dict.fromkeys(candidate.span for candidate in self.case.distractors)
        found = {span: pointing_to(self.record, self.case, [span]) for span in spans}
        return {span: pointing for span, pointing in found.items() if pointing is not None}

    @cached_property
    def claims(self) -> tuple[Claim, ...]:
        """Return the claims of a case, each sentence with its numbers; empty for a text without."""
        return () if self.case is None else case_claims(self, self.case)


@checked_result
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
    def claims(self) -> tuple[Claim, ...]:
        """Return what is claimed of the only case, or of the scores over several."""
        if len(self.texts) == 1:
            return self.texts[0].claims
        return () if self.scores is None else in_sample_claims(self.scores)

    @property
    def notices(self) -> tuple[str, ...]:
        """Return what a reader must know first, of every text."""
        return tuple(dict.fromkeys(n for text in self.texts for n in text.record.notices))


@checked_call
def coreference_study(
    model: Model | str, subjects: Subject | Sequence[Subject] | Cases, *, truncation: bool = False
) -> CoreferenceStudy:
    """Capture coreference cases, texts or pairs of texts, and score the cases.

    Every record is kept, so this is for a handful of texts; ``ix.score`` and ``ix.probe`` are for
    sets.

    Args:
        model: a model, or its name.
        subjects: cases, texts or pairs; or the path of a file of cases, or a DataFrame of them.
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


def _as_list(subjects: Subject | Sequence[Subject] | Cases) -> list[Subject]:
    is_sentence = isinstance(subjects, str) and " " in subjects
    if not is_sentence and is_file_of_cases(subjects):
        return list(as_cases(subjects))
    if isinstance(subjects, str | CorefCase):
        return [subjects]
    if not isinstance(subjects, Iterable) or isinstance(subjects, Mapping | bytes):
        raise InputError(
            "Expected cases, texts or pairs of texts, the path of a file of cases, or a DataFrame, "
            f"got {kind_of_thing(subjects)}. Give for example ['The cat sat.']."
        )
    subjects = list(subjects)
    if not subjects:
        raise InputError("Expected at least one case or text to report on, got none.")
    return subjects


def _captured(
    model: Model, subjects: Sequence[Subject], truncation: bool
) -> tuple[CapturedText, ...]:
    captured = []
    has_cases = any(isinstance(subject, CorefCase) for subject in subjects)
    embeddings = StaticEmbeddings.of(model.module) if has_cases else None
    for number, subject in enumerate(subjects, start=1):
        texts = (subject.text,) if isinstance(subject, CorefCase) else subject
        texts = (texts,) if isinstance(texts, str) else texts
        with _numbered(number, len(subjects)):
            # One check is enough: the same model and capture route serve every text.
            record = model.capture(*texts, truncation=truncation, certify=number == 1)
        captured.append(CapturedText(subject, record, embeddings))
    return tuple(captured)


def _numbered(number: int, count: int) -> AbstractContextManager[None]:
    """Name the subject in errors, where there are several."""
    return nullcontext() if count == 1 else naming(f"Number {number}")
