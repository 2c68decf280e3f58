"""From a file of cases to scores: one case after the other, and a reason for each left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from introspect.alignment import mention_pieces, resegmented
from introspect.analyzers.coreference import CoreferenceAnalyzer
from introspect.analyzers.features import CandidateFeatures, candidate_features
from introspect.analyzers.pairs import PairVersion, pair_version
from introspect.cases import NO_CHOICE, Reject, SeenIds, read_located
from introspect.cases.lines import Row
from introspect.errors import MentionError, TextError
from introspect.functional.coreference import Mention
from introspect.mentions import CorefCase, Span
from introspect.models import Model
from introspect.records import AttentionRecord
from introspect.weighting import Weights, parts_for

__all__ = ["Collected", "collect"]


@dataclass
class Collected:
    """What one pass over a file gives.

    Args:
        analyzer: the scores so far.
        cases: the scored cases by id, in the order of the file.
        features: what the linear probe reads of each.
        versions: what minimal pairs are made of.
        rejects: rows without a score.
        record: of the first case, with its certificate.
        segment: from a text to the spans of its words.
    """

    analyzer: CoreferenceAnalyzer
    cases: dict[str, CorefCase] = field(default_factory=dict)
    features: list[CandidateFeatures] = field(default_factory=list)
    versions: list[PairVersion] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    record: AttentionRecord | None = None
    segment: Callable[[str], Sequence[Span]] | None = None

    def captured(self, model: Model, text: str) -> AttentionRecord:
        """The record of a text, with the words that are scored."""
        # One proof is enough: the same model and route serve every text.
        include = ("attentions", *parts_for(self.analyzer.weights))
        record = model.capture(text, include=include, certify=self.record is None)
        return resegmented(record, self.segment) if self.segment else record


def collect(
    model: Model,
    path: Path,
    *,
    mention: Mention = "mean",
    weights: Weights = "raw",
    segment: Callable[[str], Sequence[Span]] | None = None,
    tell: Callable[[int], None] = lambda done: None,
) -> Collected:
    """Score every case of a file.

    A case that this model cannot be asked about is rejected with the reason: too long, a mention
    that is cut off, or one whose characters its tokenizer does not know. One that offers no choice
    is kept among the cases, and named among the rejects too.

    Args:
        model: the model.
        path: cases as JSON, one a line.
        mention: how the word pairs of two mentions become one number.
        weights: ``raw``, ``renormalised`` or ``norm``.
        segment: from a text to the spans of its words, for scripts without spaces.
        tell: called with the number of rows so far.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    found = Collected(CoreferenceAnalyzer(mention=mention, weights=weights), segment=segment)
    for number, (row, outcome) in enumerate(_named(path), start=1):
        if isinstance(outcome, Reject):
            found.rejects.append(outcome)
        else:
            _add(found, model, outcome, row, path)
        tell(number)
    return found


def _named(path: Path) -> Iterator[tuple[Row | None, CorefCase | Reject]]:
    """The rows of a file; a case without an id is named by its line."""
    seen = SeenIds()
    for row, outcome in read_located(path):
        if isinstance(outcome, Reject) or row is None:
            yield row, outcome
            continue
        name = outcome.id if outcome.id is not None else f"line-{row.line}"
        if seen.add(name):
            yield row, replace(outcome, id=name)
        else:
            reason = f"Expected an id of its own, but an earlier case has {name!r}."
            yield row, Reject(str(path), row.line, reason, row.shown, "duplicate_id")


def _add(found: Collected, model: Model, case: CorefCase, row: Row | None, path: Path) -> None:
    try:
        record = found.captured(model, case.text)
        _check_known(record, case)
        how = (found.analyzer.mention, found.analyzer.weights)
        features = candidate_features(case, record, *how)
        version = pair_version(case, record, *how)
        found.analyzer.update([(case, record)])
    except (MentionError, TextError) as error:
        line, shown = (row.line, row.shown) if row else (0, "")
        kind = "text" if isinstance(error, TextError) else "mention"
        found.rejects.append(Reject(str(path), line, str(error), shown, kind))
        return
    found.record = found.record or record
    found.cases[str(case.id)] = case
    found.features.append(features)
    found.versions.append(version)
    if not case.is_forced_choice:
        which = "all of its candidates are" if case.antecedents else "none of its candidates is"
        reason = f"Offers no choice: {which} an antecedent. It counts in no accuracy."
        line, shown = (row.line, row.shown) if row else (0, "")
        found.rejects.append(Reject(str(path), line, reason, shown, NO_CHOICE))


def _check_known(record: AttentionRecord, case: CorefCase) -> None:
    """Attention to a piece that stands for any unknown character says nothing of the mention.

    Raises:
        MentionError: a mention has such a piece.
    """
    unknown = record.queries.unknown_mask
    for span in (case.pronoun, *(candidate.span for candidate in case.candidates)):
        pieces = [i for word in mention_pieces(record.queries, span) for i in word]
        if any(unknown[piece] for piece in pieces):
            raise MentionError(
                f"Expected a tokenizer that knows {case.phrase(span)!r}, but this model's reads "
                f"{'it' if len(pieces) == 1 else 'a part of it'} as unknown. Use a model whose "
                "vocabulary has these characters."
            )
