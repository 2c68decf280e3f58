"""The report on a set of cases: a headline, and everything that it rests on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property

from markupsafe import Markup

from introspect.data import Reject
from introspect.page import Document, Instrument
from introspect.records import AttentionRecord, Weights, mention_pieces
from introspect.reporting.prose import Finding, data_table, paragraphs, plain_words
from introspect.reporting.set_words import (
    bias_words,
    finding_of_choice,
    linear_words,
    occupation_words,
    pair_words,
    stability_words,
)
from introspect.reporting.skeleton import Report, Skeleton, example_words
from introspect.reporting.texts import METHOD, add_text
from introspect.statistics import Claim
from introspect.studies.atlas import Atlas
from introspect.studies.coreference import (
    LAST_POSITION,
    Bias,
    CapturedText,
    CaseList,
    OccupationBias,
    PairShifts,
    ProbeResult,
    Scores,
    direction_name,
    in_sample,
    linear_claims,
    shifts_beside,
)
from introspect.text import (
    CorefCase,
    counted,
    decimal,
    interval,
    p_cell,
    percent,
    sentence,
    shortened,
    signed,
    verb,
)
from introspect.views import (
    Choice,
    accuracy_measures,
    case_choice,
    cases_section,
    compare_view,
    forest_section,
    instrument,
    score_map_section,
)

_MANY_PAIRS = 5
_SHOWN_REASONS = 12

_SCORED: dict[Weights, str] = {
    "raw": "Raw weights were scored, special tokens included.",
    "renormalized": "Renormalized weights were scored: special tokens and a word’s own position "
    "were dropped and the rest of its row made to sum to 1; the table of cases has what was "
    "removed. Views show the raw ones.",
    "norm": "Norm-weighted attention was scored: each weight times the length of what it brings, "
    "its value after the head’s part of the output projection (Kobayashi et al. 2020). The table "
    "of heads has the accuracy by raw weights beside it, as raw_accuracy; minimal pairs and the "
    "sum of all heads are made of the same weights. Head views show raw weights first, and norms "
    "by their choice of weights.",
}

_LAST_POSITION = (
    "Beside the two directions between the pronoun and the candidates, what the last position of "
    "each text attends to was scored, within the same choice and the same tests. In a causal model "
    "it sees every candidate, and the pronoun only those before it."
)

_RULES = (
    "The headline is held out: the groups of cases, sorted by name, are divided into five folds, "
    "the head and direction that are best on four are scored on the fifth, and the five are "
    "pooled. The figure is the mean over 30 such divisions. A group (minimal pairs, a schema, a "
    "page, translations) is never divided, and copies of a case share one.",
    "Intervals of accuracies are Wilson’s, with as many cases as the groups are worth, and exact "
    "where all or none is right; those of differences are studentized bootstraps of the groups. "
    "Of the held-out choice both are wider, because the folds share cases (Nadeau & Bengio 2003). "
    "The p-value of a head is that of a permutation test: which candidate is called the "
    "antecedent is permuted group by group; the adjusted one compares with the best of all heads "
    "and directions, so that trying many heads is paid for.",
    "Baselines answer the same cases: by chance, the nearest candidate before the pronoun, the "
    "first in the text, the one with the fewest words, the one with the most word pieces, the most "
    "attended by all words, the most attended in the attention averaged over all heads, and the "
    "best fixed distance in words, chosen on the other folds.",
)


@dataclass(frozen=True, eq=False)
class SetFindings:
    """All findings on a set.

    Args:
        name: the name of the set.
        read: what was read, in sentences.
        scores: the tables.
        num_cases: the number of cases with a score.
        num_groups: the number of groups of cases.
        linear: the linear probe, where there are enough groups.
        linear_random: its accuracy on random weights for each seed, where they were run.
        bias: the difference between two kinds of cases, where the set names them.
        occupations: the choice of occupations by their share of women, where the set has both.
        pairs: the shifts within minimal pairs, where there are any.
        shown_pairs: some of the pairs, both cases with their records.
        rejects: rows without a score, or the first of them, and
        num_rejected: how many there are.
        record: of the first case, for the certificate and the provenance.
        weights: the weights that were scored: ``raw``, ``renormalized`` or ``norm``.
        hardest: the cases that the chosen head gets most wrong: case, record, and how much more
            the antecedent gets than the distractor.
        listed: every case with the numbers of some heads, to be looked through.
        command: the command line.
        atlas: an atlas of the model, to say what else the heads that are named do, with links.
    """

    name: str
    read: tuple[str, ...]
    scores: Scores
    num_cases: int
    num_groups: int
    linear: ProbeResult | None
    linear_random: tuple[float, ...]
    bias: Bias | None
    occupations: OccupationBias | None
    pairs: PairShifts | None
    shown_pairs: tuple[tuple[tuple[CorefCase, AttentionRecord], ...], ...]
    rejects: tuple[Reject, ...]
    num_rejected: int
    record: AttentionRecord
    weights: Weights
    hardest: tuple[tuple[CorefCase, AttentionRecord, float], ...]
    listed: CaseList
    command: str | None
    atlas: Atlas | None = None

    @cached_property
    def finding(self) -> Finding:
        """The headline and its caveats."""
        also = () if self.pairs is None else shifts_beside(self.pairs.table)
        found = finding_of_choice(self.scores, also)
        results = (self.pairs, self.bias, self.occupations)
        further = [claim for result in results if result is not None for claim in result.claims]
        return replace(found, claims=(*found.claims, *self.linear_claims, *further))

    @property
    def linear_claims(self) -> tuple[Claim, ...]:
        """Return what is claimed of the linear probe."""
        if self.linear is None:
            return ()
        return linear_claims(self.linear, self.scores, self.linear_random)


def set_report(findings: SetFindings) -> Report:
    """Build the page of a set."""
    scores = findings.scores
    skeleton = Skeleton(
        title=f"Coreference in {findings.name}",
        finding=findings.finding,
        certificate=findings.record.certificate,
        texts=findings.num_cases,
        cases=findings.num_cases,
        read=findings.read,
        command=findings.command,
        atlas=findings.atlas,
    )
    document = skeleton.begin(
        instrument=_example(findings),
        example=_example_words(findings),
        plain=plain_words(findings.record),
    )
    if scores.choice is not None:
        document.add_section(forest_section(scores), folds=True)
    if not scores.heads.empty:
        document.add_section(score_map_section(scores), folds=True)
    _add_stability(document, findings)
    _add_together(document, findings)
    _add_occupations(document, findings.occupations)
    _add_bias(document, findings)
    _add_cases(document, findings)
    _add_hardest(document, findings)
    _add_left_out(document, findings)
    return skeleton.finish(
        document, method=_method(findings), captured="the first capture", scores=scores
    )


def _method(findings: SetFindings) -> tuple[str, ...]:
    has_last = LAST_POSITION in set(findings.scores.heads["direction"])
    last = (_LAST_POSITION,) if has_last else ()
    return (*METHOD, _SCORED[findings.weights], *last, *_RULES)


def _example(findings: SetFindings) -> Instrument:
    """Return one text of the set, with its heads colored by how often they are right in all."""
    scores, measures = findings.scores, accuracy_measures(findings.scores)
    if findings.hardest and scores.choice is not None:
        case, record, _ = findings.hardest[0]
        return instrument(record, case_choice(record, case, scores.choice.head, measures))
    return instrument(findings.record, Choice(measures=measures))


def _example_words(findings: SetFindings) -> str:
    choice = findings.scores.choice
    if findings.hardest and choice is not None:
        direction = direction_name(choice.direction)
        which = f"that in which {choice.head} ({direction}) prefers a distractor most"
        return example_words(findings.num_cases, "case", which)
    return example_words(findings.num_cases, "case")


def _add_stability(document: Document, findings: SetFindings) -> None:
    scores = findings.scores
    choice = scores.choice
    if choice is None:
        return
    with document.chapter("How stable the choice is"):
        document.add_prose(paragraphs(stability_words(findings.finding.claims)))
        figures = {"accuracy in-sample": "accuracy"}
        if "raw_accuracy" in scores.heads:
            figures["by raw weights"] = "raw_accuracy"
        rows = [
            (
                head,
                direction_name(direction),
                percent(part),
                *(percent(in_sample(scores, head, direction, name)) for name in figures.values()),
            )
            for head, direction, part in choice.frequencies
        ]
        columns = ("head", "direction", "chosen", *figures)
        document.add_prose(data_table(columns, rows))


def _add_together(document: Document, findings: SetFindings) -> None:
    """Add minimal pairs, their shifts, and all heads at once."""
    if findings.pairs is not None:
        with document.chapter("Minimal pairs: both right"):
            both = (
                "The cases of a minimal pair differ in one or two words outside their mentions, "
                "and so in their answer. A coin is right in both of 25% of pairs; a head that is "
                "blind to the difference in 0%."
            )
            document.add_prose(paragraphs([both]) + _both_right_table(findings.pairs))
        with document.chapter("Minimal pairs: shifts"):
            document.add_prose(paragraphs(pair_words(findings.pairs)))
            document.add_prose(_shift_table(findings.pairs))
            _add_shown_pairs(document, findings)
    if findings.linear is not None:
        with document.chapter("All heads together"):
            document.add_prose(paragraphs(linear_words(findings.linear_claims)))


def _add_shown_pairs(document: Document, findings: SetFindings) -> None:
    """Add pairs side by side, in the head whose attention shifts most with the answer."""
    if findings.pairs is None or not findings.shown_pairs:
        return
    top = findings.pairs.table.sort_values("shift", ascending=False, kind="stable").iloc[0]
    labels = [(shortened(pair[0][0].text, 120), "") for pair in findings.shown_pairs]
    with document.choice(labels, of="pairs"):
        for number, ((first, a), (second, b)) in enumerate(findings.shown_pairs):
            names = tuple(case.phrase(case.antecedents[0].span) for case in (first, second))
            view = compare_view(
                a,
                b,
                layer=int(top["layer"]),
                head=int(top["head"]),
                token=mention_pieces(a.queries, first.pronoun)[0][0],
                labels=(names[0], names[1]),
            )
            with document.item(shown=number == 0):
                for section in view.sections():
                    document.add_section(section)


def _both_right_table(pairs: PairShifts) -> Markup:
    best = pairs.table.sort_values("both_right", ascending=False, kind="stable")
    rows = [
        (f"L{r.layer}H{r.head}", direction_name(r.direction), r.n_both, percent(r.both_right))
        for r in best.head(_MANY_PAIRS).itertuples()
    ]
    rows += [("coin flips", "", "", percent(0.25)), ("a blind head", "", "", percent(0.0))]
    return data_table(("head", "direction", "pairs", "both right (in-sample)"), rows)


def _shift_table(pairs: PairShifts) -> Markup:
    top = pairs.table.sort_values("shift", ascending=False, kind="stable").head(_MANY_PAIRS)
    rows = [
        (
            f"L{r.layer}H{r.head}",
            direction_name(r.direction),
            r.n_pairs,
            decimal(r.shift) + interval(decimal(r.ci_low), decimal(r.ci_high)),
            p_cell(r.p_adjusted),
        )
        for r in top.itertuples()
    ]
    return data_table(("head", "direction", "pairs", "shift", "adjusted p"), rows)


def _add_occupations(document: Document, found: OccupationBias | None) -> None:
    if found is None:
        return
    with document.chapter("Bias: occupations by their share of women"):
        document.add_prose(paragraphs(occupation_words(found)))
        gotcha = found.gotcha.table
        order = found.table["correlation"].abs().sort_values(ascending=False, kind="stable").index
        rows = [
            (
                f"L{r.layer}H{r.head}",
                direction_name(r.direction),
                signed(r.correlation) + interval(signed(r.ci_low), signed(r.ci_high)),
                p_cell(r.p_adjusted),
                percent(gotcha["accuracy_gotcha"][r.Index]),
                percent(gotcha["accuracy_rest"][r.Index]),
                p_cell(gotcha["p_adjusted"][r.Index]),
            )
            for r in found.table.loc[order].head(2 * _MANY_PAIRS).itertuples()
        ]
        columns = ("head", "direction", "r", "adjusted p", "gotcha", "the rest", "adjusted p")
        document.add_prose(data_table(columns, rows))


def _add_bias(document: Document, findings: SetFindings) -> None:
    bias = findings.bias
    if bias is None:
        return
    first, second = bias.contrast
    with document.chapter(f"Bias: {first} and {second}"):
        document.add_prose(paragraphs(bias_words(bias)))
        order = bias.table["difference"].abs().sort_values(ascending=False, kind="stable").index
        rows = [
            (
                f"L{r.layer}H{r.head}",
                direction_name(r.direction),
                percent(getattr(r, f"accuracy_{first}")),
                percent(getattr(r, f"accuracy_{second}")),
                signed(r.difference) + interval(signed(r.ci_low), signed(r.ci_high)),
                p_cell(r.p_adjusted),
                percent(r.accuracy_neutral if r.n_neutral else None),
            )
            for r in bias.table.loc[order].head(2 * _MANY_PAIRS).itertuples()
        ]
        columns = (
            "head",
            "direction",
            first,
            second,
            "difference",
            "adjusted p",
            "neutral",
        )
        document.add_prose(data_table(columns, rows))


def _add_cases(document: Document, findings: SetFindings) -> None:
    """Add the list of all cases; those shown whole further down are found from it."""
    shown = [case for case, _, _ in findings.hardest]
    places = {case: place for place, case in enumerate(shown)}
    listed = enumerate(findings.listed.cases)
    whole = {index: places[case] for index, case in listed if case in places}
    record = findings.hardest[0][1] if shown else findings.record
    document.add_section(cases_section(findings.listed, record, shown_whole=whole), folds=True)


def _add_hardest(document: Document, findings: SetFindings) -> None:
    """Add the cases that are wrong, to be viewed one by one."""
    choice = findings.scores.choice
    if not findings.hardest or choice is None:
        return
    labels = [(shortened(case.text, 120), signed(gap)) for case, _, gap in findings.hardest]
    with document.chapter(f"What {choice.head} gets wrong"):
        document.add_prose(
            paragraphs(
                [
                    f"The {counted(len(labels), 'case')} in which {choice.head} "
                    f"({direction_name(choice.direction)}) prefers a distractor most. The number "
                    "is the antecedent’s weight minus the distractor’s."
                ]
            )
        )
        with document.choice(labels, of="cases"):
            for number, (case, record, _) in enumerate(findings.hardest):
                with document.item(shown=number == 0):
                    add_text(document, CapturedText(case, record), head=choice.head)


def _add_left_out(document: Document, findings: SetFindings) -> None:
    scores = findings.scores
    with document.chapter("What was left out"):
        reasons = Counter(reject.reason for reject in findings.rejects)
        outside = len(scores.outside_forced_choice)
        num_without = findings.num_rejected
        are = verb(num_without, "it is", "they are")
        sentences = [
            f"{counted(num_without, 'row')} gave no score; {are} in rejects.jsonl with line and "
            "reason."
            if num_without
            else "Every row of the file gave a score.",
            f"{counted(outside, 'case')} {verb(outside, 'offers', 'offer')} no choice (no "
            "antecedent among the candidates, or nothing else) and "
            f"{verb(outside, 'counts', 'count')} nowhere above.",
        ]
        if scores.choice is not None and (hidden := scores.choice.n_not_observable):
            they = verb(hidden, "it counts", "they count")
            sentences.append(
                f"In {counted(hidden, 'case')} the chosen head cannot see a candidate; {they} as "
                "neither right nor wrong."
            )
        document.add_prose(paragraphs([*sentences, *map(sentence, scores.notes)]))
        if reasons:
            rows = [
                (count, shortened(reason, 200))
                for reason, count in reasons.most_common(_SHOWN_REASONS)
            ]
            document.add_prose(data_table(("rows", "reason"), rows))
            if len(reasons) > _SHOWN_REASONS:
                rest = len(reasons) - _SHOWN_REASONS
                more = (
                    f"{counted(rest, 'further reason')} {verb(rest, 'is', 'are')} in rejects.jsonl."
                )
                document.add_prose(paragraphs([more]))
