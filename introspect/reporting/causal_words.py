"""Sentences on the result of a causal study that stay true for every outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from introspect.records import Head
from introspect.reporting.causal_claims import answer_of, claims_of, mediation_claims
from introspect.reporting.prose import Finding
from introspect.statistics import Claim
from introspect.studies.causal import CausalStudy
from introspect.text import (
    counted,
    interval,
    listed,
    percent,
    quantity,
    sentence,
    signed,
    verb,
)
from introspect.views import FOUND, verdict_words

_NAMED = 5

_SURROGATE = "Measured by a surrogate, not by the model’s own answer."
_CAVEATS = (
    "These cases are the evidence, and no others: another collection may give another answer.",
    "Ablating a head leaves the model in a state that it was not trained in. A large effect shows "
    "that the answer depends on the output of the head; it does not show what the head is for, "
    "nor that it works alone.",
    "A head without an effect may be one of several that do the same: each can be missed while "
    "the others are there. Only ablating them together shows it.",
)


def heads_that_attend(table: pd.DataFrame) -> list[Head]:
    """Select the heads that attend to the antecedent, the most accurate first."""
    found = table[table["attends"].astype(bool)]
    found = found.sort_values("attention_accuracy", ascending=False, kind="stable")
    return [_head(row) for row in found.itertuples()]


def head_verdicts(table: pd.DataFrame) -> dict[Head, str]:
    """Describe in a few words each head that has an effect or attends to the antecedent."""
    return {
        _head(row): verdict_words(row.verdict, attends=bool(row.attends))
        for row in table.itertuples()
        if row.verdict in FOUND or row.attends
    }


def finding_of_study(study: CausalStudy) -> Finding:
    """Return the headline of a study, what supports it, and what it does not show."""
    claims = claims_of(study)
    sentences = [_headline(study, claims)]
    if study.ability.is_surrogate:
        sentences.insert(0, _SURROGATE)
    able, *others = claims
    details = (
        able.sentence,
        *_listed_claims(study, others),
        _chosen_words(study),
        _correlation(study),
    )
    caveats = list(_CAVEATS)
    if study.ability.is_surrogate:
        caveats.insert(
            0,
            "The model has no language-modeling head. Effects are on "
            f"{study.heads.attrs['metric_words']}. It may move for reasons that have nothing to do "
            "with who the pronoun is.",
        )
    return Finding(" ".join(sentences), tuple(filter(None, details)), tuple(caveats), claims)


def _headline(study: CausalStudy, claims: Sequence[Claim]) -> str:
    able = claims[0]
    if study.heads["p_adjusted"].isna().all():
        groups = study.ability.groups
        return (
            f"{counted(groups, 'group')} of cases {verb(groups, 'is', 'are')} too few for "
            f"intervals and tests: nothing is claimed of any head. {able.sentence}"
        )
    attending = heads_that_attend(study.heads)
    if able.kind == "no-able":
        return " ".join(
            filter(
                None,
                [
                    f"The model is not shown to be above chance, so there is no verdict on any "
                    f"head. {able.sentence}",
                    _attend(attending),
                ],
            )
        )
    by_kind = {
        kind: [claim for claim in claims if claim.kind == kind]
        for kind in ("supports", "opposes", "depends", "no-effect")
    }
    supporting, opposing = by_kind["supports"], by_kind["opposes"]
    answer = answer_of(study.ability.is_surrogate)
    parts = [
        _effects_words(supporting, f"support {answer}"),
        "" if supporting else _no_support(study, by_kind),
        _attending_words([claim.subject for claim in supporting], attending),
        _effects_words(opposing, f"oppose {answer}"),
        _depends_words([claim.subject for claim in by_kind["depends"]]),
    ]
    return " ".join(filter(None, parts))


def _effects_words(claims: Sequence[Claim], verb_phrase: str) -> str:
    """Name the heads with one verdict, and give the figures of the largest effect."""
    if len(claims) < 2:
        return "".join(claim.sentence for claim in claims)
    _, largest = claims[0].sentence.split(" the preference ")
    return (
        f"{listed([claim.subject for claim in claims], most=_NAMED)} {verb_phrase}: without "
        f"{claims[0].subject} the preference {largest}"
    )


def _no_support(study: CausalStudy, by_kind: dict[str, list[Claim]]) -> str:
    """Say that no head was found to support the answer."""
    if nothing := by_kind["no-effect"]:
        return nothing[0].sentence
    heads = f"any of {len(study.heads)} heads" if len(study.heads) > 1 else "the head"
    return f"No evidence that {heads} supports {answer_of(study.ability.is_surrogate)}."


def _attending_words(supporting: Sequence[str], attending: Sequence[Head]) -> str:
    """Say which of the heads that support the answer attend to the antecedent, and which do not."""
    both = [head for head in attending if str(head) in supporting]
    rest = [head for head in attending if str(head) not in supporting]
    if not supporting:
        return _attend(attending)
    if not attending:
        return f"No evidence that {verb(len(supporting), 'it', 'one of them')} attends to the " + (
            "antecedent."
        )
    if not both:
        return (
            f"{_named(rest)} {_verb(rest, 'attend')} to the antecedent, without evidence that "
            f"{verb(len(rest), 'it supports', 'they support')} the answer."
        )
    if len(supporting) == 1:
        words = "It attends to the antecedent"
    else:
        words = f"{_named(both)} {_verb(both, 'attend')} to the antecedent"
    also = (
        f"; so {verb(len(rest), 'does', 'do')} {_named(rest)}, without evidence that "
        f"{verb(len(rest), 'it supports', 'they support')} the answer"
        if rest
        else ""
    )
    return f"{words}{also}."


def _attend(attending: Sequence[Head]) -> str:
    if not attending:
        return ""
    return f"{_named(attending)} {_verb(attending, 'attend')} to the antecedent."


def _depends_words(names: Sequence[str]) -> str:
    if not names:
        return ""
    return (
        f"What {listed(names, most=_NAMED)} {verb(len(names), 'does', 'do')} for it depends on the "
        "method of ablation."
    )


def _listed_claims(study: CausalStudy, claims: Sequence[Claim]) -> list[str]:
    """Return the sentences of the first claims of each kind, with the head in emphasis."""
    sentences = []
    for kind in ("supports", "opposes", "depends", "no-effect", "attends", "redundant", "joint"):
        found = [claim for claim in claims if claim.kind == kind]
        for claim in found[:_NAMED]:
            sentences.append(claim.sentence.replace(claim.subject, f"*{claim.subject}*", 1))
        if len(found) > _NAMED:
            sentences.append(f"{counted(len(found) - _NAMED, 'more head')} in the table below.")
    return sentences


def _chosen_words(study: CausalStudy) -> str:
    """Say what the head chosen by its attention on other cases does on these."""
    chosen = study.chosen
    if chosen is None:
        return ""
    names, unit = list(dict.fromkeys(chosen.heads)), study.heads.attrs["unit"]
    who = " and ".join(f"*{name}*" for name in names)
    against = with_range(chosen.difference, chosen.difference_low, chosen.difference_high)
    is_alone = math.isnan(chosen.control)
    difference = "" if is_alone else f", difference {against}"
    if not study.ability.is_above_chance:
        verdict = "there is no verdict on an ability that is not shown"
    elif chosen.ci_low > 0:
        verdict = f"{_it(names)}{_verb(names, 'support')} the answer"
    elif chosen.ci_high < 0:
        verdict = f"{_it(names)}{_verb(names, 'oppose')} the answer"
    else:
        verdict = (
            f"no evidence that {_it(names)}{_verb(names, 'support')} or {_verb(names, 'oppose')} "
            "the answer"
        )
    if not heads_that_attend(study.heads):
        verdict += "; but no head is shown to attend to it, and one had to be chosen"
    return (
        "Chosen by its attention on one half of the cases, and ablated on the other: "
        f"{who}, effect {with_range(chosen.effect, chosen.ci_low, chosen.ci_high)} "
        f"{unit}, {_beside(chosen.control, names, unit)}{difference}. Held out, {verdict}."
    )


def _correlation(study: CausalStudy) -> str:
    if math.isnan(study.correlation):
        return ""
    return (
        f"Over {counted(len(study.heads), 'head')}, attention accuracy and effect are correlated "
        f"by {signed(study.correlation)} (Spearman)."
    )


def smallest_words(study: CausalStudy) -> list[str]:
    """Describe the few heads that carry the answer."""
    found = study.smallest
    if found is None:
        return []
    sentences = [found.words]
    if len(found.steps):
        it = verb(len(found.heads), "it", "them")
        sentences.append(
            f"Faithfulness is {with_range(found.faithfulness, found.low, found.high)}: 0 is the "
            "margin with all heads ablated, 1 that of the whole model. With all heads but "
            f"{it}, "
            + with_range(found.incompleteness, found.incompleteness_low, found.incompleteness_high)
            + " is left, which is 0 for a complete set."
        )
        if found.needless:
            sentences.append(
                f"Without {listed(found.needless, 'or')} the set is not shown to be less faithful."
            )
        if found.num_random:
            sentences.append(
                f"Of {counted(found.num_random, 'random set')} of as many heads, each on one case, "
                f"{percent(found.as_faithful)} are at least as faithful."
            )
        sentences.append(
            "The set was found on one half of the groups of cases, and all figures but those of "
            "the table are of the other half. Another set may do as well."
        )
    return sentences


def mediation_words(study: CausalStudy) -> list[str]:
    """Say how much of the change within a minimal pair passes through single heads."""
    found = study.mediation
    if found is None:
        return []
    table, unit = found.heads, study.heads.attrs["unit"]
    row = table.iloc[0]
    total = with_range(row["total"], row["total_low"], row["total_high"])
    sentences = [
        "From one case of a minimal pair to the other the preference changes by "
        f"{total} {unit}, in the mean over {counted(int(row['n']), 'pair')}: the total effect. "
        "The indirect effect of a head is the part that comes about if the output of this head "
        "alone is that for the other case, or its attention weights alone; the direct effect is "
        "what is left of the change if they alone are not."
    ]
    claims = mediation_claims(study)
    sentences += [claim.sentence for claim in claims]
    if not claims:
        heads = counted(len(table), "head")
        why = "" if found.is_shown else ": the total is not shown to be above 0"
        sentences.append(f"No evidence that any of it passes through one of {heads}{why}.")
    sentences.append("Effects of several heads do not add up.")
    if count := len(found.left_out):
        are = verb(count, "is no minimal pair", "are no minimal pairs")
        sentences.append(f"{counted(count, 'group')} {are}, and left out.")
    return [*sentences, *map(sentence, found.notes)]


def followed_words(study: CausalStudy) -> list[str]:
    """Say how the heads with the largest effects were followed up."""
    heads = study.followed.heads
    if not heads:
        return []
    return [
        f"{listed(heads)} {verb(len(heads), 'is', 'are')} also ablated by the other methods: the "
        "mean output over all tokens of the cases, and outputs on texts of other cases, drawn "
        "twice. The adjusted p is over these heads alone. The direct effect is that with the "
        "outputs of all heads of later layers held as they were."
    ]


def with_range(value: float, low: float, high: float) -> str:
    """Return an effect with its 95% interval, where there is one.

    Example:
        >>> with_range(19.0, 17.5, 20.6)
        '19.0 (95% CI 17.5–20.6)'
    """
    return f"{quantity(value)}{interval(quantity(low), quantity(high))}"


def _beside(control: float, heads: Sequence[Head], unit: str) -> str:
    """Describe the control of a head, or of two, in a sentence."""
    layers = sorted({head.layer for head in heads})
    if math.isnan(control):
        return "the only head of the layer"
    of = f"{verb(len(layers), 'layer', 'layers')} {listed(layers)}"
    return f"the other heads of {of}: {quantity(control)} {unit}"


def _head(row: Any) -> Head:
    return Head(int(row.layer), int(row.head))


def _named(heads: Sequence[Head]) -> str:
    return listed(heads, most=_NAMED)


def _it(heads: Sequence[Head]) -> str:
    return verb(len(heads), "it ", "they ")


def _verb(heads: Sequence[Head], plural: str) -> str:
    singular = "does" if plural == "do" else f"{plural}s"
    return verb(len(heads), singular, plural)
