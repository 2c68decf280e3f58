"""The report on a few cases or texts: findings in words, and the views of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

from introspect.calls import checked_call
from introspect.errors import InputError
from introspect.models import Model
from introspect.page import Document, Instrument, Section
from introspect.records import AttentionRecord, Head, mention_pieces
from introspect.reporting.prose import (
    ATTENTION_IS_NOT_CAUSATION,
    Finding,
    finding_of_set,
    finding_of_text,
    finding_prose,
    plain_words,
)
from introspect.reporting.skeleton import Report, Skeleton, example_words
from introspect.studies.atlas import Atlas
from introspect.studies.coreference import (
    CapturedText,
    CoreferenceStudy,
    Subject,
    coreference_study,
    quoted,
)
from introspect.text import CorefCase, counted, decimal, shortened
from introspect.views import (
    Choice,
    accuracy_measures,
    case_choice,
    coreference_view,
    head_view,
    instrument,
    model_view,
    page_methods,
)

_NOT_FINITE = "Run the model in float32 or bfloat16: float16 overflows in some models."
#: How the weights of words and the credit of heads are defined.
METHOD = (
    "Words are found by character offsets. The weight from one word to another is the attention "
    "summed over the pieces of the target and averaged over those of the source; for mentions of "
    "several words it is the mean over the pairs of words. By that weight candidates are compared; "
    "the share that a mention gets is the sum over its words, and the mean over those that attend.",
    "A head gets credit 1 if it gives the antecedent more than any other candidate, a share if "
    "they are tied, and 0 otherwise; if all candidates together get less than 0.000001, that "
    "counts as a tie.",
    "Heads are named by layer and head, both from 0: L3H1 is head 1 of layer 3. Weights shown are "
    "raw, special tokens included.",
)


@overload
def report(
    study: CoreferenceStudy, *, atlas: Atlas | None = None, command: str | None = None
) -> Report: ...


@overload
def report(
    study: Model | str,
    subjects: Subject | Sequence[Subject],
    *,
    truncation: bool = False,
    atlas: Atlas | None = None,
    command: str | None = None,
) -> Report: ...


@checked_call
def report(
    study: CoreferenceStudy | Model | str,
    subjects: Subject | Sequence[Subject] | None = None,
    *,
    truncation: bool = False,
    atlas: Atlas | None = None,
    command: str | None = None,
) -> Report:
    """Build a report on coreference cases, texts or pairs of texts.

    Args:
        study: of ``ix.coreference_study``, or a model from which to make it; the page opens with
            its first text.
        subjects: beside a model, what ``ix.coreference_study`` takes: cases, texts or pairs.
        truncation: beside a model, whether to cut texts that are too long.
        atlas: an atlas of the model, to say what else the heads that are named do, with links.
        command: the command line that made the report, for the provenance.

    Raises:
        InputError: a model without subjects.
        IntrospectError: a subject cannot be captured or scored; the message names it.

    Example:
        >>> import introspect as ix
        >>> print(ix.report("induction", "a b c a b").finding)
        2 layers × 4 heads captured; no pronoun was given, so none was scored.
    """
    if not isinstance(study, CoreferenceStudy):
        if subjects is None:
            raise InputError("Expected cases or texts beside the model, got none. Add them.")
        study = coreference_study(study, subjects, truncation=truncation)
    elif subjects is not None:
        raise InputError(
            "Expected a study alone, got subjects too: it has its own. Leave them out."
        )
    first, is_one = study.texts[0], len(study.texts) == 1
    skeleton = Skeleton(
        title=_title(study),
        finding=_finding_of(first) if is_one else finding_of_set(study),
        certificate=first.record.certificate,
        texts=len(study.texts),
        cases=sum(text.case is not None for text in study.texts),
        # Of several texts each says what must be known of it, beside its words.
        notices=study.notices if is_one else (),
        command=command,
        atlas=atlas,
    )
    document = skeleton.begin(
        instrument=_instrument(first) if is_one else _first_of(study),
        example="" if is_one else example_words(len(study.texts)),
        plain=plain_words(first.record),
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
    return finding_of_case(text)


def _instrument(text: CapturedText, head: Head | None = None) -> Instrument:
    record, methods = text.record, page_methods(text.record)
    if text.case is None:
        return instrument(record, Choice(methods=methods))
    choice = case_choice(record, text.case, head or _first_head(text))
    return instrument(record, replace(choice, methods=methods))


def _first_of(study: CoreferenceStudy) -> Instrument:
    """Return the first of several texts, with its heads colored by what they do in all."""
    opened = _instrument(study.texts[0])
    measures = () if study.scores is None else accuracy_measures(study.scores)
    return replace(opened, measures=measures)


def finding_of_case(text: CapturedText) -> Finding:
    """Return the finding on one case.

    Args:
        text: the case with its attention.
    """
    case, claims = text.case, text.claims
    assert case is not None, "a text without a pronoun"
    headline, *details = dict.fromkeys(claim.sentence for claim in claims)
    kind = claims[0].kind
    if kind == "unreadable":
        return Finding(headline, (_NOT_FINITE,), (), claims)
    if kind == "unobservable":
        return Finding(headline, tuple(details), (ATTENTION_IS_NOT_CAUSATION,), claims)
    if kind != "no-antecedent":
        unread = sum(claim.kind == "unread" for claim in claims)
        details.insert(unread, _definition(case))
    return Finding(headline, tuple(details), _caveats(text), claims)


def _caveats(text: CapturedText) -> tuple[str, ...]:
    num_heads = text.directions[0].credit.numel()
    for claim in text.claims:
        num_heads = int(claim.estimate) if claim.kind in ("unread", "readable") else num_heads
    return (
        f"One sentence is an example, not evidence. Among {counted(num_heads, 'head')} some will "
        "seem right by chance, and no accuracy on held-out cases was measured here: this report "
        "does not show that a head resolves coreference in general.",
        ATTENTION_IS_NOT_CAUSATION,
    )


def _definition(case: CorefCase) -> str:
    return (
        f"A head points from {quoted(case, case.pronoun)} to a mention if it gives the mention "
        "more than half of its attention there, and at least twice what the other words of the "
        "text give it in the mean."
    )


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
    """Name the head that gives the antecedent most, beside a case in the list."""
    if text.case is None:
        return ""
    if not text.directions[0].is_observable:
        return "not observable"
    if text.pointing is None:
        return ""
    ranked = text.pointing.ranked()
    return f"{ranked[0].head} {decimal(ranked[0].share)}" if ranked else "not readable"


def add_text(document: Document, text: CapturedText, *, head: Head | None = None) -> None:
    """Add one of several texts: its words, what was found in it, and its views.

    Args:
        document: the page.
        text: the text with its attention.
        head: what the head view shows first; by default the head that points best.
    """
    document.add_instrument(_instrument(text, head))
    for notice in text.record.notices:
        document.add_notice(notice)
    document.add_prose(finding_prose(_finding_of(text)))
    _add_views(document, text, folds=False, head=head)


def _add_views(
    document: Document, text: CapturedText, *, folds: bool, head: Head | None = None
) -> None:
    record, case = text.record, text.case
    token = None
    sections: list[Section] = []
    if case is not None:
        head = head or _first_head(text)
        token = _pinned(record, case)
        head = head or Head(record.layers[0], 0)
        sections += coreference_view(record, case, head=head, scores=text.directions).sections(
            with_detail=False
        )
    sections += model_view(record).sections(with_detail=False)
    if head is None:
        # The head that the sentence is of.
        opened = _instrument(text)
        assert opened.layer is not None
        assert opened.head is not None
        layer, number = opened.layer, opened.head
    else:
        layer, number = head
    sections += head_view(
        record, layer=layer, heads=[number], token=token, granularity="word"
    ).sections()
    for section in sections:
        document.add_section(section, folds=folds)


def _first_head(text: CapturedText) -> Head | None:
    """Return the head to show first: one that points, else one that attends to a candidate."""
    if text.pointing is not None:
        ranked = sorted(text.pointing.ranked(), key=lambda each: not each.points)
        return ranked[0].head if ranked else None
    return next((best for best, _ in text.directions[0].strongest()), None)


def _pinned(record: AttentionRecord, case: CorefCase) -> dict[str, object]:
    """Return the pronoun's first word, so that its lines and numbers are shown first."""
    first = mention_pieces(record.queries, case.pronoun, role="pronoun")[0][0]
    words = enumerate(record.queries.pieces())
    return {"side": "query", "index": next(number for number, word in words if first in word)}
