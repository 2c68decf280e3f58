"""The report of a causal study: which heads matter, beside what they attend to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from introspect.interventions import NEEDS_REFERENCE, ablate
from introspect.page import Document
from introspect.records import AttentionRecord, Head
from introspect.reporting.causal_words import (
    finding_of_study,
    head_verdicts,
    heads_that_matter,
    mediation_words,
    number,
    smallest_words,
    with_range,
)
from introspect.reporting.html import (
    certificate_rows,
    notices_prose,
    paragraphs,
    provenance_rows,
    set_prose,
    table,
    version_of_introspect,
)
from introspect.reporting.report import Report
from introspect.reporting.set_report import data_table
from introspect.reporting.set_words import finding_of_choice, p_value, share
from introspect.studies.causal import CausalStudy, before_after
from introspect.text import shortened
from introspect.views import causal_view, compare_view, forest_section

__all__ = ["causal_report", "first_record"]

_MANY = 12
_PLAIN = (
    "How to read this: a head is taken out of the model while it reads, and the model is asked the "
    "same question again. Attention shows where a head looks; what it looks at need not make a "
    "difference to the answer. If the model now prefers the right candidate less, its answer "
    "rested on what the head gave on, whether the head looked at that candidate or at something "
    "else. To know that this is more than the harm that taking out any head does, the other heads "
    "of the same layer are taken out as well, one at a time, and the head is compared with their "
    "mean."
)
_METHODS = {
    "zero": "Heads were taken out by setting what they give on to zero, the strongest change.",
    "mean": "Heads were taken out by giving on, in place of their output, its mean over all tokens "
    "of the reference texts.",
    "uniform": "Heads were not silenced, but made to attend alike to all that they may see.",
    "resample": "Heads were taken out by giving on, in place of their output, that of another text "
    "at the same place.",
}
_RULES = (
    "The effect of a head is the mean, over cases, of how far the preference falls when the head "
    "is taken out; above 0 the head helps. The control is the mean effect of the other heads of "
    "its layer. Intervals hold 95 % of 10,000 resamples of the groups of cases. The p-value is of "
    "effect minus control, one-sided, by flipping the sign of whole groups; the adjusted one "
    "compares with the largest of all heads. A head matters, in the words of this report, if its "
    "adjusted p is below 0.05 and its own interval above 0.",
    "A head looks, in the words of this report, if the pronoun attends to the antecedent most, "
    "more often than the best of all heads on relabeled cases (adjusted p below 0.05).",
    "The head that is chosen by where it looks is chosen on one half of the groups and taken out "
    "on the other, both ways, so that no case counts for its own choice.",
)


def causal_report(
    study: CausalStudy,
    *,
    name: str = "these cases",
    rejects: Sequence[str] = (),
    notices: Sequence[str] = (),
    command: str | None = None,
) -> Report:
    """Build a report on which heads matter, beside what they attend to.

    Args:
        study: what ``ix.causal_study`` found.
        name: the name of the set of cases.
        rejects: why rows were left out before the study, one reason per row; the cases that the
            study itself could not ask are added.
        notices: what a reader must know first.
        command: the command line that made the report, for the provenance.

    Example:
        >>> import introspect as ix
        >>> from introspect.data import grammar_cases
        >>> model = ix.load("pronoun", lm_head=True)
        >>> study = ix.causal_study(model, grammar_cases(20))
        >>> print(ix.causal_report(study).finding[:54])
        The head that attends to the antecedent matters: L1H0,
    """
    finding = finding_of_study(study)
    record = first_record(study)
    notices = (*_surrogate_notice(study), *notices)
    title = f"Which heads matter in {name}"
    document = Document(title, summary=_summary(title, finding.plain, study, record, command))
    document.add_prose(notices_prose(notices) + set_prose(finding))
    document.add_prose(f'<p class="background">{_PLAIN}</p>')
    document.add_contents()
    for section in causal_view(study).sections():
        document.add_section(section, folds=True)
    with document.chapter("Heads in figures"):
        document.add_prose(_heads_table(study))
    _add_before_and_after(document, study)
    _add_attention(document, study)
    if study.smallest is not None:
        with document.chapter("The few heads that carry the most"):
            document.add_prose(paragraphs(smallest_words(study)) + _smallest_table(study))
    if study.mediation is not None:
        with document.chapter("Twins: total, direct and indirect effects"):
            document.add_prose(paragraphs(mediation_words(study)) + _mediation_table(study))
    _add_left_out(document, study, rejects)
    with document.chapter("How it was measured"):
        document.add_prose(paragraphs([_metric_words(study), *_RULES]))
    with document.chapter("Proof and provenance"):
        certificate = certificate_rows(record.certificate)
        document.add_prose(table(certificate, "Certificate of the first capture"))
        document.add_prose(table(provenance_rows(record, command), "To repeat this report"))
    return Report(document.to_html(), finding.plain, scores=study.scores, notices=notices)


def first_record(study: CausalStudy) -> AttentionRecord:
    """Capture the record of the first case, with its certificate."""
    answers = study.effects.answers
    kind = "encoder" if answers.model.is_encoder_decoder else None
    return answers.model.capture(answers.texts[0], kind=kind, certify=True)


def _surrogate_notice(study: CausalStudy) -> tuple[str, ...]:
    if not study.heads.attrs["is_surrogate"]:
        return ()
    return (f"Effects are on {study.heads.attrs['metric_words']}.",)


def _heads_table(study: CausalStudy) -> str:
    """Build the table of heads that matter and of those with the largest effects, up to a dozen."""
    verdicts = head_verdicts(study.heads)
    by_effect = study.heads.sort_values("effect", ascending=False, kind="stable")
    many = max(_MANY, len(heads_that_matter(study.heads)))
    rows = [
        (
            f"L{r.layer}H{r.head}",
            with_range(r.effect, r.ci_low, r.ci_high),
            number(r.control),
            with_range(r.difference, r.difference_low, r.difference_high),
            p_value(r.p_adjusted),
            share(r.accuracy_without),
            share(r.attention_accuracy),
            verdicts.get(Head(r.layer, r.head), "–"),
        )
        for r in by_effect.head(many).itertuples()
    ]
    attrs = study.heads.attrs
    surrogate = "surrogate " if attrs["is_surrogate"] else ""
    columns = (
        "head", f"{surrogate}effect in {attrs['unit']} (95 %)", "other heads of its layer",
        "difference (95 %)", "adjusted p", f"{surrogate}right without it",
        "attends to the antecedent", "",
    )  # fmt: skip
    rest = len(by_effect) - len(rows)
    more = [f"{rest} heads with smaller effects are on the map above."] if rest else []
    return data_table(columns, rows) + paragraphs(more)


def _add_before_and_after(document: Document, study: CausalStudy) -> None:
    """Add the first case's attention before and after ablating the head that matters most for it.

    Add nothing where no head matters, where no attention follows any of them, or where heads were
    replaced by outputs on other texts, which are no longer available.
    """
    effects = study.effects
    model, text = effects.answers.model, effects.answers.texts[0]
    if effects.method in NEEDS_REFERENCE:
        return
    kind = effects.kind if model.is_encoder_decoder else None
    for row in heads_that_matter(study.heads).itertuples():
        head = Head(row.layer, row.head)
        change = ablate(model, head, method=effects.method, kind=kind)
        compared = before_after(model, text, change, kind=kind)
        if compared.most_changed is None:
            continue
        with document.chapter(f"Before and after: without {head}"):
            words = (
                f"The first case, as it is and with {head} taken out. What a head gives on changes "
                "what the heads of later layers look at."
            )
            document.add_prose(paragraphs([words]))
            labels = ("unchanged", f"without {head}")
            view = compare_view(compared.before, compared.after, labels=labels)
            for section in view.sections():
                document.add_section(section)
        return


def _add_attention(document: Document, study: CausalStudy) -> None:
    """Add what heads attend to, with the held-out claim."""
    finding = finding_of_choice(study.scores, len(set(study.effects.answers.groups)))
    with document.chapter("Where heads look"):
        document.add_prose(paragraphs([finding.headline, *finding.details]))
        if study.scores.choice is not None:
            document.add_section(forest_section(study.scores))


def _smallest_table(study: CausalStudy) -> str:
    assert study.smallest is not None
    rows = [
        (
            f"L{r.layer}H{r.head}",
            number(r.effect),
            f"{r.share:.0%}",
            number(r.effect_of_random),
            share(r.accuracy_without),
            share(r.accuracy_with_only),
        )
        for r in study.smallest.steps.itertuples()
    ]
    columns = (
        "added", "effect of all so far", "of the whole", "random heads", "right without them",
        "right with only them",
    )  # fmt: skip
    return data_table(columns, rows) if rows else ""


def _mediation_table(study: CausalStudy) -> str:
    assert study.mediation is not None
    largest = study.mediation.heads.sort_values("indirect", ascending=False, kind="stable")
    rows = [
        (
            f"L{r.layer}H{r.head}",
            number(r.total),
            with_range(r.indirect, r.indirect_low, r.indirect_high),
            with_range(r.direct, r.direct_low, r.direct_high),
            share(r.share),
        )
        for r in largest.head(_MANY).itertuples()
    ]
    columns = ("head", "total", "indirect (95 %)", "direct (95 %)", "indirect of total")
    return data_table(columns, rows)


def _add_left_out(document: Document, study: CausalStudy, rejects: Sequence[str]) -> None:
    reasons = Counter([*rejects, *(reason for _, reason in study.rejected)])
    count = sum(reasons.values())
    with document.chapter("What was left out"):
        sentences = [
            f"{count} {'row was' if count == 1 else 'rows were'} left out."
            if count
            else "Every case was asked."
        ]
        notes = dict.fromkeys([*study.notes, *study.scores.notes])
        sentences += [f"{note[:1].upper()}{note[1:].removesuffix('.')}." for note in notes]
        document.add_prose(paragraphs(sentences))
        if reasons:
            rows = [(times, shortened(why, 200)) for why, times in reasons.most_common(_MANY)]
            document.add_prose(data_table(("rows", "reason"), rows))


def _metric_words(study: CausalStudy) -> str:
    attrs = study.heads.attrs
    return (
        f"What a candidate gets is {attrs['metric_words']} (metric {attrs['metric']}). The "
        "preference is what the antecedent gets, less what the best distractor gets, in "
        f"{attrs['unit']}. {_METHODS[attrs['method']]}"
    )


def _summary(
    title: str, finding: str, study: CausalStudy, record: AttentionRecord, command: str | None
) -> dict[str, object]:
    cases = len(study.effects.margins)
    certificate = record.certificate
    return {
        "kind": "report",
        "title": title,
        "finding": finding,
        "texts": cases,
        "cases": cases,
        "model": certificate.model,
        "revision": certificate.revision,
        "introspect": version_of_introspect(),
        "command": command,
        "surrogate": bool(study.heads.attrs["is_surrogate"]),
    }
