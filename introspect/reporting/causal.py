"""The report of a causal study: what heads do for the answer, beside what they attend to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from introspect.calls import checked_call
from introspect.interventions import NEEDS_REFERENCE, ablate
from introspect.page import Document, Instrument
from introspect.records import AttentionRecord, Head
from introspect.reporting.causal_words import (
    attending_beside,
    finding_of_study,
    followed_words,
    head_verdicts,
    mediation_words,
    smallest_words,
    with_range,
)
from introspect.reporting.prose import data_table, paragraphs
from introspect.reporting.set_words import finding_of_choice
from introspect.reporting.skeleton import Report, Skeleton, example_words
from introspect.statistics import Claim
from introspect.studies.atlas import Atlas
from introspect.studies.causal import MEDIATED, Answers, CausalStudy, before_after, heads_with
from introspect.text import (
    NO_NUMBER,
    counted,
    p_cell,
    percent,
    quantity,
    sentence,
    shortened,
    verb,
)
from introspect.views import (
    FOUND,
    Choice,
    case_choice,
    causal_view,
    compare_view,
    effect_measures,
    forest_section,
    instrument,
)

_MANY = 12
_PLAIN = (
    "How to read this: a head is ablated, that is, its output is replaced while the model reads, "
    "and the model is asked the same question again. Attention shows what a head attends to; that "
    "need not make a difference to the answer. If the model now prefers the right candidate less, "
    "the head supports the answer, whether it attended to that candidate or to something else; if "
    "it prefers it more, the head opposes it. The mean effect of the other heads of the same layer "
    "stands beside each head."
)
_METHODS = {
    "zero": "Heads were ablated by setting their output to zero, the strongest change.",
    "mean": "Heads were ablated by replacing their output by its mean over all tokens of the "
    "reference texts.",
    "uniform": "Heads were not silenced, but made to attend equally to all that the mask allows.",
    "resample": "Heads were ablated by replacing their output by that of another text at the same "
    "place.",
}
_RULES = (
    "The effect of a head is the mean, over cases, of how far the preference falls when the head "
    "is ablated. Intervals of effects are studentized bootstraps of the groups of cases, 95%. The"
    " p-value is of the head’s own effect, two-sided, by flipping the signs of whole groups, with"
    " a correction for skewed effects; with fewer than 50 groups also by resamples. The adjusted "
    "one compares with the largest of all heads. A head supports the answer, or opposes it, if "
    "its adjusted p is below 0.05 and its effect at least 1% of the mean size of the margins; "
    "else there is no evidence. The mean effect of the other heads of the same layer stands "
    "beside it, and is not part of the rule. Where the model is not shown to be above chance "
    "there is no ability to explain, and no verdict.",
    "A head attends to the antecedent if the pronoun attends to it most in this head more often "
    "than chance, the nearest candidate, the first, the one with the fewest words and the one at "
    "the best fixed distance are right on the same cases (adjusted p below 0.05 over all heads and "
    "all of these), and if on the median case the antecedent gets at least 1.5 times the weight of "
    "the best distractor.",
    "The head that is chosen by its attention is chosen on one half of the groups and ablated on "
    "the other, both ways, so that no case counts for its own choice.",
)


@checked_call
def causal_report(
    study: CausalStudy,
    *,
    name: str = "these cases",
    rejects: Sequence[str] = (),
    notices: Sequence[str] = (),
    read: Sequence[str] = (),
    command: str | None = None,
    atlas: Atlas | None = None,
) -> Report:
    """Build a report on what heads do for the answer, beside what they attend to.

    Args:
        study: what ``ix.causal_study`` found.
        name: the name of the set of cases.
        rejects: why rows were left out before the study, one reason per row; the cases that the
            study itself could not ask are added.
        notices: what a reader must know first.
        read: what was read from which file, in sentences.
        command: the command line that made the report, for the provenance.
        atlas: an atlas of the model, to say what else the heads that are named do, with links.

    Example:
        >>> import introspect as ix
        >>> from introspect.data import grammar_cases
        >>> model = ix.load("pronoun", lm_head=True)
        >>> study = ix.causal_study(model, grammar_cases(20))
        >>> print(ix.causal_report(study).finding[:35])
        L0H0 and L1H0 support the answer: w
    """
    record = first_record(study)
    cases = len(study.effects.margins)
    skeleton = Skeleton(
        title=f"Which heads support the answer in {name}",
        finding=finding_of_study(study),
        certificate=record.certificate,
        texts=cases,
        cases=cases,
        notices=(*_surrogate_notice(study), *notices),
        read=read,
        command=command,
        atlas=atlas,
    )
    document = skeleton.begin(
        instrument=_example(study, record),
        example=example_words(cases, "case"),
        plain=_PLAIN,
        is_surrogate=bool(study.heads.attrs["is_surrogate"]),
    )
    for section in causal_view(study).sections():
        document.add_section(section, folds=True)
    with document.chapter("Heads in figures"):
        document.add_prose(_heads_table(study))
    _add_before_and_after(document, study)
    of_attention = _add_attention(document, study)
    if study.followed.heads:
        with document.chapter("By other methods, directly, and in pairs"):
            document.add_prose(
                paragraphs(followed_words(study)) + _methods_table(study) + _pairs_table(study)
            )
    if study.smallest is not None:
        with document.chapter("A few heads that carry the answer"):
            document.add_prose(paragraphs(smallest_words(study)) + _smallest_table(study))
    if study.mediation is not None:
        with document.chapter("Minimal pairs: total, direct and indirect effects"):
            document.add_prose(paragraphs(mediation_words(study)) + _mediation_table(study))
    _add_left_out(document, study, rejects)
    method = (_metric_words(study), *_RULES)
    return skeleton.finish(
        document,
        method=method,
        captured="the first capture",
        scores=study.scores,
        claims=of_attention,
    )


def _example(study: CausalStudy, record: AttentionRecord) -> Instrument:
    """Return the first text, with its heads colored by their effects in all."""
    measures = effect_measures(study.heads, study.heads.attrs["unit"])
    largest = study.heads.sort_values("effect", key=abs, ascending=False, kind="stable").iloc[0]
    head = Head(int(largest["layer"]), int(largest["head"]))
    # In an encoder-decoder the heads that were ablated need not be those of this record.
    heads = set(zip(study.heads["layer"], study.heads["head"], strict=True))
    if heads != {(layer, number) for layer in record.layers for number in range(record.num_heads)}:
        return instrument(record)
    answers = study.effects.answers
    case = answers.cases[0] if isinstance(answers, Answers) else None
    if case is None or record.queries.texts != (case.text,):
        return instrument(record, Choice(head.layer, head.head, measures=measures))
    return instrument(record, case_choice(record, case, head, measures))


def first_record(study: CausalStudy) -> AttentionRecord:
    """Capture the record of the first case, with its certificate."""
    answers = study.effects.answers
    return answers.model.capture(answers.texts[0], certify=True)


def _surrogate_notice(study: CausalStudy) -> tuple[str, ...]:
    if not study.heads.attrs["is_surrogate"]:
        return ()
    return (f"Effects are on {study.heads.attrs['metric_words']}.",)


def _heads_table(study: CausalStudy) -> Markup:
    """Build the table of heads with an effect and of those with the largest, up to a dozen."""
    verdicts = head_verdicts(study.heads)
    found = heads_with(study.heads, *FOUND)
    others = heads_with(study.heads, "no evidence", "no verdict")
    by_effect = pd.concat([found, others])
    many = max(_MANY, len(found))
    rows = [
        (
            f"L{r.layer}H{r.head}",
            with_range(r.effect, r.ci_low, r.ci_high),
            quantity(r.control),
            with_range(r.difference, r.difference_low, r.difference_high),
            p_cell(r.p_adjusted),
            percent(r.accuracy_without),
            percent(r.attention_accuracy),
            verdicts.get(Head(r.layer, r.head), NO_NUMBER),
        )
        for r in by_effect.head(many).itertuples()
    ]
    attrs = study.heads.attrs
    surrogate = "surrogate " if attrs["is_surrogate"] else ""
    columns = (
        "head", f"{surrogate}effect in {attrs['unit']}", "the other heads of the same layer",
        "difference", "adjusted p", f"{surrogate}right without it",
        "attends to the antecedent", "",
    )  # fmt: skip
    rest = len(by_effect) - len(rows)
    more = [f"{counted(rest, 'head')} with smaller effects on the map above."] if rest else []
    return data_table(columns, rows) + paragraphs(more)


def _add_before_and_after(document: Document, study: CausalStudy) -> None:
    """Add the first case's attention before and after ablating the head with the largest effect.

    Add nothing where no head has one, where no attention follows any of them, or where heads were
    replaced by outputs on other texts, which are no longer available.
    """
    effects = study.effects
    model, text = effects.answers.model, effects.answers.texts[0]
    if effects.method in NEEDS_REFERENCE:
        return
    for row in heads_with(study.heads, *FOUND).itertuples():
        head = Head(row.layer, row.head)
        change = ablate(model, head, method=effects.method, kind=effects.kind)
        compared = before_after(model, text, change, kind=effects.kind)
        if compared.most_changed is None:
            continue
        with document.chapter(f"Before and after: without {head}"):
            words = (
                f"The first case, as it is and with {head} ablated. The output of a head changes "
                "what the heads of later layers attend to."
            )
            document.add_prose(paragraphs([words]))
            labels = ("unchanged", f"without {head}")
            view = compare_view(compared.before, compared.after, labels=labels)
            for section in view.sections():
                document.add_section(section)
        return


def _add_attention(document: Document, study: CausalStudy) -> tuple[Claim, ...]:
    """Add what heads attend to, and return what is claimed of that."""
    finding = finding_of_choice(study.scores, attending_beside(study))
    with document.chapter("What heads attend to"):
        document.add_prose(paragraphs([finding.headline, *finding.details]))
        if study.scores.choice is not None:
            document.add_section(forest_section(study.scores))
    printed = {finding.headline, *finding.details}
    return tuple(claim for claim in finding.claims if claim.sentence in printed)


def _methods_table(study: CausalStudy) -> Markup:
    direct = study.followed.direct.set_index(["layer", "head"])
    rows = []
    for r in study.followed.methods.itertuples():
        is_main = r.method == study.effects.method
        held = direct.loc[(r.layer, r.head)]
        rows.append(
            (
                f"L{r.layer}H{r.head}",
                r.method,
                with_range(r.effect, r.ci_low, r.ci_high),
                p_cell(r.p_adjusted),
                r.verdict,
                with_range(held["direct"], held["direct_low"], held["direct_high"])
                if is_main
                else "",
            )
        )
    columns = ("head", "method", "effect", "adjusted p", "verdict", "direct effect")
    return data_table(columns, rows)


def _pairs_table(study: CausalStudy) -> Markup:
    rows = [
        (
            f"L{r.layer}H{r.head} and L{r.other_layer}H{r.other_head}",
            quantity(r.effect),
            quantity(r.alone),
            with_range(r.interaction, r.interaction_low, r.interaction_high),
            p_cell(r.p_adjusted),
            r.relation,
        )
        for r in study.followed.pairs.itertuples()
    ]
    columns = ("pair", "without both", "sum of each alone", "difference", "adjusted p", "")
    return data_table(columns, rows) if rows else Markup()


def _smallest_table(study: CausalStudy) -> Markup:
    assert study.smallest is not None
    rows = [
        (f"L{r.layer}H{r.head}", quantity(r.effect), quantity(r.faithfulness))
        for r in study.smallest.steps.itertuples()
    ]
    columns = ("added", "effect alone", "faithfulness so far, where they were found")
    return data_table(columns, rows) if rows else Markup()


def _mediation_table(study: CausalStudy) -> Markup:
    rows = [
        (
            f"L{r.layer}H{r.head}",
            MEDIATED[found.through],
            with_range(r.indirect, r.indirect_low, r.indirect_high),
            p_cell(r.p_adjusted),
            with_range(r.direct, r.direct_low, r.direct_high),
            percent(r.share),
        )
        for found in (study.mediation, study.mediation_by_weights)
        if found is not None
        for r in found.heads.sort_values("indirect", ascending=False, kind="stable").itertuples()
    ]
    columns = ("head", "by its", "indirect", "adjusted p", "direct", "indirect of total")
    return data_table(columns, rows)


def _add_left_out(document: Document, study: CausalStudy, rejects: Sequence[str]) -> None:
    reasons = Counter([*rejects, *(reason for _, reason in study.rejected)])
    count = sum(reasons.values())
    with document.chapter("What was left out"):
        sentences = [
            f"{counted(count, 'row')} {verb(count, 'was', 'were')} left out."
            if count
            else "Every case was asked."
        ]
        notes = dict.fromkeys([*study.notes, *study.scores.notes])
        sentences += map(sentence, notes)
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
